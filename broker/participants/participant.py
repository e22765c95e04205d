"""A participant: somebody with a name who takes messages and deadlines and answers with commands.

Participants are sans-io: they never read a clock, never wait and never send; time is a parameter, and what
shall happen is returned. The same participant therefore runs in virtual time and as a process.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Protocol

import msgspec

from broker.participants.barrier_times import BarrierTimes
from broker.participants.checkpoint import State
from broker.wire.messages import Message
from broker.wire.records import Record


class Send(msgspec.Struct, frozen=True, gc=False):
    """Command: hand `message` to the transport, for `destination`."""

    destination: str
    message: Message


class Report(msgspec.Struct, frozen=True, gc=False):
    """Command: hand `record` to the observer."""

    record: Record


class Save(msgspec.Struct, frozen=True, gc=False):
    """Command: keep `state`, with which a later life can go on after `episode`; all sent before it has been sent.

    Attributes:
        episode: The episode that is over.
        state: What is known after it; its arrays are the participant's own, and stay so while it is `settled`.
        due: Whether it is to be written now; else it is written only if the participant is asked to end here.
    """

    episode: int
    state: State
    due: bool


class Forget(msgspec.Struct, frozen=True, gc=False):
    """Command: keep nothing for `peer` any more; it is dead."""

    peer: str


class Refit(msgspec.Struct, frozen=True, gc=False):
    """Command: from now on let messages meet the faults of this JSON document."""

    faults: str


Command = Send | Report | Save | Forget | Refit


class Participant(Protocol):
    """An agent or the environment, seen from the driver.

    Call `start` once, then `receive` for every message and `expire` whenever `deadline` has passed, always with
    a `now` that never goes back; carry out the commands each call returns, in order, before the next call.

    Attributes:
        name: Its id, such as `agent-0`.
        peers: Those it sends to or hears from.
        done: Whether its work is finished: nothing more will come of any call.
        awaited: How many messages it needs before it can go on, worth receiving in one go; less than 2 is as good as 1.
        deadline: When `expire` wants to be called, or None.
        phase: What it is doing.
        barriers: How long it has waited for its peers.
        settled: Whether it still knows what it knew when it last wanted a state saved, or began; else it is learning.
    """

    name: str
    peers: tuple[str, ...]

    @property
    def barriers(self) -> BarrierTimes: ...  # noqa: D102 - an attribute or a property

    @property
    def awaited(self) -> int: ...  # noqa: D102 - an attribute or a property

    @property
    def deadline(self) -> float | None: ...  # noqa: D102 - an attribute or a property

    @property
    def phase(self) -> Enum: ...  # noqa: D102 - an attribute or a property

    @property
    def done(self) -> bool: ...  # noqa: D102 - an attribute or a property

    @property
    def settled(self) -> bool: ...  # noqa: D102 - an attribute or a property

    def start(self, now: float) -> Sequence[Command]:
        """Begin."""

    def receive(self, source: str, message: Message, now: float) -> Sequence[Command]:
        """Take a message.

        Raises:
            ProtocolViolation: No correct `source` can say this; nothing was changed.
            PeerLost: The work cannot be done any more.
        """

    def expire(self, now: float) -> Sequence[Command]:
        """Take note that the deadline has passed.

        Raises:
            PeerLost: A peer that is needed stayed silent for too long.
        """

    def told(self) -> str:
        """What it was told, its slice of the scenario as JSON: another one that is told this does the same."""

    def waits_for(self) -> str:
        """Whom and what it waits for, as a clause: `agent-0 in SHARING waits for ...`."""

    def totals(self) -> Sequence[Record]:
        """What it counted, for the end of the run."""
