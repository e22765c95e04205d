"""What a run has recorded of its faults. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from broker.wire.records import EdgeRecord, FaultCount, ProcessFaultRecord
from scenarios.results.answers import EdgeFates, LiveFault


@dataclass(frozen=True)
class Evidence:
    """All that a proof is made of.

    Attributes:
        counts: How often each fault looked at messages of an edge, and struck.
        edges: What both ends of every edge counted.
        fates: How messages ended on each edge that faults looked at.
        early: How many held messages were handed over before their time.
        strikes: Everything that was done to processes, as it came.
        live: Faults that were added, or ended, while the run went on.
        dead: Agents that died and were not replaced, and the first episode that the others played without each.
        lives: How often all of the run have begun.
    """

    counts: Sequence[FaultCount]
    edges: Sequence[EdgeRecord]
    fates: Sequence[EdgeFates]
    early: int
    strikes: Sequence[ProcessFaultRecord]
    live: Sequence[LiveFault]
    dead: Mapping[str, int]
    lives: int
