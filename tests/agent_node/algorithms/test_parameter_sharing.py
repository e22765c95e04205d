"""Value-parameter sharing and policy sharing: consensus on parameters, and what is learned around it.

The oracles follow SPEC section 3 in floats and loops; gradients are difference quotients.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from agent_cases import (
    Played,
    ScalarAdam,
    agent_config,
    central_differences,
    make_learner,
    masked_softmax,
    play,
    scalar_advantages,
    scalar_network,
    scalar_returns,
    toy_episode,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st
from learner_cases import critic, policies, steps
from message_cases import seen_of, timestep_of

from agent_node.algorithms.policy_sharing import PolicySharing
from agent_node.config import AgentConfig, AlgorithmConfig, LearningConfig
from agent_node.experience import samples
from agent_node.learning.consensus import metropolis_weight
from agent_node.learning.learner import Learner
from agent_node.learning.round import Draws, Mixed, Round
from agent_node.protocol import AgentProtocol
from agent_node.registry import load_algorithm
from broker.errors import ProtocolViolation
from broker.wire.messages import ENVIRONMENT, Hello, Share

A0, A1, A2 = "agent-0", "agent-1", "agent-2"
VPS, PS = "value-parameter-sharing", "policy-sharing"
Arrays = dict[str, np.ndarray]


def sharing(algorithm: str, name: str = A0, **more: Any) -> AgentConfig:
    return agent_config(name, algorithm=algorithm, **more)


def lived(config: AgentConfig, reward_seed: int = 1) -> tuple[Learner, Played]:
    learner = make_learner(config)
    return learner, play(learner, toy_episode(config, reward_seed=reward_seed))


def canned(learner: Learner, toy: Played, algorithm: str, seed: int, degree: int) -> Arrays:
    """A share of parameters, about all samples."""
    draw = np.random.default_rng(seed)

    def near(own: np.ndarray) -> np.ndarray:
        return (own + draw.normal(scale=0.3, size=own.shape)).astype(np.float32)

    count = len(toy.actions) * len(toy.actions[0])
    said = {"degree": np.array([degree], np.int32)}
    if algorithm == VPS:
        return said | {"critic": near(critic(learner))}
    return said | {
        "policies": near(policies(learner)),
        "actions": draw.integers(0, 3, count).astype(np.int32),
        "samples": samples.pack(np.arange(count), count),
    }


def beside(actions: np.ndarray, count: int, seed: int) -> list[list[float]]:
    """What was possible beside the actions taken, drawn at random."""
    possible = np.random.default_rng([seed, count]).integers(0, 2, (len(actions), count))
    np.put_along_axis(possible, actions[:, None], 1, axis=1)
    return possible.astype(float).tolist()  # type: ignore[no-any-return]


# What crosses an edge


def test_value_parameter_sharing_tells_the_critic_after_its_step_and_the_degree_and_nothing_else() -> None:
    learner, toy = lived(sharing(VPS))
    before = critic(learner).copy()
    told = learner.open_round(toy.episode, 0, (A1, A2)).outgoing
    for arrays in told.values():
        assert arrays.keys() == {"critic", "degree"}
        assert (arrays["degree"].tolist(), arrays["degree"].dtype) == ([2], np.int32)
        np.testing.assert_array_equal(arrays["critic"], critic(learner))
        assert not np.array_equal(arrays["critic"], before)


def test_policy_sharing_tells_the_joint_policy_own_actions_and_the_degree_and_nothing_else() -> None:
    learner, toy = lived(sharing(PS, A1))
    told = learner.open_round(toy.episode, 0, (A0,)).outgoing
    assert told[A0].keys() == {"policies", "actions", "samples", "degree"}
    assert told[A0]["degree"].tolist() == [1]
    np.testing.assert_array_equal(told[A0]["policies"], policies(learner))
    assert told[A0]["actions"].tolist() == np.stack(list(toy.actions.values())).ravel().tolist()


@pytest.mark.parametrize("algorithm", [VPS, PS])
def test_what_was_shared_does_not_change_when_the_round_closes(algorithm: str) -> None:
    """A share is encoded after the agent may have closed the round."""
    learner, toy = lived(sharing(algorithm))
    opened = learner.open_round(toy.episode, 0, (A1, A2))
    said = opened.outgoing[A1]
    before = {name: array.copy() for name, array in said.items()}
    heard = {name: canned(learner, toy, algorithm, seed, 2) for seed, name in enumerate((A1, A2))}
    learner.close_round(opened, heard, {})
    for name, array in said.items():
        np.testing.assert_array_equal(array, before[name])


def test_the_degree_counts_those_in_range_in_this_episode() -> None:
    config = sharing(VPS, proximity=True)
    learner, toy = make_learner(config), toy_episode(config)
    assert toy.neighbors is not None
    toy.neighbors[:, :, 1] = 0
    told = learner.open_round(play(learner, toy).episode, 0, (A1, A2)).outgoing
    assert told.keys() == {A1}
    assert told[A1]["degree"].tolist() == [1]


def test_every_agent_holds_a_policy_for_everyone_in_agent_order_and_acts_by_its_own() -> None:
    """Row r of its policies always takes action r, whatever it sees; an agent takes the action of its own number."""
    for number, name in enumerate((A0, A1, A2)):
        config = sharing(PS, name)
        learner, toy = make_learner(config), toy_episode(config)
        assert len(policies(learner)) == 3
        for row, parameters in enumerate(policies(learner)):
            parameters[:] = 0
            parameters[len(parameters) - 3 + row] = 100  # the biases of the three outputs stand at the end
        learner.begin_episode(0)
        _, data = seen_of(toy.observations[0], toy.rewards[0], toy.ended[0])
        assert learner.act(0, data).tolist() == [number] * config.parallel_episodes


# Where everybody starts


@pytest.mark.parametrize(
    ("algorithm", "asked", "common"),
    [
        (VPS, "auto", True),
        (PS, "auto", True),
        ("anticipation-sharing", "auto", False),
        ("value-sharing", "auto", False),
        ("independent", "auto", False),
        ("anticipation-sharing", "common", True),
        ("independent", "common", True),
    ],
)
def test_with_common_parameters_critics_start_equal_and_so_do_all_policies_for_one_agent(
    algorithm: str, asked: str, common: bool
) -> None:
    configs = [agent_config(name, algorithm=algorithm, initial_parameters=asked) for name in (A0, A1)]
    learners = [make_learner(config) for config in configs]
    assert np.array_equal(*map(critic, learners)) == common
    models = load_algorithm(algorithm).models
    held = [
        dict(zip(modeled(config, models), policies(learner), strict=True))
        for config, learner in zip(configs, learners, strict=True)
    ]
    for agent in held[0].keys() & held[1].keys():
        assert np.array_equal(held[0][agent], held[1][agent]) == common
    assert len({row.tobytes() for rows in held for row in rows.values()}) >= 2


def modeled(config: AgentConfig, models: str) -> tuple[str, ...]:
    """For whom an agent holds a policy, in the order of the rows."""
    name = config.link.name
    return {"self": (name,), "neighbors": (name, *config.neighbors[name]), "everyone": (A0, A1, A2)}[models]


def test_the_own_policy_starts_the_same_whether_parameters_are_common_or_not() -> None:
    starts = [
        policies(make_learner(agent_config(A1, algorithm="independent", initial_parameters=asked)))[0]
        for asked in ("own", "common")
    ]
    assert np.array_equal(*starts)
    assert np.array_equal(policies(make_learner(sharing(PS, A1)))[1], starts[0])


# Whole rounds against scalar oracles; Adam's epsilon is 1, so that a step shows the size of the gradient


def small(algorithm: str, **learning: Any) -> AgentConfig:
    return agent_config(
        A0,
        algorithm=algorithm,
        agents=3,
        actions={A0: 2, A1: 3, A2: 2},
        steps=3,
        copies=1,
        observation_size=2,
        hidden=(4,),
        adam_epsilon=1.0,
        **{"actor_learning_rate": 1.0, "critic_learning_rate": 0.1, **learning},
    )


class Scalar:
    """SPEC section 3 for agent-0, in floats and loops."""

    def __init__(self, learner: Learner, config: AgentConfig, toy: Played) -> None:
        self.config, self.learning, self.toy = config, config.learning, toy
        self.actor = policies(learner).astype(np.float64)
        self.critic = critic(learner).astype(np.float64)
        models = load_algorithm(config.algorithm.name).models
        self.rows = {agent: row for row, agent in enumerate(modeled(config, models))}
        self.rewards = toy.rewards[1:].tolist()
        self.continues = [[1.0], [1.0], [0.0]]
        self.actions = [int(toy.actions[t][0]) for t in range(3)]
        self.seen = toy.observations[:3, 0].tolist()
        self.width = max(config.action_counts[agent] for agent in self.rows)
        self.critic_adam = ScalarAdam(self.learning.critic_learning_rate, self.learning.adam_epsilon)
        self.adams = [ScalarAdam(self.learning.actor_learning_rate, self.learning.adam_epsilon) for _ in self.actor]
        self.behaviour = self.actor.copy()
        self.possible = {agent: [[1.0] * count] * 3 for agent, count in config.action_counts.items()}
        if toy.masks is not None:
            self.possible[A0] = toy.masks[:3, 0, : config.action_counts[A0]].astype(float).tolist()

    def values(self, critic: np.ndarray) -> list[float]:
        return [scalar_network(critic.tolist(), (2, 4, 1), seen)[0] for seen in self.seen]

    def advantages(self, critic: np.ndarray) -> list[float]:
        here = self.values(critic)
        grid = scalar_advantages(
            self.rewards, [[v] for v in here], [[here[1]], [here[2]], [0.0]], self.continues, 0.99, 0.98
        )
        flat = [row[0] for row in grid]
        if not self.learning.normalize_advantages:
            return flat
        mean = sum(flat) / 3
        deviation = math.sqrt(sum((a - mean) ** 2 for a in flat) / 3)
        return [(a - mean) / deviation for a in flat]

    def step_critic(self) -> None:
        returns = scalar_returns(self.rewards, self.continues, 0.99)

        def loss(critic: np.ndarray) -> float:
            return sum((v - target[0]) ** 2 for v, target in zip(self.values(critic), returns, strict=True)) / 3

        gradient = central_differences(loss, self.critic)
        self.critic = np.array(self.critic_adam.step(self.critic.tolist(), gradient.tolist()))

    def probability(self, row: np.ndarray, agent: str, b: int, action: int) -> float:
        logits = scalar_network(row.tolist(), (2, 4, self.width), self.seen[b])
        return masked_softmax(logits[: self.config.action_counts[agent]], self.possible[agent][b])[action]

    def step_policies(self, advantages: list[float], taken: Mapping[str, list[int]]) -> None:
        """PPO on the product of the ratios of all agents whose actions are in `taken`, the clip on the product."""
        behaves = self.learning.ratio_reference == "behaviour"
        old = self.behaviour if behaves else self.actor.copy()
        clip = self.learning.clip

        def loss(actor: np.ndarray) -> float:
            total = 0.0
            for b, advantage in enumerate(advantages):
                ratio = 1.0
                for agent, actions in taken.items():
                    row = self.rows[agent]
                    ratio *= self.probability(actor[row], agent, b, actions[b])
                    ratio /= self.probability(old[row], agent, b, actions[b])
                total += min(ratio * advantage, min(max(ratio, 1 - clip), 1 + clip) * advantage)
            return -total / len(advantages)

        gradient = central_differences(loss, self.actor)
        for agent in taken:
            row = self.rows[agent]
            self.actor[row] = self.adams[row].step(self.actor[row].tolist(), gradient[row].tolist())


def mixed(own: np.ndarray, others: Mapping[str, np.ndarray], weights: Mapping[str, float]) -> np.ndarray:
    """sum over j of c_ij theta_j, i itself included with what is left of 1."""
    total = (1 - sum(weights.values())) * own
    for name, array in others.items():
        total = total + weights[name] * array.astype(np.float64)
    return total


ROUNDS = [
    {A1: 2, A2: 1},  # both heard, with their degrees: c = 1/3 each
    {A1: 2},  # one is missing: its weight stays with agent-0
    {},  # nobody
    {A1: 1, A2: 2},
]


@pytest.mark.parametrize("normalize", [True, False])
def test_a_round_of_value_parameter_sharing_steps_the_critic_mixes_it_and_learns_with_it(normalize: bool) -> None:
    config = small(VPS, normalize_advantages=normalize)
    learner, toy = lived(config)
    critic(learner)[:] *= 2
    scalar = Scalar(learner, config, toy)
    for seed, degrees in enumerate(ROUNDS):
        opened = learner.open_round(toy.episode, seed, (A1, A2))
        before = scalar.advantages(scalar.critic)
        scalar.step_critic()
        np.testing.assert_allclose(critic(learner), scalar.critic, rtol=1e-3, atol=1e-4)
        heard = {name: canned(learner, toy, VPS, seed + int(name[-1]), degree) for name, degree in degrees.items()}
        for name, arrays in heard.items():
            learner.check(name, arrays)
        learner.close_round(opened, heard, {})
        if heard:
            scalar.critic = mixed(
                scalar.critic, {j: said["critic"] for j, said in heard.items()}, dict.fromkeys(heard, 1 / 3)
            )
            assert scalar.advantages(scalar.critic) != pytest.approx(before, rel=1e-2)
            scalar.step_policies(scalar.advantages(scalar.critic), {A0: scalar.actions})
        else:
            scalar.step_policies(before, {A0: scalar.actions})  # independent: advantages before the critic's step
        np.testing.assert_allclose(critic(learner), scalar.critic, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(policies(learner), scalar.actor, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "learning",
    [
        {},
        {"ratio_reference": "behaviour", "clip": 0.02},
        {"masks": True},
        {"masks": True, "ratio_reference": "behaviour", "clip": 0.02},
    ],
    ids=["round", "behaviour", "masks", "behaviour and masks"],
)
def test_a_round_of_policy_sharing_steps_on_the_joint_ratio_and_then_toward_the_others(
    learning: dict[str, Any],
) -> None:
    config = small(PS, **learning)
    learner, toy = lived(config)
    policies(learner)[:] *= 2
    episode = learner.end_episode()
    scalar = Scalar(learner, config, toy)
    for seed, degrees in enumerate(ROUNDS):
        opened = learner.open_round(episode, seed, (A1, A2))
        advantages = scalar.advantages(scalar.critic)
        scalar.step_critic()
        heard = {name: canned(learner, toy, PS, seed + int(name[-1]), degree) for name, degree in degrees.items()}
        for name, arrays in heard.items():
            arrays["actions"] = np.minimum(arrays["actions"], config.action_counts[name] - 1)
            if config.masks:
                scalar.possible[name] = possible = beside(arrays["actions"], config.action_counts[name], seed)
                arrays["mask"] = np.packbits(np.array(possible, np.uint8), axis=1)
            learner.check(name, arrays)
        start = scalar.actor.copy()
        np.testing.assert_allclose(opened.outgoing[A1]["policies"], start, rtol=1e-3, atol=1e-4)
        learner.close_round(opened, heard, {})
        scalar.step_policies(
            advantages, {A0: scalar.actions} | {j: said["actions"].tolist() for j, said in heard.items()}
        )
        if heard:
            weights = dict.fromkeys(heard, 1 / 3)
            scalar.actor += mixed(start, {j: said["policies"] for j, said in heard.items()}, weights) - start
        np.testing.assert_allclose(policies(learner), scalar.actor, rtol=2e-3, atol=2e-4)


def test_the_joint_ratio_and_its_clip_in_numbers() -> None:
    """Two agents, one sample: own ratio .6 / .5 = 1.2, partner's .5 / .4 = 1.25, joint 1.5, clipped to 1.2."""

    def losses(advantage: float, heard: dict[str, Arrays]) -> float:
        now = Round(
            advantages=np.array([advantage], np.float32),
            actions=np.array([0]),
            log_probabilities=np.log(np.array([[[0.6, 0.4]], [[0.5, 0.5]]], np.float32)),
            log_old=np.log(np.array([[[0.5, 0.5]], [[0.6, 0.4]]], np.float32)),
            partners=(A1,),
            rows_in_range={A1: None},
            critic=np.zeros(0, np.float32),
            policies=np.zeros(0, np.float32),
            weights={},
            draws=Draws(7, A0, 0, 0),
        )
        return PolicySharing(LearningConfig(), AlgorithmConfig()).loss(now, heard).total

    said = {A1: {"actions": np.array([1], np.int32)}}
    assert losses(1.0, said) == pytest.approx(-1.2)
    assert losses(-1.0, said) == pytest.approx(1.5)
    assert losses(-1.0, {}) == pytest.approx(1.2)


