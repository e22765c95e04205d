"""The observer's end of the wire, in real time."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from broker.driving.connect import make_codec, open_transport
from broker.own_clock import OwnClock
from broker.wire.messages import Metrics
from broker.wire.records import (
    ClosedRecord,
    EventKind,
    EventRecord,
    JoinedRecord,
    PausedRecord,
    Record,
    StatusRecord,
    unpack,
)
from scenarios.document.plan import Plan
from scenarios.document.wiring import Wiring
from scenarios.results.observer import Observer
from scenarios.running.control.orders import Orders
from scenarios.running.launched.accounts import Accounts
from scenarios.running.launched.speakers import Speakers

_RECORDS_WITHIN_S = 5.0  # an agent that missed an episode has none of it
LAST_WORDS_WITHIN_S = 2.0  # what stands between may be as slow as this host is busy


class Inbox:
    """Takes the records of one life, and lets participants go when all have said their last word.

    Attributes:
        orders: What participants are told.

    Args:
        plan: What runs.
        wiring: Where everybody is, and which life it is.
        observer: Takes the records.
        clock: The launcher's own: silence that it did not live through counts for nothing.
        connect_within_s: How long to look for what stands between the participants.
    """

    def __init__(
        self, plan: Plan, wiring: Wiring, observer: Observer, clock: OwnClock, connect_within_s: float
    ) -> None:
        link = plan.observer(wiring)
        self._transport = open_transport(link, make_codec(link), connect_within_s)
        self.orders = Orders(self._transport, wiring.run, wiring.life.incarnation)
        self._clock = clock
        self._paused: int | None = None
        self._lost = ""
        self._settled_at = 0.0
        present = [name for name in plan.participants if name not in wiring.life.gone]
        # Who is only coming gives no signs; joining has a limit of its own.
        self._seen = dict.fromkeys(present, clock() + plan.scenario.joining.give_up_s)
        self._participants = present
        self._not_heard_yet = set(present)
        self._in_force: str | None = None
        self._gone: list[str] = []
        self._observer = observer
        self._speakers = Speakers(plan, wiring.life.after_episode)
        self._unfinished = set(present)
        self._accounts = Accounts(self._speakers.may_say)
        self._released_at: float | None = None

    def take(self, timeout_s: float) -> None:
        """Wait for records and hand them to the observer."""
        self._transport.wait(timeout_s)
        records: list[Record] = []
        while envelopes := self._transport.poll(0.0):
            for envelope in envelopes:
                if type(envelope.message) is Metrics:
                    if envelope.source in self._unfinished:
                        self._seen[envelope.source] = self._clock()
                    records += self._read(envelope.source, envelope.message)
            self._transport.wait(0.0)
        for record in records:
            if type(record) is PausedRecord and record.episode != self._paused:
                self._paused = record.episode
                self._settled_at = self._clock() + _RECORDS_WITHIN_S
            elif isinstance(record, StatusRecord | JoinedRecord):
                self._tell_again(record.participant)
        self._release({record.participant for record in records if type(record) is ClosedRecord})
        records += self._transport.noticed
        self._transport.noticed.clear()
        for record in records:
            if type(record) is EventRecord and record.kind is EventKind.UNDER_WAY_LOST:
                self._lost = record.text
        if records:
            self._observer.take(records)

    def take_last_words(self, of: Collection[str]) -> None:
        """Take what those still say whose processes have ended: it may be under way."""
        clock = OwnClock()
        give_up_at = clock() + LAST_WORDS_WITHIN_S
        self.take(0.0)
        while self._accounts.speaking & set(of) and (left_s := clock.left_s(give_up_at)) > 0:
            self.take(left_s)
        for source, records in self._accounts.take_cut().items():
            self._observer.take(self._allowed(source, records))

    def has_closed(self, name: str) -> bool:
        """Whether somebody has said its last word."""
        return name in self._accounts.whole

    def released_s(self) -> float:
        """Seconds since all were let go; 0 before."""
        return 0.0 if self._released_at is None else self._clock() - self._released_at

    def take_lost(self) -> str:
        """What somebody said of messages that may have been lost between participants; empty if nobody did."""
        lost, self._lost = self._lost, ""
        return lost

    def silent(self) -> dict[str, float]:
        """Seconds since the last sign of each participant that has work to do."""
        now = self._clock()
        return {name: now - seen for name, seen in self._seen.items()}

    def excuse(self, names: Iterable[str], silent_s: float) -> None:
        """Count so many seconds less of the silence of some: none of their signs could come."""
        now = self._clock()
        for name in self._seen.keys() & names:
            self._seen[name] = max(self._seen[name], min(now, self._seen[name] + silent_s))

    def take_breakpoint(self) -> int | None:
        """The episode before which the environment waits, once all records of those before have come.

        They travel on other edges than the word of the environment, and who is killed now says nothing more.
        """
        paused = self._paused
        if paused is None or (self._observer.recorded < paused and self._clock() < self._settled_at):
            return None
        self._paused = None
        return paused

    def put_in_force(self, faults: str) -> None:
        """Tell everybody which faults of messages are in force from now on; who comes later is told then."""
        self._in_force = faults
        self.orders.faults(faults, self._participants)

    def leave(self, name: str) -> None:
        """Go on without somebody who died, and say so to the others."""
        self._participants.remove(name)
        self._gone.append(name)
        self._seen.pop(name, None)
        self.orders.gone(name, self._participants)
        if name in self._unfinished:
            self._release({name})

    def close(self) -> None:
        """Release the socket, and count what was lost or refused on the way to it."""
        self._transport.close(0.0)
        self._observer.take(self._transport.totals())

    def _read(self, source: str, message: Metrics) -> list[Record]:
        """The records of a message that count now."""
        try:
            records = unpack(message.records)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._transport.reject(source, f"expected records, found {error}")
            return []
        return self._allowed(source, self._accounts.take(source, records))

    def _allowed(self, source: str, records: Iterable[Record]) -> list[Record]:
        """Those that their sender may send; others are refused and counted."""
        allowed = []
        for record in records:
            if self._speakers.may_say(source, record):
                allowed.append(record)
            else:
                self._transport.reject(source, f"{source} cannot report {record}")
        return allowed

    def _tell_again(self, name: str) -> None:
        """Tell somebody, at the first sign that it hears, what was told before: not all transports kept that for it.

        Twice is once: faults are all that are in force, and who is gone stays so.
        """
        if name not in self._not_heard_yet or name not in self._participants:
            return
        self._not_heard_yet.remove(name)
        if self._in_force is not None:
            self.orders.faults(self._in_force, [name])
        for gone in self._gone:
            self.orders.gone(gone, [name])

    def _release(self, closed: set[str]) -> None:
        """Say Stop to all, once the last of them has said its last word."""
        if not closed:
            return
        self._unfinished -= closed
        for name in closed:
            self._seen.pop(name, None)
        if not self._unfinished:
            self._released_at = self._clock()
            self.orders.stop(self._participants)
