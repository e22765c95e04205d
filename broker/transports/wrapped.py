"""A transport around another one, which does the same and something besides."""

from __future__ import annotations

from collections.abc import Sequence

from broker.transports.transport import Transport
from broker.wire.messages import Envelope
from broker.wire.records import Record


class WrappedTransport(Transport):
    """Does what its transport does, and counts and notices in the same place.

    Args:
        inner: The transport that really delivers.
    """

    def __init__(self, inner: Transport) -> None:
        super().__init__(inner.name)
        self.traffic, self.noticed, self.journal = inner.traffic, inner.noticed, inner.journal
        self.began_s, self.due = inner.began_s, inner.due
        self._inner = inner

    def send_all(self, envelopes: Sequence[Envelope]) -> None:
        """Hand over envelopes in order."""
        self._inner.send_all(envelopes)

    def poll(self, now: float) -> list[Envelope]:
        """What has arrived by `now`."""
        arrived = self._inner.poll(now)
        self.due = self._inner.due
        return arrived

    def wait(self, timeout_s: float | None, awaited: int = 1) -> None:
        """Wait as the inner transport does."""
        self._inner.wait(timeout_s, awaited)

    def queued(self) -> dict[str, int]:
        """What waits in the inner transport."""
        return self._inner.queued()

    def forget(self, peer: str) -> None:
        """Give up what waits for a peer."""
        self._inner.forget(peer)

    def close(self, linger_s: float) -> None:
        """Close the inner transport."""
        self._inner.close(linger_s)

    def totals(self) -> list[Record]:
        """What the inner transport counted; it may look before it answers."""
        return self._inner.totals()
