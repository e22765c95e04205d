"""What a launcher and a host say to each other, in msgpack, each frame after its length. Pure: no I/O, no clock.

The launcher asks and the host answers, in order; what ended there is told without being asked.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import msgspec

from broker.errors import ForetellError

MOST_BYTES = 1 << 30
"""The longest frame: a policy, or the state of an agent."""
_LENGTH = struct.Struct(">I")


class _Tagged(msgspec.Struct, frozen=True, tag=True):
    pass


class OpenRun(_Tagged, frozen=True):
    """Work on a run: the first that a launcher says.

    Attributes:
        run: Name of the run, with its id: the folder that it has there.
        version: Of the launcher's Foretell.
        arithmetic: Version of its arithmetic.
        participants: Who lives there.
        lease_s: Seconds without a sign of the launcher after which they are ended.
        files: Keys, the user's code, a policy to begin with: content by path in the run's folder.
        bundle: The run that the launcher's bundle was made for, if it has one.
        document: SHA-256 of the document in it.
    """

    run: str
    version: str
    arithmetic: int
    participants: tuple[str, ...]
    lease_s: float
    files: dict[str, bytes]
    bundle: str = ""
    document: str = ""


class StartNode(_Tagged, frozen=True):
    """Start the process of a participant with its slice of the scenario."""

    name: str
    slice_json: str


class StopNode(_Tagged, frozen=True):
    """Let a process do nothing; answered with its id, or None."""

    name: str


class ContinueNode(_Tagged, frozen=True):
    """Let a stopped process go on."""

    name: str


class KillNodes(_Tagged, frozen=True):
    """Kill processes at once; answered with the ids of those that it has killed."""

    names: tuple[str, ...]


class EndNodes(_Tagged, frozen=True):
    """End whoever still runs: ask, then insist; the answer is who ended in order."""


class IntactKept(_Tagged, frozen=True):
    """The episodes after which a participant's checkpoint can be read."""

    name: str


class ReadKept(_Tagged, frozen=True):
    """A checkpoint, as `checkpoint_bytes` of `remote_checkpoints` packs it."""

    name: str
    episode: int


class PruneKept(_Tagged, frozen=True):
    """Forget a participant's checkpoints of episodes before `keep_from`."""

    name: str
    keep_from: int


class ForgetKept(_Tagged, frozen=True):
    """Forget those of later episodes."""

    name: str
    episode: int


class NewestKept(_Tagged, frozen=True):
    """The last `count` episodes of which something is kept."""

    name: str
    count: int


class Examine(_Tagged, frozen=True):
    """Look the host over; see `examining`."""

    listens: tuple[str, ...]
    dials: tuple[str, ...]


class MeasureSpeed(_Tagged, frozen=True):
    """How long an agent that is told this computes there; answered with the numbers of `scenarios.running.speed`."""

    slice_json: str


class LookInto(_Tagged, frozen=True):
    """Look into a run's folder without working on it: the first that is said by who only reads its logs."""

    run: str


class ReadLogs(_Tagged, frozen=True):
    """What logs say from these places on; see `scenarios.running.log_files.new_in_logs`."""

    begin: dict[str, int]


class LeaveHost(_Tagged, frozen=True):
    """The launcher goes in order: the host ends, and with it whoever still runs."""


class RenewLease(_Tagged, frozen=True):
    """The launcher is still there."""


Request = (
    OpenRun
    | StartNode
    | StopNode
    | ContinueNode
    | KillNodes
    | EndNodes
    | IntactKept
    | ReadKept
    | PruneKept
    | ForgetKept
    | NewestKept
    | RenewLease
    | LeaveHost
    | Examine
    | MeasureSpeed
    | LookInto
    | ReadLogs
)


class Asked(msgspec.Struct, frozen=True):
    """A request, and the number that its answer bears."""

    number: int
    request: Request


class Answer(_Tagged, frozen=True):
    """What a request gave."""

    number: int
    value: Any = None


class Refusal(_Tagged, frozen=True):
    """Why a request could not be done.

    Attributes:
        number: Of the request.
        mistake: Whether the user can mend it.
        text: A sentence.
    """

    number: int
    mistake: bool
    text: str


class NodeEnded(_Tagged, frozen=True):
    """How a process ended; see `scenarios.running.nodes.NodeEnd`."""

    name: str
    code: int
    said: str
    log: str


Told = Answer | Refusal | NodeEnded

_packer = msgspec.msgpack.Encoder()


def packed(frame: Asked | Told) -> bytes:
    """A frame with its length before it."""
    content = _packer.encode(frame)
    return _LENGTH.pack(len(content)) + content


class Frames:
    """Cuts what arrives into frames."""

    def __init__(self) -> None:
        self._arrived = bytearray()

    def cut(self, arrived: bytes) -> Iterator[bytes]:
        """The frames that are whole by now, without their lengths.

        Raises:
            ForetellError: What arrived is no frame, such as a greeting that the shell of a host prints.
        """
        self._arrived += arrived
        while len(self._arrived) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._arrived)
            if length > MOST_BYTES:
                shown = bytes(self._arrived[:60])
                msg = f"expected frames of `foretell host`, found {shown!r}"
                raise ForetellError(msg)
            if len(self._arrived) < _LENGTH.size + length:
                return
            frame = bytes(self._arrived[_LENGTH.size : _LENGTH.size + length])
            del self._arrived[: _LENGTH.size + length]
            yield frame


_asked = msgspec.msgpack.Decoder(Asked)
_told = msgspec.msgpack.Decoder(Told)


def asked(frame: bytes) -> Asked:
    """A request.

    Raises:
        ForetellError: It is none.
    """
    try:
        return _asked.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        msg = f"expected a request of a launcher, found {error}"
        raise ForetellError(msg) from None


def told(frame: bytes) -> Told:
    """What a host says.

    Raises:
        ForetellError: It is nothing that a host says.
    """
    try:
        found: Told = _told.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        msg = f"expected an answer of `foretell host`, found {error}"
        raise ForetellError(msg) from None
    return found
