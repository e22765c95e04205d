"""What an agent knows of the shares on one of its in-edges, from episode to episode."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
_REMEMBERED_ROUNDS = 1024
"""A share that comes after so many more were missing is not counted."""


class InEdge:
    """The edge from one neighbor.

    Attributes:
        heard: Shares used in their round.
        missing: Shares that were not there when their round closed.
        late: Of these, shares that came afterwards.
        skipped: Rounds in which the two did not exchange.
        newest: The newest share, if such are reused.
    """

    def __init__(self) -> None:
        self.heard = self.missing = self.late = self.skipped = 0
        self.newest: Arrays | None = None
        self._newest_round = (-1, -1)
        self._missed: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED_ROUNDS)

    def note_missing(self, key: tuple[int, int]) -> None:
        """No share came in a round, named by episode and number."""
        self.missing += 1
        self._missed.append(key)

    def note_late(self, key: tuple[int, int]) -> bool:
        """A share of an earlier round came; it counts once, and only if it was missing. Whether it counts."""
        if key not in self._missed:
            return False
        self._missed.remove(key)
        self.late += 1
        return True

    def keep_newest(self, key: tuple[int, int], arrays: Arrays) -> None:
        """Keep the share of a round unless one of a later round is kept."""
        if key > self._newest_round:
            self._newest_round, self.newest = key, arrays

    def facts(self) -> dict[str, Any]:
        """What a later life needs beside `newest`; the counts are carried on with the checkpoint."""
        return {"missed": list(self._missed), "newest_round": self._newest_round}

    def restore(self, facts: dict[str, Any], newest: Arrays) -> None:
        """Take up what `facts` and `newest` were."""
        self._missed.extend((episode, number) for episode, number in facts["missed"])
        episode, number = facts["newest_round"]
        self._newest_round, self.newest = (episode, number), newest or None
