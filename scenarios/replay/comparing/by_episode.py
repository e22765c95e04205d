"""What comes in the order of episodes, taken episode by episode."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class ByEpisode(Generic[T]):
    """Takes what belongs to one episode after the other.

    Args:
        items: (episode, item), no episode before that of the item before it.
    """

    def __init__(self, items: Iterable[tuple[int, T]]) -> None:
        self._items = iter(items)
        self._next = next(self._items, None)

    def take(self, episode: int) -> list[T]:
        """All items of `episode`; those of earlier ones that nobody took are left out."""
        taken = []
        while self._next is not None and self._next[0] <= episode:
            if self._next[0] == episode:
                taken.append(self._next[1])
            self._next = next(self._items, None)
        return taken
