"""A participant's journal: what came to it, when it looked, what it did, how long that took, and what it sent.

    journal = a line with its version, then entries: length (4 bytes), CRC-32 (4 bytes), msgpack [kind, fields ...]

Entries are only ever added. A journal that was cut off anywhere, as by `kill -9`, gives all that are whole. With what a
participant was `Told`, and everything until an entry, another one comes to the same place: see `scenarios.replay`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from struct import Struct
from typing import BinaryIO, Literal
from zlib import crc32

import msgspec

from broker.arithmetic.version import ARITHMETIC
from broker.errors import UserError
from broker.release import FORETELL
from broker.wire.messages import MessageName

Call = Literal["start", "receive", "expire"]
"""The calls of a participant."""
_MAGIC = b"foretell journal 1\n"
_HEAD = Struct("<II")
"""Length and CRC-32."""
_NO_HEAD = bytes(_HEAD.size)
_LONGEST = 1 << 29
"""No entry is: a longer one is none."""
_BUFFER_BYTES = 1 << 14
_FLUSH_EVERY_S = 0.5
"""What is older than this is in the file, so that a killed participant leaves no more behind."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Opened(msgspec.Struct, frozen=True, array_like=True, tag=1, gc=False):
    """Whose journal this is; the first entry.

    Attributes:
        participant: Whose.
        foretell: Version of Foretell.
        arithmetic: Version of the arithmetic.
        clock: Whose monotonic clock `at_s` is: journals of one host, started once, have one.
        at_s: Seconds on that clock.
        date_s: The same moment in seconds since 1970, for people.
    """

    participant: str
    foretell: str
    arithmetic: int
    clock: str
    at_s: float
    date_s: float


class Told(msgspec.Struct, frozen=True, array_like=True, tag=2, gc=False):
    """What the participant was told.

    Attributes:
        slice: Its slice of the scenario, as JSON.
    """

    slice: str


class Polled(msgspec.Struct, frozen=True, array_like=True, tag=3, gc=False):
    """It looked for what had arrived.

    Attributes:
        now_s: The time it was told, on the driver's clock.
        at_s: Seconds on the host's clock.
        frames: Of the messages that had arrived, before faults met them: their bytes on the wire.
    """

    now_s: float
    at_s: float
    frames: list[bytes]


class Turn(msgspec.Struct, frozen=True, array_like=True, tag=4, gc=False):
    """It was called, and what it was to send stands behind this.

    Attributes:
        call: How.
        now_s: The time it was told, on the driver's clock.
        at_s: When the call began, in seconds on the host's clock.
        computed_s: How long it took.
        phase: In which phase the call left it.
        source: Whose message it took, if it took one.
        kind: Of the message, such as `share` or `hello`.
        name: Of the message, if it has one.
    """

    call: Call
    now_s: float
    at_s: float
    computed_s: float
    phase: str
    source: str = ""
    kind: str = ""
    name: MessageName | None = None


class Sent(msgspec.Struct, frozen=True, array_like=True, tag=5, gc=False):
    """A message that it handed to its transport.

    Attributes:
        at_s: Seconds on the host's clock.
        frame: Its bytes on the wire.
    """

    at_s: float
    frame: bytes


class Closed(msgspec.Struct, frozen=True, array_like=True, tag=6, gc=False):
    """The participant has ended in order; the last entry."""


Entry = Opened | Told | Polled | Turn | Sent | Closed


class Journal:
    """A journal that is being written.

    Attributes:
        clock: The host's, in seconds.

    Args:
        path: Its file, made anew.
        participant: Whose it is.
        clock: As above.

    Raises:
        UserError: It cannot be written.
    """

    def __init__(self, path: Path, participant: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._path = path
        self._encode_into = msgspec.msgpack.Encoder().encode_into
        self._flushed_at = clock()
        self._waiting = bytearray(_MAGIC)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            raise self._unwritable(error) from None
        self.write(Opened(participant, FORETELL, ARITHMETIC, _clock_name(), clock(), time.time()))

    def write(self, entry: Entry) -> None:
        """Add an entry.

        Raises:
            UserError: It cannot be written.
        """
        waiting = self._waiting
        head = len(waiting)
        body = head + _HEAD.size
        waiting += _NO_HEAD
        self._encode_into(entry, waiting, body)
        with memoryview(waiting) as written:
            _HEAD.pack_into(waiting, head, len(waiting) - body, crc32(written[body:]))
        if len(waiting) > _BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the system, which keeps it whatever becomes of this process.

        Raises:
            UserError: It cannot be written.
        """
        self._flushed_at, waiting = self.clock(), self._waiting
        try:
            while waiting:
                del waiting[: self._file.write(waiting)]
        except OSError as error:
            raise self._unwritable(error) from None

    def flush_if_due(self, at_s: float) -> None:
        """Do so if that was long ago.

        Args:
            at_s: Seconds on the host's clock.

        Raises:
            UserError: It cannot be written.
        """
        if at_s - self._flushed_at > _FLUSH_EVERY_S:
            self.flush()

    def close(self) -> None:
        """Say that it ends in order; where there is no room for that, it ends like one that was cut off."""
        with suppress(UserError):
            self.write(Closed())
            self.flush()
        self._file.close()

    def _unwritable(self, error: OSError) -> UserError:
        return UserError(f"cannot write the journal {self._path}: {error.strerror}")


def read_journal(path: Path) -> Iterator[Entry]:
    """The entries of a journal, in order, up to the last that is whole.

    Raises:
        UserError: It cannot be read, is no journal or one of another version.
    """
    try:
        with path.open("rb") as file:
            begun = file.read(len(_MAGIC))
            if not _MAGIC.startswith(begun):
                msg = f"expected a journal that begins with {_MAGIC!r}, found {begun!r} in {path}"
                raise UserError(msg)
            yield from _entries(file)
    except OSError as error:
        msg = f"cannot read the journal {path}: {error.strerror}"
        raise UserError(msg) from None


def _entries(file: BinaryIO) -> Iterator[Entry]:
    decode = msgspec.msgpack.Decoder(Entry).decode
    while len(head := file.read(_HEAD.size)) == _HEAD.size:
        length, checksum = _HEAD.unpack(head)
        if length > _LONGEST:
            return
        body = file.read(length)
        if len(body) < length or crc32(body) != checksum:
            return
        try:
            yield decode(body)
        except msgspec.DecodeError:
            return


def _clock_name() -> str:
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return os.uname().nodename
