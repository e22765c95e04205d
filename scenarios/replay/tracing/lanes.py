"""What a participant did in one life, as slices of time: its phases, each call as long as it computed, each sending."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from broker.transports.journal import Sent, Turn
from broker.wire.codec import read_written
from broker.wire.messages import OBSERVER, MessageName
from scenarios.replay.journals import LifeJournal
from scenarios.replay.tracing.passages import passage_of

_SENDING_S = 1e-6
"""How long a sending is shown: how long it took stands nowhere."""


@dataclass(frozen=True)
class Slice:
    """A stretch of time.

    Attributes:
        about: `phase`, `call` or `send`.
        name: What it is called.
        at_s: When it began, on the participant's clock.
        took_s: How long it was.
        details: What else is known.
    """

    about: str
    name: str
    at_s: float
    took_s: float
    details: dict[str, object] = field(default_factory=dict)


def phases(journal: LifeJournal) -> Iterator[Slice]:
    """The phases, one behind the other; each holds the call that led to it."""
    phase: Slice | None = None
    ends_at_s = 0.0
    for entry in journal.entries():
        if type(entry) is Turn:
            if phase is None or entry.phase != phase.name:
                if phase is not None:
                    yield replace(phase, took_s=entry.at_s - phase.at_s)
                phase = Slice("phase", entry.phase, entry.at_s, 0.0)
            ends_at_s = entry.at_s + entry.computed_s
        elif type(entry) is Sent:
            ends_at_s = entry.at_s + _SENDING_S
    if phase is not None:
        yield replace(phase, took_s=ends_at_s - phase.at_s)


def calls_and_sendings(journal: LifeJournal) -> Iterator[Slice]:
    """The calls and what was sent after them; none reaches into the next."""
    return _apart(_as_written(journal))


def spoken(kind: str, name: MessageName | None) -> str:
    """A message in a few words, such as `share 3/1`: of episode 3, round 1."""
    return kind if name is None else f"{kind} {name.episode}/{name.number}"


def _as_written(journal: LifeJournal) -> Iterator[Slice]:
    sending: Slice | None = None
    for entry in journal.entries():
        if type(entry) is Sent:
            passage = passage_of(read_written(entry.frame))
            if passage.destination == OBSERVER:
                continue
            if sending is None or sending.at_s != entry.at_s:
                if sending is not None:
                    yield sending
                sending = Slice("send", "send", entry.at_s, _SENDING_S)
            sending.details[passage.destination] = f"{passage.kind} {passage.sequence}"
        elif type(entry) is Turn:
            if sending is not None:
                yield sending
                sending = None
            yield _call(entry)
    if sending is not None:
        yield sending


def _call(turn: Turn) -> Slice:
    details: dict[str, object] = {"told the time": turn.now_s}
    if turn.call != "receive":
        return Slice("call", turn.call, turn.at_s, turn.computed_s, details)
    details["from"] = turn.source
    if turn.name is not None:
        details |= turn.name._asdict()
    return Slice("call", spoken(turn.kind, turn.name), turn.at_s, turn.computed_s, details)


def _apart(slices: Iterable[Slice]) -> Iterator[Slice]:
    before: Slice | None = None
    for each in slices:
        if before is not None:
            yield replace(before, took_s=min(before.took_s, each.at_s - before.at_s))
        before = each
    if before is not None:
        yield before
