"""Messages to bytes and back: msgpack, with the arrays as raw bytes at its end, never pickle.

    frame = msgpack [version, run, source, destination, sequence, [kind, the message's fields ..., layout, data]]

The edge stands first, so all frames of an edge begin with the same bytes. Reading trusts nothing: everything is decoded
into typed fields, dtypes come from a short list, the arrays must be exactly as long as their layout says, and numbers
must be finite. The arrays read are read-only views into the frame, or into a copy of many numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import msgspec
from msgspec import structs

from broker.errors import FrameRejected
from broker.wire.arrays import layouts
from broker.wire.identity import Identity
from broker.wire.known_edges import KnownEdges, edge_prefix
from broker.wire.messages import VERSION, Action, Envelope, Hello, Share, Timestep, topic

_SHOWN = 80
_SHORT_ARRAY = range(0x90, 0xA0)
"""First bytes of a msgpack array of at most 15: looking into a longer one would take hundreds of times its size."""

_write = msgspec.msgpack.Encoder().encode
_read: Callable[[bytes], Envelope] = msgspec.msgpack.Decoder(Envelope).decode
"""One of each for all codecs of a process: they keep nothing, and take kilobytes and time to make."""

_NOBODY = Identity()
_AnyHello = tuple[int, str, str, str, int, tuple[Literal[1], int, bool, Identity]]


class Codec:
    """Writes and reads the frames of one run.

    Attributes:
        run: Name of the run.
        incarnation: Which life of the run's participants this is.
        identity: To which run its participant belongs; a HELLO that says otherwise is read all the same.
        max_bytes: Longest frame that is written or read.
        write: The frame of an envelope, whatever its length: for who looks at that himself.

    Args:
        run: Name of the run; frames of other runs are refused.
        max_bytes: As above.
        incarnation: As above.
        identity: As above.
    """

    def __init__(self, run: str, max_bytes: int, incarnation: int = 0, identity: Identity = _NOBODY) -> None:
        self.run = run
        self.identity = identity
        self.incarnation = incarnation
        self.max_bytes = max_bytes
        self.write = _write
        self._decode = _read
        self._edges: set[tuple[str, str]] = set()
        self._known: KnownEdges | None = None  # made for the first frame that is refused: most codecs meet none

    def allow(self, source: str, destination: str) -> None:
        """Accept frames of this edge; those of edges never named are refused."""
        self._edges.add((source, destination))
        self._known = None

    def prefix(self, source: str, destination: str) -> bytes:
        """The bytes with which every frame of an edge of this run begins."""
        return edge_prefix(self.run, source, destination)

    def encode(self, envelope: Envelope) -> bytes:
        """The frame of `envelope`.

        Raises:
            FrameRejected: It would be longer than `max_bytes`.
        """
        frame = self.write(envelope)
        if len(frame) > self.max_bytes:
            raise self.too_long(frame)
        return frame

    def too_long(self, frame: bytes) -> FrameRejected:
        """What to raise for a frame beyond `max_bytes`."""
        return FrameRejected(f"a message of {len(frame)} bytes exceeds max_message_bytes = {self.max_bytes}")

    def decode(self, frame: bytes) -> Envelope:
        """The envelope in `frame`.

        Raises:
            FrameRejected: Says what is wrong with it; nothing of it was used.
        """
        if len(frame) > self.max_bytes:
            raise FrameRejected(f"a frame of {len(frame)} bytes exceeds max_message_bytes = {self.max_bytes}")
        try:
            envelope = self._decode(frame)
            message = envelope.message
            foreign = envelope.run != self.run and type(message) is not Hello
            if foreign or (envelope.source, envelope.destination) not in self._edges:
                raise FrameRejected(_foreign(envelope.run, envelope.source, envelope.destination))
            if type(message) is Timestep or type(message) is Action or type(message) is Share:
                layout, data = layouts[message.layout], message.data
                is_whole = len(data) == layout.size_bytes
                suspicious = layout.many or not is_whole
                if layout.many and is_whole:
                    data = layout.placed(data)
                    envelope = structs.replace(envelope, message=structs.replace(message, data=data))
                # NaN and infinity have all exponent bits set, so the high byte of each is 7F or FF. Few numbers have
                # it, and looking for it costs a process that has just woken a third of what waking numpy does.
                for where in layout.high_bytes:
                    high = frame[where]
                    suspicious = suspicious or 0x7F in high or 0xFF in high
                if suspicious:
                    layout.check(data)
        except (msgspec.DecodeError, ValueError, TypeError, OverflowError, RecursionError) as error:
            if (hello := self._hello_of_another_version(frame)) is not None:
                return hello
            raise FrameRejected(self._refusal(frame) or str(error)) from error
        return envelope

    def edge_of(self, frame: bytes) -> tuple[str, str] | None:
        """The edge a frame claims to travel on, or None when it is not one of the allowed."""
        if self._known is None:
            self._known = KnownEdges(self.run, self._edges)
        known = self._known.of_frame(frame)
        return None if known is None else (known.source, known.destination)

    def _hello_of_another_version(self, frame: bytes) -> Envelope | None:
        """HELLO of an in-edge in messages of another version, which stands in its identity; None for anything else."""
        try:
            version, run, source, destination, _, hello = msgspec.msgpack.decode(frame, type=_AnyHello)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return None
        if version == VERSION or (source, destination) not in self._edges:
            return None
        _, incarnation, wants_reply, said = hello
        identity = replace(said, version=f"{said.version} (messages of version {version})")
        return Envelope(run, source, destination, 0, Hello(incarnation, wants_reply, identity))

    def _refusal(self, frame: bytes) -> str | None:
        """What is wrong in front of a frame's message, if anything is."""
        try:
            envelope = frame if frame and frame[0] in _SHORT_ARRAY else b""
            version, *names = msgspec.msgpack.decode(envelope, type=list[msgspec.Raw])[:4]
            found = msgspec.msgpack.decode(version, type=int)
            run, source, destination = (msgspec.msgpack.decode(name, type=str) for name in names)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return None if self.edge_of(frame) else f"this is no frame of an in-edge: {frame[:_SHOWN]!r}"
        if found != VERSION:
            return f"expected version {VERSION}, found {found}"
        return None if (source, destination) in self._edges and run == self.run else _foreign(run, source, destination)


def read_written(frame: bytes) -> Envelope:
    """The envelope of a frame that a codec has written, on whatever edge; only types are looked at.

    Raises:
        FrameRejected: None has written it.
    """
    try:
        return _read(frame)
    except (msgspec.DecodeError, RecursionError) as error:
        raise FrameRejected(str(error)) from None


def _foreign(*edge: str) -> str:
    return f"{topic(*edge)[:_SHOWN]!r} is not an in-edge of this participant"
