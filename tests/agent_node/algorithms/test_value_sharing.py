"""Value sharing: PPO on the weighted mean of the advantages over the agent itself and the neighbors heard."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from agent_cases import Played, agent_config, make_learner, play, scalar_advantages, scalar_network, toy_episode
from learner_cases import critic, policies
from pydantic import ValidationError

from agent_node.algorithms.value_sharing import ValueSharing
from agent_node.config import AgentConfig, AlgorithmConfig, LearningConfig
from agent_node.experience import samples
from agent_node.learning.fields import ShareShape
from agent_node.learning.learner import Learner
from agent_node.learning.round import Draws, Round
from broker.errors import ProtocolViolation

A0, A1, A2 = "agent-0", "agent-1", "agent-2"
COUNT = 8


def valuing(name: str = A0, **settings: Any) -> AgentConfig:
    return agent_config(name, **{"algorithm": "value-sharing", **settings})


def hand_round(**parts: Any) -> Round:
    zeros, nothing = np.zeros((1, 3, 2), np.float32), np.zeros(0, np.float32)
    known: dict[str, Any] = {
        "advantages": np.array([1, -2, 3], np.float32),
        "actions": np.array([0, 1, 0]),
        "log_probabilities": zeros,
        "log_old": zeros,
        "partners": (A1, A2),
        "rows_in_range": {A1: None, A2: np.array([0, 2])},
        "critic": nothing,
        "policies": nothing,
        "weights": {},
        "draws": Draws(7, A0, 0, 0),
    }
    return Round(**known | parts)


def about(index: list[int], values: list[float]) -> dict[str, np.ndarray]:
    return {"advantages": np.array(values, np.float32), "samples": samples.pack(np.array(index), COUNT)}


def test_the_mean_of_three_advantages_is_the_one_computed_by_hand() -> None:
    """agent-2 was out of range at the second sample: the mean there is over two.

    (1 + 3 + 5) / 3 = 3;  (-2 + 0) / 2 = -1;  (3 + 5 + 7) / 3 = 5
    """
    algorithm = ValueSharing(LearningConfig(), AlgorithmConfig())
    shares = {A1: about([0, 1, 2], [3, 0, 5]), A2: about([0, 2], [5, 7])}
    mixed = algorithm.mix(hand_round(), shares)
    assert mixed.advantages is not None
    assert mixed.advantages.tolist() == [3.0, -1.0, 5.0]
    assert (mixed.critic, mixed.policies) == (None, None)
    one = algorithm.mix(hand_round(), {A2: shares[A2]})
    assert one.advantages is not None
    assert one.advantages.tolist() == [3.0, -2.0, 5.0]


def slow_mean(own: list[float], others: dict[str, dict[int, float]], weight: float) -> list[float]:
    """Sample by sample, in plain numbers: what each who was in range says counts `weight`, the own advantage 1."""
    means = []
    for index, advantage in enumerate(own):
        heard = [said[index] for said in others.values() if index in said]
        means.append((advantage + weight * sum(heard)) / (1 + weight * len(heard)))
    return means


@pytest.mark.parametrize("weight", [0.25, 0.5, 1.0, 3.0])
def test_a_weighted_mean_is_that_of_a_slow_version(weight: float) -> None:
    algorithm = ValueSharing(LearningConfig(), AlgorithmConfig.model_validate({"value_sharing": {"weight": weight}}))
    shares = {A1: about([0, 1, 2], [3, 0, 5]), A2: about([0, 2], [5, 7])}
    mixed = algorithm.mix(hand_round(), shares)
    assert mixed.advantages is not None
    assert mixed.advantages.dtype == np.float32
    slow = slow_mean([1, -2, 3], {A1: {0: 3, 1: 0, 2: 5}, A2: {0: 5, 2: 7}}, weight)
    np.testing.assert_allclose(mixed.advantages, slow, rtol=1e-6)


def test_with_weight_0_what_neighbors_say_counts_nothing_bit_for_bit() -> None:
    algorithm = ValueSharing(LearningConfig(), AlgorithmConfig.model_validate({"value_sharing": {"weight": 0}}))
    said = np.array([0.1, -2.3, 3.7], np.float32)
    mixed = algorithm.mix(hand_round(advantages=said), {A1: about([0, 1, 2], [3, 0, 5])})
    assert mixed.advantages is not None
    assert mixed.advantages.tolist() == said.tolist()


@pytest.mark.parametrize("weight", [-0.1, 1001, float("nan"), float("inf"), "much"])
def test_a_weight_that_is_none_is_refused(weight: object) -> None:
    with pytest.raises(ValidationError, match="weight"):
        AlgorithmConfig.model_validate({"value_sharing": {"weight": weight}})


def test_a_neighbor_hears_the_advantages_at_the_samples_at_which_it_was_in_range() -> None:
    algorithm = ValueSharing(LearningConfig(), AlgorithmConfig())
    assert algorithm.share(hand_round(), A1, ShareShape(3, 2, 2))["advantages"].tolist() == [1, -2, 3]
    assert algorithm.share(hand_round(), A2, ShareShape(2, 2, 2))["advantages"].tolist() == [1, 3]


def lived(config: AgentConfig) -> tuple[Learner, Played]:
    learner = make_learner(config)
    return learner, play(learner, toy_episode(config))


@pytest.mark.parametrize("normalize", [True, False])
def test_what_is_shared_are_the_raw_advantages_of_the_own_critic(normalize: bool) -> None:
    config = valuing(normalize_advantages=normalize)
    learner, toy = lived(config)
    valuing_with = critic(learner).tolist()
    values = [
        [scalar_network(valuing_with, (3, 6, 5, 1), seen)[0] for seen in row] for row in toy.observations.tolist()
    ]
    following = [[*row] for row in values[1:4]] + [[0.0, 0.0]]
    continues = [[1.0, 1.0]] * 3 + [[0.0, 0.0]]
    expected = scalar_advantages(toy.rewards[1:].tolist(), values[:4], following, continues, 0.99, 0.98)
    told = learner.open_round(toy.episode, 0, (A1, A2)).outgoing
    for partner in (A1, A2):
        assert told[partner].keys() == {"advantages", "samples"}
        np.testing.assert_allclose(told[partner]["advantages"], np.array(expected).ravel(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("normalize", [True, False])
def test_an_agent_learns_on_the_mean_as_an_independent_one_would_whose_own_advantages_it_were(normalize: bool) -> None:
    """The mean is taken of raw advantages and normalized afterwards."""
    learner, toy = lived(valuing(normalize_advantages=normalize))
    opened = learner.open_round(toy.episode, 0, (A1, A2))
    own = opened.outgoing[A1]["advantages"]
    said = {A1: about(list(range(8)), [4.0, -1, 0, 2, 5, 5, -3, 1]), A2: about([1, 2, 7], [9.0, -9, 4])}
    for name, arrays in said.items():
        learner.check(name, arrays)
    learner.close_round(opened, said, {})
    mean = (own + said[A1]["advantages"]) / 2
    theirs = np.zeros(8, np.float32)
    theirs[[1, 2, 7]] = said[A2]["advantages"]
    mean[[1, 2, 7]] = ((own + said[A1]["advantages"] + theirs) / 3)[[1, 2, 7]]
    alone, toy = lived(agent_config(algorithm="independent", normalize_advantages=normalize))
    before = policies(alone).copy()
    opened = alone.open_round(toy.episode, 0, ())
    told = replace(opened.round, advantages=mean.astype(np.float32))
    alone.close_round(replace(opened, round=told), {}, {})
    np.testing.assert_allclose(policies(learner), policies(alone), rtol=1e-5, atol=1e-6)
    assert not np.allclose(policies(learner), before, rtol=1e-5, atol=1e-3)
    assert np.array_equal(critic(learner), critic(alone))


@pytest.mark.parametrize("agents", [1, 3])
def test_value_sharing_that_hears_nobody_is_independent_learning_bit_for_bit(agents: int) -> None:
    digests = set()
    for algorithm in ("value-sharing", "independent"):
        config = agent_config(agents=agents, algorithm=algorithm)
        learner = make_learner(config)
        partners = tuple(name for name in (A1, A2) if agents > 1)
        for number in range(3):
            episode = play(learner, toy_episode(config, number), number).episode
            for k in range(3):
                learner.close_round(learner.open_round(episode, k, partners), {}, {})
        digests.add(learner.weights_digest())
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("advantages", np.zeros(7, np.float32)),
        ("advantages", np.zeros((8, 1), np.float32)),
        ("advantages", np.zeros(8, np.float64)),
        ("advantages", np.array([0, 0, 0, np.nan, 0, 0, 0, 0], np.float32)),
        ("advantages", np.array([0, 0, 0, np.inf, 0, 0, 0, 0], np.float32)),
        ("samples", samples.pack(np.arange(7), COUNT)),
        ("reward", np.zeros(8, np.float32)),
    ],
)
def test_advantages_that_are_none_are_refused(name: str, value: np.ndarray) -> None:
    learner, _ = lived(valuing())
    neighbor, toy = lived(valuing(A1))
    said = neighbor.open_round(toy.episode, 0, (A0, A2)).outgoing[A0]
    learner.check(A1, said)
    with pytest.raises(ProtocolViolation):
        learner.check(A1, said | {name: value})
