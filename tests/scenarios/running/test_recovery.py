"""Whoever dies at whatever moment: the run ends by itself, with the results of one that nothing disturbed."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest
from running.dying import LONGER, LOSSY, crash, dying_at, play

from broker.errors import ParticipantDied
from scenarios.results.folder import make_run_folder


@pytest.fixture(autouse=True)
def power_stays(monkeypatch):
    """Nobody dies here who would take the system along, so nothing has to reach the disk."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@pytest.fixture
def folders(tmp_path):
    numbers = iter(range(10_000))
    return lambda: make_run_folder(tmp_path / str(next(numbers)), "tiny", 1)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return play(make_run_folder(tmp_path_factory.mktemp("undisturbed") / "run", "tiny", 1), {"faults": LOSSY})


@pytest.mark.long
def test_crashes_at_random_moments_change_no_result(folders):
    """Those of tools/crashes.py, but fewer."""
    undisturbed = play(folders(), LONGER)
    assert undisturbed[1]["complete"]
    assert undisturbed[1]["shares_missing"] > 0
    assert sum(crash(60, undisturbed, folders)) >= 60


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
