"""When each message of a run was sent and when it arrived, on one clock for all hosts."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from broker.transports.journal import Entry, Polled, Sent, Turn
from broker.wire.codec import read_written
from broker.wire.messages import ENVIRONMENT, Envelope, MessageName, name_of
from scenarios.replay.journals import LifeJournal
from scenarios.replay.tracing.clock_offsets import Offset, offsets_from

_REMEMBERED = 10_000
"""Messages that a receiver had and has not been called with: more are not held back."""


class Passage(NamedTuple):
    """One message on its edge.

    Attributes:
        source: Its sender.
        destination: Its receiver.
        kind: Such as `share` or `hello`.
        sequence: Its number.
    """

    source: str
    destination: str
    kind: str
    sequence: int


@dataclass(frozen=True)
class Taken:
    """A participant was called with a message.

    Attributes:
        passage: Which.
        arrived_at_s: When it had arrived, on the receiver's clock.
    """

    passage: Passage
    arrived_at_s: float


class Passages:
    """All messages of a run.

    Attributes:
        reference: The clock that counts: the environment's.
        offsets: Of each clock.

    Args:
        journals: Of all participants, in all lives.
    """

    def __init__(self, journals: Sequence[LifeJournal]) -> None:
        first = next((each for each in journals if each.participant == ENVIRONMENT), journals[0])
        self.reference = first.opened.clock
        self._date_s = first.opened.date_s - first.opened.at_s
        self._sent: dict[Passage, list[tuple[float, str]]] = {}
        for journal in journals:
            self._note_sent(journal)
        clocks = frozenset(journal.opened.clock for journal in journals)
        shortest_s = self._shortest(journals) if len(clocks) > 1 else {}
        self.offsets: dict[str, Offset] = offsets_from(self.reference, clocks, shortest_s)

    def at(self, clock: str, at_s: float) -> float:
        """A moment on the clock that counts, in seconds.

        Args:
            clock: Who tells it.
            at_s: What that one shows.
        """
        return at_s - self.offsets[clock].ahead_s

    def at_date(self, date_s: float) -> float:
        """The same, told by its date in seconds since 1970."""
        return date_s - self._date_s

    def date(self, at_s: float) -> float:
        """The date of a moment on the clock that counts, in seconds since 1970."""
        return at_s + self._date_s

    def sent_at(self, passage: Passage, before_s: float) -> float | None:
        """When a message was sent, on the clock that counts; None where nobody wrote it down.

        Args:
            passage: Which.
            before_s: HELLOs have no number of their own: the last one that was sent before then is meant.
        """
        times = [self.at(clock, at_s) for at_s, clock in self._sent.get(passage, ())]
        if not times:
            return None
        return max((each for each in times if each <= before_s), default=times[0])

    def _note_sent(self, journal: LifeJournal) -> None:
        for entry in journal.entries():
            if type(entry) is Sent:
                passage = passage_of(read_written(entry.frame))
                self._sent.setdefault(passage, []).append((entry.at_s, journal.opened.clock))

    def _shortest(self, journals: Sequence[LifeJournal]) -> dict[tuple[str, str], float]:
        shortest_s: dict[tuple[str, str], float] = {}
        for journal in journals:
            here = journal.opened.clock
            for arrived_at_s, envelope in journal.arrivals():
                times = self._sent.get(passage_of(envelope), ())
                if len(times) == 1:  # of a HELLO that was said again nobody knows which this is
                    sent_at_s, there = times[0]
                    took_s = arrived_at_s - sent_at_s
                    shortest_s[there, here] = min(took_s, shortest_s.get((there, here), took_s))
        return shortest_s


def passage_of(envelope: Envelope) -> Passage:
    """Which message this is."""
    message = envelope.message
    kind = message.kind or type(message).__name__.lower()
    return Passage(envelope.source, envelope.destination, kind, envelope.sequence)


def with_taken(entries: Iterator[Entry]) -> Iterator[tuple[Entry, Taken | None]]:
    """The entries of a participant's journal, each call with a message beside that message.

    A message that faults held back is taken later than it arrived; of one that they made two, both copies are it.
    """
    arrived: OrderedDict[tuple[str, str, MessageName | None], _Arrived] = OrderedDict()
    for entry in entries:
        if type(entry) is Polled:
            for frame in entry.frames:
                envelope = read_written(frame)
                passage = passage_of(envelope)
                key = passage.source, passage.kind, name_of(envelope.message)
                arrived.setdefault(key, _Arrived()).waiting.append(Taken(passage, entry.at_s))
            while len(arrived) > _REMEMBERED:
                arrived.popitem(last=False)
        if type(entry) is Turn and entry.call == "receive":
            found = arrived.get((entry.source, entry.kind, entry.name))
            yield entry, None if found is None else found.take()
        else:
            yield entry, None


@dataclass
class _Arrived:
    """Messages of one name: faults may make copies of one, and its sender may say it again."""

    waiting: deque[Taken] = field(default_factory=deque)
    last: Taken | None = None

    def take(self) -> Taken | None:
        if self.waiting:
            self.last = self.waiting.popleft()
        return self.last
