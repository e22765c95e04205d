"""Arrays as they travel: a text that says what lies where, and their bytes.

    layout = name, dtype and shape of each array, such as "observation float32 4x15,reward float32 4"
    data   = the arrays' bytes, C order, little-endian, one after the other in the order of the layout

Whoever expects one certain layout compares texts, and need not cut the bytes into arrays at all.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from broker.errors import FrameRejected

Shape = tuple[int, ...]
Arrays = dict[str, np.ndarray]
"""By name."""

MAX_DIMENSIONS = 4
LONGEST_LAYOUT = 1 << 16
_REMEMBERED = 4096
_REMEMBERED_LENGTH = 1024
_FEW = 1024
_MOST_NUMBERS = 1 << 40  # numpy refuses a shape too large even where a 0 in it leaves nothing to hold
_DTYPES = {name: np.dtype(name).newbyteorder("<") for name in ("float32", "float64", "int32", "int64", "uint8")}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_SIZES = rf"(?:[0-9]{{1,9}}(?:x[0-9]{{1,9}}){{0,{MAX_DIMENSIONS - 1}}})?"
_ARRAY_NAME = re.compile(r"[a-z_]{1,40}", re.ASCII)
_ARRAY = re.compile(rf"([a-z_]{{1,40}}) ({'|'.join(_DTYPES)}) ({_SIZES})", re.ASCII)


@dataclass(frozen=True)
class Layout:
    """Where arrays lie in a run of bytes.

    Attributes:
        arrays: Shape, dtype and offset of each, by name.
        floats: Offset, dtype and count of each run of floating-point numbers, which have to be finite.
        many: Whether that is so many numbers that numpy is the fastest to look at them.
        high_bytes: If not, where the numbers' high bytes are in whatever ends with the arrays.
        size_bytes: Of all arrays.
    """

    arrays: Mapping[str, tuple[Shape, np.dtype[Any], int]]
    floats: tuple[tuple[int, np.dtype[Any], int], ...]
    many: bool
    high_bytes: tuple[slice, ...]
    size_bytes: int

    def check(self, data: memoryview) -> None:
        """Refuse bytes that are not exactly the arrays described, or numbers that are not finite.

        Raises:
            ValueError: Says what is wrong.
        """
        if len(data) != self.size_bytes:
            msg = f"expected {self.size_bytes} bytes of arrays, found {len(data)}"
            raise ValueError(msg)
        for offset, dtype, count in self.floats:
            if not all_finite(np.frombuffer(data, dtype, count, offset)):
                raise ValueError("an array holds NaN or infinity")

    def placed(self, data: memoryview) -> memoryview:
        """The bytes of many numbers, as a copy unless they lie where numbers may begin.

        In a frame they lie anywhere, and numpy takes several times as long for numbers that lie askew.
        """
        return data if np.frombuffer(data, np.float64, 1).flags.aligned else memoryview(bytes(data))


class _Layouts(dict[str, Layout]):
    """What a text says, by text; looking up one that describes no arrays raises ValueError.

    Texts come from outside, so it remembers neither many nor long ones.
    """

    def __missing__(self, text: str) -> Layout:
        layout = _parse(text)
        if len(text) <= _REMEMBERED_LENGTH:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[text] = layout
        return layout


layouts = _Layouts()


def describe(kinds: Mapping[str, tuple[np.dtype[Any], Shape]]) -> str:
    """The layout of arrays with these names, dtypes and shapes.

    Raises:
        FrameRejected: A name or dtype cannot be sent.
    """
    return ",".join(_described(name, *kind) for name, kind in kinds.items())


def pack(arrays: Mapping[str, np.ndarray]) -> tuple[str, memoryview]:
    """Layout and data of `arrays`.

    Raises:
        FrameRejected: A name or dtype cannot be sent.
    """
    text = ",".join(_described(name, array.dtype, array.shape) for name, array in arrays.items())
    if len(text) > LONGEST_LAYOUT:
        msg = (
            f"{len(arrays)} arrays cannot be sent at once: their layout has {len(text)} of {LONGEST_LAYOUT} characters"
        )
        raise FrameRejected(msg)
    return text, memoryview(b"".join([array.tobytes() for array in arrays.values()]))


def cut(text: str, data: memoryview) -> dict[str, np.ndarray]:
    """The arrays that `text` describes, as views into `data`."""
    found = layouts[text].arrays
    return {name: np.ndarray(shape, dtype, data, offset) for name, (shape, dtype, offset) in found.items()}


def views(text: str, pages: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays that `text` describes in each of many pages, as views into them.

    Args:
        text: The layout.
        pages: (P, n) uint8, n at least the size of the layout.

    Returns:
        By name (P, ...), the shape of the layout behind the number of pages.
    """
    return {
        name: pages[:, offset : offset + math.prod(shape) * dtype.itemsize].view(dtype).reshape(len(pages), *shape)
        for name, (shape, dtype, offset) in layouts[text].arrays.items()
    }


