"""Environments and algorithms that somebody brought and that fail: one sentence and one log, on both substrates."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv
from runs import TINY, foretell_afresh, summary
from thread_nodes import in_threads

from agent_node.algorithms.independent import Independent
from agent_node.algorithms.value_sharing import ValueSharing
from broker.errors import UserCodeDied, UserCodeFailed
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.results.folder import RunFolder, make_run_folder
from scenarios.results.observer import Observer
from scenarios.running.control.run import run
from scenarios.running.launched.launch import launched
from scenarios.running.simulated.simulate import simulated
from scenarios.running.substrate import Way

WAYS: dict[str, Way] = {"simulated": simulated, "launched": launched(in_threads)}
each_way = pytest.mark.parametrize("way", WAYS)
SMALL = {
    "environment": {"kind": "pettingzoo", "env": "brought", "observation": "own", "steps": 4},
    "episodes": 6,
    "parallel_episodes": 1,
    "learning.hidden": [4],
    "learning.rounds": 1,
    "recovery.checkpoint_every": 2,
}


class Brought(ParallelEnv):  # type: ignore[misc]  # PettingZoo has no types
    """Agents a and b; `mishap` is called in every step, with the episode and the step."""

    metadata: ClassVar[dict[str, str]] = {"name": "brought_v0"}
    possible_agents: ClassVar[list[str]] = ["a", "b"]
    mishap: Callable[[Brought, int, int], Any] = lambda *_: None

    def __init__(self) -> None:
        self.agents: list[str] = []
        self.episode = -1

    def observation_space(self, _agent: str) -> Box:
        return Box(-1, 1, (2,))

    def action_space(self, _agent: str) -> Discrete:
        return Discrete(2)

    def reset(self, seed: int | None = None, options: object = None) -> Any:
        self.agents, self.time = list(self.possible_agents), 0
        self.episode += 1
        return self.seen(), {}

    def step(self, _actions: object) -> Any:
        self.time += 1
        reward = self.mishap(self.episode, self.time)
        return self.seen(), {"a": 1.0 if reward is None else reward, "b": 0.5}, {}, {}, {}

    def seen(self) -> dict[str, Any]:
        return {agent: np.zeros(2, np.float32) for agent in self.agents}


class Ending:
    """How a run ended."""

    def __init__(self, error: Exception | None, folder: RunFolder, notes: list[str]) -> None:
        self.error, self.folder, self.notes = error, folder, notes
        self.lives = 1 + sum("all go on from" in note for note in notes)

    def log(self, participant: str) -> str:
        return self.folder.log(participant).read_text(encoding="utf-8")


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ending]:
    """Runs a scenario with an environment in which `mishap` happens."""

    def played(way: str, mishap: Callable[..., Any], *, interrupted: bool = False, **settings: Any) -> Ending:
        module = ModuleType("brought")
        module.parallel_env = type("Mishap", (Brought,), {"mishap": mishap})  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "brought", module)
        dotted = {name.replace("__", "."): value for name, value in settings.items()}
        plan = make_plan(load_scenario("exchange-quick", SMALL | dotted))
        folder, notes, error = make_run_folder(tmp_path / way, "small", 1), [], None
        observer = Observer(plan, folder, "simulate", lambda _: None, notes.append)
        try:
            run(plan, folder, observer, WAYS[way], lambda: interrupted and observer.played > 1)
        except UserCodeDied as death:
            error = death
        finally:
            observer.finish()
        return Ending(error, folder, notes)

    return played


@each_way
def test_a_reward_that_is_no_number_ends_the_run_at_once_and_in_its_first_life(play: Any, way: str) -> None:
    ended = play(way, lambda _, episode, step: float("nan") if (episode, step) == (3, 3) else None)
    log = ended.folder.log("environment")
    assert str(ended.error) == f'environment: reward of "a" at step 3 is nan. Its log: {log}'
    assert ended.lives == 1
    assert 'environment: reward of "a" at step 3 is nan' in ended.log("environment")


@each_way
def test_what_an_environment_raises_twice_at_the_same_place_ends_the_run_without_a_third_life(
    play: Any, way: str
) -> None:
    lives: list[int] = []

    def mishap(_: Brought, episode: int, step: int) -> None:
        if (episode, step) == (1, 2):
            lives.append(len(lives))
            raise RuntimeError(f"no fuel in {object()}")  # an address differs in every life

    ended = play(way, mishap)
    assert lives == [0, 1]
    assert ended.lives == 2
    assert "environment: step() of brought raised RuntimeError: no fuel in <object object at" in str(ended.error)
    assert "Traceback (most recent call last)" in ended.log("environment")
    assert 'raise RuntimeError(f"no fuel' in ended.log("environment")


@each_way
def test_what_an_environment_raises_once_is_followed_by_another_life(play: Any, way: str) -> None:
    raised: list[int] = []

    def mishap(_: Brought, episode: int, step: int) -> None:
        if (episode, step) == (1, 2) and not raised:
            raised.append(episode)
            raise ConnectionError("a window was closed")

    ended = play(way, mishap)
    assert ended.error is None
    assert ended.lives == 2
    assert any("step() of brought raised ConnectionError: a window was closed" in note for note in ended.notes)


@each_way
@pytest.mark.parametrize("end", ["done", "raised", "mended", "of an agent", "interrupted"])
def test_every_life_closes_its_environment_once_however_it_ends(
    play: Any, way: str, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    closed: list[int] = []

    def make(self: Brought, *, really: Any = Brought.__init__) -> None:
        made.append(id(self))
        self.number = len(made)
        really(self)

    def mishap(_: Brought, episode: int, step: int) -> None:
        if (episode, step) == (1, 2) and (end == "raised" or (end == "mended" and len(made) == 1 + 2)):
            raise RuntimeError("no fuel")

    monkeypatch.setattr(Brought, "__init__", make)
    monkeypatch.setattr(Brought, "close", lambda self: closed.append(self.number))
    if end == "of an agent":
        monkeypatch.setattr("agent_node.build.load_algorithm", lambda _: Failing)
    ended = play(way, mishap, interrupted=end == "interrupted", parallel_episodes=2, algorithm__name="independent")
    assert ended.lives == {"done": 1, "interrupted": 1}.get(end, 2)
    assert len(made) == 1 + 2 * ended.lives, "one to look at, and two copies in each life"
    assert sorted(closed) == list(range(1, len(made) + 1))


@each_way
def test_what_ended_a_run_is_said_although_its_environment_cannot_be_closed(
    play: Any, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def close(self: Brought) -> None:
        if self.episode > 0:  # not after the look at it
            raise RuntimeError("the window is gone")

    monkeypatch.setattr(Brought, "close", close, raising=False)
    ended = play(way, lambda _, episode, step: float("nan") if (episode, step) == (3, 3) else None)
    assert 'reward of "a" at step 3 is nan' in str(ended.error)
    assert ended.lives == 1


class Failing(Independent):
    """Raises in agent-1."""

    def loss(self, now: Any, shares: Any) -> Any:
        if now.draws.agent == "agent-1":
            raise ZeroDivisionError("my own mistake")
        return super().loss(now, shares)


@each_way
def test_an_algorithm_that_raises_is_blamed_by_name_with_its_own_line_and_has_no_third_life(
    play: Any, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_node.build.load_algorithm", lambda _: Failing)
    ended = play(way, lambda *_: None, algorithm__name="independent")
    assert ended.lives == 2
    assert str(ended.error).startswith(
        "b (agent-1): loss() of independent raised ZeroDivisionError: my own mistake (test_user_code.py, line "
    )
    assert 'raise ZeroDivisionError("my own mistake")' in ended.log("agent-1")


class Diverging(Independent):
    """Its loss in agent-1 is no number from episode 3, round 1 on."""

    def loss(self, now: Any, shares: Any) -> Any:
        loss = super().loss(now, shares)
        bad = now.draws.agent == "agent-1" and (now.draws.episode, now.draws.round) >= (3, 1)
        return replace(loss, total=loss.total * float("nan")) if bad else loss


@each_way
def test_a_loss_that_is_not_finite_ends_the_run_in_its_first_life_with_a_sentence_and_what_to_try(
    play: Any, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_node.build.load_algorithm", lambda _: Diverging)
    ended = play(way, lambda *_: None, algorithm__name="independent", learning__rounds=2)
    assert ended.lives == 1
    assert str(ended.error).startswith(
        "b (agent-1): loss is nan with independent in round 1 of episode 3: "
        "try lower learning rates (learning.actor_learning_rate, learning.critic_learning_rate), smaller weights "
        "(such as algorithm.anticipation_sharing.rho or learning.entropy_bonus) or smaller rewards"
    )
    assert "agent-1: loss is nan with independent in round 1 of episode 3" in ended.log("agent-1")


@each_way
@pytest.mark.filterwarnings("error")
def test_rewards_too_large_to_learn_from_end_the_run_as_a_loss_that_is_not_finite(play: Any, way: str) -> None:
    ended = play(way, lambda *_: 3e38)
    assert ended.lives == 1
    assert str(ended.error).startswith(
        "a (agent-0): critic_loss is inf with anticipation-sharing in round 0 of episode 0"
    )


class Mistelling(ValueSharing):
    """What it shares in agent-1 has, in the last round, another dtype than it says."""

    def share(self, now: Any, neighbor: str, edge: Any) -> Any:
        own = super().share(now, neighbor, edge)
        bad = now.draws.agent == "agent-1" and now.draws.round == 1
        return {name: array.astype(np.float64) for name, array in own.items()} if bad else own


@each_way
def test_a_share_that_is_not_what_its_algorithm_says_ends_the_run_at_its_sender(
    play: Any, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_node.build.load_algorithm", lambda _: Mistelling)
    ended = play(way, lambda *_: None, algorithm__name="value-sharing", learning__rounds=2)
    assert ended.lives == 1
    assert str(ended.error).startswith(
        "b (agent-1): share() of value-sharing for a (agent-0) in round 1 of episode 0: "
        "advantages: expected (4,) float32, found (4,) float64. "
    )


@each_way
def test_others_go_on_without_an_agent_whose_algorithm_raises_where_the_scenario_says_so(
    play: Any, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_node.build.load_algorithm", lambda _: Failing)
    degrade = {"recovery__on_crash": "degrade", "service__missing_action": "repeat"}
    ended = play(way, lambda *_: None, algorithm__name="independent", **degrade)
    assert ended.error is None
    assert any("b (agent-1) died: loss() of independent raised" in note for note in ended.notes)


@each_way
def test_an_agent_that_vanishes_is_said_once(play: Any, way: str) -> None:
    def mishap(environment: Brought, _: int, step: int) -> None:
        if step == 2:
            environment.agents = ["b"]

    ended = play(way, mishap)
    assert ended.error is None
    (said,) = [note for note in ended.notes if "no flag says that it ended" in note]
    assert said.startswith('environment: agent "a" is not among `agents` after step 2')


def test_an_algorithm_that_raises_when_the_scenario_is_loaded_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unmade(Independent):
        def __init__(self, *_: object) -> None:
            raise KeyError("gone")

    monkeypatch.setattr("scenarios.document.planning.load_algorithm", lambda _: Unmade)
    with pytest.raises(UserCodeFailed, match=r"^algorithm: the making of .* raised KeyError: 'gone' \(test_user_code"):
        make_plan(load_scenario("exchange-quick"))


# As a user sees it

SOURCE = """
import random
import numpy as np
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv

class parallel_env(ParallelEnv):
    metadata = {"name": "mine_v0"}
    possible_agents = ["a", "b"]
    agents = []

    def __init__(self, broken=""):
        self.broken = broken

    def observation_space(self, agent):
        return Box(-9, 9, (2,))

    def action_space(self, agent):
        return Discrete(2)

    def reset(self, seed=None, options=None):
        self.agents, self.time = list(self.possible_agents), 0
        return self.seen(), {}

    def step(self, actions):
        self.time += 1
        if self.broken == "raises":
            raise ValueError("out of fuel")  # my own line
        rewards = {agent: random.random() + np.random.rand() for agent in self.agents}
        if self.broken == "nan" and self.time == 3:
            rewards["a"] = float("nan")
        return self.seen(), rewards, {}, {}, {}

    def seen(self):
        return {agent: np.random.randn(2) for agent in self.agents}

    def close(self):
        if self.agents:
            print("closed after", self.time)
"""


def command(way: str, folder: Path, broken: str) -> Any:
    (folder / "mine_v0.py").write_text(SOURCE)
    options = f'{{broken="{broken}"}}'
    environment = f'environment={{kind="pettingzoo",env="mine_v0",observation="own",steps=4,options={options}}}'
    out = str(folder / way)
    settings = ("--episodes", "3", *TINY, "--set", environment, "--out", out)
    return foretell_afresh(way, "exchange-quick", *settings, PYTHONPATH=str(folder))


@pytest.mark.processes
@pytest.mark.parametrize("way", ["simulate", "run"])
@pytest.mark.parametrize(
    ("broken", "said", "place"),
    [
        ("nan", 'reward of "a" at step 3 is nan', ""),
        (
            "raises",
            "step() of mine_v0 raised ValueError: out of fuel",
            ' (mine_v0.py, line 28: raise ValueError("out of fuel") # my own line)',
        ),
    ],
)
def test_a_user_whose_environment_fails_reads_one_sentence_and_gets_exit_code_3(
    tmp_path: Path, way: str, broken: str, said: str, place: str
) -> None:
    done = command(way, tmp_path, broken)
    log = RunFolder(tmp_path / way).log("environment")
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1] == f"foretell: environment: {said}{place}. Its log: {log}"
    assert "Traceback" not in done.stderr
    assert ("Traceback" in log.read_text()) == (broken == "raises")
    assert f"closed after {3 if broken == 'nan' else 1}" in log.read_text()


@pytest.mark.processes
def test_an_environment_that_draws_from_the_generators_of_its_process_gives_equal_digests_on_both_substrates(
    tmp_path: Path,
) -> None:
    digests = []
    for way in ("simulate", "run"):
        done = command(way, tmp_path, "")
        assert done.returncode == 0, done.stderr
        found = summary(tmp_path / way)
        digests.append((found["curve_digest"], found["weights_digest"]))
    assert digests[0] == digests[1]
