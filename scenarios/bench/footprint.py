"""`foretell bench footprint`: what a node takes on a board, one that learns and one that only acts.

A team learns, and then acts with what it has learned, as `foretell run --on here` and `foretell evaluate --on here` let
it: the agents on a host of their own, the environment on another, a forwarder between them. Memory is read from `/proc`
when all have played two episodes, processor time when all have joined.
"""

from __future__ import annotations

import os
import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from broker.errors import ForetellError, UserError
from broker.free_ports import on_a_free_port
from broker.wire.messages import ENVIRONMENT
from broker.wire.records import JoinedRecord, Record
from scenarios.bench.startup import descendants
from scenarios.document.loading import load_scenario
from scenarios.document.plan import Plan
from scenarios.document.planning import make_plan
from scenarios.play.evaluate import EvaluationWish, scenario_of
from scenarios.results.folder import RunFolder, make_run_folder
from scenarios.results.observer import Observer
from scenarios.results.temporary import temporary_folder
from scenarios.running.control.run import run
from scenarios.running.fleet import Fleet, HostConfig, Place
from scenarios.running.housing import housing
from scenarios.running.ways import way_over

HOST, FORK_SERVER, TRACKER, AGENT, ACTING = "host", "fork server", "resource tracker", "agent", "agent that only acts"
LAUNCHER, FORWARDER = "launcher", "forwarder"
_BOARD = "board"
_SCENARIO = "exchange-quick"
_PORT = "transport.zeromq.base_port"
_EPISODES, _FOR_EVER = 2, 1_000_000
_PROC = Path("/proc")
_MODULES = {"agent_node.acting": ACTING, "broker.servers.forwarder": FORWARDER}
_OF_A_HOST = {"resource_tracker": TRACKER, "forkserver": FORK_SERVER}
_LINE = re.compile(r"^(\w+): +(\d+) kB$", re.MULTILINE)
_NAME = re.compile(r"^[\w.-]+")
_HERE, _ROOMS = Path(__file__).parents[2], ("agent_node", "broker", "env_service", "scenarios")


@dataclass(frozen=True)
class Footprint:
    """What one process takes; of several of one kind, medians.

    Attributes:
        rss_bytes: All that it has in memory, shared or not.
        pss_bytes: What it has for itself, and its part of what it shares.
        private_bytes: What it has for itself.
        start_s: Seconds of processor time until all had joined.
    """

    rss_bytes: float
    pss_bytes: float
    private_bytes: float
    start_s: float


Team = Mapping[str, Footprint]
"""By what a process is: `launcher`, `forwarder`, `environment`, and on the agents' host `host`, `agent` and so on."""


def measure_footprint() -> tuple[Team, Team]:
    """What the processes of a team take while it learns, and while it only acts.

    Raises:
        UserError: There is no `/proc` here.
        ForetellError: Somebody died, or the run was over too soon.
    """
    if not (_PROC / "self" / "smaps_rollup").exists():
        raise UserError("bench footprint reads memory from /proc/PID/smaps_rollup, which this system does not have")
    with temporary_folder() as root:
        learning, trained = on_a_free_port(lambda port: _look_learning(root, port))
        return learning, on_a_free_port(lambda port: _look_acting(root, port, trained))


def _look_learning(root: Path, port: int) -> tuple[Team, RunFolder]:
    """A team that learns, and its folder."""
    settings = {"episodes": _FOR_EVER, "transport.zeromq.mode": "forwarder", _PORT: port}
    folder = make_run_folder(root / f"learning-{port}", _SCENARIO, 1)
    return _look(make_plan(load_scenario(_SCENARIO, settings)), folder, root), folder


def _look_acting(root: Path, port: int, trained: RunFolder) -> Team:
    """The team that acts with what another has learned."""
    plan = make_plan(scenario_of(EvaluationWish(trained.root, _FOR_EVER, settings={_PORT: port})))
    return _look(plan, make_run_folder(root / f"acting-{port}", _SCENARIO, 1), root, act=str(trained.policy))


