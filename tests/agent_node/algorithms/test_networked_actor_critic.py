"""Networked actor-critic: whole rounds against algorithm 2 of Zhang et al. (2018), in floats and loops.

Adam's epsilon is 1, so that a step shows the size of the gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from agent_cases import (
    TERMINATED,
    Played,
    ScalarAdam,
    agent_config,
    make_learner,
    play,
    scalar_network,
    toy_episode,
)
from learner_cases import critic, policies, steps
from scalar_agent import ScalarAgent, consensus

from agent_node.config import AgentConfig
from agent_node.learning.fields import Arrays
from agent_node.learning.learner import Learner
from broker.errors import ProtocolViolation

A0, A1, A2 = "agent-0", "agent-1", "agent-2"
NAC = "networked-actor-critic"
GAMMA = 0.9
SEEN, HIDDEN, ACTIONS = 2, 4, 3


def networked(name: str = A0, **settings: Any) -> AgentConfig:
    return agent_config(name, **{"algorithm": NAC, **settings})


def small(**learning: Any) -> AgentConfig:
    rates = {"actor_learning_rate": 1.0, "critic_learning_rate": 0.1, "adam_epsilon": 1.0, "gamma": GAMMA}
    return networked(observation_size=SEEN, hidden=(HIDDEN,), actions=ACTIONS, **rates | learning)


def lived(config: AgentConfig, number: int = 0) -> tuple[Learner, Played]:
    """A learner with networks of some size, after a random episode whose second copy ends early every other time."""
    learner, draw = make_learner(config), np.random.default_rng([31, number])
    for parameters in (critic(learner), policies(learner), team_reward(learner)):
        parameters[...] = draw.normal(scale=0.7, size=parameters.shape)
    toy = toy_episode(config, state_seed=number, reward_seed=number + 100)
    if number % 2:
        toy.ended[2:, 1] = TERMINATED
    return learner, play(learner, toy)


def team_reward(learner: Learner) -> np.ndarray:
    """(P,), the parameters of its estimate of the team's reward."""
    return learner.state()["estimator/team_reward/parameters"][0]


def canned(learner: Learner, seed: int, degree: int) -> Arrays:
    draw = np.random.default_rng(seed)

    def near(own: np.ndarray) -> np.ndarray:
        return (own + draw.normal(scale=0.3, size=own.shape)).astype(np.float32)

    return {
        "critic": near(critic(learner)),
        "team_reward": near(team_reward(learner)),
        "degree": np.array([degree], np.int32),
    }


class Oracle(ScalarAgent):
    """Agent 0, with a team reward."""

    def __init__(self, learner: Learner, config: AgentConfig, toy: Played) -> None:
        super().__init__(learner, config, toy)
        self.team = team_reward(learner).astype(np.float64)
        self.adams["team"] = ScalarAdam(self.learning.critic_learning_rate, self.learning.adam_epsilon)

    def rbar(self, parameters: np.ndarray, t: int, e: int) -> float:
        transition = self.state[t][e] + self.state[t + 1][e]
        return scalar_network(parameters.tolist(), (2 * SEEN, HIDDEN, 1), transition)[0]

    def advantages(self, reward: Callable[[int, int], float], critic_: np.ndarray) -> dict[tuple[int, int], float]:
        """The sum over l of (gamma lambda)^l delta_{t+l}, shifted and scaled; no value after an episode's end."""
        lam, found = self.learning.gae_lambda, {}
        for t, e in self.samples:
            found[t, e] = 0.0
            for u in (u for u in self.runs[e] if u >= t):
                following = self.value(critic_, u + 1, e) if u + 1 in self.runs[e] else 0.0
                delta = reward(u, e) + GAMMA * following - self.value(critic_, u, e)
                found[t, e] += (GAMMA * lam) ** (u - t) * delta
        return self.shifted_and_scaled(found)

    def open(self) -> None:
        """v_i toward own returns, lambda_i toward own rewards."""
        count = len(self.samples)
        self.before = self.advantages(self.own_reward, self.critic)
        self.value_toward(self.own_return)
        self.team = self.moved(
            "team",
            self.team,
            lambda w: sum((self.rbar(w, t, e) - self.own_reward(t, e)) ** 2 for t, e in self.samples) / count,
        )

    def close(self, heard: Mapping[str, Arrays], weight: float) -> None:
        """Consensus on both, then the actor on the team-average TD error; with nobody heard on its own rewards."""
        advantages = self.before
        if heard:
            self.critic = consensus(self.critic, [said["critic"] for said in heard.values()], weight)
            self.team = consensus(self.team, [said["team_reward"] for said in heard.values()], weight)
            team = self.team
            advantages = self.advantages(lambda t, e: self.rbar(team, t, e), self.critic)
        self.act_on(advantages)


ROUNDS = [{A1: 2, A2: 1}, {A2: 2}, {}, {A1: 1, A2: 2}]
"""Who is heard, with its degree; c is 1/3 each, for agent-0 has two partners."""


