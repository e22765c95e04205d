"""A run as processes of this one, and what each of them has open and computes between two of its episodes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runs import until

from broker.wire.messages import ENVIRONMENT
from scenarios.bench.startup import descendants
from scenarios.document.plan import Plan
from scenarios.results.folder import RunFolder, make_run_folder
from scenarios.results.observer import Observer
from scenarios.running.control.run import run
from scenarios.running.scale import Role
from scenarios.running.ways import way_called

PROC = Path("/proc")
BROKERS = ("broker.servers.forwarder", "mosquitto")
ESTABLISHED = "01"
A_MOMENT_S = 0.005
"""Less than an episode takes."""


@dataclass(frozen=True)
class Look:
    """One process at one moment.

    Attributes:
        files: That it has open.
        connections: Of these, TCP connections.
        processor_s: That it has computed so far.
    """

    files: int
    connections: int
    processor_s: float


class WatchedRun(Observer):
    """Looks when `first` episodes are over, and again after `last`; then the run shall end.

    The first look waits until there are as many connections as are awaited: the environment is held up but for moments.
    """

    def __init__(self, plan: Plan, folder: RunFolder, first: int, last: int, connections: int = 0) -> None:
        self.looks: list[Mapping[str, Look]] = []
        self.records = 0
        self._at = [last, first]
        self._awaited = connections
        super().__init__(plan, folder, "run", lambda _: None)

    def take(self, records: list) -> None:
        self.records += len(records)
        super().take(records)

    def has_seen_enough(self) -> bool:
        if self._at and self.progress().episode >= self._at[-1]:
            self._at.pop()
            self.looks.append(look() if self.looks else self._look_when_connected())
        return not self._at

    def _look_when_connected(self) -> Mapping[str, Look]:
        children = multiprocessing.active_children()
        environment = next(child.pid for child in children if child.name == f"foretell.{ENVIRONMENT}")
        assert environment is not None

        def connected() -> bool:
            """It goes on for a moment, else it would take no call."""
            os.kill(environment, signal.SIGCONT)
            time.sleep(A_MOMENT_S)
            os.kill(environment, signal.SIGSTOP)
            return sum(each.connections for each in look().values()) >= self._awaited

        try:
            until(connected, "connections of all")
            return look()
        finally:
            os.kill(environment, signal.SIGCONT)


def watched_run(plan: Plan, root: Path, first: int, last: int, connections: int = 0) -> WatchedRun:
    folder = make_run_folder(root, plan.scenario.name, plan.scenario.seed)
    watch = WatchedRun(plan, folder, first, last, connections)
    try:
        run(plan, folder, watch, way_called("run"), watch.has_seen_enough)
    finally:
        watch.finish()
    return watch


def look() -> Mapping[str, Look]:
    """All processes of the run: `launcher`, `broker`, and the participants by name."""
    connected = established()
    names = {child.pid: child.name.removeprefix("foretell.") for child in multiprocessing.active_children()}
    names[os.getpid()] = Role.LAUNCHER
    for process in descendants(os.getpid()):
        with suppress(OSError):
            words = (PROC / str(process) / "cmdline").read_bytes().decode(errors="replace")
            if process not in names and any(broker in words for broker in BROKERS):
                names[process] = Role.BROKER
    seen = {}
    for process, name in names.items():
        with suppress(FileNotFoundError):  # one that has ended meanwhile is not of the run any more
            seen[name] = look_at(process, connected)
    return seen


def look_at(process: int, connected: set[str]) -> Look:
    places = []
    for place in (PROC / str(process) / "fd").iterdir():
        with suppress(OSError):
            places.append(str(place.readlink()))
    fields = (PROC / str(process) / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    processor_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return Look(len(places), sum(place in connected for place in places), processor_s)


def established() -> set[str]:
    """The sockets of TCP connections, as descriptors name them."""
    lines = (PROC / "net" / "tcp").read_text(encoding="utf-8").splitlines()[1:]
    return {f"socket:[{fields[9]}]" for fields in map(str.split, lines) if fields[3] == ESTABLISHED}
