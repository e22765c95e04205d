"""A run's folder: what is in it and what it is called.

scenario.toml        the resolved document
run.sqlite           episodes, rounds, edges, faults, events
summary.json         what came of the run, in numbers
learning_curve.png   team return against episodes
tensorboard/         the same for TensorBoard, with the losses
logs/                one file per process
journal/             what each participant heard, did and sent, in each of its lives, if the scenario asks for it
policy/              what the agents have learned, for whoever wants to use it
initial-policy/      a copy of the policy that they began with, if there was one
evaluations/         what policies on the way were worth, if the scenario asks for it; `best.json`: the best of them
best-policy/         that one
evaluation.json      what came of it, if they acted and did not learn
checkpoints/         states of all participants, from which a run goes on after a crash or when it is resumed
orders/              faults to be added or healed, until the launcher has taken them
hosts.json           the hosts it ran on, if it did not run on this one alone
lock                 held by who works on the run
keys/                everybody's keys, if the run needs them and the scenario names none

A run begins in this order: logs/, lock, hosts.json, initial-policy/, scenario.toml, run.sqlite, and in that the row of
its document, with which it has begun; all else comes later. Whoever is killed before leaves no run: `make_run_folder`
takes such a folder for another, under its lock, once it has removed what lies there. Without logs and lock beside them
such files are a user's own.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from broker.errors import UserError
from broker.text_files import is_text
from scenarios.results.reader import read_store, require_version

_LEFT_BY_A_BEGINNING = frozenset(
    (
        *("hosts.json", "hosts.json.new", "initial-policy", "initial-policy.new"),
        *("scenario.toml", "scenario.toml.new"),
        *("run.sqlite", "run.sqlite-wal", "run.sqlite-shm", "run.sqlite-journal"),
    )
)
"""Beside the logs and the lock."""
_LOOK_S, _LOOKS = 0.01, 20
"""How long a look at a lock may last, and how many are outlasted."""


@dataclass(frozen=True)
class RunFolder:
    """Paths inside one run's folder.

    Attributes:
        root: The folder.
    """

    root: Path

    @property
    def scenario(self) -> Path:
        """The resolved document."""
        return self.root / "scenario.toml"

    @property
    def store(self) -> Path:
        """The run's store."""
        return self.root / "run.sqlite"

    @property
    def summary(self) -> Path:
        """What came of the run, in numbers."""
        return self.root / "summary.json"

    @property
    def learning_curve(self) -> Path:
        """The picture."""
        return self.root / "learning_curve.png"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard events."""
        return self.root / "tensorboard"

    @property
    def journals(self) -> Path:
        """Journals."""
        return self.root / "journal"

    @property
    def hosts(self) -> Path:
        """The hosts it ran on, and how they are reached."""
        return self.root / "hosts.json"

    @property
    def lock(self) -> Path:
        """Held by who works on the run."""
        return self.root / "lock"

    @property
    def orders(self) -> Path:
        """What users want of the run while it goes on, a file each, until it is done."""
        return self.root / "orders"

    @property
    def checkpoints(self) -> Path:
        """States of all participants, a folder each."""
        return self.root / "checkpoints"

    @property
    def policy(self) -> Path:
        """What the agents have learned."""
        return self.root / "policy"

    @property
    def initial_policy(self) -> Path:
        """What they began with."""
        return self.root / "initial-policy"

    @property
    def evaluations(self) -> Path:
        """Of policies on the way, and these until they are evaluated."""
        return self.root / "evaluations"

    @property
    def best_policy(self) -> Path:
        """The best of the policies on the way."""
        return self.root / "best-policy"

    @property
    def evaluation(self) -> Path:
        """What came of an evaluation."""
        return self.root / "evaluation.json"

    @property
    def keys(self) -> Path:
        """Keys made for this run."""
        return self.root / "keys"

    @property
    def logs(self) -> Path:
        """Logs."""
        return self.root / "logs"

    def log(self, participant: str) -> Path:
        """The log of one process."""
        return self.logs / f"{participant}.log"


@contextmanager
def locked(path: Path, otherwise: str) -> Iterator[None]:
    """Keep a file for this process alone; the system lets go when the process ends, however it ends.

    Whoever only looks has it for a moment (`is_held`), so it is tried again for some tenths of a second.

    Raises:
        UserError: It cannot be made, or somebody else has it; the latter says `otherwise`.
    """
    try:
        lock = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK, 0o644)
    except OSError as error:
        msg = f"cannot write {path}: {error.strerror}"
        raise UserError(msg) from None
    try:
        if not _taken(lock):
            raise UserError(otherwise)
        yield
    finally:
        os.close(lock)


def _taken(lock: int) -> bool:
    """Whether a file is this process's alone now."""
    for again_in_s in (*(_LOOK_S,) * _LOOKS, None):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if again_in_s is not None:
                time.sleep(again_in_s)
        else:
            return True
    return False