def test_policies_of_partners_not_heard_take_no_step_but_are_mixed() -> None:
    config = sharing(PS)
    learner, toy = lived(config)
    start = policies(learner).copy()
    opened = learner.open_round(toy.episode, 0, (A1, A2))
    said = canned(learner, toy, PS, 0, 2)
    said["policies"] = start.copy()
    said["policies"][2] += 3.0
    learner.close_round(opened, {A1: said}, {})
    assert steps(learner)[0] == [1, 1, 0]
    np.testing.assert_allclose(policies(learner)[2], start[2] + 1.0, rtol=1.3e-6, atol=1e-5)


# Averages


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, tuple[str, ...]]:
    """Any undirected graph of two to six agents; some may have no neighbor."""
    count = draw(st.integers(2, 6))
    names = [f"agent-{number}" for number in range(count)]
    pairs = [(a, b) for number, a in enumerate(names) for b in names[:number]]
    kept = set(draw(st.lists(st.sampled_from(pairs), unique=True)))
    return {a: tuple(b for b in names if (a, b) in kept or (b, a) in kept) for a in names}


@given(graphs())
def test_weights_are_symmetric_and_leave_every_agent_a_positive_share_of_itself(graph: dict[str, Any]) -> None:
    for others in graph.values():
        weights = {other: metropolis_weight(len(others), len(graph[other])) for other in others}
        assert all(weight == metropolis_weight(len(graph[o]), len(others)) for o, weight in weights.items())
        assert 1 - sum(weights.values()) > 0


