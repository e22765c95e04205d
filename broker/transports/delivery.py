"""Messages held until they are due, in an order that never depends on chance."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class DeliveryQueue(Generic[Item]):
    """Items by due time; items due at the same instant come out in the order they went in.

    Times are seconds on whatever clock the caller uses.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Item]] = []
        self._sequence = 0

    def __len__(self) -> int:
        return len(self._heap)

    def __iter__(self) -> Iterator[Item]:
        """All items held, in no particular order."""
        return (item for _, _, item in self._heap)

    def push(self, deliver_at: float, item: Item) -> None:
        """Hold `item` until `deliver_at`."""
        heapq.heappush(self._heap, (deliver_at, self._sequence, item))
        self._sequence += 1

    def due(self) -> float | None:
        """When the next item is due, or None when nothing is held."""
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: float) -> list[Item]:
        """All items due at `now` or before, in order."""
        items = []
        while self._heap and self._heap[0][0] <= now:
            items.append(heapq.heappop(self._heap)[2])
        return items
