"""How a participant of a run reaches its peers, and which of its lives this is: the run's part of its slice.

Nothing of it stands in a scenario: who starts the participants writes it.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from broker.addresses import parse_address
from broker.config import JoiningConfig, TransportConfig
from broker.faults.chains import LONGEST_EPISODE
from broker.faults.config import FaultConfig
from broker.model import Model
from broker.wire.identity import Identity
from broker.wire.messages import LIVES


class LifeConfig(Model):
    """Which life of a run's participants this is, and where it begins."""

    incarnation: int = Field(default=0, ge=0, lt=LIVES, description="How often all have been restarted.")
    after_episode: int = Field(
        default=-1, ge=-1, description="Episode whose checkpoint it goes on from; -1: from the beginning."
    )
    checkpoints: Path | None = Field(default=None, description="Folder of its checkpoints; none: it keeps none.")
    checkpoint_every: int = Field(default=20, ge=1, description="Episodes between two checkpoints.")
    kept_every: int | None = Field(
        default=None, ge=1, description="Episodes after which an agent writes a checkpoint besides; none: it does not."
    )
    gone: tuple[str, ...] = Field(default=(), description="Agents that died in an earlier one and are not replaced.")
    breakpoints: tuple[int, ...] = Field(
        default=(), description="Episodes that the environment begins only when it is told to."
    )
    pauses: bool = Field(default=False, description="Whether that holds for every episode.")
    spared: bool = Field(
        default=False,
        description="Whether the others go on without an agent that dies: each tells what it has counted with every "
        "round that it closes, for nobody else could.",
    )


class TraceConfig(Model):
    """In which trace a participant's spans are, and where they go; see `broker.wire.trace_context`."""

    traceparent: str = Field(description="W3C trace context of the run's span.")
    folder: Path = Field(description="For a file of spans, where OTEL_TRACES_EXPORTER names no exporter.")


class LinkConfig(Model):
    """How one participant reaches its peers; part of its slice of the scenario."""

    run: str = Field(description="Name of the run; the second part of every topic.")
    identity: Identity = Field(
        default=Identity(),
        description="The run, document, Foretell and arithmetic that all participants have in common; see HELLO.",
    )
    name: str = Field(description="The participant.")
    peers: tuple[str, ...] = Field(description="Participants it sends to and hears from.")
    seed: int = Field(description="What every draw derives from: the scenario's seed, or that of its evaluation.")
    episodes_before: int = Field(
        default=0,
        ge=0,
        description="Training episodes that the policy it starts from has learned from: draws are named by episodes "
        "counted on from there.",
    )
    longest_episode: int = Field(
        default=LONGEST_EPISODE,
        ge=1,
        description="How many timesteps, actions or shares an edge carries in an episode at most: a higher number is "
        "forged.",
    )
    transport: TransportConfig
    joining: JoiningConfig
    life: LifeConfig = LifeConfig()
    faults: tuple[FaultConfig, ...] = ()
    observed: bool = Field(default=False, description="Whether an observer takes its records.")
    addresses: dict[str, str] = Field(
        default={}, description="ZeroMQ, direct: where it, its peers and the observer are dialled."
    )
    listen: str = Field(
        default="", description="ZeroMQ, direct: where it listens, if that is not where others dial it: behind NAT."
    )
    largest_bytes: int = Field(
        default=0, ge=0, description="The largest frame that anybody in the run may send, as far as its plan knows."
    )
    broker: str = Field(
        default="",
        description="Where everybody connects to: mqtt://HOST:PORT, mqtts://HOST:PORT, or the forwarder's address "
        "(tcp://HOST:PORT or ipc://PATH).",
    )

    @field_validator("broker")
    @classmethod
    def _broker_can_be_meant(cls, broker: str) -> str:
        return str(parse_address(broker, "mqtt", "mqtts", "tcp", "ipc")) if broker else ""

    credentials: Path | None = Field(
        default=None, description="Folder with its own keys and those of its peers; none: anybody may connect."
    )
    seal: str = Field(default="", description="Shows whether the slice is as it was written; none: nobody looks.")
    journal: Path | None = Field(default=None, description="File for the frames it sends and receives.")
    counters: Path | None = Field(
        default=None,
        description="Socket on its host that is told once a second what it has counted; none: nobody asks.",
    )
    trace: TraceConfig | None = Field(default=None, description="Its spans; none: it makes none.")