@settings(deadline=None, max_examples=15)
@given(
    graph=graphs(),
    apart=st.none() | st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5))),
    seed=st.integers(0, 100),
    algorithm=st.sampled_from([VPS, PS]),
)
@example({A0: (A1, A2), A1: (A0,), A2: (A0,)}, {(0, 2)}, 0, VPS)
def test_mixing_preserves_the_average_over_the_network(
    graph: dict[str, Any], apart: set[tuple[int, int]] | None, seed: int, algorithm: str
) -> None:
    """With learning rates next to nothing, whole rounds of real learners leave only the mixing.

    Where the graph is a matter of distance, `graph` says who are partners in the round, and those of them that are
    `apart` all episode long do not exchange.
    """
    rates = {"actor_learning_rate": 1e-30, "critic_learning_rate": 1e-30}
    learners, parted = {}, {frozenset((f"agent-{one}", f"agent-{two}")) for one, two in apart or ()}
    for number, name in enumerate(graph):
        config = agent_config(name, agents=len(graph), algorithm=algorithm, proximity=apart is not None, **rates)
        if apart is None:
            config = config.model_copy(update={"neighbors": graph})
        learners[name], toy = make_learner(config), toy_episode(config, reward_seed=number)
        if toy.neighbors is not None:
            toy.neighbors[:] = [frozenset((name, other)) not in parted for other in config.neighbors[name]]
        play(learners[name], toy)
    exchanging = {name: [other for other in graph[name] if {name, other} not in parted] for name in graph}

    def held() -> np.ndarray:
        mixed = critic if algorithm == VPS else policies
        return np.stack([mixed(one).astype(np.float64) for one in learners.values()])

    episodes = {}
    for number, (name, learner) in enumerate(learners.items()):
        draw = np.random.default_rng([seed, number])
        for parameters in (critic(learner), policies(learner)):
            parameters[:] += draw.normal(size=parameters.shape).astype(np.float32)
        episodes[name] = learner.end_episode()
    average, spread = held().mean(axis=0), held().std(axis=0).sum()
    for k in range(2):
        opened = {name: learner.open_round(episodes[name], k, graph[name]) for name, learner in learners.items()}
        for name, learner in learners.items():
            learner.close_round(opened[name], {other: opened[other].outgoing[name] for other in exchanging[name]}, {})
    np.testing.assert_allclose(held().mean(axis=0), average, atol=3e-6)
    if any(exchanging.values()):
        assert held().std(axis=0).sum() < spread


