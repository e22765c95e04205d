"""Messages to bytes and back: a msgpack header and the raw buffers of the arrays, never pickle.

    frame  = topic NUL version(1 byte) header_length(4 bytes, little-endian) header arrays
    header = msgpack [kind, sequence, layout, the message's other fields ...]
    layout = name, dtype and shape of each array, such as "observation float32 4x15,reward float32 4"
    arrays = the arrays' bytes, C order, little-endian, one after the other in the order of the layout

Reading trusts nothing: the header is decoded into typed fields, dtypes come from a short list, the sizes must use up
the frame exactly, and numbers must be finite. The arrays read are read-only views into the frame.

This is the hot path of every message, so what can be known of a layout is worked out once and remembered.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import astuple

from broker.errors import FrameRejected
from broker.messages import ARRAYS, MESSAGES, Envelope, Message, Share, topic

VERSION = 1
MAX_DIMENSIONS = 4
_LENGTH_BYTES = 4
_REMEMBERED = 4096
_REMEMBERED_LENGTH = 1024
_FEW = 1024
_DTYPES = {name: np.dtype(name).newbyteorder("<") for name in ("float32", "float64", "int32", "int64", "uint8")}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_SIZES = rf"(?:[0-9]{{1,9}}(?:x[0-9]{{1,9}}){{0,{MAX_DIMENSIONS - 1}}})?"
_ARRAY_NAME = re.compile(r"[a-z_]{1,40}", re.ASCII)
_ARRAY = re.compile(rf"([a-z_]{{1,40}}) ({'|'.join(_DTYPES)}) ({_SIZES})", re.ASCII)

Shape = tuple[int, ...]


@dataclass(frozen=True)
class _Layout:
    """Where the arrays of a frame are, counted from the end of its header.

    Attributes:
        names: Of the arrays.
        arrays: For each its shape, dtype and offset.
        floats: dtype, count and offset of each run of floating-point numbers, which have to be finite.
        size_bytes: Of all arrays.
    """

    names: tuple[str, ...]
    arrays: tuple[tuple[Shape, np.dtype[Any], int], ...]
    floats: tuple[tuple[np.dtype[Any], int, int], ...]
    size_bytes: int


def _parse_layout(text: str) -> _Layout:
    """What `text` says, or a ValueError; `text` may be anything."""
    arrays: dict[str, tuple[Shape, np.dtype[Any], int]] = {}
    floats: list[tuple[np.dtype[Any], int, int]] = []
    offset = 0
    for part in text.split(",") if text else ():
        match = _ARRAY.fullmatch(part)
        if match is None or match[1] in arrays:
            expected = f"name, dtype and shape once for each array, with a dtype of {', '.join(_DTYPES)}"
            msg = f"expected {expected}, found {part[:80]!r}"
            raise ValueError(msg)
        dtype = _DTYPES[match[2]]
        shape = tuple(int(size) for size in match[3].split("x")) if match[3] else ()
        count = math.prod(shape)
        arrays[match[1]] = (shape, dtype, offset)
        if dtype.kind == "f" and count:
            _append_run(floats, dtype, count, offset)
        offset += count * dtype.itemsize
    return _Layout(tuple(arrays), tuple(arrays.values()), tuple(floats), offset)


def _append_run(runs: list[tuple[np.dtype[Any], int, int]], dtype: np.dtype[Any], count: int, offset: int) -> None:
    """Add numbers to the last run if they follow on it, so that one look checks both."""
    if runs:
        last_dtype, last_count, last_offset = runs[-1]
        if last_dtype == dtype and last_offset + last_count * dtype.itemsize == offset:
            runs[-1] = (dtype, last_count + count, last_offset)
            return
    runs.append((dtype, count, offset))


def _header_type(tag: int, message_type: type[Message]) -> type[msgspec.Struct]:
    """The header of a kind of message: sequence, layout and every field that is no array."""
    fields = msgspec.structs.fields(message_type)
    plain = [(field.name, field.type) for field in fields if field.name not in ARRAYS[message_type]]
    return msgspec.defstruct(
        f"_{message_type.__name__}Header",
        [("sequence", int), ("layout", str), *plain],
        tag=tag,
        array_like=True,
        gc=False,
    )


_HEADERS = {message_type: _header_type(tag, message_type) for tag, message_type in MESSAGES.items()}
_READING = {header: (message_type, ARRAYS[message_type]) for message_type, header in _HEADERS.items()}
_WRITING = {
    message_type: (header, len(message_type.__struct_fields__) - len(ARRAYS[message_type]), ARRAYS[message_type])
    for message_type, header in _HEADERS.items()
}
_SHARED = ARRAYS[Share]


class Codec:
    """Writes and reads the frames of one run.

    Args:
        run: Name of the run; frames of other runs are refused.
        max_bytes: Longest frame that is written or read.
    """

    def __init__(self, run: str, max_bytes: int) -> None:
        self._run = run
        self._max_bytes = max_bytes
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode: Callable[[memoryview], Any] = msgspec.msgpack.Decoder(_union(_HEADERS.values())).decode
        self._prefixes: dict[tuple[str, str], bytes] = {}
        self._edges: dict[bytes, tuple[str, str]] = {}
        self._layouts: dict[str, _Layout] = {}
        self._texts: dict[tuple[object, ...], str] = {}

    def allow(self, source: str, destination: str) -> None:
        """Accept frames of this edge; those of edges never named are refused."""
        self._edges[topic(self._run, source, destination).encode()] = (source, destination)

    def encode(self, envelope: Envelope) -> bytes:
        """The frame of `envelope`.

        Raises:
            FrameRejected: It would be longer than `max_bytes`.
        """
        header_type, plain_count, names = _WRITING[type(envelope.message)]
        fields = astuple(envelope.message)
        arrays = [array for array in fields[plain_count:] if array is not None]
        if names == _SHARED:
            names, arrays = tuple(arrays[0]), list(arrays[0].values())
        kind = (names, *[(array.dtype, array.shape) for array in arrays])
        layout = self._texts.get(kind) or _remember(self._texts, kind, _described(names, arrays))
        header = self._encode(header_type(envelope.sequence, layout, *fields[:plain_count]))
        prefix = self._prefixes.get((envelope.source, envelope.destination)) or self._prefix(envelope)
        length = len(header).to_bytes(_LENGTH_BYTES, "little")
        try:
            frame = b"".join((prefix, length, header, *arrays))
        except (TypeError, ValueError):  # an array with gaps
            frame = b"".join((prefix, length, header, *[array.tobytes() for array in arrays]))
        if len(frame) > self._max_bytes:
            msg = f"a message of {len(frame)} bytes exceeds max_message_bytes = {self._max_bytes}"
            raise FrameRejected(msg)
        return frame

    def edge_of(self, frame: bytes) -> tuple[str, str] | None:
        """The edge a frame claims to travel on, or None when it is not one of the allowed."""
        topic_, nul, _ = frame.partition(b"\0")
        return self._edges.get(topic_) if nul else None

    def decode(self, frame: bytes) -> Envelope:
        """The envelope in `frame`.

        Raises:
            FrameRejected: Says what is wrong with it; nothing of it was used.
        """
        end = frame.find(0)
        edge = self._edges.get(frame[:end])
        start = end + 2 + _LENGTH_BYTES
        body = start + int.from_bytes(frame[end + 2 : start], "little")
        if edge is None or end < 0 or not body <= len(frame) <= self._max_bytes or frame[end + 1] != VERSION:
            raise FrameRejected(self._refusal(frame, end))
        try:
            header = self._decode(memoryview(frame)[start:body])
            layout = self._layouts.get(header.layout) or self._parse(header.layout)
            if body + layout.size_bytes != len(frame):
                raise FrameRejected(f"expected {layout.size_bytes} bytes of arrays, found {len(frame) - body}")
            for dtype, count, offset in layout.floats:
                if not _is_finite(frame, dtype, count, body + offset):
                    raise FrameRejected("an array holds NaN or infinity")
            arrays = [np.ndarray(shape, dtype, frame, body + offset) for shape, dtype, offset in layout.arrays]
            message = _message(header, layout.names, arrays)
        except (msgspec.DecodeError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise FrameRejected(str(error)) from error
        return Envelope(self._run, *edge, header.sequence, message)

    def _parse(self, text: str) -> _Layout:
        layout = _parse_layout(text)
        if len(text) <= _REMEMBERED_LENGTH:
            _remember(self._layouts, text, layout)
        return layout

    def _prefix(self, envelope: Envelope) -> bytes:
        prefix = topic(self._run, envelope.source, envelope.destination).encode() + bytes((0, VERSION))
        self._prefixes[envelope.source, envelope.destination] = prefix
        return prefix

    def _refusal(self, frame: bytes, end: int) -> str:
        """What is wrong in front of a frame's header."""
        if len(frame) > self._max_bytes:
            return f"a frame of {len(frame)} bytes exceeds max_message_bytes = {self._max_bytes}"
        if end < 0 or frame[:end] not in self._edges:
            return f"topic {frame[: max(end, 0)][:80]!r} is not an in-edge of this participant"
        if len(frame) > end + 1 and frame[end + 1] != VERSION:
            return f"expected version {VERSION}, found {frame[end + 1]}"
        return f"the frame of {len(frame)} bytes ends before or inside its header"