def node_bytes() -> int:
    """The size on disk of Foretell and of all that it requires without an extra, as it is installed here."""
    waiting, found, size = ["foretell"], set[str](), 0
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        found.add(name)
        try:
            of = distribution(name)
        except PackageNotFoundError:  # another machine or Python needs it
            continue
        if name != "foretell":
            size += _size(Path(str(file.locate())) for file in of.files or ())
        waiting += [words[0] for each in of.requires or () if "extra ==" not in each and (words := _NAME.findall(each))]
    return size + sum(_size((_HERE / room).rglob("*")) for room in _ROOMS)


def _size(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths if path.is_file())


def _look(plan: Plan, folder: RunFolder, root: Path, act: str = "") -> Team:
    """Start a team on its hosts, look at it, and end it."""
    agents = HostConfig(dial="127.0.0.1", participants=("agent-*",), folder=str(root / "there"), act=act)
    other = HostConfig(dial="127.0.0.1", participants=(ENVIRONMENT,), folder=str(root / "there"))
    fleet = Fleet(launcher=Place(dial="127.0.0.1"), hosts={_BOARD: agents, "laptop": other})
    watch = _Watch(plan, folder)
    try:
        run(plan, folder, watch, way_over(housing("here", fleet, plan.participants)), watch.has_seen_enough)
    finally:
        watch.finish()
    return watch.result()


class _Watch(Observer):
    """An observer that looks at all processes when all have joined, and again when all have played two episodes."""

    def __init__(self, plan: Plan, folder: RunFolder) -> None:
        self._waiting = set(plan.participants)
        self._started: dict[int, float] = {}
        self._team: Team = {}
        super().__init__(plan, folder, "run", lambda _: None)

    def take(self, records: list[Record]) -> None:
        """Take records in."""
        self._waiting -= {record.participant for record in records if type(record) is JoinedRecord}
        if not self._waiting and not self._started:
            self._started = {process: _processor_s(process) for process in (os.getpid(), *descendants(os.getpid()))}
        super().take(records)

    def has_seen_enough(self) -> bool:
        """Look if it is time to; asked by the launcher whenever it has taken records."""
        if self._started and not self._team and self.progress().episode >= _EPISODES:
            self._team = _team(self._started)
        return bool(self._team)

    def result(self) -> Team:
        """What was seen.

        Raises:
            ForetellError: The run ended before.
        """
        if not self._team:
            raise ForetellError("the run was over before its memory could be read")
        return self._team


def _team(started: Mapping[int, float]) -> Team:
    """All processes of this one, by what they are."""
    seen: defaultdict[str, list[Footprint]] = defaultdict(list)
    for process, start_s in started.items():
        role = LAUNCHER if process == os.getpid() else _role(process)
        if role:
            seen[role].append(Footprint(*_memory(process), start_s))
    return {role: _median(each) for role, each in seen.items()}


def _role(process: int) -> str:
    """What a process is, as its command line and its log show; empty for the host of the environment."""
    place = _PROC / str(process)
    words = (place / "cmdline").read_bytes().decode(errors="replace")
    if named := next((role for module, role in _MODULES.items() if f"\0{module}\0" in words), ""):
        return named
    log = (place / "fd" / "1").readlink().stem
    if log == f"host-{_BOARD}":
        return next((role for mark, role in _OF_A_HOST.items() if mark in words), HOST)
    if log.startswith("agent-"):
        return AGENT
    return log if log == ENVIRONMENT else ""


def _memory(process: int) -> tuple[int, int, int]:
    """RSS, PSS and what is private, in bytes."""
    text = (_PROC / str(process) / "smaps_rollup").read_text(encoding="utf-8")
    found = {name: 1024 * int(kilobytes) for name, kilobytes in _LINE.findall(text)}
    return found["Rss"], found["Pss"], found["Private_Clean"] + found["Private_Dirty"]


def _processor_s(process: int) -> float:
    fields = (_PROC / str(process) / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _median(found: Sequence[Footprint]) -> Footprint:
    return Footprint(*(statistics.median(column) for column in zip(*map(astuple, found), strict=True)))
