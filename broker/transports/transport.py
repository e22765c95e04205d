"""A transport takes envelopes and may deliver them: it may lose, duplicate or reorder, but never corrupts silently."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from broker.errors import FrameRejected
from broker.wire.codec import Codec
from broker.wire.messages import LAST_WILL, Envelope, Faults, Hello, Message, Metrics, first_number, name_of
from broker.wire.records import EdgeRecord, EndingRecord, EventKind, EventRecord, Fate, Record

if TYPE_CHECKING:
    from broker.transports.journal import Journal

UNKNOWN = "unknown"
_EVENTS_PER_EDGE = 20
_LONGEST_REASON = 500
_ENDINGS_PER_EDGE = 100_000  # somebody who sends nonsense shall not fill the disk


class Traffic:
    """What was counted of one peer; sizes in bytes of whole frames.

    Attributes:
        sent: Messages handed over for it (Hello not counted).
        sent_bytes: Their frames' bytes.
        dropped: Messages given up because it did not read.
        rejected: Frames and messages from it that were not to be used.
        lost: Numbers of its messages that were left out when a later one came.
    """

    __slots__ = ("dropped", "lost", "rejected", "sent", "sent_bytes")

    def __init__(self) -> None:
        self.sent = self.sent_bytes = self.dropped = self.rejected = self.lost = 0


class Transport(ABC):
    """One participant's way to its peers. Base class of all transports and of the wrappers around them.

    Attributes:
        name: The participant it belongs to.
        traffic: What was counted, by peer.
        noticed: Records of what happened, until the driver takes them.
        due: When `poll` has something to give by itself, or None.
        began_s: When its participant began: second 0 of the faults that look at the clock.
        journal: Where what passes is written down, if it is.

    A driver calls `wait` when there is nothing to do, and `poll` for what has arrived meanwhile. Times are seconds on
    the driver's clock.

    Args:
        name: The participant it belongs to.
    """

    due: float | None = None
    began_s: float = 0.0
    journal: Journal | None = None

    def __init__(self, name: str) -> None:
        self.name = name
        self.traffic: defaultdict[str, Traffic] = defaultdict(Traffic)
        self.noticed: list[Record] = []

    def send(self, envelope: Envelope) -> None:
        """Hand over a single envelope; see `send_all`."""
        self.send_all((envelope,))

    @abstractmethod
    def send_all(self, envelopes: Sequence[Envelope]) -> None:
        """Hand over envelopes in order; never blocks. What a full queue refuses is counted as dropped.

        It does what handing them over one by one would do, perhaps in one go. So where a message is too large, those
        before it have been sent; it and those behind it are neither sent nor counted.

        Raises:
            FrameRejected: A message is longer than `max_message_bytes`.
        """

    @abstractmethod
    def poll(self, now: float) -> list[Envelope]:
        """What has arrived by `now`, as far as the first `Faults`; what is no message is counted as rejected.

        What came behind a `Faults` meets those faults: ask again once it has been carried out.
        """

    @abstractmethod
    def wait(self, timeout_s: float | None, awaited: int = 1) -> None:
        """Block until something may have arrived, or for `timeout_s` seconds.

        Args:
            timeout_s: Longest wait, or None for no limit.
            awaited: How many messages are needed to go on; for more than one a transport may stay up to twice as long.
        """

    def queued(self) -> dict[str, int]:
        """By peer, messages that wait to leave, where any do."""
        return {}

    def forget(self, peer: str) -> None:  # noqa: B027 - most keep nothing
        """Give up what waits for a peer: it is dead. Counted as dropped."""

    @abstractmethod
    def close(self, linger_s: float) -> None:
        """Release everything; keep sending what is under way for at most `linger_s` seconds."""

    def reject(self, source: str, reason: str, message: Message | None = None) -> None:
        """Count something `source` sent that was not to be used, and remember why.

        Args:
            source: Who sent it.
            reason: A sentence.
            message: What it was, if it was a message of the edge: its ending stands in the ledger then.
        """
        reason = reason[:_LONGEST_REASON]  # it may quote what was sent
        traffic = self.traffic[source]
        traffic.rejected += 1
        if traffic.rejected <= _EVENTS_PER_EDGE:
            self.noticed.append(EventRecord(self.name, EventKind.REJECTED, source, reason))
        name = None if message is None else name_of(message)
        if name is not None and traffic.rejected <= _ENDINGS_PER_EDGE:
            self.noticed.append(EndingRecord(source, self.name, *name, Fate.REJECTED, reason))

    def totals(self) -> list[Record]:
        """What was counted, for the end of the run."""
        records: list[Record] = []
        for peer, traffic in sorted(self.traffic.items()):
            if traffic.sent or traffic.dropped:
                sent = EdgeRecord(
                    self.name, peer, sent=traffic.sent, sent_bytes=traffic.sent_bytes, dropped=traffic.dropped
                )
                records.append(sent)
            if traffic.rejected or traffic.lost:
                records.append(EdgeRecord(peer, self.name, rejected=traffic.rejected, lost=traffic.lost))
        return records


class _Heard:
    """How far a peer has been heard: in which life, and which number comes next."""

    __slots__ = ("incarnation", "sequence")

    def __init__(self, incarnation: int) -> None:
        self.incarnation, self.sequence = incarnation - 1, first_number(incarnation)


class FrameTransport(Transport):
    """A transport that carries frames, and takes each message of an edge once and in order.

    Attributes:
        codec: Allows this participant's in-edges.
        arrived: Messages that nobody has polled yet.

    Args:
        name: The participant it belongs to.
        codec: Allows this participant's in-edges.
    """

    def __init__(self, name: str, codec: Codec) -> None:
        super().__init__(name)
        self.codec = codec
        self.arrived: list[Envelope] = []
        self._changes = 0  # of faults, among what has arrived
        self._heard: defaultdict[str, _Heard] = defaultdict(partial(_Heard, codec.incarnation))

    def take(self, frame: bytes) -> None:
        """Read a frame: its message has arrived, or is counted as rejected."""
        try:
            envelope = self.codec.decode(frame)
            heard = self._heard[envelope.source]
            if envelope.sequence == heard.sequence and envelope.message.numbered:
                heard.sequence += 1
            else:
                self._catch_up(heard, envelope)
        except FrameRejected as error:
            edge = self.codec.edge_of(frame)
            self.reject(edge[0] if edge else UNKNOWN, str(error))
        else:
            self.arrived.append(envelope)
            if type(envelope.message) is Faults:
                self._changes += 1

    def take_again(self, frame: bytes) -> None:
        """Read a frame that may have come before, as the wire itself says; if it has, nothing happens."""
        with suppress(FrameRejected):
            envelope = self.codec.decode(frame)
            if envelope.message.numbered and envelope.sequence < self._heard[envelope.source].sequence:
                return
        self.take(frame)

    def poll(self, now: float) -> list[Envelope]:  # noqa: ARG002 - what has arrived is due at once
        """What has arrived, as far as the first `Faults`."""
        arrived, self.arrived = self.arrived, []
        if self._changes:
            self._changes -= 1
            end = 1 + next(place for place, envelope in enumerate(arrived) if type(envelope.message) is Faults)
            arrived, self.arrived = arrived[:end], arrived[end:]
        return arrived

    def _catch_up(self, heard: _Heard, envelope: Envelope) -> None:
        """Take in a number that is not the next one.

        Raises:
            FrameRejected: The message is from the past.
        """
        message, sequence = envelope.message, envelope.sequence
        if sequence == LAST_WILL:
            if type(message) is not Metrics:
                raise FrameRejected(f"{type(message).__name__} with the number of a last will")
            return
        if type(message) is Hello:
            if message.identity != self.codec.identity:
                return  # of another run: the participant answers it, and counts it
            if message.incarnation < heard.incarnation:
                raise FrameRejected(f"HELLO of life {message.incarnation}, after one of life {heard.incarnation}")
            if message.incarnation > heard.incarnation:
                heard.incarnation, heard.sequence = message.incarnation, sequence
            return
        if sequence < heard.sequence:
            raise FrameRejected(f"message {sequence} repeated or out of order: expected {heard.sequence} or later")
        self.traffic[envelope.source].lost += sequence - heard.sequence
        heard.sequence = sequence + 1