def _message(header: Any, names: tuple[str, ...], arrays: list[np.ndarray]) -> Any:
    """The message with the fields of `header` and these arrays."""
    message_type: Any
    message_type, expected = _READING[type(header)]
    plain = astuple(header)[2:]
    if expected == _SHARED:
        return message_type(*plain, dict(zip(names, arrays, strict=True)))
    if names != expected[: len(names)]:
        msg = f"expected arrays {', '.join(expected) or 'none'}, found {', '.join(names)}"
        raise ValueError(msg)
    return message_type(*plain, *arrays)


def _described(names: tuple[str, ...], arrays: list[np.ndarray]) -> str:
    """The layout of a message, as text."""
    for name, array in zip(names, arrays, strict=False):
        if array.dtype not in _NAMES or _ARRAY_NAME.fullmatch(name) is None:
            allowed = f"names are up to 40 of a-z and _, dtypes {', '.join(_DTYPES)}"
            msg = f"array {name!r} of {array.dtype} cannot be sent: {allowed}"
            raise FrameRejected(msg)
    parts = zip(names, arrays, strict=False)
    return ",".join(f"{name} {_NAMES[array.dtype]} {'x'.join(map(str, array.shape))}" for name, array in parts)


def _union(types: Iterable[type[msgspec.Struct]]) -> Any:
    first, *others = types
    union: Any = first
    for other in others:
        union |= other
    return union


def _remember(cache: dict[Any, Any], key: object, value: Any) -> Any:
    """Keep what was worked out, but never more than a bounded number: layouts come from outside."""
    if len(cache) >= _REMEMBERED:
        cache.clear()
    cache[key] = value
    return value


def _is_finite(frame: bytes, dtype: np.dtype[Any], count: int, start: int) -> bool:
    """Whether `count` numbers from `start` are finite.

    NaN and infinity have all exponent bits set, so the high byte of each is 7F or FF. Few numbers have it, and a look
    at the high bytes alone costs a process that has just woken a third of what waking numpy and BLAS does.
    """
    size = dtype.itemsize
    if count <= _FEW:
        high = frame[start + size - 1 : start + count * size : size]
        if 0x7F not in high and 0xFF not in high:
            return True
    flat = np.frombuffer(frame, dtype, count, start)
    # A finite sum of squares proves finite numbers; only where it overflows must each be looked at.
    with np.errstate(all="ignore"):
        return math.isfinite(np.dot(flat, flat)) or bool(np.isfinite(flat).all())
