"""A transport takes envelopes and may deliver them: it may lose, duplicate or reorder, but never corrupts silently."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Sequence

from broker.codec import Codec
from broker.errors import FrameRejected
from broker.messages import Envelope
from broker.records import EdgeRecord, EventRecord, Record

UNKNOWN = "unknown"
_EVENTS_PER_EDGE = 20


class Traffic:
    """What was counted of one peer; sizes in bytes of whole frames.

    Attributes:
        sent: Messages handed over for it (Hello not counted).
        sent_bytes: Their frames' bytes.
        dropped: Messages given up because it did not read.
        rejected: Frames and messages from it that were not to be used.
    """

    __slots__ = ("dropped", "rejected", "sent", "sent_bytes")

    def __init__(self) -> None:
        self.sent = self.sent_bytes = self.dropped = self.rejected = 0


class Transport(ABC):
    """One participant's way to its peers. Base class of all transports and of the wrappers around them.

    Attributes:
        name: The participant it belongs to.
        traffic: What was counted, by peer.
        noticed: Records of what happened, until the driver takes them.
        due: When `poll` has something to give by itself, or None.

    A driver calls `wait` when there is nothing to do, and `poll` for what has arrived meanwhile. Times are seconds on
    the driver's clock.

    Args:
        name: The participant it belongs to.
    """

    due: float | None = None

    def __init__(self, name: str) -> None:
        self.name = name
        self.traffic: defaultdict[str, Traffic] = defaultdict(Traffic)
        self.noticed: list[Record] = []

    @abstractmethod
    def send(self, envelope: Envelope) -> None:
        """Hand over an envelope; never blocks. What a full queue refuses is counted as dropped."""

    @abstractmethod
    def poll(self, now: float) -> list[Envelope]:
        """What has arrived by `now`; what is no message is counted as rejected."""

    def send_all(self, envelopes: Sequence[Envelope]) -> None:
        """Hand over several envelopes in order; a transport may do so in one go."""
        for envelope in envelopes:
            self.send(envelope)

    @abstractmethod
    def wait(self, timeout_s: float | None, awaited: int = 1) -> None:
        """Block until something may have arrived, or for `timeout_s` seconds.

        Args:
            timeout_s: Longest wait, or None for no limit.
            awaited: How many messages are needed to go on; for more than one a transport may stay up to twice as long.
        """

    @abstractmethod
    def close(self, linger_s: float) -> None:
        """Release everything; keep sending what is under way for at most `linger_s` seconds."""

    def reject(self, source: str, reason: str) -> None:
        """Count something `source` sent that was not to be used, and remember why."""
        traffic = self.traffic[source]
        traffic.rejected += 1
        if traffic.rejected <= _EVENTS_PER_EDGE:
            self.noticed.append(EventRecord(self.name, "rejected", source, reason))

    def totals(self) -> list[Record]:
        """What was counted, for the end of the run."""
        records: list[Record] = []
        for peer, traffic in sorted(self.traffic.items()):
            if traffic.sent or traffic.dropped:
                sent = EdgeRecord(
                    self.name, peer, sent=traffic.sent, sent_bytes=traffic.sent_bytes, dropped=traffic.dropped
                )
                records.append(sent)
            if traffic.rejected:
                records.append(EdgeRecord(peer, self.name, rejected=traffic.rejected))
        return records


class FrameTransport(Transport):
    """A transport that carries frames.

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

    def refuse(self, frame: bytes, error: FrameRejected) -> None:
        """Count a frame that holds no message as rejected."""
        edge = self.codec.edge_of(frame)
        self.reject(edge[0] if edge else UNKNOWN, str(error))

    def poll(self, now: float) -> list[Envelope]:  # noqa: ARG002 - what has arrived is due at once
        """What has arrived."""
        arrived, self.arrived = self.arrived, []
        return arrived
