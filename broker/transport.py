"""A transport takes envelopes and may deliver them: it may lose, duplicate or reorder, but never corrupts silently."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field

from broker.messages import Envelope
from broker.records import EdgeRecord, EventRecord, Record

UNKNOWN = "unknown"
_EVENTS_PER_EDGE = 20


@dataclass
class Traffic:
    """What one participant's transport counted, per peer; sizes in bytes of whole frames."""

    sent: Counter[str] = field(default_factory=Counter)
    sent_bytes: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)

    def count_sent(self, peer: str, frame_bytes: int) -> None:
        """Count a frame handed over for `peer`."""
        self.sent[peer] += 1
        self.sent_bytes[peer] += frame_bytes

    def edges(self, name: str) -> list[Record]:
        """Totals of all edges of participant `name`."""
        out: list[Record] = [
            EdgeRecord(name, peer, sent=self.sent[peer], sent_bytes=self.sent_bytes[peer], dropped=self.dropped[peer])
            for peer in sorted(self.sent.keys() | self.dropped.keys())
        ]
        return out + [EdgeRecord(peer, name, rejected=count) for peer, count in sorted(self.rejected.items())]


class Transport(ABC):
    """One participant's way to its peers. Base class of all transports and of the wrappers around them.

    A driver calls `poll` for what has arrived, and `wait` when there is nothing to do; `due` tells when `poll` will
    have something although nothing arrives. Times are seconds on the driver's clock.

    Args:
        name: The participant it belongs to.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.traffic = Traffic()
        self._noticed: list[Record] = []

    @abstractmethod
    def send(self, envelope: Envelope) -> None:
        """Hand over an envelope; never blocks. What a full queue refuses is counted as dropped."""

    @abstractmethod
    def poll(self, now: float) -> list[Envelope]:
        """What has arrived by `now`, without blocking."""

    @abstractmethod
    def wait(self, timeout_s: float | None) -> None:
        """Block until something may have arrived, or for `timeout_s` seconds."""

    def due(self) -> float | None:
        """When `poll` has something to give by itself, or None."""
        return None

    @abstractmethod
    def close(self, linger_s: float) -> None:
        """Release everything; keep sending what is under way for at most `linger_s` seconds."""

    def reject(self, source: str, reason: str) -> None:
        """Count something `source` sent that was not to be used, and remember why."""
        self.traffic.rejected[source] += 1
        if self.traffic.rejected[source] <= _EVENTS_PER_EDGE:
            self._noticed.append(EventRecord(self.name, "rejected", source, reason))

    def noticed(self) -> list[Record]:
        """Records of what happened since the last call; hands them over."""
        records, self._noticed = self._noticed, []
        return records

    def totals(self) -> list[Record]:
        """What was counted, for the end of the run."""
        return self.traffic.edges(self.name)
