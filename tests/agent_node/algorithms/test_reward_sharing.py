"""Reward sharing: PPO and critic on own rewards plus, with a weight, those of the neighbors heard."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from agent_cases import (
    TERMINATED,
    Played,
    ScalarAdam,
    agent_config,
    central_differences,
    make_learner,
    play,
    scalar_network,
    scalar_returns,
    toy_episode,
)
from learner_cases import critic, policies

from agent_node.config import AgentConfig
from agent_node.experience import samples
from agent_node.learning.fields import Arrays
from agent_node.learning.learner import Learner
from broker.errors import ProtocolViolation

A0, A1, A2 = "agent-0", "agent-1", "agent-2"
COUNT = 8
"""Steps times copies of a toy episode."""


def rewarding(name: str = A0, weight: float | None = None, **settings: Any) -> AgentConfig:
    config = agent_config(name, **{"algorithm": "reward-sharing", **settings})
    if weight is None:
        return config
    own = config.algorithm.reward_sharing.model_copy(update={"weight": weight})
    return config.model_copy(update={"algorithm": config.algorithm.model_copy(update={"reward_sharing": own})})


def lived(config: AgentConfig, toy: Played | None = None) -> tuple[Learner, Played]:
    learner = make_learner(config)
    return learner, play(learner, toy_episode(config) if toy is None else toy)


def about(index: list[int], rewards: list[float]) -> Arrays:
    return {"rewards": np.array(rewards, np.float32), "samples": samples.pack(np.array(index), COUNT)}


SAID = {A1: about(list(range(8)), [4.0, -1, 0, 2, 5, 5, -3, 1]), A2: about([1, 2, 7], [9.0, -9, 4])}
"""agent-2 was in range at three samples."""


def summed(toy: Played, weight: float) -> np.ndarray:
    """(T, E), by hand: own rewards, plus those of `SAID` times a weight."""
    rewards = toy.rewards[1:].copy()
    for said, index in ((SAID[A1], range(8)), (SAID[A2], (1, 2, 7))):
        for position, reward in zip(index, said["rewards"].tolist(), strict=True):
            rewards[divmod(position, 2)] += np.float32(weight * reward)
    return rewards


@pytest.mark.parametrize("weight", [1.0, 0.25])
@pytest.mark.parametrize("normalize", [True, False])
def test_an_agent_learns_on_the_sum_as_an_independent_one_would_whose_own_rewards_it_were(
    weight: float, normalize: bool
) -> None:
    """Critic and policy alike, round by round."""
    config = rewarding(weight=weight, normalize_advantages=normalize)
    learner, toy = lived(config)
    theirs = toy_episode(config)
    theirs.rewards[1:] = summed(toy, weight)
    alone, other = lived(agent_config(algorithm="independent", normalize_advantages=normalize), theirs)
    start = policies(learner).copy()
    for k in range(3):
        opened = learner.open_round(toy.episode, k, (A1, A2))
        for name, said in SAID.items():
            learner.check(name, said)
        losses = learner.close_round(opened, SAID, {})
        assert losses == pytest.approx(alone.close_round(alone.open_round(other.episode, k, ()), {}, {}), rel=1e-4)
        np.testing.assert_allclose(policies(learner), policies(alone), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(critic(learner), critic(alone), rtol=1e-4, atol=1e-6)
    assert not np.allclose(policies(learner), start, rtol=1e-5, atol=1e-3)


def test_the_critic_takes_its_step_when_the_round_closes_and_toward_the_returns_of_the_sum() -> None:
    config = rewarding(weight=0.5, hidden=(4,), adam_epsilon=1.0, critic_learning_rate=0.1)
    learner, toy = lived(config)
    before = critic(learner).astype(np.float64)
    opened = learner.open_round(toy.episode, 0, (A1, A2))
    np.testing.assert_array_equal(critic(learner), before.astype(np.float32))
    learner.close_round(opened, SAID, {})
    returns = scalar_returns(summed(toy, 0.5).tolist(), [[1.0, 1.0]] * 3 + [[0.0, 0.0]], 0.99)

    def loss(parameters: np.ndarray) -> float:
        errors = [
            scalar_network(parameters.tolist(), (3, 4, 1), toy.observations[t, e].tolist())[0] - returns[t][e]
            for t in range(4)
            for e in range(2)
        ]
        return sum(error**2 for error in errors) / len(errors)

    expected = ScalarAdam(0.1, 1.0).step(before.tolist(), central_differences(loss, before).tolist())
    np.testing.assert_allclose(critic(learner), expected, rtol=1e-3, atol=1e-5)


def test_own_rewards_cross_an_edge_as_the_environment_gave_them_where_the_neighbor_was_in_range() -> None:
    config = rewarding(proximity=True)
    toy = toy_episode(config)
    assert toy.neighbors is not None
    toy.neighbors[1, 0, 1] = 0
    toy.ended[3:, 1] = TERMINATED
    learner, toy = lived(config, toy)
    told = learner.open_round(toy.episode, 0, (A1, A2)).outgoing
    rewards = toy.rewards[1:]
    here = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1), (3, 0)]
    assert told[A1].keys() == told[A2].keys() == {"rewards", "samples"}
    assert told[A1]["rewards"].tolist() == [rewards[at] for at in here]
    assert told[A2]["rewards"].tolist() == [rewards[at] for at in here if at != (1, 0)]


@pytest.mark.parametrize(("weight", "heard"), [(1.0, {}), (0.0, SAID)])
def test_reward_sharing_that_hears_nobody_or_minds_nobody_is_independent_learning_bit_for_bit(
    weight: float, heard: dict[str, Arrays]
) -> None:
    digests = set()
    for config in (rewarding(weight=weight), agent_config(algorithm="independent")):
        learner = make_learner(config)
        for number in range(2):
            episode = play(learner, toy_episode(config, number), number).episode
            for k in range(3):
                sharing = config.algorithm.name != "independent"
                learner.close_round(learner.open_round(episode, k, (A1, A2)), heard if sharing else {}, {})
        digests.add(learner.weights_digest())
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rewards", np.zeros(7, np.float32)),
        ("rewards", np.zeros(8, np.float64)),
        ("rewards", np.array([0, 0, 0, np.nan, 0, 0, 0, 0], np.float32)),
        ("rewards", np.array([0, 0, 0, np.inf, 0, 0, 0, 0], np.float32)),
        ("samples", samples.pack(np.arange(7), COUNT)),
        ("advantages", np.zeros(8, np.float32)),
    ],
)
def test_rewards_that_are_none_are_refused(name: str, value: np.ndarray) -> None:
    learner, _ = lived(rewarding())
    neighbor, toy = lived(rewarding(A1))
    said = neighbor.open_round(toy.episode, 0, (A0, A2)).outgoing[A0]
    learner.check(A1, said)
    with pytest.raises(ProtocolViolation):
        learner.check(A1, said | {name: value})