def _parse(text: str) -> Layout:
    arrays: dict[str, tuple[Shape, np.dtype[Any], int]] = {}
    floats: list[tuple[int, np.dtype[Any], int]] = []
    offset = 0
    if len(text) > LONGEST_LAYOUT:  # what it says would take forty times its size
        msg = f"expected a layout of at most {LONGEST_LAYOUT} characters, found {len(text)}"
        raise ValueError(msg)
    for part in text.split(",") if text else ():
        match = _ARRAY.fullmatch(part)
        if match is None or match[1] in arrays:
            expected = f"name, dtype and shape once for each array, with a dtype of {', '.join(_DTYPES)}"
            msg = f"expected {expected}, found {part[:80]!r}"
            raise ValueError(msg)
        dtype = _DTYPES[match[2]]
        shape = tuple(int(size) for size in match[3].split("x")) if match[3] else ()
        if math.prod(max(size, 1) for size in shape) > _MOST_NUMBERS:
            msg = f"expected a shape that fits into memory, found {match[3]!r}"
            raise ValueError(msg)
        count = math.prod(shape)
        arrays[match[1]] = (shape, dtype, offset)
        if dtype.kind == "f" and count:
            floats.append((offset, dtype, count))
        offset += count * dtype.itemsize
    many = sum(count for _, _, count in floats) > _FEW
    return Layout(arrays, tuple(floats), many, () if many else _high_bytes(floats, offset), offset)


def _high_bytes(floats: list[tuple[int, np.dtype[Any], int]], size_bytes: int) -> tuple[slice, ...]:
    """Where to look at the numbers' high bytes, numbers of one kind that follow on each other in one go."""
    slices: list[tuple[int, int, int]] = []
    for offset, dtype, count in floats:
        step, end = dtype.itemsize, offset + count * dtype.itemsize
        if slices and slices[-1][1:] == (offset, step):
            slices[-1] = (slices[-1][0], end, step)
        else:
            slices.append((offset + step - 1, end, step))
    return tuple(slice(first - size_bytes, (end - size_bytes) or None, step) for first, end, step in slices)


@lru_cache(_REMEMBERED)
def _described(name: str, dtype: np.dtype[Any], shape: Shape) -> str:
    if dtype not in _NAMES or _ARRAY_NAME.fullmatch(name) is None or len(shape) > MAX_DIMENSIONS:
        allowed = f"names are up to 40 of a-z and _, dtypes {', '.join(_DTYPES)}, dimensions {MAX_DIMENSIONS}"
        msg = f"array {name!r} of {dtype} with shape {shape} cannot be sent: {allowed}"
        raise FrameRejected(msg)
    return f"{name} {_NAMES[dtype]} {'x'.join(map(str, shape))}"


def all_finite(flat: np.ndarray) -> bool:
    """Whether an array, (n,) of a float dtype, holds neither NaN nor infinity."""
    # A finite sum of squares proves finite numbers; only where it overflows must each be looked at.
    with np.errstate(all="ignore"):
        return math.isfinite(np.dot(flat, flat)) or bool(np.isfinite(flat).all())


def all_within(flat: np.ndarray, largest: float) -> bool:
    """Whether an array, (n,) float32, holds neither NaN nor a number of a size beyond `largest`, rounded to float32."""
    # So small a sum of squares proves it, in whatever order it was added up and rounded; behind it each is looked at.
    with np.errstate(all="ignore"):
        return float(np.dot(flat, flat)) <= largest * largest / 2 or bool((np.abs(flat) <= np.float32(largest)).all())