@pytest.mark.parametrize("algorithm", [VPS, PS])
def test_two_who_have_only_each_other_in_range_meet_in_the_middle_however_many_neighbors_they_have(
    algorithm: str,
) -> None:
    config = sharing(algorithm, proximity=True, actor_learning_rate=1e-30, critic_learning_rate=1e-30)
    learner, toy = make_learner(config), toy_episode(config)
    assert toy.neighbors is not None
    toy.neighbors[:, :, 1] = 0
    opened = learner.open_round(play(learner, toy).episode, 0, (A1, A2))
    said, name = canned(learner, toy, algorithm, 3, 1), {VPS: "critic", PS: "policies"}[algorithm]
    expected = (opened.outgoing[A1][name] + said[name]) / 2
    learner.close_round(opened, {A1: said}, {})
    np.testing.assert_allclose((critic if algorithm == VPS else policies)(learner), expected, atol=1e-6)


# What is reused


@pytest.mark.parametrize("how", ["stale", "about no common sample"])
def test_of_a_share_that_is_mixed_alone_only_what_is_about_no_sample_is_handed_over(how: str) -> None:
    given = []

    class Listening(PolicySharing):
        def mix(self, now: Round, shares: Mapping[str, Arrays]) -> Mixed:
            given.append({partner: set(arrays) for partner, arrays in shares.items()})
            return super().mix(now, shares)

    config = sharing(PS)
    learner = Learner(config, Listening(config.learning, config.algorithm))
    toy = play(learner, toy_episode(config), missed=(0,))
    opened = learner.open_round(toy.episode, 0, (A1, A2))
    fresh, old = (canned(learner, lived(config)[1], PS, seed, 2) for seed in (1, 2))
    if how == "stale":
        learner.close_round(opened, {A1: fresh}, {A2: old})
    else:
        old["samples"] = samples.pack(np.array([0, 1]), 8)
        old["actions"] = old["actions"][:2]
        learner.check(A2, old)
        learner.close_round(opened, {A1: fresh, A2: old}, {})
    assert given == [{A1: {"policies", "degree", "samples", "actions"}, A2: {"policies", "degree", "samples"}}]


