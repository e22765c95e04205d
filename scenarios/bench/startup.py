"""`foretell bench startup`: how long all participants take to be there, and how much memory they hold.

The processes are started by the very loop of `foretell run`. Memory is PSS: what a process has for itself, and its
part of each page that it shares. Read from `/proc`, so on Linux alone.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from broker.errors import ForetellError, UserError
from broker.wire.records import JoinedRecord, Record
from scenarios.document.plan import Plan
from scenarios.results.folder import RunFolder, make_run_folder
from scenarios.results.observer import Observer
from scenarios.results.temporary import temporary_folder
from scenarios.running.control.run import run
from scenarios.running.processes.fork_server_start import start_fork_server
from scenarios.running.ways import way_called

_PROC = Path("/proc")
_EPISODES = 2
_HELPERS = {"forkserver": "fork server", "resource_tracker": "resource tracker"}

Memory = dict[str, int]
"""PSS in bytes by process: `launcher`, `fork server`, `resource tracker`, `environment` and the agents."""


@dataclass(frozen=True)
class Startup:
    """What a start cost.

    Attributes:
        joined_s: Seconds from before the fork server is started until all peers of every participant have answered its
            HELLO and the observer knows.
        joined: Memory then.
        learned: Memory when everybody has learned from two episodes.
    """

    joined_s: float
    joined: Memory
    learned: Memory


def measure_startup(plan: Plan) -> Startup:
    """Start all participants of `plan`, look, and end them.

    Args:
        plan: What starts; it should not end by itself within two episodes.

    Raises:
        UserError: There is no `/proc` here.
        ForetellError: Somebody died, or the run was over too soon.
    """
    if not (_PROC / "self" / "smaps_rollup").exists():
        raise UserError("bench startup reads memory from /proc/PID/smaps_rollup, which this system does not have")
    with temporary_folder() as root:
        folder = make_run_folder(Path(root), plan.scenario.name, plan.scenario.seed)
        watch = _Watch(plan, folder)
        try:
            with _on_interrupt(watch.stop):
                start_fork_server()
                run(plan, folder, watch, way_called("run"), watch.has_seen_enough)
        finally:
            watch.finish()
        return watch.result()


@contextmanager
def _on_interrupt(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C calls `stop`, so that no process is left half started."""
    before = signal.signal(signal.SIGINT, lambda _signal, _frame: stop())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class _Watch(Observer):
    """An observer that notes when all have joined, and asks for the end once it has looked at everybody's memory."""

    def __init__(self, plan: Plan, folder: RunFolder) -> None:
        self._waiting = set(plan.participants)
        self._joined_s: float | None = None
        self._looks: list[Memory] = []
        self._stopped = False
        self._start_at = time.monotonic()
        super().__init__(plan, folder, "run", lambda _: None)

    def take(self, records: list[Record]) -> None:
        """Take records in."""
        self._waiting -= {record.participant for record in records if type(record) is JoinedRecord}
        if not self._waiting and self._joined_s is None:
            self._joined_s = time.monotonic() - self._start_at
        super().take(records)

    def stop(self) -> None:
        """Ask for the end at once."""
        self._stopped = True

    def has_seen_enough(self) -> bool:
        """Look if it is time to; asked by the launcher whenever it has taken records."""
        if self._stopped:
            return True
        joined, learned = self._joined_s is not None, self.progress().episode >= _EPISODES
        if (joined and not self._looks) or (learned and len(self._looks) == 1):
            self._looks.append(_memory())
        return len(self._looks) == 2

    def result(self) -> Startup:
        """What was seen.

        Raises:
            KeyboardInterrupt: Somebody asked for the end.
            ForetellError: The run ended before both looks.
        """
        if self._stopped:
            raise KeyboardInterrupt
        if self._joined_s is None or len(self._looks) < 2:
            raise ForetellError("the run was over before its memory could be read")
        return Startup(self._joined_s, *self._looks)


def _memory() -> Memory:
    """PSS of this process and all it started, directly or not."""
    names = {child.pid: child.name.removeprefix("foretell.") for child in multiprocessing.active_children()}
    memory = {"launcher": _pss_bytes(os.getpid())}
    for process in descendants(os.getpid()):
        name = names.get(process) or _helper(process)
        memory[name] = memory.get(name, 0) + _pss_bytes(process)
    return memory


def descendants(ancestor: int) -> list[int]:
    """Ids of the processes that one has started, directly or not."""
    parents = {int(entry.name): _parent(entry) for entry in _PROC.iterdir() if entry.name.isdigit()}
    found, generation = [], [ancestor]
    while generation:
        generation = [process for process, parent in parents.items() if parent in generation]
        found += generation
    return found


def _parent(entry: Path) -> int:
    try:
        stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:  # it has just ended
        return 0
    return int(stat.rpartition(")")[2].split()[1])


def _helper(process: int) -> str:
    """What a process that is no participant is for."""
    command = (_PROC / str(process) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return next((name for mark, name in _HELPERS.items() if mark in command), "other")


def _pss_bytes(process: int) -> int:
    for line in (_PROC / str(process) / "smaps_rollup").read_text(encoding="utf-8").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0
