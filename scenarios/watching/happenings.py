"""What happened in a run, in one list: lives, deaths, strikes at processes, live faults, connections."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from broker.counting import counted
from broker.wire.records import EventKind
from scenarios.results.answers import EventRow, LifeRow, LiveFault, StrikeRow
from scenarios.watching.seen import Happening, HappeningKind

KINDS = {
    EventKind.JOINED: HappeningKind.JOINED,
    EventKind.GONE: HappeningKind.DEATH,
    EventKind.DISCONNECTED: HappeningKind.CONNECTION,
    EventKind.RECONNECTED: HappeningKind.CONNECTION,
    EventKind.UNDER_WAY_LOST: HappeningKind.CONNECTION,
    EventKind.CONTESTED: HappeningKind.CONNECTION,
    EventKind.CONNECTION_LOST: HappeningKind.CONNECTION,
    EventKind.CHECKPOINT: HappeningKind.TROUBLE,
    EventKind.REFUSED: HappeningKind.TROUBLE,
    EventKind.VANISHED: HappeningKind.TROUBLE,
}
"""Events that are happenings; of the others there are many, or they are told otherwise."""


def happenings(
    lives: Iterable[LifeRow], strikes: Iterable[StrikeRow], live: Iterable[LiveFault], events: Sequence[EventRow]
) -> tuple[Happening, ...]:
    """All of it, by episode.

    Args:
        lives: Of the run.
        strikes: At processes.
        live: Faults that were added or healed.
        events: Of `KINDS`, as they came.
    """
    found = [*_lives(lives), *map(_strike, strikes), *_live(live), *_events(events)]
    return tuple(sorted(found, key=lambda each: each.after_episode))


def _lives(lives: Iterable[LifeRow]) -> Iterable[Happening]:
    for life in lives:
        why = life.why or ("the run is resumed" if life.incarnation else "the run begins")
        yield Happening(HappeningKind.LIFE, life.after_episode, (), why, life.date_s)


def _strike(strike: StrikeRow) -> Happening:
    text = f"{strike.fault}: {strike.participant} {strike.what}"
    return Happening(HappeningKind.STRIKE, strike.after_episode, (strike.participant,), text, strike.date_s)


def _live(live: Iterable[LiveFault]) -> Iterable[Happening]:
    for fault in live:
        if fault.added_after is not None:
            yield Happening(HappeningKind.FAULT_ADDED, fault.added_after, (), f"{fault.name} is added", None)
        if fault.healed_after is not None:
            yield Happening(HappeningKind.FAULT_HEALED, fault.healed_after, (), f"{fault.name} is healed", None)


def _events(events: Sequence[EventRow]) -> Iterable[Happening]:
    """Each event; those that join after one episode together."""
    for kind, group in groupby(events, lambda event: (event.kind, event.after_episode)):
        rows = list(group)
        if kind[0] != EventKind.JOINED:
            yield from (
                Happening(KINDS[EventKind(row.kind)], row.after_episode, (row.participant,), row.text, row.date_s)
                for row in rows
            )
            continue
        who = tuple(row.participant for row in rows)
        text = f"{who[0]} has joined" if len(who) == 1 else f"{counted(len(who), 'participant')} have joined"
        yield Happening(HappeningKind.JOINED, rows[0].after_episode, who, text, rows[-1].date_s)
