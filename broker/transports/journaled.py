"""A transport that writes down when its participant looks for messages, what has arrived, and what it sends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from broker.transports.journal import Journal, Polled, Sent
from broker.transports.transport import Transport
from broker.transports.wrapped import WrappedTransport
from broker.wire.codec import Codec
from broker.wire.messages import Envelope


class JournaledTransport(WrappedTransport):
    """A transport that keeps a journal.

    Args:
        inner: The transport that really delivers.
        codec: Writes the frames.
        path: The journal's file; made anew.

    Raises:
        UserError: It cannot be written.
    """

    def __init__(self, inner: Transport, codec: Codec, path: Path) -> None:
        super().__init__(inner)
        self._codec = codec
        self._journal = self.journal = Journal(path, inner.name)

    def send_all(self, envelopes: Sequence[Envelope]) -> None:
        """Write the envelopes down, then hand them over in one go."""
        journal, codec = self._journal, self._codec
        at_s = journal.clock()
        for envelope in envelopes:
            frame = codec.write(envelope)
            if len(frame) > codec.max_bytes:
                break  # the inner transport sends no more either, and says why
            journal.write(Sent(at_s, frame))
        super().send_all(envelopes)

    def poll(self, now: float) -> list[Envelope]:
        """What has arrived, written down before anybody reads it."""
        journal, write = self._journal, self._codec.write
        envelopes = super().poll(now)
        at_s = journal.clock()
        journal.flush_if_due(at_s)
        journal.write(Polled(now, at_s, list(map(write, envelopes))))
        return envelopes

    def close(self, linger_s: float) -> None:
        """Close the inner transport and the file."""
        super().close(linger_s)
        self._journal.close()
