"""Carries out faults around any transport, at the receiver, and keeps the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from broker.delivery import DeliveryQueue
from broker.faults import UNTOUCHED, Judge
from broker.messages import Envelope, name_of
from broker.records import FaultCount, FaultRecord, Record
from broker.transport import Transport


class FaultyTransport(Transport):
    """A transport whose incoming messages meet the scenario's faults.

    Args:
        inner: The transport that really delivers.
        judge: Decides the fate of each message.
    """

    def __init__(self, inner: Transport, judge: Judge) -> None:
        super().__init__(inner.name)
        self.traffic, self.noticed = inner.traffic, inner.noticed
        self._inner = inner
        self._judge = judge
        self._held: DeliveryQueue[Envelope] = DeliveryQueue()
        self._examined: Counter[tuple[str, str]] = Counter()
        self._applied: Counter[tuple[str, str]] = Counter()

    def send(self, envelope: Envelope) -> None:
        """Hand over an envelope untouched: faults meet messages at their receiver."""
        self._inner.send(envelope)

    def send_all(self, envelopes: Sequence[Envelope]) -> None:
        """Hand over several envelopes untouched."""
        self._inner.send_all(envelopes)

    def poll(self, now: float) -> list[Envelope]:
        """What has arrived and is not lost, and what was held back until now."""
        arrived = [envelope for envelope in self._inner.poll(now) if not self._meets_fault(envelope, now)]
        if self._held:
            arrived = self._held.pop_due(now) + arrived
            self.due = self._held.due()
        return arrived

    def wait(self, timeout_s: float | None, awaited: int = 1) -> None:  # noqa: ARG002 - see below
        """Wait as the inner transport does, for one message: each is judged, and its delay begins, when it comes."""
        self._inner.wait(timeout_s)

    def close(self, linger_s: float) -> None:
        """Close the inner transport; what is still held back never arrives."""
        self._inner.close(linger_s)

    def totals(self) -> list[Record]:
        """Traffic, and how often each fault looked at an edge and struck."""
        counts = [
            FaultCount(fault, source, self.name, examined, self._applied[fault, source])
            for (fault, source), examined in sorted(self._examined.items())
        ]
        return [*super().totals(), *counts]

    def _meets_fault(self, envelope: Envelope, now: float) -> bool:
        """Judge a message; hold or lose it and return True, or return False when it is untouched."""
        message, source = name_of(envelope.message), envelope.source
        if message is None or not self._judge.examining(source, self.name, message.kind):
            return False
        verdict, applied = self._judge.judge(source, self.name, message)
        for fault, _ in self._judge.examining(source, self.name, message.kind):
            self._examined[fault, source] += 1
        for line in applied:
            self._applied[line.fault, source] += 1
            self.noticed.append(FaultRecord(line.fault, source, self.name, *message, line.verdict))
        if verdict == UNTOUCHED:
            return False
        for delay_s in verdict:
            self._held.push(now + delay_s, envelope)
        return True
