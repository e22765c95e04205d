"""Messages to bytes and back: a msgpack header and the raw buffers of the arrays, never pickle.

    frame  = topic NUL version(1 byte) header_length(4 bytes, little-endian) header arrays
    header = msgpack [sequence, message]; an array stands in it as [dtype, shape]
    arrays = the arrays' bytes, C order, little-endian, one after the other in the order of the header

Reading trusts nothing: the header is decoded into typed messages, dtypes come from a short list, the sizes
must use up the frame exactly, and numbers must be finite. The arrays read are read-only views into the frame.
"""

from __future__ import annotations

import math
from typing import Any, cast

import msgspec
import numpy as np

from broker.errors import FrameRejected
from broker.messages import Envelope, Message, topic

VERSION = 1
MAX_DIMENSIONS = 4
_DTYPES = {name: np.dtype(name).newbyteorder("<") for name in ("float32", "float64", "int32", "int64", "uint8")}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_LENGTH_BYTES = 4


class _Header(msgspec.Struct, array_like=True, frozen=True):
    sequence: int
    message: Message


class _Writer:
    """Collects the buffers of the arrays that the header names."""

    def __init__(self) -> None:
        self._buffers: list[memoryview] = []
        self._encoder = msgspec.msgpack.Encoder(enc_hook=self._describe)

    def _describe(self, value: object) -> tuple[str, tuple[int, ...]]:
        array = cast("np.ndarray", value)
        self._buffers.append(np.ascontiguousarray(array).data)
        return _NAMES[array.dtype], array.shape

    def write(self, edge: bytes, envelope: Envelope) -> bytes:
        self._buffers.clear()
        header = self._encoder.encode(_Header(envelope.sequence, envelope.message))
        return b"".join((edge, len(header).to_bytes(_LENGTH_BYTES, "little"), header, *self._buffers))


class _Reader:
    """Cuts the arrays that the header names out of the frame."""

    def __init__(self) -> None:
        self._frame = b""
        self._offset = 0
        self._decoder = msgspec.msgpack.Decoder(_Header, dec_hook=self._cut)

    def _cut(self, _: type, description: Any) -> np.ndarray:
        dtype, shape, count = _checked(description)
        start, self._offset = self._offset, self._offset + count * dtype.itemsize
        if self._offset > len(self._frame):
            msg = f"the frame of {len(self._frame)} bytes ends inside an array"
            raise ValueError(msg)
        flat = np.frombuffer(self._frame, dtype, count, start)
        if dtype.kind == "f" and not _is_finite(flat):
            msg = "an array holds NaN or infinity"
            raise ValueError(msg)
        return flat.reshape(shape)

    def read(self, frame: bytes, body: int) -> _Header:
        start = body + _LENGTH_BYTES
        if len(frame) < start:
            msg = f"the frame of {len(frame)} bytes ends before its header"
            raise ValueError(msg)
        self._frame = frame
        self._offset = start + int.from_bytes(frame[body:start], "little")
        header = self._decoder.decode(memoryview(frame)[start : self._offset])
        if self._offset != len(frame):
            msg = f"{len(frame) - self._offset} bytes follow the last array"
            raise ValueError(msg)
        return header


def _checked(description: Any) -> tuple[np.dtype[Any], list[int], int]:
    """Data type, shape and number of elements, from a `[dtype, shape]` that may hold anything."""
    try:
        name, shape = description
        dtype = _DTYPES[name]
    except (TypeError, ValueError, KeyError):
        msg = f"an array must be [dtype, shape] with a dtype of {', '.join(_DTYPES)}, found {description!r:.80}"
        raise ValueError(msg) from None
    count = 1
    if type(shape) is not list or len(shape) > MAX_DIMENSIONS:
        msg = f"a shape must be a list of at most {MAX_DIMENSIONS} sizes, found {shape!r:.80}"
        raise ValueError(msg)
    for size in shape:
        if type(size) is not int or size < 0:
            msg = f"a shape must hold sizes from 0, found {shape!r:.80}"
            raise ValueError(msg)
        count *= size
    return dtype, shape, count


def _is_finite(flat: np.ndarray) -> bool:
    # A finite sum of squares proves finite numbers (and is three times faster); large ones need a look at each.
    return math.isfinite(np.dot(flat, flat)) or bool(np.isfinite(flat).all())


class Codec:
    """Writes and reads the frames of one run.

    Args:
        run: Name of the run; frames of other runs are refused.
        max_bytes: Longest frame that is written or read.
    """

    def __init__(self, run: str, max_bytes: int) -> None:
        self._run = run
        self._max_bytes = max_bytes
        self._writer = _Writer()
        self._reader = _Reader()
        self._prefixes: dict[tuple[str, str], bytes] = {}
        self._edges: dict[bytes, tuple[str, str]] = {}

    def allow(self, source: str, destination: str) -> None:
        """Accept frames of this edge; those of edges never named are refused."""
        self._edges[topic(self._run, source, destination).encode()] = (source, destination)

    def encode(self, envelope: Envelope) -> bytes:
        """The frame of `envelope`.

        Raises:
            FrameRejected: It would be longer than `max_bytes`.
        """
        edge = (envelope.source, envelope.destination)
        prefix = self._prefixes.get(edge)
        if prefix is None:
            prefix = topic(self._run, *edge).encode() + bytes((0, VERSION))
            self._prefixes[edge] = prefix
        frame = self._writer.write(prefix, envelope)
        if len(frame) > self._max_bytes:
            msg = f"a message of {len(frame)} bytes exceeds max_message_bytes = {self._max_bytes}"
            raise FrameRejected(msg)
        return frame

    def edge_of(self, frame: bytes) -> tuple[str, str] | None:
        """The edge a frame claims to travel on, or None when it is not one of the allowed."""
        return self._edges.get(frame[: frame.find(0)])

    def decode(self, frame: bytes) -> Envelope:
        """The envelope in `frame`.

        Raises:
            FrameRejected: Says what is wrong with it; nothing of it was used.
        """
        if len(frame) > self._max_bytes:
            msg = f"a frame of {len(frame)} bytes exceeds max_message_bytes = {self._max_bytes}"
            raise FrameRejected(msg)
        end = frame.find(0)
        edge = self._edges.get(frame[:end])
        if end < 0 or edge is None:
            msg = f"topic {frame[: max(end, 0)][:80]!r} is not an in-edge of this participant"
            raise FrameRejected(msg)
        if len(frame) < end + 2 or frame[end + 1] != VERSION:
            msg = f"expected version {VERSION}, found {frame[end + 1 : end + 2].hex() or 'nothing'}"
            raise FrameRejected(msg)
        try:
            header = self._reader.read(frame, end + 2)
        except (msgspec.DecodeError, ValueError, OverflowError, RecursionError) as error:
            raise FrameRejected(str(error)) from error
        return Envelope(self._run, edge[0], edge[1], header.sequence, header.message)
