"""What journals cost a message: written down by who sends it, and by who takes it with the call that it leads to."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from time import process_time

import numpy as np

from broker.driving.driver import Driver
from broker.driving.journaled_participant import journaled
from broker.participants.barrier_times import BarrierTimes
from broker.participants.participant import Command
from broker.transports.journaled import JournaledTransport
from broker.transports.memory import MemoryNetwork, MemoryTransport
from broker.transports.transport import Transport
from broker.wire.codec import Codec
from broker.wire.messages import Envelope, Message, Share
from broker.wire.records import Record
from scenarios.results.temporary import temporary_folder

SIZES_BYTES = (256, 16_384)
_MESSAGES = 2000
_RUN = "bench"


class _Phase(Enum):
    LISTENING = "LISTENING"


class _Listener:
    """A participant that takes everything and answers nothing."""

    name, awaited, deadline, phase, done, settled = "b", 1, None, _Phase.LISTENING, False, True
    peers: tuple[str, ...] = ()
    barriers = BarrierTimes()

    def start(self, now: float) -> Sequence[Command]:  # noqa: ARG002 - a participant's face
        return []

    def receive(self, source: str, message: Message, now: float) -> Sequence[Command]:  # noqa: ARG002
        return []

    def expire(self, now: float) -> Sequence[Command]:  # noqa: ARG002
        return []

    def told(self) -> str:
        return "{}"

    def waits_for(self) -> str:
        return ""

    def totals(self) -> Sequence[Record]:
        return []


@dataclass(frozen=True)
class JournalCost:
    """One size of messages.

    Attributes:
        array_bytes: What a message carries.
        bare_us: Processor time in microseconds for a message, sent and taken, without journals.
        added_us: What journals at both ends add: median over pairs of blocks in turn.
    """

    array_bytes: int
    bare_us: float
    added_us: float


def measure_journals(blocks: int) -> list[JournalCost]:
    """Measure each size in `blocks` pairs of blocks; journals are written to a temporary folder."""
    costs = []
    with temporary_folder() as folder:
        for size in SIZES_BYTES:
            bare, added = [], []
            for _ in range(blocks):
                bare.append(_passed_us(size, None))
                added.append(_passed_us(size, Path(folder)) - bare[-1])
            costs.append(JournalCost(size, statistics.median(bare), statistics.median(added)))
    return costs


def _passed_us(array_bytes: int, journals: Path | None) -> float:
    network, codecs = MemoryNetwork(), {name: Codec(_RUN, 1 << 20) for name in "ab"}
    codecs["b"].allow("a", "b")
    ends: dict[str, Transport] = {name: MemoryTransport(name, network, codecs[name]) for name in "ab"}
    if journals is not None:
        ends = {name: JournaledTransport(end, codecs[name], journals / name) for name, end in ends.items()}
    driver = Driver(_RUN, journaled(_Listener(), ends["b"]), ends["b"], lambda _: None)
    values = {"x": np.zeros(array_bytes // 4, np.float32)}
    envelopes = [Envelope(_RUN, "a", "b", number, Share.of(0, number, values)) for number in range(_MESSAGES)]
    began = process_time()
    for envelope in envelopes:
        ends["a"].send(envelope)
        driver.deliver(0.0)
    passed_us = (process_time() - began) / _MESSAGES * 1e6
    for end in ends.values():
        end.close(0.0)
    return passed_us