@pytest.mark.parametrize("algorithm", [VPS, PS])
def test_a_stale_share_is_mixed_as_if_it_were_of_this_round_and_teaches_nothing_else(algorithm: str) -> None:
    learner, toy = lived(sharing(algorithm))
    opened = learner.open_round(toy.episode, 0, (A1, A2))
    old = canned(learner, toy, algorithm, 3, 2)
    start, valued = policies(learner).copy(), critic(learner).copy()
    learner.close_round(opened, {}, {A1: old})
    if algorithm == VPS:
        expected = mixed(valued, {A1: old["critic"]}, {A1: 1 / 3})
        np.testing.assert_allclose(critic(learner), expected, atol=1e-6)
        return
    assert steps(learner)[0] == [1, 0, 0]
    expected = mixed(start, {A1: old["policies"]}, {A1: 1 / 3})
    np.testing.assert_allclose(policies(learner)[1:], expected[1:], atol=1e-6)


# What is refused


def changed(name: str, function: Callable[[np.ndarray], np.ndarray]) -> Callable[[Arrays], Arrays]:
    return lambda said: said | {name: function(said[name])}


def poisoned(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def poison(array: np.ndarray) -> np.ndarray:
        out = array.copy()
        out.reshape(-1)[-1] = value
        return out

    return poison


BOTH = {
    "degree 0": changed("degree", lambda _: np.array([0], np.int32)),
    "degree N": changed("degree", lambda _: np.array([3], np.int32)),
    "degree of another type": changed("degree", lambda array: array.astype(np.int64)),
    "two degrees": changed("degree", lambda _: np.array([1, 1], np.int32)),
    "no degree": lambda said: {name: array for name, array in said.items() if name != "degree"},
    "one array more": lambda said: said | {"reward": np.zeros(8, np.float32)},
}
OWN = {
    "NaN": poisoned(math.nan),
    "infinity": poisoned(math.inf),
    "too short": lambda array: array[..., :-1],
    "too long": lambda array: np.concatenate([array, array], axis=-1),
    "another type": lambda array: array.astype(np.float64),
    "another number of axes": lambda array: array[None],
}
BAD = [
    *((VPS, what, change) for what, change in BOTH.items()),
    *((PS, what, change) for what, change in BOTH.items()),
    *((VPS, f"critic: {what}", changed("critic", change)) for what, change in OWN.items()),
    *((PS, f"policies: {what}", changed("policies", change)) for what, change in OWN.items()),
    (PS, "policies: an agent less", changed("policies", lambda array: array[:-1])),
    (PS, "actions: impossible", changed("actions", lambda array: array + 3)),
    (PS, "actions: fewer", changed("actions", lambda array: array[:-1])),
    (PS, "samples: fewer", changed("samples", lambda _: samples.pack(np.arange(7), 8))),
]


@pytest.mark.parametrize(("algorithm", "change"), [(name, change) for name, _, change in BAD], ids=[b[1] for b in BAD])
def test_what_no_neighbor_can_share_is_refused(algorithm: str, change: Callable[[Arrays], Arrays]) -> None:
    learner, _ = lived(sharing(algorithm))
    said = told_to_agent_0(algorithm)
    learner.check(A1, said)
    with pytest.raises(ProtocolViolation):
        learner.check(A1, change(said))


def told_to_agent_0(algorithm: str) -> Arrays:
    """What agent-1 has to tell agent-0 in the first round."""
    learner, toy = lived(sharing(algorithm, A1))
    return learner.open_round(toy.episode, 0, (A0, A2)).outgoing[A0]


def in_sharing(config: AgentConfig, learner: Learner) -> AgentProtocol:
    """agent-0 that has lived through an episode and waits for the shares of the first round."""
    agent = AgentProtocol(config, learner)
    agent.start(0.0)
    for peer in agent.peers:
        agent.receive(peer, Hello(0, wants_reply=False), 0.0)
    toy = toy_episode(config)
    for step in range(config.steps + 1):
        seen = (toy.observations[step], toy.rewards[step], toy.ended[step], None)
        agent.receive(ENVIRONMENT, timestep_of(0, step, 0, step == config.steps, *seen), 0.0)
    return agent


@pytest.mark.parametrize("algorithm", ["value-sharing", VPS, PS])
def test_an_agent_learns_nothing_from_what_it_refused(algorithm: str) -> None:
    """agent-1 sends a share with NaN, one with a wrong shape and one too many array; the round closes without it."""
    digests = set()
    for hostile in (False, True):
        config = sharing(algorithm)
        learner = make_learner(config)
        agent = in_sharing(config, learner)
        said = told_to_agent_0(algorithm)
        (name,) = set(said) & {"advantages", "critic", "policies"}
        for bad in (poisoned(math.nan), lambda array: array[..., :-1], lambda array: array[None]):
            if hostile:
                with pytest.raises(ProtocolViolation, match=f"share from agent-1: {name}: expected"):
                    agent.receive(A1, Share.of(0, 0, said | {name: bad(said[name])}), 0.0)
        agent.expire(2.0)
        digests.add(learner.weights_digest())
        agent.expire(4.0)
        agent.expire(6.0)
    assert len(digests) == 1
    agent = in_sharing(config, learner := make_learner(config))
    agent.receive(A1, Share.of(0, 0, said), 0.0)
    agent.expire(2.0)
    assert learner.weights_digest() not in digests
