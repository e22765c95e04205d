"""A simulation that is ended settles first, so that nobody holds a copy of what it knew before."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent_node.learning.learner import Learner
from broker.driving.driver import Driver
from broker.wire.messages import ENVIRONMENT
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.results.folder import RunFolder, make_run_folder
from scenarios.results.observer import Observer
from scenarios.results.summary import Summary
from scenarios.running.control.run import run
from scenarios.running.simulated import simulated_life
from scenarios.running.simulated.simulate import simulated
from scenarios.running.simulated.simulated_life import SimulatedLife

EPISODES, EVERY = 4, 3
TINY = {
    "episodes": EPISODES,
    "parallel_episodes": 1,
    "environment.steps": 2,
    "learning.hidden": [4],
    "learning.rounds": 2,
    "recovery.checkpoint_every": EVERY,
}
FIGURES = ("curve_digest", "weights_digest", "rounds", "shares_sent", "shares_heard", "complete")


@pytest.fixture(autouse=True)
def power_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody ends here who would take the system along, so nothing has to reach the disk."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


def play(folder: RunFolder, interrupted: Callable[[], bool] = lambda: False, **settings: Any) -> Summary:
    dotted = {name.replace("__", "."): value for name, value in settings.items()}
    plan = make_plan(load_scenario("exchange-quick", TINY | dotted))
    observer = Observer(plan, folder, "simulate", lambda _: None)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(simulated_life, "_STEPS_IN_A_MOMENT", 1)  # so that a run may be ended after any message
            run(plan, folder, observer, simulated, interrupted)
    finally:
        summary = observer.finish()
    return summary


def figures(summary: Summary) -> dict[str, Any]:
    return {name: getattr(summary, name) for name in FIGURES}


def kept(folder: RunFolder) -> list[set[int]]:
    """Of each participant, the episodes of its checkpoints."""
    return [
        {int(path.stem.removeprefix("episode-")) for path in own.glob("*.json")}
        for own in sorted(folder.checkpoints.iterdir())
    ]


@pytest.mark.long
def test_wherever_a_simulation_is_ended_all_keep_the_last_episode_and_it_goes_on_as_if_nothing_had_been(
    tmp_path: Path,
) -> None:
    whole = make_run_folder(tmp_path / "whole", "tiny", 1)
    looks = 0

    def count() -> bool:
        nonlocal looks
        looks += 1
        return False

    undisturbed = figures(play(whole, count))
    for ended_at in range(1, looks, 7):
        asked = 0

        def at(moment: int = ended_at) -> bool:
            nonlocal asked
            asked += 1
            return asked >= moment

        folder = make_run_folder(tmp_path / str(ended_at), "tiny", 1)
        played = play(folder, at).episodes
        if played:
            assert set.intersection(*kept(folder)) >= {played - 1}, f"ended at look {ended_at} after {played} episodes"
        assert figures(play(folder)) == undisturbed, f"ended at look {ended_at}"


def test_what_is_held_of_an_agent_is_its_own_memory_and_of_one_episode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in bytes that somebody else would have to hold: there are none."""
    lives: list[SimulatedLife] = []
    ending = SimulatedLife.settle
    monkeypatch.setattr(SimulatedLife, "settle", lambda life: (lives.append(life), ending(life))[1])
    learners: dict[str, Learner] = {}
    beginning = Driver.start

    def start(driver: Driver, now: float) -> None:
        if driver.participant.name != ENVIRONMENT:
            learners[driver.participant.name] = driver.participant._learner
        beginning(driver, now)

    monkeypatch.setattr(Driver, "start", start)
    looks = 0

    def interrupted() -> bool:
        nonlocal looks
        looks += 1
        return looks > 150

    play(make_run_folder(tmp_path, "tiny", 1), interrupted, episodes=1000, recovery__checkpoint_every=1000)
    (life,) = lives
    copied = 0
    for name, learner in learners.items():
        held = life._lives[name]._held
        assert len(held) == 1, "of one episode"
        own = learner.state()
        ((state, *_),) = held.values()
        assert sum(each.nbytes for each in state.arrays.values()) > 1000
        copied += sum(
            array.nbytes
            for which, array in state.arrays.items()
            if not which.endswith("/steps") and not np.shares_memory(array, own[which])
        )
    assert copied == 0


def test_who_has_learned_on_since_is_not_written_down_for_what_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the settling, the end finds everybody in the middle of a round."""
    monkeypatch.setattr(SimulatedLife, "settle", lambda _: None)
    seen: list[bool] = []
    ending = SimulatedLife.end

    def end(life: SimulatedLife, *, at_once: bool) -> None:
        seen.extend(driver.participant.settled for driver in life._drivers.values())
        ending(life, at_once=at_once)

    monkeypatch.setattr(SimulatedLife, "end", end)
    rounds = 0
    closing = Learner.close_round

    def close(learner: Learner, *arguments: Any) -> dict[str, float]:
        nonlocal rounds
        rounds += 1
        return closing(learner, *arguments)

    monkeypatch.setattr(Learner, "close_round", close)
    folder = make_run_folder(tmp_path, "tiny", 1)
    play(folder, lambda: rounds >= 8, recovery__checkpoint_every=100)  # of three agents with two rounds an episode
    unsettled = [f"agent-{number}" for number, settled in enumerate(seen[1:]) if not settled]
    assert unsettled
    assert not {path.name for path in folder.checkpoints.iterdir()} & {*unsettled}


def test_after_a_death_that_the_others_outlived_all_still_keep_the_last_episode(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "episodes": 8,
        "recovery__checkpoint_every": 100,
        "recovery__on_crash": "degrade",
        "service__missing_action": "repeat",
        "exchange__patience_s": 0.2,
        "faults": [{"kind": "crash", "participants": ["agent-1"], "at_episodes": [2]}],
    }
    looks = 0

    def counted() -> bool:
        nonlocal looks
        looks += 1
        return looks == ends_at

    ends_at = -1
    play(make_run_folder(tmp_path / "whole", "tiny", 1), counted, **settings)
    for number, ends_at in enumerate(range(looks // 2, looks - 5, max(1, looks // 24))):
        folder, looks = make_run_folder(tmp_path / str(number), "tiny", 1), 0
        played = play(folder, counted, **settings).episodes
        for living in ("agent-0", "agent-2"):
            own = {int(path.stem.removeprefix("episode-")) for path in (folder.checkpoints / living).glob("*.json")}
            assert played - 1 in own, f"ended at look {ends_at} after {played} episodes"