@pytest.mark.parametrize("number", range(6))
def test_rounds_are_those_of_algorithm_2_on_random_problems(number: int) -> None:
    """Among them: early ends, one-step TD errors as the source has them, and advantages as they come."""
    config = small(gae_lambda=0.0 if number % 3 == 1 else 0.8, normalize_advantages=number % 3 != 2, steps=3)
    learner, toy = lived(config, number)
    oracle = Oracle(learner, config, toy)
    for k, degrees in enumerate(ROUNDS):
        opened = learner.open_round(toy.episode, k, (A1, A2))
        oracle.open()
        np.testing.assert_allclose(team_reward(learner), oracle.team, rtol=1e-3, atol=1e-4)
        heard = {name: canned(learner, 10 * k + int(name[-1]), degree) for name, degree in degrees.items()}
        for name, said in heard.items():
            learner.check(name, said)
        learner.close_round(opened, heard, {})
        oracle.close(heard, 1 / 3)
        for found, expected in (
            (critic(learner), oracle.critic),
            (team_reward(learner), oracle.team),
            (policies(learner)[0], oracle.actor),
        ):
            np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize(("algorithm", "reaches"), [(NAC, False), ("value-parameter-sharing", True)])
def test_no_own_reward_reaches_the_actor_but_through_what_was_agreed_on(algorithm: str, reaches: bool) -> None:
    """Critics and team rewards that hardly learn: agents with other rewards take the same step."""
    ends = []
    for reward_seed in (1, 2):
        config = agent_config(algorithm=algorithm, critic_learning_rate=1e-30)
        learner = make_learner(config)
        toy = play(learner, toy_episode(config, reward_seed=reward_seed))
        opened = learner.open_round(toy.episode, 0, (A1, A2))
        learner.close_round(opened, {A1: {**opened.outgoing[A1]}}, {})
        ends.append(policies(learner).copy())
    assert np.array_equal(*ends) != reaches


def test_critic_and_team_reward_cross_an_edge_after_their_steps_and_nothing_else_does() -> None:
    learner, toy = lived(networked())
    before = team_reward(learner).copy()
    told = learner.open_round(toy.episode, 0, (A1, A2)).outgoing
    for arrays in told.values():
        assert arrays.keys() == {"critic", "team_reward", "degree"}
        np.testing.assert_array_equal(arrays["critic"], critic(learner))
        np.testing.assert_array_equal(arrays["team_reward"], team_reward(learner))
        assert not np.array_equal(arrays["team_reward"], before)
    kept = {name: array.copy() for name, array in told[A1].items()}
    opened = learner.open_round(toy.episode, 1, (A1,))
    learner.close_round(opened, {A1: canned(learner, 3, 1)}, {})
    for name, array in told[A1].items():
        np.testing.assert_array_equal(array, kept[name])  # a share is encoded after the agent may have learned on


def test_mixing_preserves_the_team_rewards_average_over_a_line() -> None:
    """With learning rates next to nothing only the mixing is left; degrees are 1, 2, 1."""
    graph = {A0: (A1,), A1: (A0, A2), A2: (A1,)}
    rates = {"actor_learning_rate": 1e-30, "critic_learning_rate": 1e-30}
    learners = {}
    for number, name in enumerate(graph):
        learners[name], _ = lived(networked(name, **rates).model_copy(update={"neighbors": graph}), number)
    episodes = {name: learner.end_episode() for name, learner in learners.items()}

    def held() -> np.ndarray:
        return np.stack([team_reward(learner).astype(np.float64) for learner in learners.values()])

    average, spread = held().mean(axis=0), held().std(axis=0).sum()
    for k in range(2):
        opened = {name: learner.open_round(episodes[name], k, graph[name]) for name, learner in learners.items()}
        for name, learner in learners.items():
            learner.close_round(opened[name], {other: opened[other].outgoing[name] for other in graph[name]}, {})
    np.testing.assert_allclose(held().mean(axis=0), average, atol=3e-6)
    assert held().std(axis=0).sum() < 0.5 * spread


def test_whoever_hears_nobody_learns_as_an_independent_agent_that_started_the_same() -> None:
    ends = []
    for algorithm in (NAC, "independent"):
        config = agent_config(algorithm=algorithm, initial_parameters="common")
        learner = make_learner(config)
        for number in range(2):
            episode = play(learner, toy_episode(config, number), number).episode
            for k in range(3):
                learner.close_round(learner.open_round(episode, k, (A1, A2)), {}, {})
        ends.append((policies(learner).copy(), critic(learner).copy()))
    for one, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_stale_share_is_mixed_and_the_actor_learns_on_what_came_of_it() -> None:
    learner, toy = lived(networked())
    opened = learner.open_round(toy.episode, 0, (A1, A2))
    own, old = team_reward(learner).copy(), canned(learner, 3, 2)
    learner.close_round(opened, {}, {A1: old})
    np.testing.assert_allclose(team_reward(learner), own + (old["team_reward"] - own) / 3, atol=1e-6)
    assert steps(learner)[0] == [1]


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said | {"team_reward": said["team_reward"][:-1]},
        lambda said: said | {"team_reward": said["team_reward"].astype(np.float64)},
        lambda said: said | {"team_reward": np.full_like(said["team_reward"], np.nan)},
        lambda said: {name: array for name, array in said.items() if name != "team_reward"},
        lambda said: said | {"rewards": np.zeros(8, np.float32)},
    ],
    ids=["too short", "another type", "NaN", "none", "one array more"],
)
def test_a_team_reward_that_is_none_is_refused(change: Callable[[Arrays], Arrays]) -> None:
    learner, _ = lived(networked())
    neighbor, toy = lived(networked(A1))
    said = neighbor.open_round(toy.episode, 0, (A0, A2)).outgoing[A0]
    learner.check(A1, said)
    with pytest.raises(ProtocolViolation):
        learner.check(A1, change(said))
