"""`foretell bench overhead`: where the processor time of `foretell simulate` goes.

Nothing is sampled: the functions that make up a part carry timers while the ordinary `simulate` runs, and what the
timers cost is measured and taken off. Times are processor time, so other programs on the machine count little. A
second measurement runs our loop and a bare script of the same mathematics in turn.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

from agent_node.learning.learner import Learner
from broker.wire.codec import Codec
from env_service.environments import make_task
from scenarios.bench.bare import BareTrial
from scenarios.document.plan import Plan
from scenarios.document.planning import make_plan
from scenarios.document.scenario import Scenario
from scenarios.results.folder import make_run_folder
from scenarios.results.observer import Observer, Progress, ShowProgress
from scenarios.results.store import Store
from scenarios.results.temporary import temporary_folder
from scenarios.running.control.run import run
from scenarios.running.simulated.simulate import simulated

_USEFUL = ("environment", "mathematics: acting", "mathematics: learning")
_CLOSING, _BACKGROUND, _REST = "store: last batch", "background threads", "protocol and delivery"
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
        total_ms: The whole loop and the store's last batch, per episode, without the timers.
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
    _simulate(make_plan(scenario.model_copy(update={"episodes": _WARM_UP_EPISODES})), lambda _: None)
    plan = make_plan(scenario)
    parts, loop, whole = _Meter(time.thread_time), _Meter(time.thread_time), _Meter(time.process_time)
    with ExitStack() as watching:
        for part, owner, names in _functions(plan):
            watching.enter_context(parts.watching(part, owner, names))
        _simulate(plan, show, whole.timed("", loop.timed("", run)))
    return _account(parts, loop.spent_s[""], whole.spent_s[""], scenario.episodes)


def measure_pace(scenario: Scenario, blocks: int, episodes: int) -> Pace:
    """Run our loop and the bare script in turn, both from fresh networks.

    Args:
        scenario: Exchange, anticipation sharing, complete graph; its number of episodes is not looked at.
        blocks: Pairs of blocks that count; one more goes before them and does not.
        episodes: Training episodes of a block.
    """
    turns = _Turns(BareTrial(scenario), episodes)
    _simulate(make_plan(scenario.model_copy(update={"episodes": (blocks + 1) * episodes})), turns)
    pairs = turns.pairs_ms[1:]
    return Pace(
        scenario.parallel_episodes,
        ours_ms=statistics.median(ours for ours, _ in pairs),
        bare_ms=statistics.median(bare for _, bare in pairs),
        ratio=statistics.median(ours / bare for ours, bare in pairs),
    )


class _Meter:
    """Time spent in functions, by part. The functions of one meter must not call each other.

    Attributes:
        spent_s: By part, on the meter's clock.
        calls: By part.

    Args:
        clock: In seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.spent_s: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self._clock = clock

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, with its time counted as that of `part`."""
        clock, spent_s, calls = self._clock, self.spent_s, self.calls

        @wraps(function)
        def timed(*arguments: object) -> object:
            began_at = clock()
            try:
                return function(*arguments)
            finally:
                spent_s[part] += clock() - began_at  # type: ignore[assignment]
                calls[part] += 1

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


def _functions(plan: Plan) -> list[tuple[str, type, tuple[str, ...]]]:
    """What is timed: part, class and methods."""
    environment, acting, learning = _USEFUL
    task = make_task(plan.scenario.environment, 1)
    task.close()
    return [
        (environment, type(task), ("reset", "step", "observations", "positions")),
        (acting, Learner, ("begin_episode", "act", "see")),
        (learning, Learner, ("end_episode", "open_round", "close_round", "weights_digest")),
        ("codec: encode", Codec, ("encode",)),
        ("codec: decode", Codec, ("decode",)),
        ("checks of shares", Learner, ("check",)),
        ("store: observer", Observer, ("take",)),
        (_CLOSING, Store, ("close",)),
    ]


def _simulate(plan: Plan, show: ShowProgress, lead: Callable[..., Any] = run) -> None:
    """Let `lead`, in place of `run`, run `plan` as `foretell simulate` does, in a folder that is removed."""
    with temporary_folder() as root:
        folder = make_run_folder(Path(root), plan.scenario.name, plan.scenario.seed)
        observer = Observer(plan, folder, "simulate", show)
        try:
            lead(plan, folder, observer, simulated, lambda: False)
        finally:
            observer.finish()


def _account(parts: _Meter, loop_s: float, whole_s: float, episodes: int) -> Profile:
    """Take off the timers and find the rest.

    Args:
        parts: What was timed.
        loop_s: The whole loop on the clock of its thread.
        whole_s: The same on the clock of the process, so with all threads.
        episodes: Over which it is spread.
    """
    inside_s, around_s = _timer_s()
    spent_s = {part: max(0.0, spent - parts.calls[part] * inside_s) for part, spent in parts.spent_s.items()}
    timers_s = (inside_s + around_s) * (parts.calls.total() - parts.calls[_CLOSING])
    total_s = whole_s - timers_s + spent_s[_CLOSING]
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
    meter = _Meter(time.thread_time)
    timed = meter.timed("", _nothing)
    began_at = time.thread_time()
    for _ in range(_CALIBRATION_CALLS):
        timed()
    timed_s = time.thread_time() - began_at
    inside_s = meter.spent_s[""] / _CALIBRATION_CALLS
    return inside_s, timed_s / _CALIBRATION_CALLS - inside_s


def _nothing() -> None: ...
