"""What participants say as they end: it counts once, however often they say it."""

from __future__ import annotations

from collections.abc import Iterator

from broker.wire.records import ClosedRecord, ClosingRecord, Record


class Accounts:
    """The last accounts of all participants of one life.

    Attributes:
        speaking: Who has said something, and not yet its last word.
        whole: Who has said its last word.
    """

    def __init__(self) -> None:
        self.speaking: set[str] = set()
        self._begun: dict[str, list[Record]] = {}
        self.whole: set[str] = set()

    def take(self, source: str, records: list[Record]) -> Iterator[Record]:
        """Those of the records that can be used now: a whole account at once, and again nothing of it."""
        if source in self.whole:
            return
        self.speaking.add(source)
        for record in records:
            if type(record) is ClosingRecord and record.participant == source:
                self._begun[source] = []
            elif type(record) is ClosedRecord and record.participant == source:
                self.speaking.discard(source)
                self.whole.add(source)
                yield from self._begun.pop(source, ())
                yield record
                return
            elif source in self._begun:
                self._begun[source].append(record)
            else:
                yield record

    def take_cut(self) -> dict[str, list[Record]]:
        """What there is of accounts of which no more will come, by participant."""
        cut, self._begun = self._begun, {}
        return cut
