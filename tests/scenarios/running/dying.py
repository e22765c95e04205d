"""Simulated runs in which somebody dies, after any message, and what must be as if nobody had."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from broker.errors import ParticipantDied
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.results.folder import RunFolder
from scenarios.results.observer import Observer
from scenarios.running.control.run import run
from scenarios.running.simulated import simulated_life
from scenarios.running.simulated.simulate import simulated

TINY = {
    "episodes": 4,
    "parallel_episodes": 1,
    "environment.agents": 2,
    "environment.steps": 2,
    "learning.hidden": [4],
    "learning.rounds": 1,
    "recovery.checkpoint_every": 2,
    "recovery.restarts": 100,
}
LOSSY = [{"kind": "drop", "probability": 0.3}]
LONGER = {"faults": LOSSY, "episodes": 12, "recovery.restarts": 1000}
FIGURES = (
    *("curve_digest", "weights_digest", "ledger_digest", "rounds", "env_steps", "shares_sent", "shares_heard"),
    *("shares_missing", "shares_late", "rejected", "dropped", "lost", "faults_applied", "complete"),
)
Figures = dict[str, Any]


def play(
    folder: RunFolder, settings: dict[str, Any], disturb: Callable[[int], None] = lambda _: None
) -> tuple[int, Figures]:
    """Simulate a tiny scenario; `disturb` is called with the number of each moment, and may kill somebody.

    Returns:
        How many moments there were, and the figures.
    """
    plan = make_plan(load_scenario("exchange-quick", TINY | settings))
    moments = iter(range(1_000_000))

    def interrupted() -> bool:
        disturb(next(moments))
        return False

    observer = Observer(plan, folder, "simulate", lambda _: None)
    with patch.object(simulated_life, "_STEPS_IN_A_MOMENT", 1):  # so that somebody may die after any message
        run(plan, folder, observer, simulated, interrupted)
    summary = observer.finish()
    return next(moments), {name: getattr(summary, name) for name in FIGURES}


def dying_at(*moments: int) -> Callable[[int], None]:
    """Kill somebody at each of these moments, counted through all lives."""

    def disturb(moment: int) -> None:
        if moment in moments:
            raise ParticipantDied("agent-0", "killed by the test", Path("log"))

    return disturb


class DyingOnAndOn:
    """Somebody dies again and again, each time a drawn number of moments after the last death.

    Half of them come before the life has played the episodes between two checkpoints, so a run takes many of them and
    still comes to its end.
    """

    def __init__(self, seed: int, apart: int) -> None:
        self._draw = random.Random(seed)
        self._apart = apart
        self.deaths: list[int] = []
        self._next = self._draw.randrange(apart)

    def __call__(self, moment: int) -> None:
        if moment == self._next:
            self.deaths.append(moment)
            self._next += 1 + self._draw.randrange(self._apart)
            raise ParticipantDied("agent-0", "killed by the test", Path("log"))


def crash(crashes: int, undisturbed: tuple[int, Figures], folders: Callable[[], RunFolder]) -> Iterator[int]:
    """Let so many crashes come, in as many runs as they need; for each run, how many it had.

    Raises:
        AssertionError: A run had none, or ended with other figures than the undisturbed one.
    """
    moments, figures = undisturbed
    between_checkpoints = moments * TINY["recovery.checkpoint_every"] // LONGER["episodes"]
    seed = 0
    while crashes > 0:
        dying = DyingOnAndOn(seed, 2 * between_checkpoints)
        _, found = play(folders(), LONGER, dying)
        assert found == figures, f"deaths at {dying.deaths}"
        assert dying.deaths
        crashes, seed = crashes - len(dying.deaths), seed + 1
        yield len(dying.deaths)