def open_run_folder(root: Path) -> RunFolder:
    """The folder of a run that has begun.

    Raises:
        UserError: It is none, or its store is of another version.
    """
    folder = RunFolder(root)
    if not folder.scenario.exists() or not folder.store.exists():
        msg = f"{root} holds no run: expected the folder that `foretell run` or `foretell simulate` left, with "
        msg += f"{folder.scenario.name} and {folder.store.name} in it"
        raise UserError(msg)
    require_version(folder.store)
    return folder


def orders_in(folder: RunFolder) -> list[Path]:
    """What was asked of a run and not taken yet, in its order."""
    return sorted(path for path in folder.orders.glob("*.json") if path.is_file())


@contextmanager
def held(folder: RunFolder) -> Iterator[None]:
    """Keep others from working on a run; what was asked of it when it was killed is forgotten: nobody waits for it.

    Raises:
        UserError: Somebody else holds it.
    """
    with locked(folder.lock, _works_on(folder)):
        for order in orders_in(folder):
            order.unlink(missing_ok=True)
        yield


def _works_on(folder: RunFolder) -> str:
    return f"another process works on {folder.root}: expected a run that has ended or was interrupted"


def is_held(folder: RunFolder) -> bool:
    """Whether somebody works on a run."""
    try:
        lock = os.open(folder.lock, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False  # nobody has begun to work here, or nobody may look
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


def require_text(path: Path) -> None:
    """See that participants can be told of a folder.

    Raises:
        UserError: Its path is not UTF-8.
    """
    if not is_text(path):
        msg = f"expected a folder whose path is UTF-8, found {str(path.absolute())!r}"
        raise UserError(msg)


def make_run_folder(out: Path | None, name: str, seed: int) -> RunFolder:
    """A new, empty run's folder: `out`, or the next free `runs/<name>-seed<seed>-<number>`.

    Raises:
        UserError: The folder holds a run already or files of somebody else, or cannot be made.
    """
    require_text(out or Path("runs"))
    try:
        if out is None:
            return RunFolder(_next_free(Path("runs"), f"{name}-seed{seed}"))
        folder = RunFolder(out)
        folder.root.mkdir(parents=True, exist_ok=True)
        if _found_in(folder):
            with locked(folder.lock, _works_on(folder)):
                _clear(folder)
        folder.logs.mkdir(exist_ok=True)
    except OSError as error:
        msg = f"cannot make the run's folder {out or 'runs'}: {error.strerror}"
        raise UserError(msg) from None
    return folder


def has_begun(folder: RunFolder) -> bool:
    """Whether there is a run in a folder: its store knows of what. One that cannot be read may be of one."""
    if not folder.store.exists():
        return folder.summary.exists()
    try:
        with read_store(folder.store) as store:
            return store.begun() is not None
    except UserError:
        return True


def _found_in(folder: RunFolder) -> list[str]:
    """What an attempt has left in a folder that ended before its run began, beside logs and lock.

    Raises:
        UserError: There is a run in it, or anything else that would be overwritten or taken for results.
        OSError: It cannot be read.
    """
    if has_begun(folder):
        msg = f"{folder.root} holds a run already. Choose another --out, or remove it."
        raise UserError(msg)
    found = sorted(path.name for path in folder.root.iterdir() if path not in (folder.logs, folder.lock))
    was_ours = folder.logs.is_dir() and folder.lock.is_file() and not folder.lock.stat().st_size
    ours = _LEFT_BY_A_BEGINNING if was_ours else frozenset[str]()
    if others := [name for name in found if name not in ours]:
        msg = f"expected a new or empty folder for the run, found {folder.root} with {others[0]!r} in it. "
        raise UserError(f"{msg}Choose another --out.")
    return found


def _clear(folder: RunFolder) -> None:
    """Remove what an attempt has left: nobody works here now, as who calls this has the lock.

    Raises:
        UserError: A run has begun in it meanwhile.
        OSError: Something cannot be removed.
    """
    for name in _found_in(folder):
        path = folder.root / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _next_free(parent: Path, stem: str) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        root = parent / f"{stem}-{number}"
        try:
            root.mkdir()
        except FileExistsError:
            number += 1
            continue
        (root / "logs").mkdir()
        return root
