"""What a participant tells of its edges while it works: the totals that have changed, a few at a time."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import astuple

from broker.wire.counters import summed_edges
from broker.wire.messages import OBSERVER
from broker.wire.records import EdgeRecord, Record, TrafficRecord

MOST_EDGES = 64
"""Told in one sign of life; of more, those come first that were told longest ago."""

_Edge = tuple[str, str]
_Counts = tuple[int, ...]


class EdgeTotals:
    """Knows what was told of each edge, and when."""

    def __init__(self) -> None:
        self._told: dict[_Edge, _Counts] = {}

    def changed(self, totals: Iterable[Record], most: int | None = MOST_EDGES) -> list[TrafficRecord]:
        """What is new to tell.

        Args:
            totals: All that was counted so far. Several records of one edge are added up.
            most: Edges at most; None for all.
        """
        sums = _added(totals)
        told_first = {edge: sums.get(edge, ()) for edge in (*(sums.keys() - self._told.keys()), *self._told)}
        changed = [edge for edge, counts in told_first.items() if counts and self._told.get(edge) != counts]
        for edge in changed[:most]:
            self._told.pop(edge, None)  # so that it stands last
            self._told[edge] = sums[edge]
        return [TrafficRecord(EdgeRecord(*edge, *sums[edge])) for edge in changed[:most]]


def _added(totals: Iterable[Record]) -> dict[_Edge, _Counts]:
    return {
        (edge.source, edge.destination): astuple(edge)[2:]
        for edge in summed_edges(totals)
        if OBSERVER not in (edge.source, edge.destination)
    }
