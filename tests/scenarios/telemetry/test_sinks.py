"""Sinks of records: one that fails, or waits, changes nothing in a run."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
from limits import LIMIT_S

from broker.wire.records import EpisodeRecord, Record, RoundRecord
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.results.folder import RunFolder
from scenarios.results.observer import Observer
from scenarios.results.sinks.curves import Curves
from scenarios.results.sinks.sink import Sinks
from scenarios.telemetry.writer_process import WriterLost, WriterProcess

EPISODE = EpisodeRecord(0, (1.0, 2.0, 3.0), 20, 0)
ABOUT = {"run": "r-1", "scenario": "r", "settings": {}, "folder": "."}


RETURNS = {"return/team": 6.0, "return/agent-0": 1.0, "return/agent-1": 2.0, "return/agent-2": 3.0}


def lost(agent: str, episode: int, round_: int, **losses: float) -> RoundRecord:
    return RoundRecord(agent, episode, round_, 1, 1, losses)


class Broken:
    """Fails once it is told something."""

    def __init__(self) -> None:
        self.told = 0

    def take(self, records: Sequence[Record]) -> None:
        self.told += 1
        raise OSError(28, "No space left on device")

    def begin_life(self, after_episode: int) -> None:
        raise AssertionError

    def close(self) -> None:
        raise AssertionError


class Kept:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def add(self, episode: int, scalars: object) -> None:
        self.told.append((episode, scalars))

    def forget_from(self, episode: int) -> None:
        self.told.append(episode)

    def close(self) -> None:
        self.told.append("closed")


def test_a_sink_that_fails_is_given_up_with_one_sentence_and_the_others_go_on() -> None:
    said: list[str] = []
    sinks, broken, kept = Sinks(said.append), Broken(), Kept()
    plan = make_plan(load_scenario("exchange-quick", {}))
    sinks.add("the tool", broken)
    sinks.add("the other", Curves(plan.names, 1, kept))
    for _ in range(3):
        sinks.take([EPISODE])
    sinks.begin_life(0)
    sinks.close()
    assert said == ["the tool takes nothing more of this run, which goes on: [Errno 28] No space left on device"]
    assert broken.told == 1
    assert len(kept.told) == 5


def test_curves_hold_returns_and_the_means_of_losses_and_forget_those_of_an_earlier_life() -> None:
    kept, plan = Kept(), make_plan(load_scenario("exchange-quick", {}))
    curves = Curves(plan.names, 1, kept)
    curves.take([lost(f"agent-{number}", 0, 0, gain=gain) for number, gain in enumerate((1.0, 3.0, 2.0))])
    curves.take([EPISODE, lost("agent-0", 1, 0, gain=7.0)])
    curves.begin_life(-1)
    curves.take([EPISODE])
    curves.close()
    assert kept.told == [(0, RETURNS | {"loss/gain": 2.0}), 0, (0, RETURNS), "closed"]


def test_a_loss_is_the_mean_over_the_rounds_that_have_it() -> None:
    kept, plan = Kept(), make_plan(load_scenario("exchange-quick", {}))
    curves = Curves(plan.names, 2, kept)
    for agent in plan.agents:
        curves.take([lost(agent, 0, 0, gain=0.1), lost(agent, 0, 1, gain=0.3, penalty=0.12)])
    curves.take([EPISODE])
    assert kept.told == [(0, pytest.approx(RETURNS | {"loss/gain": 0.2, "loss/penalty": 0.12}))]


def test_a_loss_is_of_its_own_episode_whenever_it_comes() -> None:
    kept, plan = Kept(), make_plan(load_scenario("exchange-quick", {}))
    curves = Curves(plan.names, 1, kept)
    curves.take([lost("agent-0", 0, 0, gain=1.0), lost("agent-0", 1, 0, gain=50.0), EPISODE])
    assert kept.told == [], "two agents have said nothing of it"
    curves.take([lost("agent-1", 0, 0, gain=2.0), lost("agent-2", 0, 0, gain=3.0)])
    assert kept.told == [(0, RETURNS | {"loss/gain": 2.0})]
    curves.take([EpisodeRecord(1, EPISODE.returns, 1, 0), EpisodeRecord(2, EPISODE.returns, 1, 0)])
    curves.take([lost("agent-2", 1, 0, gain=-99.0)])
    curves.close()
    assert kept.told[1:] == [(1, RETURNS | {"loss/gain": 50.0}), (2, RETURNS), "closed"]


def test_an_episode_that_a_life_begins_after_is_shown_once_with_what_was_heard_of_it() -> None:
    kept, plan = Kept(), make_plan(load_scenario("exchange-quick", {}))
    curves = Curves(plan.names, 1, kept)
    curves.take([lost("agent-0", 0, 0, gain=1.0), EPISODE])
    curves.begin_life(0)
    curves.close()
    assert kept.told == [(0, RETURNS | {"loss/gain": 1.0}), 1, "closed"]


def test_a_run_whose_curves_find_no_folder_any_more_says_so_once_and_has_its_figures(tmp_path: Path) -> None:
    said: list[str] = []
    plan = make_plan(load_scenario("exchange-quick", {"episodes": 1}))
    observer = Observer(plan, RunFolder(tmp_path), "run", lambda _: None, said.append)
    shutil.rmtree(tmp_path / "tensorboard")
    observer.take([EPISODE])
    assert observer.finish().episodes == 1
    (sentence,) = said
    assert sentence.startswith(
        "TensorBoard takes nothing more of this run, which goes on: cannot write the run's curves"
    )


@pytest.mark.processes
def test_what_writes_curves_may_be_killed_or_stand_still_and_nobody_waits_for_it(tmp_path: Path) -> None:
    killed = WriterProcess("wandb", ABOUT, tmp_path / "log", LIMIT_S)
    os.kill(killed.process.pid, signal.SIGKILL)
    killed.process.wait()
    with pytest.raises(WriterLost, match="it has ended without a word"):
        killed.add(0, {"return/team": 1.0})

    still = WriterProcess("wandb", ABOUT, tmp_path / "log", close_within_s=0.3)
    os.kill(still.process.pid, signal.SIGSTOP)
    for episode in range(20_000):  # far more than its pipe takes
        still.add(episode, {"return/team": 1.0})
    with pytest.raises(WriterLost, match=r"it has not taken all within 0\.3 s after the end"):
        still.close()
    assert still.process.poll() is not None
