"""Moments of a run worth a mark: what faults did to messages, how messages ended, what was done to processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from broker.wire.messages import MessageName, name_of
from scenarios.replay.journals import LifeJournal
from scenarios.replay.tracing.lanes import spoken
from scenarios.replay.tracing.passages import Passages
from scenarios.results.reader import RunReader

_Name = tuple[str, str, str, int, int, int]
"""Source, destination, kind, episode, number, attempt."""


@dataclass(frozen=True)
class TraceMark:
    """A moment.

    Attributes:
        at_s: When, on the clock that counts.
        about: `fault`, `ending` or `strike`.
        name: What happened.
        participant: To whom.
    """

    at_s: float
    about: str
    name: str
    participant: str


def marks_of(journals: Sequence[LifeJournal], store: RunReader, passages: Passages) -> Iterator[TraceMark]:
    """All of them: what happened to a message is shown when it had arrived, a strike by its date.

    Args:
        journals: Of the run.
        store: Its store, open.
        passages: Its clocks.
    """
    happened: dict[_Name, list[tuple[str, str]]] = {}
    for row in store.fates_in_order():
        name = row.source, row.destination, row.kind, row.episode, row.number, row.attempt
        happened.setdefault(name, []).append(("fault", row.fault) if row.fault else ("ending", row.fate))
    for journal in journals if happened else ():
        yield from _of_journal(journal, happened, passages)
    for strike in store.strikes_by_date():
        what = f"{strike.fault}: {strike.what}"
        yield TraceMark(passages.at_date(strike.date_s), "strike", what, strike.participant)


def _of_journal(
    journal: LifeJournal, happened: dict[_Name, list[tuple[str, str]]], passages: Passages
) -> Iterator[TraceMark]:
    for arrived_at_s, envelope in journal.arrivals():
        name = name_of(envelope.message)
        if name is None:
            continue
        for about, what in happened.get(_named(envelope.source, journal.participant, name), ()):
            at_s = passages.at(journal.opened.clock, arrived_at_s)
            told = f"{what}: {spoken(name.kind, name)} from {envelope.source}"
            yield TraceMark(at_s, about, told, journal.participant)


def _named(source: str, destination: str, name: MessageName) -> _Name:
    return source, destination, name.kind, name.episode, name.number, name.attempt
