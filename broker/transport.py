"""A transport takes envelopes and may deliver them: it may lose, duplicate or reorder, but never corrupts silently."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Sequence

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

    A driver calls `poll` for what has arrived, and `wait` when there is nothing to do; `due` tells when `poll` will
    have something although nothing arrives. Times are seconds on the driver's clock.

    Args:
        name: The participant it belongs to.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.traffic: defaultdict[str, Traffic] = defaultdict(Traffic)
        self.noticed: list[Record] = []

    @abstractmethod
    def send(self, envelope: Envelope) -> None:
        """Hand over an envelope; never blocks. What a full queue refuses is counted as dropped."""

    @abstractmethod
    def poll(self, now: float) -> list[Envelope]:
        """What has arrived by `now`, without blocking."""

    def send_all(self, envelopes: Sequence[Envelope]) -> None:
        """Hand over several envelopes in order; a transport may do so in one go."""
        for envelope in envelopes:
            self.send(envelope)

    @abstractmethod
    def wait(self, timeout_s: float | None, awaited: int = 1) -> None:
        """Block until something may have arrived, or for `timeout_s` seconds.

        Args:
            timeout_s: Longest wait, or None for no limit.
            awaited: How many messages are hoped for; a transport may stay a moment longer to receive them in one go.
        """

    def due(self) -> float | None:
        """When `poll` has something to give by itself, or None."""
        return None

    @abstractmethod
    def close(self, linger_s: float) -> None:
        """Release everything; keep sending what is under way for at most `linger_s` seconds."""

    def reject(self, source: str, reason: str) -> None:
        """Count something `source` sent that was not to be used, and remember why."""
        traffic = self.traffic[source]
        traffic.rejected += 1
        if traffic.rejected <= _EVENTS_PER_EDGE:
            self.noticed.append(EventRecord(self.name, "rejected", source, reason))

    def decoded(self, codec: Codec, frames: Iterable[bytes]) -> list[Envelope]:
        """The envelopes in `frames`; what is no message is counted as rejected."""
        envelopes = []
        for frame in frames:
            try:
                envelopes.append(codec.decode(frame))
            except FrameRejected as error:
                edge = codec.edge_of(frame)
                self.reject(edge[0] if edge else UNKNOWN, str(error))
        return envelopes

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
