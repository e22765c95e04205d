"""Writes every envelope that passes a transport to a file, and reads such files.

A journal is a sequence of msgpack values `[time_s, direction, frame]`, where the frame is what the codec writes:
so a journal shows exactly what crossed the edges.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from broker.errors import UserError
from broker.transports.transport import Transport
from broker.wire.codec import Codec
from broker.wire.messages import Envelope
from broker.wire.records import Record

Direction = Literal["sent", "received"]
_LENGTH_BYTES = 4


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One line of a journal.

    Attributes:
        time_s: On the driver's clock; of the last poll for what was sent.
        direction: Seen from the journal's owner.
        frame: The bytes on the wire.
    """

    time_s: float
    direction: Direction
    frame: bytes


class JournaledTransport(Transport):
    """A transport that keeps a journal.

    Args:
        inner: The transport that really delivers.
        codec: Writes the frames.
        path: The journal's file; made anew.

    Raises:
        UserError: It cannot be written.
    """

    def __init__(self, inner: Transport, codec: Codec, path: Path) -> None:
        super().__init__(inner.name)
        self.traffic, self.noticed = inner.traffic, inner.noticed
        self._inner = inner
        self._codec = codec
        self._encoder = msgspec.msgpack.Encoder()
        self._now = 0.0
        self._path = path
        with self._sentence():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb")

    def send_all(self, envelopes: Sequence[Envelope]) -> None:
        """Write the envelopes down, then hand them over in one go."""
        for envelope in envelopes:
            frame = self._codec.write(envelope)
            if len(frame) > self._codec.max_bytes:
                break  # the inner transport sends no more either, and says why
            self._write("sent", frame)
        self._inner.send_all(envelopes)

    def poll(self, now: float) -> list[Envelope]:
        """What has arrived, written down before anybody reads it."""
        self._now = now
        envelopes = self._inner.poll(now)
        for envelope in envelopes:
            self._write("received", self._codec.write(envelope))
        return envelopes

    def wait(self, timeout_s: float | None, awaited: int = 1) -> None:
        """Wait as the inner transport does."""
        self._inner.wait(timeout_s, awaited)

    def forget(self, peer: str) -> None:
        """Give up what waits for a peer."""
        self._inner.forget(peer)

    def close(self, linger_s: float) -> None:
        """Close the inner transport and the file."""
        self._inner.close(linger_s)
        with self._sentence():
            self._file.close()

    def totals(self) -> list[Record]:
        """What the inner transport counted."""
        return self._inner.totals()

    def _write(self, direction: Direction, frame: bytes) -> None:
        entry = self._encoder.encode(Entry(self._now, direction, frame))
        with self._sentence():
            self._file.write(len(entry).to_bytes(_LENGTH_BYTES, "little") + entry)

    @contextmanager
    def _sentence(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            msg = f"cannot write the journal {self._path}: {error.strerror}"
            raise UserError(msg) from None


def read_journal(path: Path) -> Iterator[Entry]:
    """The entries of a journal, in order; a last entry cut off by a crash is left out."""
    with path.open("rb") as file:
        while len(length := file.read(_LENGTH_BYTES)) == _LENGTH_BYTES:
            size = int.from_bytes(length, "little")
            if len(entry := file.read(size)) < size:
                return
            yield msgspec.msgpack.decode(entry, type=Entry)
