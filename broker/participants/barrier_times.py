"""How long a participant waits for its peers."""

from __future__ import annotations

from collections import defaultdict

from broker.wire.counters import BarrierTime


class BarrierTimes:
    """The barriers at which one participant has waited, by what it waited for: `action`, `ready`, `share`."""

    def __init__(self) -> None:
        self._times: defaultdict[str, int] = defaultdict(int)
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def add(self, awaited: str, seconds: float) -> None:
        """Count a barrier that has closed after so long."""
        self._times[awaited] += 1
        self._seconds[awaited] += seconds

    def totals(self) -> dict[str, BarrierTime]:
        """All of them up to now."""
        return {awaited: BarrierTime(times, self._seconds[awaited]) for awaited, times in self._times.items()}
