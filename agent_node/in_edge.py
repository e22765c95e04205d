"""What an agent knows of the shares on one of its in-edges, from episode to episode."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from broker.wire.arrays import Arrays

_REMEMBERED_ROUNDS = 1024
"""A share that comes after so many more were missing is not counted."""


class RoundName(NamedTuple):
    """Which round, in the order of time.

    Attributes:
        episode: From 0; -1 before the first.
        number: Of the round in its episode, from 0; -1 before the first.
    """

    episode: int
    number: int


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
        self._newest_round = RoundName(-1, -1)
        self._missed: deque[RoundName] = deque(maxlen=_REMEMBERED_ROUNDS)

    def note_missing(self, name: RoundName) -> None:
        """No share came in a round."""
        self.missing += 1
        self._missed.append(name)

    def note_late(self, name: RoundName) -> bool:
        """A share of an earlier round came; it counts once, and only if it was missing. Whether it counts."""
        if name not in self._missed:
            return False
        self._missed.remove(name)
        self.late += 1
        return True

    def keep_newest(self, name: RoundName, arrays: Arrays) -> None:
        """Keep the share of a round unless one of a later round is kept."""
        if name > self._newest_round:
            self._newest_round, self.newest = name, arrays

    def facts(self) -> dict[str, Any]:
        """What a later life needs beside `newest`; the counts are carried on with the checkpoint."""
        return {"missed": list(self._missed), "newest_round": self._newest_round}

    def restore(self, facts: dict[str, Any], newest: Arrays) -> None:
        """Take up what `facts` and `newest` were."""
        self._missed.extend(RoundName(*name) for name in facts["missed"])
        self._newest_round, self.newest = RoundName(*facts["newest_round"]), newest or None
