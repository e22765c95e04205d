"""`foretell bench growth`: what an agent costs in a simulation, as there are more and more of them.

Agents whose observations, neighbors and payoffs do not depend on how many there are (see `pack`) are simulated, each
number of them in a process of its own, for its memory. The processes take turns, a block of episodes each, so that what
else the machine does meets all of them; a block has as many rounds of agents whoever plays it.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from scenarios.bench.pack import FEWEST
from scenarios.bench.startup import Startup, measure_startup
from scenarios.document.loading import parse_scenario
from scenarios.document.planning import make_plan
from scenarios.document.scenario import Scenario
from scenarios.results.folder import make_run_folder
from scenarios.results.observer import Observer, Progress, ShowProgress
from scenarios.results.temporary import temporary_folder
from scenarios.running.control.run import run
from scenarios.running.ways import way_called

_SCENARIO = """
name = "growth"
seed = 1
episodes = 1
environment = { kind = "pettingzoo", env = "scenarios.bench.pack", observation = "own", steps = 30 }
topology = { kind = "small-world", neighbors = 4, rewire_probability = 0.0 }
learning = { hidden = [32], rounds = 3 }
"""
_ROUNDS = 3
_FOR_EVER = 1_000_000
_MEMORY = Path("/proc/self/statm")


@dataclass(frozen=True)
class Growth:
    """What so many agents cost.

    Attributes:
        agents: How many.
        begun_ms: Processor time until all have begun, per agent, in milliseconds.
        round_ms: Processor time per agent and round, everything else of an episode included: median over the blocks.
        ratio: The same to the fewest agents of the same blocks: median over the blocks.
        memory_bytes: Resident memory that an agent adds, when all have learned.
    """

    agents: int
    begun_ms: float
    round_ms: float
    ratio: float
    memory_bytes: float


@dataclass(frozen=True)
class _Block:
    """What a process says of a block: processor time of an agent and round, and resident bytes of an agent."""

    ms: float
    memory_bytes: float


def measure_growth(sizes: Sequence[int], blocks: int, block_episodes: int) -> list[Growth]:
    """Simulate each number of agents.

    Args:
        sizes: Numbers of agents, each at least 5, the fewest first.
        blocks: That count; one more goes before them and does not.
        block_episodes: Episodes of a block with the most agents; with fewer there are as many more.
    """
    with temporary_folder() as folder, _taking_turns(sizes, block_episodes, folder) as turns:
        begun, *found = ([_take_turn(turn) for turn in turns] for _ in range(blocks + 2))
    counted = found[1:]
    return [
        Growth(
            agents,
            begun_ms=begun[number].ms,
            round_ms=statistics.median(block[number].ms for block in counted),
            ratio=statistics.median(block[number].ms / block[0].ms for block in counted),
            memory_bytes=counted[-1][number].memory_bytes,
        )
        for number, agents in enumerate(sizes)
    ]


def measure_joining(agents: int) -> Startup:
    """Start so many agents as processes, in a launcher of their own, and see how long they take and what they hold."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_join, args=(theirs, agents))
    process.start()
    theirs.close()
    try:
        found: Startup = ours.recv()
    finally:
        process.join()
    return found


def grown(agents: int, episodes: int) -> Scenario:
    """The scenario that is measured.

    Args:
        agents: At least 5.
        episodes: At least 1.
    """
    return parse_scenario(_SCENARIO, {"episodes": episodes, "environment.options": {"agents": agents}})


@contextmanager
def _taking_turns(sizes: Sequence[int], block_episodes: int, folder: Path) -> Iterator[list[Connection]]:
    """A process for each number of agents, that plays a block whenever it is told to."""
    context = multiprocessing.get_context("spawn")
    turns, processes = [], []
    try:
        for agents in sizes:
            ours, theirs = context.Pipe()
            arguments = (theirs, agents, block_episodes * max(sizes) // agents, folder / str(agents))
            processes.append(context.Process(target=_simulate, args=arguments, daemon=True))
            processes[-1].start()
            theirs.close()
            turns.append(ours)
        yield turns
    finally:
        for process in processes:
            process.kill()
            process.join()


def _take_turn(turn: Connection) -> _Block:
    """Let a process play its next block; what it says of it."""
    turn.send(None)
    found: _Block = turn.recv()
    return found


def _simulate(turn: Connection, agents: int, episodes: int, folder: Path) -> None:
    """Be the process of so many agents, until it is killed."""
    _run(grown(FEWEST, 2), folder / "before", lambda _: None)  # whatever is made once in a process
    turn.recv()
    _run(grown(agents, _FOR_EVER), folder / "run", _Player(turn, agents, episodes))


def _join(turn: Connection, agents: int) -> None:
    turn.send(measure_startup(make_plan(grown(agents, _FOR_EVER))))


def _run(scenario: Scenario, folder: Path, show: ShowProgress) -> None:
    plan = make_plan(scenario)
    place = make_run_folder(folder, scenario.name, scenario.seed)
    observer = Observer(plan, place, "simulate", show)
    try:
        run(plan, place, observer, way_called("simulate"), lambda: False)
    finally:
        observer.finish()


class _Player:
    """Takes the progress of a simulation; says what a block took when it is over, and waits for its next turn.

    The first block ends where agents begin to join.
    """

    def __init__(self, turn: Connection, agents: int, episodes: int) -> None:
        self._turn = turn
        self._agents, self._episodes = agents, episodes
        self._ends_at = 0
        self._rounds = 1
        self._memory_bytes = _resident_bytes()
        self._began_at = time.process_time()

    def __call__(self, progress: Progress) -> None:
        """Called in the middle of the simulation, whenever it has recorded something."""
        if progress.episode < self._ends_at:
            return
        spent_ms = 1e3 * (time.process_time() - self._began_at)
        grown_bytes = _resident_bytes() - self._memory_bytes
        self._turn.send(_Block(spent_ms / self._rounds / self._agents, grown_bytes / self._agents))
        self._turn.recv()
        self._ends_at += self._episodes
        self._rounds = self._episodes * _ROUNDS
        self._began_at = time.process_time()


def _resident_bytes() -> int:
    return int(_MEMORY.read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE")
