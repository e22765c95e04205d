"""`foretell bench overhead` and `episode`: where the processor time of `foretell simulate` goes.

Nothing is sampled: the functions that make up a part carry timers while the ordinary `simulate` runs, and what the
timers cost is measured and taken off. Where one calls another, the time of the inner one counts as its own alone.
Times are processor time, so other programs on the machine count little; how a run begins and ends does not count. A
second measurement runs our loop and a bare script of the same mathematics in turn.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent_node.learning.learner import Learner
from agent_node.learning.shares import ShareFormat
from agent_node.registry import load_algorithm
from broker.participants.life import ParticipantLife
from broker.wire.codec import Codec
from env_service.environments import make_task
from scenarios.document.plan import Plan
from scenarios.document.planning import make_plan
from scenarios.document.scenario import Scenario
from scenarios.results.folder import make_run_folder
from scenarios.results.observer import Observer, Progress, ShowProgress
from scenarios.results.temporary import temporary_folder
from scenarios.running.control.run import run
from scenarios.running.simulated.simulate import simulated

if TYPE_CHECKING:  # it imports torch
    from scenarios.bench.bare import BareTrial

_USEFUL = ("environment", "mathematics: acting", "mathematics: learning", "mathematics: making shares")
_BACKGROUND, _REST = "background threads", "protocol and delivery"
_WARM_UP_EPISODES = 2
_CALIBRATION_CALLS = 20_000


@dataclass(frozen=True)
class Part:
    """One part of the loop.

    Attributes:
        name: What it is.
        ms: Processor time per episode in milliseconds.
        calls: Timed calls per episode; None where the time was found by subtraction.
        overhead: Whether it is neither environment nor mathematics.
    """

    name: str
    ms: float
    calls: float | None
    overhead: bool


@dataclass(frozen=True)
class Profile:
    """Where the processor time of the loop went.

    Attributes:
        parts: All of them.
        total_ms: The whole loop per episode, without the timers.
        timers_ms: What the timers cost per episode; taken off already.
    """

    parts: tuple[Part, ...]
    total_ms: float
    timers_ms: float

    @property
    def overhead(self) -> float:
        """Share of the loop that is neither environment nor mathematics."""
        return sum(part.ms for part in self.parts if part.overhead) / self.total_ms


@dataclass(frozen=True)
class Pace:
    """Our loop beside the bare script at one number of parallel copies.

    Attributes:
        copies: E.
        ours_ms: Processor time per episode of `simulate`, median over blocks.
        bare_ms: Of the bare script, median over blocks.
        ratio: Ours over bare, median over the pairs of blocks.
    """

    copies: int
    ours_ms: float
    bare_ms: float
    ratio: float


def measure_profile(scenario: Scenario, show: ShowProgress) -> Profile:
    """Simulate `scenario` and see where the time goes; the picture drawn at the end is not part of the loop.

    Args:
        scenario: Of any kind.
        show: Takes the progress, as in `foretell simulate`; what it costs counts as the store's.
    """
    last = _WARM_UP_EPISODES + scenario.episodes
    plan = make_plan(scenario.model_copy(update={"episodes": last + 1}))
    parts, loop = Meter(time.thread_time), _Between(_WARM_UP_EPISODES, last)

    def shown(progress: Progress) -> None:
        parts.counts = loop.at(progress)
        show(progress)

    with ExitStack() as watching:
        for part, owner, names in _functions(plan):
            watching.enter_context(parts.watching(part, owner, names))
        _simulate(plan, shown)
    return _account(parts, loop.thread_s, loop.process_s, scenario.episodes)


def measure_pace(scenario: Scenario, blocks: int, episodes: int) -> Pace:
    """Run our loop and the bare script in turn, both from fresh networks.

    Args:
        scenario: Exchange, anticipation sharing, complete graph; its number of episodes is not looked at.
        blocks: Pairs of blocks that count; one more goes before them and does not.
        episodes: Training episodes of a block.
    """
    from scenarios.bench.bare import BareTrial  # noqa: PLC0415

    turns = _Turns(BareTrial(scenario), episodes)
    _simulate(make_plan(scenario.model_copy(update={"episodes": (blocks + 1) * episodes})), turns)
    pairs = turns.pairs_ms[1:]
    return Pace(
        scenario.parallel_episodes,
        ours_ms=statistics.median(ours for ours, _ in pairs),
        bare_ms=statistics.median(bare for _, bare in pairs),
        ratio=statistics.median(ours / bare for ours, bare in pairs),
    )


class Meter:
    """Time spent in functions, by part, without that of other timed functions called from there.

    Attributes:
        spent_s: By part, on the meter's clock.
        calls: By part.
        inner_calls: Of timed functions, by the part that they were called from.
        counts: Whether what ends now is counted.

    Args:
        clock: In seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.spent_s: defaultdict[str, float] = defaultdict(float)
        self.calls: Counter[str] = Counter()
        self.inner_calls: Counter[str] = Counter()
        self.counts = True
        self._clock = clock
        self._under_way: list[tuple[str, list[float]]] = []

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, with its time counted as that of `part`."""
        clock, spent_s, calls, under_way = self._clock, self.spent_s, self.calls, self._under_way

        @wraps(function)
        def timed(*arguments: object, **named: object) -> object:
            inner_s: list[float] = []
            under_way.append((part, inner_s))
            began_at = clock()
            try:
                return function(*arguments, **named)
            finally:
                whole_s = clock() - began_at
                under_way.pop()
                if self.counts:
                    spent_s[part] += whole_s - sum(inner_s)
                    calls[part] += 1
                if under_way:
                    outer, within_s = under_way[-1]
                    within_s.append(whole_s)
                    self.inner_calls[outer] += self.counts

        return timed

    @contextmanager
    def watching(self, part: str, owner: type, names: tuple[str, ...]) -> Iterator[None]:
        """Time methods of the class `owner` until the end of the context."""
        originals = {name: getattr(owner, name) for name in names}
        for name, function in originals.items():
            setattr(owner, name, self.timed(part, function))
        try:
            yield
        finally:
            for name, function in originals.items():
                setattr(owner, name, function)


class _Turns:
    """Takes our loop's progress; after each of its blocks it runs one of the bare script.

    Attributes:
        pairs_ms: Processor time per episode, ours and bare.

    Args:
        bare: The bare script.
        episodes: Of a block.
    """

    def __init__(self, bare: BareTrial, episodes: int) -> None:
        self.pairs_ms: list[tuple[float, float]] = []
        self._bare = bare
        self._episodes = episodes
        self._began_at = time.process_time()

    def __call__(self, progress: Progress) -> None:
        """Called in the middle of our loop, whenever it has recorded something."""
        if progress.episode < (len(self.pairs_ms) + 1) * self._episodes:
            return
        ours_ended_at = time.process_time()
        for _ in range(self._episodes):
            self._bare.run_episode()
        now = time.process_time()
        per_episode_ms = 1e3 / self._episodes
        ours_s, bare_s = ours_ended_at - self._began_at, now - ours_ended_at
        self.pairs_ms.append((ours_s * per_episode_ms, bare_s * per_episode_ms))
        self._began_at = now


class _Between:
    """The part of a loop between the ends of two episodes: how a run begins and ends is none of it.

    Attributes:
        thread_s: What it took on the clock of its thread.
        process_s: The same on the clock of the process, so with all threads.

    Args:
        first: Episodes that are over when it begins.
        last: And when it ends.
    """

    def __init__(self, first: int, last: int) -> None:
        self.thread_s = self.process_s = 0.0
        self._to_come = [first, last]

    def at(self, progress: Progress) -> bool:
        """Whether it is under way, now that so many episodes are over."""
        while self._to_come and progress.episode >= self._to_come[0]:
            del self._to_come[0]
            self.thread_s, self.process_s = time.thread_time() - self.thread_s, time.process_time() - self.process_s
        return len(self._to_come) == 1


def _functions(plan: Plan) -> list[tuple[str, type, tuple[str, ...]]]:
    """What is timed: part, class and methods."""
    environment, acting, learning, sharing = _USEFUL
    algorithm = load_algorithm(plan.scenario.algorithm.name)
    task = make_task(plan.scenario.environment, 1, plan.scenario.stream_seed)
    task.close()
    return [
        (environment, type(task), ("reset", "step", "observations", "positions")),
        (acting, Learner, ("begin_episode", "act", "see")),
        (learning, Learner, ("end_episode", "open_round", "close_round", "weights_digest")),
        (sharing, ShareFormat, ("complete",)),
        (sharing, algorithm, ("share",)),
        ("codec: encode", Codec, ("encode",)),
        ("codec: decode", Codec, ("decode",)),
        ("checks of shares", Learner, ("check",)),
        ("checkpoints", ParticipantLife, ("keep",)),
        ("store: observer", Observer, ("take",)),
    ]


def _simulate(plan: Plan, show: ShowProgress) -> None:
    """Run `plan` as `foretell simulate` does, in a folder that is removed."""
    with temporary_folder() as root:
        folder = make_run_folder(Path(root), plan.scenario.name, plan.scenario.seed)
        observer = Observer(plan, folder, "simulate", show)
        try:
            run(plan, folder, observer, simulated, lambda: False)
        finally:
            observer.finish()


def _account(parts: Meter, loop_s: float, whole_s: float, episodes: int) -> Profile:
    """Take off the timers and find the rest.

    Args:
        parts: What was timed.
        loop_s: The loop on the clock of its thread.
        whole_s: The same on the clock of the process, so with all threads.
        episodes: Over which it is spread.
    """
    inside_s, around_s = _timer_s()
    spent_s = {
        part: max(0.0, spent - parts.calls[part] * inside_s - parts.inner_calls[part] * around_s)
        for part, spent in parts.spent_s.items()
    }
    timers_s = (inside_s + around_s) * parts.calls.total()
    total_s = whole_s - timers_s
    spent_s[_BACKGROUND] = max(0.0, whole_s - loop_s)
    spent_s[_REST] = max(0.0, total_s - sum(spent_s.values()))
    per_episode_ms = 1e3 / episodes
    accounted = tuple(
        Part(
            name,
            spent * per_episode_ms,
            parts.calls[name] / episodes if name in parts.calls else None,
            name not in _USEFUL,
        )
        for name, spent in sorted(spent_s.items(), key=lambda item: (item[0] not in _USEFUL, -item[1]))
    )
    return Profile(accounted, total_s * per_episode_ms, timers_s * per_episode_ms)


def _timer_s() -> tuple[float, float]:
    """What a timer adds to the time of what it times, and what it costs around that, in seconds a call."""
    meter = Meter(time.thread_time)
    timed = meter.timed("", _nothing)
    began_at = time.thread_time()
    for _ in range(_CALIBRATION_CALLS):
        timed()
    timed_s = time.thread_time() - began_at
    inside_s = meter.spent_s[""] / _CALIBRATION_CALLS
    return inside_s, timed_s / _CALIBRATION_CALLS - inside_s


def _nothing() -> None: ...
