"""Carries out faults around any transport, at the receiver, and keeps the ledger."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from msgspec.structs import replace

from broker.faults import UNTOUCHED, Judge, Look
from broker.faults.config import ContentConfig
from broker.faults.content import Body, can_strike, corrupted, refusal
from broker.faults.earlier import Earlier
from broker.faults.tally import Tally, deed_of, fate_of
from broker.transports.delivery import DeliveryQueue
from broker.transports.transport import Transport
from broker.transports.wrapped import WrappedTransport
from broker.wire.messages import Envelope, MessageKind, MessageName, Share, name_of
from broker.wire.records import DelayRecord, EndingRecord, Fate, FaultRecord, Record


@dataclass
class _Waiting:
    """A message held back, in one copy or several."""

    name: MessageName
    received_s: float
    fate: Fate
    fault: str
    handed_over: bool = False


@dataclass(frozen=True)
class _Copy:
    """One copy of a message held back, and for how long it was to be."""

    envelope: Envelope
    message: _Waiting
    asked_s: float


class FaultyTransport(WrappedTransport):
    """A transport whose incoming messages meet the scenario's faults; what is sent passes untouched.

    What is still held back when it is closed never arrives.

    Args:
        inner: The transport that really delivers.
        judge: Decides the fate of each message.
    """

    def __init__(self, inner: Transport, judge: Judge) -> None:
        super().__init__(inner)
        self._judge = judge
        self._held: DeliveryQueue[_Copy] = DeliveryQueue()
        self._waiting: Counter[tuple[str, MessageKind]] = Counter()
        self._tally = Tally(inner.name)
        self._earlier = Earlier()
        self._touched: dict[tuple[str, MessageKind | None], bool] = {}

    def refit(self, judge: Judge) -> None:
        """Let another judge decide from now on; what is held back stays so for its time."""
        judge.inherit(self._judge)
        self._judge = judge
        self._touched.clear()

    def poll(self, now: float) -> list[Envelope]:
        """What has arrived and is not lost, and what was held back until now."""
        arrived = []
        for envelope in self._inner.poll(now):
            key = envelope.source, envelope.message.kind
            touched = self._touched.get(key)
            if touched is None:
                touched = self._touched[key] = self._can_touch(*key)
            if touched:
                arrived += self._judged(envelope, now - self.began_s, now)
            else:
                arrived.append(envelope)
        if self._held:
            arrived = [self._handed_over(copy, now) for copy in self._held.pop_due(now)] + arrived
            self.due = self._held.due()
        return arrived

    def wait(self, timeout_s: float | None, awaited: int = 1) -> None:
        """Wait as the inner transport does, for one message: each is judged, and its delay begins, when it comes.

        What has come already is all taken.
        """
        self._inner.wait(timeout_s, awaited if timeout_s == 0.0 else 1)

    def totals(self) -> list[Record]:
        """Traffic, how often each fault looked at an edge and struck, and what became of the messages."""
        return [*super().totals(), *self._tally.totals(self._waiting), *self._expired()]

    def _expired(self) -> list[EndingRecord]:
        """Messages of which no copy has been handed over yet: if this is the end, they never will be."""
        held = {id(copy.message): copy for copy in self._held if not copy.message.handed_over}
        return [
            EndingRecord(
                copy.envelope.source,
                self.name,
                *copy.message.name,
                Fate.EXPIRED,
                f"{copy.message.fault} held it for {copy.asked_s:g} s, and its receiver was done before",
            )
            for copy in held.values()
        ]

    def _can_touch(self, source: str, kind: MessageKind | None) -> bool:
        return kind is not None and bool(self._judge.examining(source, self.name, kind))

    def _judged(self, envelope: Envelope, at_s: float, now: float) -> list[Envelope]:
        """The copies of the envelope, changed perhaps, that pass at once: none of one that is lost or held."""
        body, source, name = envelope.message, envelope.source, name_of(envelope.message)
        if name is None or not isinstance(body, Body):
            return [envelope]
        verdict, original, holder = UNTOUCHED, body, ""
        for look in self._judge.looks(source, self.name, name, at_s, len(body.data)):
            if look.content is not None:
                body = self._with_content(look, look.content, source, name, body)
            else:
                self._tally.examine(look, source, look.chances, look.hits)
                self._note(look, source, name)
            if look.after != verdict:
                verdict, holder = look.after, look.fault
        if isinstance(original, Share) and self._judge.repeats(source, self.name, name):
            self._earlier.keep(source, original)
        fate = fate_of(verdict, corrupted=body is not original)
        if fate is Fate.CORRUPTED and (reason := refusal(body)):
            why = f"{name.kind} {name.number} of episode {name.episode}, changed by a fault: {reason}"
            self.reject(source, why, body)
            fate = Fate.REJECTED
        passed = envelope if body is original else replace(envelope, message=body)
        if fate in (Fate.DROPPED, Fate.REJECTED) or verdict == UNTOUCHED:
            self._tally.end(source, name.kind, fate)
            return [passed] if verdict and fate is not Fate.REJECTED else []
        self._waiting[source, name.kind] += 1
        waiting = _Waiting(name, now, fate, holder)
        copies = [_Copy(passed, waiting, delay_s) for delay_s in verdict]
        for copy in copies:
            if copy.asked_s:
                self._held.push(now + copy.asked_s, copy)
        return [self._handed_over(copy, now) for copy in copies if not copy.asked_s]

    def _handed_over(self, copy: _Copy, now: float) -> Envelope:
        """The copy's envelope, after writing down how long it really was held."""
        source, message = copy.envelope.source, copy.message
        if not message.handed_over:
            message.handed_over = True
            self._waiting[source, message.name.kind] -= 1
            self._tally.end(source, message.name.kind, message.fate)
        achieved_s = now - message.received_s
        self.noticed.append(DelayRecord(source, self.name, *message.name, copy.asked_s, achieved_s))
        return copy.envelope

    def _with_content(self, look: Look, config: ContentConfig, source: str, name: MessageName, body: Body) -> Body:
        """The message behind a fault of content."""
        case = look.case
        earlier = self._earlier.share_for(config, source, name)
        if not look.before or not can_strike(config, body, earlier):
            self._tally.examine(look, source, 0, 0)
            return body
        struck = case.draw(0) < config.probability
        self._tally.examine(look, source, 1, int(struck))
        if not struck:
            return body
        self.noticed.append(FaultRecord(look.fault, source, self.name, *name, look.after, Fate.CORRUPTED))
        return corrupted(config, body, earlier, case.second)

    def _note(self, look: Look, source: str, name: MessageName) -> None:
        if look.after != look.before:
            deed = deed_of(look.before, look.after)
            self.noticed.append(FaultRecord(look.fault, source, self.name, *name, look.after, deed))
