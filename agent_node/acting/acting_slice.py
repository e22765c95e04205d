"""The slice of an agent that only acts, read without pydantic, which would take a third of its memory.

These are those settings of an `AgentConfig` that such an agent uses, under the same names; ranges are checked where the
slice is written.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from broker.errors import UserError
from broker.wire.identity import Identity

if TYPE_CHECKING:
    from agent_node.config import AgentConfig


class _Part(msgspec.Struct, frozen=True):
    pass


class _Life(_Part, frozen=True):
    incarnation: int
    after_episode: int
    checkpoints: Path | None
    checkpoint_every: int
    kept_every: int | None
    gone: tuple[str, ...]
    spared: bool


class _Joining(_Part, frozen=True):
    hello_interval_s: float
    give_up_s: float


class _ZeroMQ(_Part, frozen=True):
    mode: str
    keepalive_interval_s: int
    keepalive_timeout_s: int
    reconnect_ms: int


class _Transport(_Part, frozen=True):
    kind: str
    queue_messages: int
    observer_queue_messages: int
    max_message_bytes: int
    scheduling: str
    zeromq: _ZeroMQ


class _Trace(_Part, frozen=True):
    traceparent: str
    folder: Path


class _Link(_Part, frozen=True):
    run: str
    identity: Identity
    name: str
    peers: tuple[str, ...]
    seed: int
    episodes_before: int
    transport: _Transport
    joining: _Joining
    life: _Life
    faults: tuple[Any, ...]
    observed: bool
    addresses: dict[str, str]
    listen: str
    largest_bytes: int
    broker: str
    credentials: Path | None
    journal: Path | None
    counters: Path | None = None
    trace: _Trace | None = None


class _Exchange(_Part, frozen=True):
    mode: str
    skip_probability: float
    skip_scope: str
    patience_s: float
    late_shares: str
    largest_number: float


class _InitialPolicy(_Part, frozen=True):
    path: Path
    digest: str
    episodes: int | None


class ActingSlice(_Part, frozen=True):
    """What an agent that only acts needs to know; see `agent_node.config.AgentConfig`."""

    link: _Link
    neighbors: dict[str, tuple[str, ...]]
    proximity: bool
    masks: bool
    episodes: int
    parallel_episodes: int
    steps: int
    observation_size: int
    action_counts: dict[str, int]
    give_up_s: float
    environment_waits: bool
    exchange: _Exchange
    initial_policy: _InitialPolicy
    acts_only: str

    rounds = 0

    @property
    def lean(self) -> bool:
        """Whether nothing needs pydantic in any case: there are no faults, no MQTT, and no journal, which holds all."""
        return not self.link.faults and self.link.transport.kind == "zeromq" and self.link.journal is None

    @property
    def config(self) -> AgentConfig:
        """As those see it who know the whole: all of it that they look at is here."""
        return cast("AgentConfig", self)


_decoder = msgspec.json.Decoder(ActingSlice, dec_hook=lambda kind, value: kind(value))


def read_acting_slice(text: str) -> ActingSlice:
    """The slice of an agent that only acts.

    Raises:
        UserError: It is none.
    """
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        msg = f"the slice is wrong: expected that of an agent of `foretell evaluate`, found: {error}"
        raise UserError(msg) from None
