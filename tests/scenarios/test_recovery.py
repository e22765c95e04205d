"""Whoever dies at whatever moment: the run ends by itself, with the results of one that nothing disturbed."""

from __future__ import annotations

import random
import time

import pytest

from broker.errors import ParticipantDied
from scenarios.observer import Observer
from scenarios.plan import make_plan
from scenarios.run_folder import RunFolder, make_run_folder
from scenarios.scenario import load_scenario
from scenarios.simulate import simulate

TINY = {
    "episodes": 8,
    "parallel_episodes": 1,
    "environment.agents": 2,
    "environment.steps": 3,
    "learning.hidden": [4],
    "learning.rounds": 2,
    "recovery.checkpoint_every": 2,
    "recovery.restarts": 100,
}
LOSSY = [{"kind": "drop", "probability": 0.3}]
FIGURES = (
    *("curve_digest", "weights_digest", "ledger_digest", "rounds", "env_steps", "shares_sent", "shares_heard"),
    *("shares_missing", "shares_late", "rejected", "dropped", "lost", "faults_applied", "complete"),
)


def play(folder, settings, disturb=lambda _: None):
    """Simulate a tiny scenario; `disturb` is called with the number of each moment, and may kill somebody."""
    plan = make_plan(load_scenario("exchange-quick", TINY | settings))
    moments = iter(range(1_000_000))

    def interrupted():
        disturb(next(moments))
        return False

    observer = Observer(plan, folder, lambda _: None)
    simulate(plan, folder, observer, interrupted)
    summary = observer.finish("simulate")
    return next(moments), {name: getattr(summary, name) for name in FIGURES}


@pytest.fixture
def folders(tmp_path):
    numbers = iter(range(10_000))
    return lambda: make_run_folder(tmp_path / str(next(numbers)), "tiny", 1)


def kills(*moments):
    left = set(moments)

    def disturb(moment):
        if moment in left:
            left.remove(moment)
            raise ParticipantDied("agent-0", "killed by the test", RunFolder.logs)

    return disturb
