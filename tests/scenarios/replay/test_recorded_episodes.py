"""Episodes of a run, drawn as they were played."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from replay_cases import JOURNALED, ROUGH, journaled
from runs import foretell

from broker.errors import UserError
from env_service.environments.scene import Rendering
from scenarios.commands.main import foretell as commands
from scenarios.document.loading import load_scenario
from scenarios.play.frame import Frame
from scenarios.replay.recorded import episodes
from scenarios.replay.recorded.episodes import recorded_frames
from scenarios.results.folder import open_run_folder
from scenarios.results.reader import read_store
from scenarios.trials.quiet_run import try_out

HERE = Path(__file__).parent.parent
LOST_ACTIONS = (
    'faults=[{kind="drop",probability=0.3,messages=["action","timestep"]}]',
    "service.missing_action=repeat",
)
FOREIGN = 'name="toy"\nseed=4\ntopology.kind="complete"\n[environment]\nkind="pettingzoo"\nobservation="own"\nsteps=4\n'


@pytest.fixture(scope="module")
def rough(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose messages get lost, of one copy, for tests that only look at it."""
    settings = (ROUGH, "parallel_episodes=1")
    return journaled(tmp_path_factory.mktemp("rough") / "run", *settings)


def recorded(out: Path, episode: int | None, mode: str = "ansi") -> list[Frame]:
    return recorded_frames(open_run_folder(out), episode, mode)


def team_returns(out: Path) -> list[float]:
    """Of each episode, by the run's store."""
    with read_store(out / "run.sqlite") as store:
        return [each.value for each in store.team_returns(0)]


def drawn_returns(out: Path) -> list[float]:
    """Of each episode, as it is drawn."""
    newest = recorded(out, None)[0].episode
    return [recorded(out, number)[-1].team_return for number in range(newest + 1)]


@pytest.mark.parametrize("settings", [(ROUGH,), LOST_ACTIONS, ("environment.kind=navigation",)])
def test_each_episode_is_drawn_with_the_return_that_the_run_recorded(tmp_path: Path, settings: tuple[str, ...]) -> None:
    out = journaled(tmp_path / "run", "parallel_episodes=1", *settings)
    assert len(team_returns(out)) == 3
    assert drawn_returns(out) == pytest.approx(team_returns(out), abs=1e-5)


@pytest.mark.processes
def test_an_episode_that_a_killed_environment_played_twice_is_drawn_as_it_was_played_last(tmp_path: Path) -> None:
    crash = 'faults=[{kind="crash",participants=["environment"],at_episodes=[2]}]'
    out = tmp_path / "run"
    settings = ("--set", "parallel_episodes=1", "--set", crash, "--set", "recovery.checkpoint_every=100")
    done = foretell("run", *JOURNALED, "--episodes", "4", *settings, "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert len(list((out / "journal").glob("environment*.journal"))) == 2
    assert drawn_returns(out) == pytest.approx(team_returns(out), abs=1e-5)


def test_frames_go_step_by_step_from_the_beginning_to_the_end(rough: Path) -> None:
    frames = recorded(rough, 1)
    assert [frame.step for frame in frames] == list(range(len(frames)))
    assert [frame.last for frame in frames] == [False] * (len(frames) - 1) + [True]
    assert all(agent.action is None for agent in frames[0].agents)
    assert all(agent.action is not None for agent in frames[1].agents)


def test_an_environment_that_is_another_one_now_is_found_and_not_drawn(
    rough: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = episodes.make_planned_task

    def changed(config: episodes.ServiceConfig) -> object:
        environment = config.environment.model_copy(update={"time_cost": 0.5})
        return make(config.model_copy(update={"environment": environment}))

    monkeypatch.setattr(episodes, "make_planned_task", changed)
    sentence = "episode 1 comes out differently here: the timestep of step 1 .* differs in the array 'reward'"
    with pytest.raises(UserError, match=sentence):
        recorded(rough, 1)


def test_a_journal_that_was_cut_off_has_the_episodes_that_are_whole(tmp_path: Path) -> None:
    out = journaled(tmp_path / "run", "parallel_episodes=1")
    path = out / "journal" / "environment.journal"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert recorded(out, None)[0].episode == 0
    assert recorded(out, 0)[-1].team_return == pytest.approx(team_returns(out)[0], abs=1e-5)
    with pytest.raises(UserError, match=r"episode 1 was not played to its end in .*: expected one of 0 to 0"):
        recorded(out, 1)


def test_a_foreign_environment_draws_itself_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "toy.toml").write_text(FOREIGN)
    settings = {"environment.env": "drawn_toy", "environment.file": str(HERE / "drawn_toy.py"), "episodes": 2}
    small = {"parallel_episodes": 1, "learning.hidden": [4], "learning.rounds": 1, "transport.journal": True}
    try_out(load_scenario(str(tmp_path / "toy.toml"), settings | small), tmp_path / "run")
    frames = recorded(tmp_path / "run", 1, "rgb_array")
    assert all(isinstance(frame.scene, Rendering) and frame.scene.pixels is not None for frame in frames)
    assert drawn_returns(tmp_path / "run") == pytest.approx(team_returns(tmp_path / "run"), abs=1e-5)


def test_the_command_shows_it_and_refuses_what_makes_no_sense(
    rough: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands(["play", str(rough), "--recorded", "1"], standalone_mode=False)
    shown = capsys.readouterr().out
    assert "exchange-quick: anticipation-sharing, episode 1 as it was played\nstep 5 of at most 5\n" in shown
    assert float(re.findall(r"team +\S+ +(\S+)", shown)[-1]) == pytest.approx(team_returns(rough)[1], abs=0.006)
    commands(["play", str(rough), "--recorded", "newest", "--strip", str(tmp_path / "a.png")], standalone_mode=False)
    assert "episode 2: team return" in capsys.readouterr().out
    for words, sentence in (
        (("--recorded", "first"), "expected the number of an episode, or newest, found 'first'"),
        (("--recorded", "1", "--greedy"), "expected no --episodes, --greedy, --seed or --set beside it"),
        (("--recorded", "7"), "episode 7 was not played to its end in .*: expected one of 0 to 2"),
    ):
        with pytest.raises(Exception, match=sentence):
            commands(["play", str(rough), *words], standalone_mode=False)


def test_a_run_without_a_journal_says_how_to_have_one(tmp_path: Path) -> None:
    out = journaled(tmp_path / "run", "transport.journal=false", episodes=1)
    with pytest.raises(UserError, match=r"has no journal of environment: expected a run with transport.journal = true"):
        recorded(out, None)
