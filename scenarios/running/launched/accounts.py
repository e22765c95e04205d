"""What participants say as they end: it counts once, however often they say it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from broker.wire.records import ClosedRecord, ClosingRecord, EdgeRecord, FateCount, FaultCount, Record

_TOTALS = (EdgeRecord, FaultCount, FateCount)
"""Records that no participant says but in its account: said twice, they would count twice."""


class Accounts:
    """The last accounts of all participants of one life.

    Attributes:
        speaking: Who has said something, and not yet its last word.
        whole: Who has said its last word.

    Args:
        may_say: Whether somebody can have to say this.
    """

    def __init__(self, may_say: Callable[[str, Record], bool]) -> None:
        self._may_say = may_say
        self.speaking: set[str] = set()
        self._begun: dict[str, list[Record]] = {}
        self.whole: set[str] = set()

    def take(self, source: str, records: list[Record]) -> Iterator[Record]:
        """Those of the records that can be used now: an account when all of it has come, and again nothing of it."""
        if source in self.whole:
            return
        self.speaking.add(source)
        for record in records:
            if type(record) is ClosingRecord and record.participant == source:
                self._begun[source] = []
            elif type(record) is ClosedRecord and record.participant == source:
                if len(self._begun.get(source, ())) == record.records:
                    yield from self._close(source)
                    yield record
                    return
            elif source in self._begun:
                self._begun[source].append(record)
            elif not (isinstance(record, _TOTALS) and self._may_say(source, record)):
                yield record  # else it is of an account whose beginning was lost

    def _close(self, source: str) -> list[Record]:
        self.speaking.discard(source)
        self.whole.add(source)
        return self._begun.pop(source, [])

    def take_cut(self) -> dict[str, list[Record]]:
        """What there is of accounts of which no more will come, by participant."""
        cut, self._begun = self._begun, {}
        return cut
