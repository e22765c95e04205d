"""What the fault layer costs a message, beside the same transport without it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from broker.faults import Judge
from broker.faults.config import DropConfig, FaultConfig
from broker.transports.faulty import FaultyTransport
from broker.transports.memory import MemoryNetwork, MemoryTransport
from broker.transports.transport import Transport
from broker.wire.codec import Codec
from broker.wire.messages import Envelope, Share

_MESSAGES = 2000
_RUN = "bench"
CASES: dict[str, tuple[FaultConfig, ...]] = {
    "no fault matches the edge": (DropConfig(kind="drop", probability=0.5, source="nobody"),),
    "no fault matches the window": (DropConfig(kind="drop", probability=0.5, episodes=(1_000, 1_001)),),
    "a drop looks at every message": (DropConfig(kind="drop", probability=0.0),),
}


@dataclass(frozen=True)
class Cost:
    """One case.

    Attributes:
        case: What the faults were.
        bare_us: Microseconds a message without the layer.
        added_us: What the layer adds: median over pairs of blocks in turn.
    """

    case: str
    bare_us: float
    added_us: float

    @property
    def none_matches(self) -> bool:
        """Whether the faults are about other messages."""
        return self.case.startswith("no fault")


def measure_costs(blocks: int) -> list[Cost]:
    """Measure each case in `blocks` pairs of blocks."""
    costs = []
    for case, faults in CASES.items():
        bare, added = [], []
        for _ in range(blocks):
            bare.append(_poll_us(()))
            added.append(_poll_us(faults) - bare[-1])
        costs.append(Cost(case, statistics.median(bare), statistics.median(added)))
    return costs


def _poll_us(faults: Sequence[FaultConfig]) -> float:
    network, codecs = MemoryNetwork(), {name: Codec(_RUN, 1 << 20) for name in "ab"}
    codecs["b"].allow("a", "b")
    sender = MemoryTransport("a", network, codecs["a"])
    receiver: Transport = MemoryTransport("b", network, codecs["b"])
    if faults:
        receiver = FaultyTransport(receiver, Judge(faults, 1))
    values = {"x": np.zeros(64, np.float32)}
    for number in range(_MESSAGES):
        sender.send(Envelope(_RUN, "a", "b", number, Share.of(0, number, values)))
    began = perf_counter()
    heard = len(receiver.poll(0.0))
    return (perf_counter() - began) / heard * 1e6
