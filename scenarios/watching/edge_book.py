"""What is known of the edges of a run: totals, what is new in them, delays, and how shares come."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from broker.wire.messages import ENVIRONMENT
from scenarios.document.graph import Graph
from scenarios.results.answers import EdgeDelays
from scenarios.results.edge_account import EdgeAccount
from scenarios.watching.seen import EdgeSeen, Health

_COUNTS = EdgeAccount._fields[2:]
_HEARD, _LATE, _MISSING, _REJECTED = map(_COUNTS.index, ("heard", "late", "missing", "rejected"))
_RARELY = 100
"""A share that is missing among so many that were heard makes no edge sick."""
_SIGNS_KEPT = 3
"""Changes of totals that count as recent; one comes about every second."""


@dataclass(frozen=True)
class _Sign:
    at_s: float
    totals: NDArray[np.int64]
    untold: NDArray[np.bool_]


class EdgeBook:
    """The edges of a run.

    Args:
        graph: Who may talk with whom.
    """

    def __init__(self, graph: Graph) -> None:
        agents = tuple(graph.neighbors)
        self.edges: tuple[tuple[str, str], ...] = (
            *graph.edges,
            *((ENVIRONMENT, agent) for agent in agents),
            *((agent, ENVIRONMENT) for agent in agents),
        )
        self._place = {edge: place for place, edge in enumerate(self.edges)}
        self._totals = np.zeros((len(self.edges), len(_COUNTS)), np.int64)
        self._untold = np.zeros((len(self.edges), len(_COUNTS)), np.bool_)
        self._delays = np.zeros((len(self.edges), 3))
        self._signs: deque[_Sign] = deque(maxlen=_SIGNS_KEPT + 1)

    def count(self, known: Iterable[EdgeAccount], at_s: float) -> None:
        """Take in what was counted until now.

        Args:
            known: Of any edges.
            at_s: When, in seconds of any clock.
        """
        totals = np.zeros_like(self._totals)
        untold = np.zeros_like(self._untold)
        for source, destination, *counts in known:
            place = self._place.get((source, destination))
            if place is not None:
                totals[place] = [count or 0 for count in counts]
                untold[place] = [count is None for count in counts]
        self._untold = untold
        if not self._signs or not np.array_equal(totals, self._signs[-1].totals):
            self._signs.append(_Sign(at_s, totals, untold))
            self._totals = totals

    def hold(self, delays: Iterable[EdgeDelays]) -> None:
        """Take in how more messages were held back."""
        for found in delays:
            place = self._place.get((found.source, found.destination))
            if place is not None:
                copies, sum_s, longest_s = self._delays[place]
                self._delays[place] = copies + found.copies, sum_s + found.sum_s, max(longest_s, found.longest_s)

    def seen(self, *, goes_on: bool) -> tuple[EdgeSeen, ...]:
        """Every edge as it is now.

        Args:
            goes_on: Whether the run does; else all is recent.
        """
        first = self._signs[0] if goes_on and len(self._signs) > 1 else None
        known = ~self._untold if first is None else ~(self._untold | first.untold)
        lately = (self._totals if first is None else self._totals - first.totals) * known
        recent_s = 0.0 if first is None else self._signs[-1].at_s - first.at_s
        totals, recent = self._totals.astype(object), lately.astype(object)
        totals[self._untold], recent[~known] = None, None
        rows = zip(self.edges, totals.tolist(), recent.tolist(), lately.tolist(), self._delays.tolist(), strict=True)
        return tuple(
            EdgeSeen(
                total=EdgeAccount(*edge, *total),
                recent=EdgeAccount(*edge, *newest),
                recent_s=recent_s,
                health=_health(counted),
                held=int(copies),
                delay_s=sum_s / copies if copies else None,
                longest_delay_s=longest_s if copies else None,
            )
            for edge, total, newest, counted, (copies, sum_s, longest_s) in rows
        )


def _health(counts: list[int]) -> Health:
    heard, late, missing, rejected = (counts[place] for place in (_HEARD, _LATE, _MISSING, _REJECTED))
    if missing and not heard:
        return Health.CUT
    if missing * _RARELY < heard:
        missing = 0
    if rejected:
        return Health.REJECTED
    if missing:
        return Health.LATE if late >= missing else Health.MISSING
    return Health.HEARD if heard else Health.QUIET
