"""What a participant needs to go on after an episode, kept so that no crash can leave half of it.

A checkpoint is two files: `episode-NNNNNNNN.safetensors` with the arrays, then `episode-NNNNNNNN.json` with the facts
and the SHA-256 of both. Each is written beside its place, synced and renamed; without a JSON that fits, there is no
checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import safetensors.numpy as tensors
from safetensors import SafetensorError

from broker.errors import CheckpointDamaged, UserError
from broker.files import sync, write_whole

VERSION = 2
_ARRAYS, _FACTS = ".safetensors", ".json"


@dataclass(frozen=True)
class State:
    """What is kept.

    Attributes:
        arrays: By name.
        facts: Whatever JSON can hold.
    """

    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


class Kept(NamedTuple):
    """A state, and the episode after which it was that of its participant."""

    episode: int
    state: State


class Checkpoints(Protocol):
    """Where one participant's checkpoints are, by the episode after which they were taken."""

    def write(self, episode: int, state: State) -> None:
        """Keep a state.

        Raises:
            OSError: It cannot be kept; those before it are as they were.
        """

    def read(self, episode: int) -> State:
        """The state after `episode`.

        Raises:
            CheckpointDamaged: There is none, or it is not as it was written.
            UserError: It is of another version.
        """

    def intact(self) -> set[int]:
        """The episodes whose state can be read.

        Raises:
            UserError: One of them is of another version.
        """

    def prune(self, keep_from: int) -> None:
        """Forget those of episodes before `keep_from`."""

    def forget_after(self, episode: int) -> None:
        """Forget those of later episodes: a new life plays them again."""

    def newest(self, count: int) -> list[int]:
        """The last `count` episodes of which something is kept, the newest last."""


class FileCheckpoints:
    """Checkpoints in a folder.

    Args:
        folder: Made when the first is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, episode: int, state: State) -> None:
        """Write both files; the second one makes the checkpoint valid."""
        self._folder.mkdir(parents=True, exist_ok=True)
        arrays = tensors.save({name: np.ascontiguousarray(array) for name, array in state.arrays.items()})
        facts = json.dumps(state.facts, allow_nan=False)
        note = {"version": VERSION, "episode": episode, "sha256": _digest(arrays, facts), "facts": facts}
        write_whole(self._path(episode, _ARRAYS), arrays)
        write_whole(self._path(episode, _FACTS), json.dumps(note).encode())
        sync(self._folder)

    def read(self, episode: int) -> State:
        """Read both files and compare them with the SHA-256."""
        path = self._path(episode, _FACTS)
        try:
            note = json.loads(path.read_bytes())
            arrays = self._path(episode, _ARRAYS).read_bytes()
            _require_version(path, note["version"])
            if note["episode"] != episode or note["sha256"] != _digest(arrays, note["facts"]):
                raise CheckpointDamaged(str(path), "it is not what was written")
            return State(tensors.load(arrays), json.loads(note["facts"]))
        except OSError as error:
            raise CheckpointDamaged(str(path), error.strerror or str(error)) from None
        except (ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
            raise CheckpointDamaged(str(path), f"it is not what was written ({error})") from None

    def intact(self) -> set[int]:
        """Read all of them; few are kept."""
        found = set()
        for path in self._folder.glob(f"episode-*{_FACTS}"):
            number = path.stem.removeprefix("episode-")
            try:
                self.read(int(number))
            except (CheckpointDamaged, ValueError):
                continue
            found.add(int(number))
        return found

    def prune(self, keep_from: int) -> None:
        """Delete older files."""
        self._delete(lambda episode: episode < keep_from)

    def forget_after(self, episode: int) -> None:
        """Delete those of later episodes."""
        self._delete(lambda later: later > episode)

    def newest(self, count: int) -> list[int]:
        """The last episodes of which there are files."""
        numbers = {path.name.removeprefix("episode-").partition(".")[0] for path in self._folder.glob("episode-*")}
        return sorted(int(number) for number in numbers if number.isdecimal())[-count:]

    def _delete(self, is_unwanted: Callable[[int], bool]) -> None:
        for path in sorted(self._folder.glob("episode-*"), key=lambda path: path.suffix == _ARRAYS):
            number = path.name.removeprefix("episode-").partition(".")[0]
            if number.isdecimal() and is_unwanted(int(number)):
                path.unlink(missing_ok=True)

    def _path(self, episode: int, suffix: str) -> Path:
        return self._folder / f"episode-{episode:08d}{suffix}"


def _require_version(path: Path, found: object) -> None:
    """Refuse what is of another version: taken for damaged, it would be learned again from an older one in silence."""
    if found != VERSION:
        msg = (
            f"{path} is a checkpoint of version {found}, and this Foretell reads version {VERSION}: "
            "use the Foretell that made it, or run its scenario again into another folder"
        )
        raise UserError(msg)


def _digest(arrays: bytes, facts: str) -> str:
    return sha256(arrays + facts.encode()).hexdigest()
