"""Whoever dies at whatever moment: the run ends by itself, with the results of one that nothing disturbed."""

from __future__ import annotations

import os
import random
import sqlite3
from pathlib import Path

import pytest

from broker.errors import ParticipantDied
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.results.folder import make_run_folder
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

    observer = Observer(plan, folder, "simulate", lambda _: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulated_life, "_STEPS_IN_A_MOMENT", 1)  # so that somebody may die after any message
        run(plan, folder, observer, simulated, interrupted)
    summary = observer.finish()
    return next(moments), {name: getattr(summary, name) for name in FIGURES}


@pytest.fixture(autouse=True)
def power_stays(monkeypatch):
    """Nobody dies here who would take the system along, so nothing has to reach the disk."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@pytest.fixture
def folders(tmp_path):
    numbers = iter(range(10_000))
    return lambda: make_run_folder(tmp_path / str(next(numbers)), "tiny", 1)


def dying_at(*moments):
    """Kill somebody at each of these moments, counted through all lives."""

    def disturb(moment):
        if moment in moments:
            raise ParticipantDied("agent-0", "killed by the test", Path("log"))

    return disturb


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return play(make_run_folder(tmp_path_factory.mktemp("undisturbed") / "run", "tiny", 1), {"faults": LOSSY})


LONGER = {"faults": LOSSY, "episodes": 12, "recovery.restarts": 1000}


class DyingOnAndOn:
    """Somebody dies again and again, each time a drawn number of moments after the last death.

    Half of them come before the life has played the episodes between two checkpoints, so a run takes many of them and
    still comes to its end.
    """

    def __init__(self, seed, apart):
        self._draw = random.Random(seed)
        self._apart = apart
        self.deaths = []
        self._next = self._draw.randrange(apart)

    def __call__(self, moment):
        if moment == self._next:
            self.deaths.append(moment)
            self._next += 1 + self._draw.randrange(self._apart)
            raise ParticipantDied("agent-0", "killed by the test", Path("log"))


@pytest.fixture(scope="module")
def undisturbed_longer(tmp_path_factory):
    return play(make_run_folder(tmp_path_factory.mktemp("longer") / "run", "tiny", 1), LONGER)


@pytest.mark.long
@pytest.mark.parametrize("part", range(4))
def test_a_thousand_crashes_at_random_moments_change_no_result(folders, undisturbed_longer, part):
    """250 crashes a part, at moments drawn for each, in as many runs as they need."""
    moments, figures = undisturbed_longer
    assert figures["complete"]
    assert figures["shares_missing"] > 0
    between_checkpoints = moments * TINY["recovery.checkpoint_every"] // LONGER["episodes"]
    crashes, seed = 0, part * 250
    while crashes < 250:
        dying = DyingOnAndOn(seed, 2 * between_checkpoints)
        _, found = play(folders(), LONGER, dying)
        assert found == figures, f"deaths at {dying.deaths}"
        assert dying.deaths
        crashes, seed = crashes + len(dying.deaths), seed + 1


CALIBRATED = {
    "algorithm.name": "anticipation-sharing",
    "algorithm.anticipation_sharing.weights": "calibrated",
    "algorithm.anticipation_sharing.calibration.standard_errors": 0.0,
}


def test_what_was_measured_on_edges_is_as_it_was_after_a_crash(folders):
    moments, figures = play(folders(), CALIBRATED)
    assert play(folders(), CALIBRATED, dying_at(moments * 3 // 4))[1] == figures
    forgetful = {**CALIBRATED, "algorithm.anticipation_sharing.calibration.memory": 0.0}
    assert play(folders(), forgetful)[1] != figures  # so what is remembered matters


@pytest.mark.long
@pytest.mark.parametrize(
    "algorithm",
    [
        *("value-sharing", "reward-sharing", "value-parameter-sharing", "networked-actor-critic", "policy-sharing"),
        *("dna-marl", "calibrated"),
    ],
)
def test_every_algorithm_goes_on_as_if_nothing_had_been(folders, algorithm):
    settings = {"faults": LOSSY, "algorithm.name": algorithm}
    if algorithm == "calibrated":
        settings |= CALIBRATED
    elif algorithm not in {"value-sharing", "reward-sharing"}:
        settings["exchange.late_shares"] = "reuse"
    moments, figures = play(folders(), settings)
    for moment in range(5, moments, moments // 6):
        assert play(folders(), settings, dying_at(moment))[1] == figures, moment


def test_a_crash_goes_back_to_the_last_checkpoint_and_no_further(folders, undisturbed):
    moments, _ = undisturbed
    folder = folders()
    play(folder, {"faults": LOSSY}, dying_at(moments * 3 // 4))
    with sqlite3.connect(folder.store) as store:
        lives = store.execute("SELECT incarnation, after_episode FROM lives ORDER BY incarnation").fetchall()
    assert lives[0] == (0, -1)
    assert lives[1][0] == 1
    assert lives[1][1] in {1, 3}


@pytest.mark.parametrize("policy", ["fail", "restart"])
def test_who_dies_again_and_again_ends_the_run(folders, policy):
    settings = {"recovery.on_crash": policy, "recovery.restarts": 3}
    deaths = []

    def disturb(moment):
        if moment % 40 == 39:
            deaths.append(moment)
            raise ParticipantDied("agent-1", "signal SIGKILL", Path("log"))

    with pytest.raises(ParticipantDied, match=r"agent-1 died: signal SIGKILL"):
        play(folders(), settings | {"recovery.checkpoint_every": 100}, disturb)
    assert len(deaths) == (1 if policy == "fail" else 4)


def test_without_a_checkpoint_all_begin_anew(folders, undisturbed):
    moments, figures = undisturbed
    settings = {"faults": LOSSY, "recovery.checkpoint_every": 100}
    assert play(folders(), settings, dying_at(moments - 3))[1] == figures
