"""Who has something to do when: the next is found without asking all."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

_FEW = 64


class Timers:
    """The latest timer of each of many names.

    A timer that was set anew, or taken back, counts for nothing. It stays in the heap until its time comes, or until
    most of the heap is such timers: there may be one for each message, minutes ahead of the clock.
    """

    def __init__(self) -> None:
        self._at: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []

    def put(self, name: str, at: float | None) -> None:
        """Let `name` have something to do at this time, in seconds, and at no other; None: at none."""
        if self._at.get(name) == at:
            return
        if at is None:
            del self._at[name]
        else:
            self._at[name] = at
            heappush(self._heap, (at, name))
            if len(self._heap) > 2 * len(self._at) + _FEW:
                self._heap = [(at, name) for name, at in self._at.items()]
                heapify(self._heap)

    def next(self) -> float | None:
        """The earliest time at which anybody has something to do, or None."""
        heap = self._heap
        while heap and self._at.get(heap[0][1]) != heap[0][0]:
            heappop(heap)
        return heap[0][0] if heap else None

    def due(self, now: float) -> set[str]:
        """Who has something to do by `now`; they are due until they are put anew."""
        found = set()
        while (at := self.next()) is not None and at <= now:
            found.add(heappop(self._heap)[1])
        for name in found:
            heappush(self._heap, (self._at[name], name))
        return found
