from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from agent_cases import (
    RUNNING,
    TERMINATED,
    TRUNCATED,
    Heard,
    OneNumber,
    Played,
    ScalarAdam,
    agent_config,
    central_differences,
    make_learner,
    masked_softmax,
    play,
    positions_of,
    restricted,
    scalar_advantages,
    scalar_loss,
    scalar_network,
    scalar_returns,
    scalar_slope,
    softmax,
    toy_episode,
)
from learner_cases import critic, policies, steps
from message_cases import seen_of, state_of
from scipy.stats import chisquare
from torch import Tensor

from agent_node.algorithms.independent import Independent
from agent_node.algorithms.value_parameter_sharing import ValueParameterSharing
from agent_node.config import AgentConfig
from agent_node.experience import acting_episode, samples
from agent_node.learning.algorithm import Algorithm
from agent_node.learning.differentiated import Differentiated
from agent_node.learning.learner import Learner
from agent_node.learning.round import Loss, Mixed, Round
from agent_node.registry import BUILT_IN
from broker.errors import ProtocolViolation, UserCodeFailed, UserCodeRefused

Arrays = dict[str, np.ndarray]
A0, A1, A2 = "agent-0", "agent-1", "agent-2"


def actor_sizes(config: AgentConfig, width: int) -> tuple[int, ...]:
    return (config.observation_size, *config.learning.hidden, width)


def distributions(learner: Learner, row: int, count: int, observations: np.ndarray) -> list[list[float]]:
    """What network `row` says by the scalar oracle, (B, count)."""
    flat, inputs = policies(learner)[row].tolist(), observations.shape[1]
    width = (len(flat) - inputs * 6 - 6 - 6 * 5 - 5) // (5 + 1)  # hidden layers of 6 and 5
    sizes = (inputs, 6, 5, width)
    return [softmax(scalar_network(flat, sizes, seen)[:count]) for seen in observations.tolist()]


def trio(**settings: Any) -> dict[str, Learner]:
    return {name: make_learner(agent_config(name, **settings)) for name in (A0, A1, A2)}


def exchange(
    learners: dict[str, Learner], toys: dict[str, Played], partners: dict[str, tuple[str, ...]] | None = None
) -> None:
    """The first round among all."""
    opened = {
        name: learner.open_round(toys[name].episode, 0, partners[name] if partners else others_of(name, learners))
        for name, learner in learners.items()
    }
    for name, learner in learners.items():
        heard = {source: one.outgoing[name] for source, one in opened.items() if name in one.outgoing}
        for source, arrays in heard.items():
            learner.check(source, arrays)
        learner.close_round(opened[name], heard, {})


def others_of(name: str, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(other for other in names if other != name)


# Acting


def all_actions(config: AgentConfig, episode: int) -> np.ndarray:
    played = play(make_learner(config), toy_episode(config), episode)
    return np.stack([played.actions[step] for step in sorted(played.actions)])


def test_actions_are_the_same_again_for_the_same_seed_agent_and_episode() -> None:
    config = agent_config(copies=20, steps=10)
    actions = all_actions(config, 3)
    assert actions.dtype == np.int32
    np.testing.assert_array_equal(actions, all_actions(config, 3))
    others = [
        all_actions(config, 4),
        all_actions(agent_config(A1, copies=20, steps=10), 3),
        all_actions(agent_config(copies=20, steps=10, seed=8), 3),
    ]
    assert all((other != actions).mean() > 0.3 for other in others)


def test_actions_depend_on_no_other_agent_and_on_no_algorithm() -> None:
    actions = all_actions(agent_config(copies=20, steps=10), 1)
    np.testing.assert_array_equal(actions, all_actions(agent_config(copies=20, steps=10, agents=5), 1))
    np.testing.assert_array_equal(actions, all_actions(agent_config(copies=20, steps=10, algorithm="independent"), 1))
    others = {A0: 3, A1: 5, A2: 2}
    np.testing.assert_array_equal(actions, all_actions(agent_config(copies=20, steps=10, actions=others), 1))


def test_actions_of_an_episode_do_not_depend_on_those_played_before() -> None:
    config = agent_config(copies=20, steps=10)
    learner = make_learner(config)
    play(learner, toy_episode(config), 0)
    again = play(learner, toy_episode(config), 1)
    np.testing.assert_array_equal(np.stack(list(again.actions.values())), all_actions(config, 1))


@pytest.mark.parametrize("actions", [2, 4])
def test_actions_follow_the_policy(actions: int) -> None:
    config = agent_config(actions={A0: actions, A1: 2, A2: 5}, copies=4000, steps=2)
    learner = make_learner(config)
    policies(learner)[:] *= 3  # away from the nearly uniform start
    toy = toy_episode(config)
    toy.observations[:] = toy.observations[:, :1]
    played = play(learner, toy)
    for step in range(2):
        expected = distributions(learner, 0, actions, toy.observations[step, :1])[0]
        counts = np.bincount(played.actions[step], minlength=actions)
        assert max(expected) - min(expected) > 0.05
        assert len(counts) == actions
        assert chisquare(counts, np.array(expected) * 4000).pvalue > 1e-3


@pytest.mark.parametrize("restored", [False, True])
def test_actions_follow_the_policy_as_its_last_update_or_a_checkpoint_left_it(restored: bool) -> None:
    config = agent_config(copies=4000, steps=2, actor_learning_rate=0.3, algorithm="independent")
    learner = make_learner(config)
    first = play(learner, toy_episode(config))
    before = distributions(learner, 0, 3, first.observations[0, :1])[0]
    learner.close_round(learner.open_round(first.episode, 0, ()), {}, {})
    if restored:
        state, learner = learner.state(), make_learner(config)
        learner.restore(state)
    toy = toy_episode(config)
    toy.observations[:] = first.observations[0, 0]
    expected = distributions(learner, 0, 3, toy.observations[0, :1])[0]
    assert max(abs(now - was) for now, was in zip(expected, before, strict=True)) > 0.05
    counts = np.bincount(play(learner, toy, 1).actions[0], minlength=3)
    assert chisquare(counts, np.array(expected) * 4000).pvalue > 1e-3


def test_actions_of_copies_and_steps_are_drawn_independently() -> None:
    config = agent_config(actions=2, copies=2000, steps=2)
    learner = make_learner(config)
    policies(learner)[:] = 0  # uniform
    drawn = np.stack(list(play(learner, toy_episode(config)).actions.values()))
    for one, other in ((drawn[0], drawn[1]), (drawn[0, :-1], drawn[0, 1:])):
        pairs = np.bincount(one * 2 + other, minlength=4)
        assert chisquare(pairs).pvalue > 1e-3


@pytest.mark.parametrize("u", [0.0, float(np.float32(1) - np.float32(2**-24))])
def test_the_extremes_of_a_draw_are_possible_actions(u: float, monkeypatch: pytest.MonkeyPatch) -> None:
    config = agent_config(actions={A0: 2, A1: 4, A2: 4}, copies=50, steps=1)
    learner = make_learner(config)
    monkeypatch.setattr(acting_episode, "generator", lambda *_: OneNumber(u))
    learner.begin_episode(0)
    toy = toy_episode(config)
    drawn = learner.act(0, seen_of(toy.observations[0], toy.rewards[0], toy.ended[0])[1])
    assert drawn.tolist() == [0 if u == 0.0 else 1] * 50


# Sharing


def test_each_neighbor_hears_own_policy_own_actions_and_its_own_anticipation() -> None:
    config = agent_config(actions={A0: 3, A1: 2, A2: 4}, steps=4, copies=2)
    learner = make_learner(config)
    toy = play(learner, toy_episode(config))
    told = learner.open_round(toy.episode, 0, (A1, A2)).outgoing
    seen = toy.observations[:-1].reshape(-1, 3)
    assert told.keys() == {A1, A2}
    for row, (neighbor, count) in enumerate(((A1, 2), (A2, 4)), 1):
        said = told[neighbor]
        assert said.keys() == {"policy", "actions", "anticipation", "samples"}
        assert positions_of(said["samples"]) == list(range(8))
        assert (said["policy"].dtype, said["actions"].dtype, said["anticipation"].dtype) == ("f4", "i4", "f4")
        np.testing.assert_allclose(said["policy"], distributions(learner, 0, 3, seen), atol=1e-5)
        np.testing.assert_allclose(said["anticipation"], distributions(learner, row, count, seen), atol=1e-5)
        assert said["actions"].tolist() == np.stack(list(toy.actions.values())).ravel().tolist()
    assert not np.allclose(told[A1]["anticipation"], told[A2]["anticipation"][:, :2], atol=1e-3)


def test_nothing_of_the_reward_is_in_what_is_shared_before_learning_from_it() -> None:
    config = agent_config()
    told = []
    for reward_seed in (1, 2):
        learner = make_learner(config)
        toy = play(learner, toy_episode(config, reward_seed=reward_seed))
        told.append(learner.open_round(toy.episode, 0, (A1, A2)).outgoing)
    for neighbor, arrays in told[0].items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, told[1][neighbor][name])


def test_shares_of_the_next_round_are_of_the_updated_policies() -> None:
    learners = trio(actor_learning_rate=0.1)
    toys = {name: play(learner, toy_episode(agent_config(name))) for name, learner in learners.items()}
    exchange(learners, toys)
    told = learners[A0].open_round(toys[A0].episode, 1, (A1, A2)).outgoing
    seen = toys[A0].observations[:-1].reshape(-1, 3)
    np.testing.assert_allclose(told[A1]["policy"], distributions(learners[A0], 0, 3, seen), atol=1e-5)
    np.testing.assert_allclose(told[A2]["anticipation"], distributions(learners[A0], 2, 3, seen), atol=1e-5)


def test_only_samples_in_range_are_shared_and_a_neighbor_never_in_range_hears_nothing() -> None:
    config = agent_config(proximity=True)
    learner = make_learner(config)
    toy = toy_episode(config)
    assert toy.neighbors is not None
    toy.neighbors[:] = 0
    toy.neighbors[1, 0, 0] = toy.neighbors[3, 1, 0] = 1  # agent-1: copy 0 at step 1, copy 1 at step 3
    told = learner.open_round(play(learner, toy).episode, 0, (A1, A2)).outgoing
    assert told.keys() == {A1}
    seen = toy.observations[[1, 3], [0, 1]]
    np.testing.assert_allclose(told[A1]["policy"], distributions(learner, 0, 3, seen), atol=1e-5)
    np.testing.assert_allclose(told[A1]["anticipation"], distributions(learner, 1, 3, seen), atol=1e-5)
    assert told[A1]["actions"].tolist() == [toy.actions[1][0], toy.actions[3][1]]
    assert positions_of(told[A1]["samples"]) == [1 * 2 + 0, 3 * 2 + 1]


def test_a_share_says_which_steps_and_copies_it_is_about() -> None:
    """Positions count from the start of the episode in a grid as long as the time limit, whatever was seen of it."""
    config = agent_config(steps=7, copies=3)
    learner = make_learner(config)
    toy = toy_episode(config)
    toy.ended[3:, 1] = TERMINATED
    episode = play(learner, toy, missed=(1,)).episode
    (said,) = learner.open_round(episode, 0, (A2,)).outgoing.values()
    # a missed timestep costs its own sample and the one before; copy 1 has none from step 3 on
    held = [(t, e) for t in (2, 3, 4, 5, 6) for e in range(3) if not (e == 1 and t >= 3)]
    assert positions_of(said["samples"]) == [t * 3 + e for t, e in held]
    assert len(said["policy"]) == len(said["actions"]) == len(said["anticipation"]) == len(held)
    assert said["actions"].tolist() == [toy.actions[t][e] for t, e in held]


@pytest.mark.parametrize(("steps", "copies"), [(1, 1), (4, 2), (3, 3), (25, 5)])
def test_saying_which_samples_costs_a_bit_for_each_step_and_copy(steps: int, copies: int) -> None:
    config = agent_config(steps=steps, copies=copies)
    learner = make_learner(config)
    episode = play(learner, toy_episode(config)).episode
    for said in learner.open_round(episode, 0, (A1, A2)).outgoing.values():
        assert said["samples"].dtype == np.uint8
        assert said["samples"].nbytes <= (steps * copies + 7) // 8


def test_an_algorithm_without_shares_says_nothing_about_samples_either() -> None:
    config = agent_config(algorithm="independent")
    learner = make_learner(config)
    episode = play(learner, toy_episode(config)).episode
    assert learner.open_round(episode, 0, (A1, A2)).outgoing == {}
    learner.check(A1, {})
    with pytest.raises(ProtocolViolation, match="samples"):
        learner.check(A1, {"samples": samples.pack(np.arange(8), 8)})


def test_an_impossible_action_has_probability_0_for_the_one_who_learns_it() -> None:
    config = agent_config(actions={A0: 2, A1: 4, A2: 3})
    learner = make_learner(config)
    episode = play(learner, toy_episode(config)).episode
    now = learner.open_round(episode, 0, (A1, A2)).round
    own, of_1, of_2 = (now.probabilities(name) for name in (None, A1, A2))
    assert not own[:, 2:].any()
    assert (of_1 > 0).all()
    assert not of_2[:, 3:].any()
    for probabilities in (own, of_1, of_2):
        np.testing.assert_allclose(probabilities.sum(axis=1), np.ones(8), rtol=1.3e-6)


@pytest.mark.parametrize("missed", [(1,), (0, 1, 2)])
@pytest.mark.parametrize("algorithm", sorted(BUILT_IN))
@pytest.mark.parametrize("reference", ["round", "behaviour"])
def test_an_agent_without_samples_shares_nothing_and_stays_as_it_is(
    missed: tuple[int, ...], algorithm: str, reference: str
) -> None:
    config = agent_config(steps=2, algorithm=algorithm, ratio_reference=reference)
    learner = make_learner(config)
    before = state_of(learner.state())
    episode = play(learner, toy_episode(config), missed=missed).episode
    for k in range(2):
        opened = learner.open_round(episode, k, (A1, A2))
        assert opened.outgoing == {}
        assert learner.close_round(opened, {}, {}) == {}
    assert state_of(learner.state()) == before


# Checking


@pytest.fixture
def listening() -> tuple[Learner, Arrays]:
    """agent-0 (2 actions) and what agent-1 (3 actions) has to tell it, about 10 samples: two bits more than a byte."""
    counts = {A0: 2, A1: 3, A2: 3}
    configs = {name: agent_config(name, actions=counts, steps=5, copies=2) for name in (A0, A1)}
    learners = {name: make_learner(config) for name, config in configs.items()}
    toys = {name: play(learner, toy_episode(configs[name])) for name, learner in learners.items()}
    told = learners[A1].open_round(toys[A1].episode, 0, (A0, A2)).outgoing
    return learners[A0], {name: array.copy() for name, array in told[A0].items()}


def test_what_a_neighbor_shares_is_accepted(listening: tuple[Learner, Arrays]) -> None:
    learner, arrays = listening
    learner.check(A1, arrays)


def scaled(name: str, factor: float) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        arrays[name] = arrays[name] * np.float32(factor)

    return change


def written(name: str, place: Any, value: float | list[float]) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        arrays[name][place] = value

    return change


def swapped(name: str, function: Callable[[np.ndarray], np.ndarray]) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        arrays[name] = function(arrays[name])

    return change


def without_row(row: int, names: Sequence[str]) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        arrays.update({name: np.delete(arrays[name], row, axis=0) for name in names})

    return change


def about(*positions: int) -> Callable[[Arrays], None]:
    """Says that the rows are of these samples, of whatever they are."""
    return lambda arrays: arrays.update(samples=samples.pack(np.array(positions, np.int64), 10))


PER_SAMPLE = ("policy", "actions", "anticipation")


def test_a_share_about_fewer_samples_than_the_receivers_is_accepted(listening: tuple[Learner, Arrays]) -> None:
    learner, arrays = listening
    without_row(3, PER_SAMPLE)(arrays)
    about(*(position for position in range(10) if position != 3))(arrays)
    learner.check(A1, arrays)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda arrays: arrays.pop("samples"), "samples"),
        (swapped("samples", lambda array: array[:-1]), r"samples: expected \(2,\) uint8, found \(1,\)"),
        (
            swapped("samples", lambda array: np.append(array, np.uint8(0))),
            r"samples: expected \(2,\) uint8, found \(3,\)",
        ),
        (swapped("samples", lambda array: array[None]), "samples"),
        (swapped("samples", lambda array: array.astype(np.int32)), "samples: .*int32"),
        (swapped("samples", lambda array: np.unpackbits(array, count=10)), "samples"),
        (written("samples", 1, 0xE0), "samples: expected at most 10 bits"),
        (
            written("samples", slice(None), [0xFF, 0x81]),
            "samples: expected at most 10 bits",
        ),  # ten, one behind the grid
        (about(*range(9)), r"policy: expected \(9, 3\)"),
        (about(), r"policy: expected \(0, 3\)"),
        (without_row(9, PER_SAMPLE), r"policy: expected \(10, 3\)"),
        (without_row(9, ["policy"]), r"policy: expected \(10, 3\)"),
        (without_row(9, ["actions"]), r"actions: expected \(10,\)"),
        (without_row(0, ["anticipation"]), r"anticipation: expected \(10, 2\)"),
    ],
)
def test_bits_of_another_grid_and_rows_that_do_not_fit_the_bits_are_refused(
    listening: tuple[Learner, Arrays], change: Callable[[Arrays], None], says: str
) -> None:
    learner, arrays = listening
    change(arrays)
    with pytest.raises(ProtocolViolation, match=says):
        learner.check(A1, arrays)


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays.pop("anticipation"),
        lambda arrays: arrays.update(reward=np.zeros(10, np.float32)),
        swapped("policy", lambda array: array[:-1]),
        swapped("policy", lambda array: array[:, :2]),
        swapped("anticipation", lambda array: np.full((10, 3), 1 / 3, np.float32)),
        swapped("policy", lambda array: array.astype(np.float64)),
        swapped("actions", lambda array: array.astype(np.int64)),
        scaled("policy", 1.01),
        scaled("anticipation", 0.98),
        written("policy", (0, slice(None)), [-0.5, 1.0, 0.5]),
        written("anticipation", (3, 0), np.nan),
        written("actions", 0, 3),
        written("actions", 5, -1),
    ],
)
def test_what_a_neighbor_cannot_share_is_refused(
    listening: tuple[Learner, Arrays], change: Callable[[Arrays], None]
) -> None:
    learner, arrays = listening
    change(arrays)
    with pytest.raises(ProtocolViolation):
        learner.check(A1, arrays)


# Learning: whole rounds against the scalar oracles


class ScalarLearner:
    """Algorithm 1 for agent-0, in floats and loops; gradients are difference quotients."""

    def __init__(self, learner: Learner, config: AgentConfig, toy: Played, missed: Sequence[int] = ()) -> None:
        self.config, self.toy = config, toy
        self.actor = policies(learner).astype(np.float64)
        self.critic = critic(learner).astype(np.float64)
        learning = config.learning
        self.actor_adams = [ScalarAdam(learning.actor_learning_rate, learning.adam_epsilon) for _ in self.actor]
        self.critic_adam = ScalarAdam(learning.critic_learning_rate, learning.adam_epsilon)
        self.behaviour: list[float] | None = None
        self.measured: dict[str, tuple[float, float, float]] | None = None
        steps, copies = config.steps, config.parallel_episodes
        grid = [(t, e) for t in range(steps) for e in range(copies)]
        self.places = [
            (t, e) for t, e in grid if toy.ended[t, e] == RUNNING and t not in missed and t + 1 not in missed
        ]
        self.rewards = toy.rewards[1:].tolist()
        self.continues = [
            [float((t, e) in self.places and (t + 1, e) in self.places) for e in range(copies)] for t in range(steps)
        ]
        self.actions = [int(toy.actions[t][e]) for t, e in self.places]
        self.seen = [toy.observations[t, e].tolist() for t, e in self.places]
        self.possible = {name: [[1.0] * count] * len(self.places) for name, count in config.action_counts.items()}
        if toy.masks is not None:
            own = config.action_counts[A0]
            self.possible[A0] = [toy.masks[t, e, :own].astype(float).tolist() for t, e in self.places]

    def distributions(self, row: np.ndarray, agent: str) -> list[list[float]]:
        sizes = actor_sizes(self.config, max(self.config.action_counts.values()))
        return [
            masked_softmax(scalar_network(row.tolist(), sizes, seen)[: len(possible)], possible)
            for seen, possible in zip(self.seen, self.possible[agent], strict=True)
        ]

    def value(self, critic: np.ndarray, t: int, e: int) -> float:
        return scalar_network(critic.tolist(), actor_sizes(self.config, 1), self.toy.observations[t, e].tolist())[0]

    def advantages(self) -> list[float]:
        learning, steps = self.config.learning, self.config.steps
        copies = range(self.config.parallel_episodes)
        here = [[self.value(self.critic, t, e) for e in copies] for t in range(steps)]
        behind = [[here[t + 1][e] if self.continues[t][e] else 0.0 for e in copies] for t in range(steps)]
        if learning.bootstrap_at_time_limit:  # only played without a hole and without an end before the time limit
            behind[-1] = [self.value(self.critic, steps, e) for e in copies]
        grid = scalar_advantages(self.rewards, here, behind, self.continues, learning.gamma, learning.gae_lambda)
        flat = [grid[t][e] for t, e in self.places]
        if not learning.normalize_advantages or len(flat) == 1:
            return flat
        mean = sum(flat) / len(flat)
        deviation = math.sqrt(sum((a - mean) ** 2 for a in flat) / len(flat))
        return [(a - mean) / deviation for a in flat]

    def update_critic(self) -> float:
        returns = scalar_returns(self.rewards, self.continues, self.config.learning.gamma)

        def loss(critic: np.ndarray) -> float:
            return sum((self.value(critic, t, e) - returns[t][e]) ** 2 for t, e in self.places) / len(self.places)

        gradient = central_differences(loss, self.critic)
        before = loss(self.critic)
        self.critic = np.array(self.critic_adam.step(self.critic.tolist(), gradient.tolist()))
        return before

    def at_own_places(self, arrays: Arrays) -> Heard:
        """What a neighbor said about each own sample, None where it said nothing."""
        row_of = {position: row for row, position in enumerate(positions_of(arrays["samples"]))}
        rows = [row_of.get(t * self.config.parallel_episodes + e) for t, e in self.places]
        policy, actions, anticipation = (
            [None if row is None else arrays[name][row].tolist() for row in rows] for name in PER_SAMPLE
        )
        wished = [
            said and restricted(said, possible) for said, possible in zip(anticipation, self.possible[A0], strict=True)
        ]
        acted = [None if row is None else float(arrays["acted"][row]) for row in rows] if "acted" in arrays else None
        return Heard(policy, actions, wished, acted)

    def told(self, heard: dict[str, Arrays], advantages: list[float]) -> dict[str, float] | None:
        """kappa rho' as each neighbor asks for it, or None where weights are fixed."""
        sharing = self.config.algorithm.anticipation_sharing
        if sharing.weights == "fixed":
            return None
        kappa = sum(map(abs, advantages)) / len(advantages)
        return {j: min(3 * float(said["slope"][0]), 24 * sharing.rho * kappa) for j, said in heard.items()}

    def measure(self, said: dict[str, Heard], advantages: list[float]) -> dict[str, tuple[float, float, float]]:
        """What a first round shows of the worth of each anticipation: m, v and 1 / n (SPEC section 8)."""
        found, kappa = {}, sum(map(abs, advantages)) / len(advantages)
        for row, j in ((1, A1), (2, A2)):
            if j in said:
                mine, about = self.distributions(self.actor[row], j), said[j]
                pairs = [
                    (self.wished_more(mine[b], policy, action), advantages[b])
                    for b, (policy, action) in enumerate(zip(about.policy, about.actions, strict=True))
                    if policy is not None and action is not None
                ]
                xa, xx = (sum(x * y for x, y in each) / len(pairs) for each in (pairs, [(x, x) for x, _ in pairs]))
                rho = self.config.algorithm.anticipation_sharing.rho
                found[j] = scalar_slope([(xa, xx, len(pairs))], 0.95, 2 * rho * kappa)
        return found

    def wished_more(self, wished: list[float], done: list[float], action: int) -> float:
        """By how much more the action is wished than it is done, less the mean of that where there is a baseline."""
        gaps = [wish - does for wish, does in zip(wished, done, strict=True)]
        mean = sum(p * gap for p, gap in zip(done, gaps, strict=True))
        return gaps[action] - mean * self.config.algorithm.anticipation_sharing.calibration.baseline

    def masks_at_own_places(self, arrays: Arrays, count: int) -> list[list[float]]:
        """What a neighbor could do at each own sample; all there is, where it said nothing."""
        row_of = {position: row for row, position in enumerate(positions_of(arrays["samples"]))}
        rows = [row_of.get(t * self.config.parallel_episodes + e) for t, e in self.places]
        return [
            [1.0] * count
            if row is None
            else [float(place in positions_of(arrays["mask"][row])) for place in range(count)]
            for row in rows
        ]

    def round(self, heard: dict[str, Arrays]) -> dict[str, float]:
        """Advantages with the critic as it was, then the critic, then the policies heard."""
        advantages = self.advantages()
        critic_loss = self.update_critic()
        counts = self.config.action_counts
        for j, arrays in heard.items():
            if "mask" in arrays:
                self.possible[j] = self.masks_at_own_places(arrays, counts[j])
        own = self.distributions(self.actor[0], A0)
        now = [own[b][action] for b, action in enumerate(self.actions)]
        if self.behaviour is None or self.config.learning.ratio_reference == "round":
            self.behaviour = now
        old = self.behaviour
        said = {j: self.at_own_places(arrays) for j, arrays in heard.items()}
        settings, told = self.config.algorithm.anticipation_sharing, self.told(heard, advantages)
        if self.measured is None:
            self.measured = self.measure(said, advantages)

        def terms(actor: np.ndarray) -> Any:
            return scalar_loss(
                self.distributions(actor[0], A0),
                {j: self.distributions(actor[row], j) for row, j in ((1, A1), (2, A2))},
                said,
                actions=self.actions,
                own_old=old,
                advantages=advantages,
                epsilon=self.config.learning.clip,
                rho=settings.rho,
                rho_own=settings.rho_own,
                told=told,
                cap=settings.log_ratio_cap,
                entropy_bonus=self.config.learning.entropy_bonus,
            )

        gradient = central_differences(lambda actor: terms(actor).loss, self.actor)
        before = terms(self.actor)
        for row, name in enumerate((A0, A1, A2)):
            if name == A0 or name in heard:
                moved = self.actor_adams[row].step(self.actor[row].tolist(), gradient[row].tolist())
                self.actor[row] = moved
        losses = {"critic_loss": critic_loss, "gain": sum(before.gain) / len(self.places)}
        if heard:
            losses["penalty"] = sum(before.penalty) / len(self.places)
        return losses


def canned_shares(config: AgentConfig, seed: int) -> dict[str, Arrays]:
    """Shares to agent-0 about every step and copy of an episode."""
    return {j: under_mask(said, j, config, seed) for j, said in unmasked_shares(config, seed).items()}


def under_mask(said: Arrays, agent: str, config: AgentConfig, seed: int) -> Arrays:
    """A share as it is where its sender could not do everything; as it was where nothing is masked."""
    if not config.masks:
        return said
    draw, (rows, count) = np.random.default_rng([seed, int(agent[-1])]), said["policy"].shape
    possible = draw.integers(0, 2, (rows, count))
    np.put_along_axis(possible, said["actions"][:, None], 1, axis=1)
    policy = said["policy"] * possible
    return said | {
        "policy": (policy / policy.sum(axis=1, keepdims=True)).astype(np.float32),
        "mask": np.packbits(possible.astype(np.uint8), axis=1),
    }


def unmasked_shares(config: AgentConfig, seed: int) -> dict[str, Arrays]:
    draw = np.random.default_rng(seed)
    counts, count = config.action_counts, config.steps * config.parallel_episodes
    return {
        j: {
            "policy": draw.dirichlet(np.full(counts[j], 3.0), count).astype(np.float32),
            "actions": draw.integers(0, counts[j], count).astype(np.int32),
            "anticipation": draw.dirichlet(np.full(counts[A0], 3.0), count).astype(np.float32),
            "samples": samples.pack(np.arange(count), count),
        }
        | more(config, draw, count)
        for j in (A1, A2)
    }


def more(config: AgentConfig, draw: np.random.Generator, count: int) -> Arrays:
    """What is shared under some settings alone."""
    behaves = config.learning.ratio_reference == "behaviour"
    calibrated = config.algorithm.anticipation_sharing.weights == "calibrated"
    acted = {"acted": draw.uniform(0.1, 1, count).astype(np.float32)} if behaves else {}
    return acted | ({"slope": draw.uniform(0, 9, 1).astype(np.float32)} if calibrated else {})


CALIBRATED = {"weights": "calibrated", "rho": 0.5}


@pytest.mark.parametrize(
    ("rounds", "learning"),
    [
        # per round: (partners, of which heard)
        ([((A1, A2), (A1, A2)), ((A1, A2), (A1, A2)), ((A1, A2), (A1, A2))], {}),
        ([((A1, A2), (A1, A2)), ((A1, A2), (A1, A2)), ((A1, A2), (A1, A2))], {"ratio_reference": "behaviour"}),
        ([((A1, A2), (A2,)), ((A2,), (A2,)), ((), ())], {"normalize_advantages": False, "entropy_bonus": 0.05}),
        ([((A1,), ()), ((A1,), (A1,)), ((A1, A2), (A1, A2))], {"bootstrap_at_time_limit": True, "clip": 0.01}),
        ([((A1, A2), (A1, A2)), ((A1, A2), (A2,)), ((), ())], {"masks": True, "entropy_bonus": 0.05}),
        ([((A1, A2), (A1, A2)), ((A1,), (A1,)), ((A1, A2), ())], {"masks": True, "ratio_reference": "behaviour"}),
        ([((A1, A2), (A2,)), ((A1, A2), (A1, A2))], {"ratio_reference": "behaviour", "sharing": {"rho_own": 4.0}}),
        ([((A1, A2), (A1, A2)), ((A1,), ()), ((A1, A2), (A1, A2))], {"sharing": CALIBRATED}),
        (
            [((A1, A2), (A2,)), ((A1, A2), (A1, A2)), ((), ())],
            {"sharing": CALIBRATED, "masks": True, "ratio_reference": "behaviour"},
        ),
        (
            [((A1, A2), (A1, A2)), ((A1, A2), (A1, A2))],
            {"sharing": CALIBRATED | {"calibration": {"baseline": True}}, "masks": True},
        ),
    ],
    ids=[
        "all",
        "behaviour",
        "missing, random partner, skipped",
        "nobody, one, all",
        "masks",
        "masks, behaviour",
        "behaviour, the first missing, a rho' of its own",
        "calibrated",
        "calibrated, masks, behaviour, the first missing",
        "calibrated, with a baseline, masks",
    ],
)
def test_whole_rounds_equal_algorithm_1_done_in_scalars(
    rounds: list[tuple[tuple[str, ...], tuple[str, ...]]], learning: dict[str, Any]
) -> None:
    """Adam's epsilon is 1, so that a step is nearly proportional to the gradient and shows its size, not its sign."""
    config = agent_config(
        actions={A0: 2, A1: 3, A2: 2},
        steps=3,
        copies=1,
        observation_size=2,
        hidden=(4,),
        adam_epsilon=1.0,
        **{"actor_learning_rate": 1.0, "critic_learning_rate": 0.1, **learning},
    )
    learner = make_learner(config)
    policies(learner)[:] *= 2
    toy = play(learner, toy_episode(config))
    scalar = ScalarLearner(learner, config, toy)
    for k, (partners, heard) in enumerate(rounds):
        shares = canned_shares(config, k)
        opened = learner.open_round(toy.episode, k, partners)
        assert tuple(opened.outgoing) == partners
        losses = learner.close_round(opened, {j: shares[j] for j in heard}, {})
        expected = scalar.round({j: shares[j] for j in heard})
        for name, value in expected.items():
            assert losses[name] == pytest.approx(value, rel=1e-3, abs=1e-4)
        assert ("penalty" in losses) == bool(heard)
        np.testing.assert_allclose(critic(learner), scalar.critic, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(policies(learner), scalar.actor, rtol=1e-3, atol=1e-4)
        if config.algorithm.anticipation_sharing.weights == "calibrated":
            for j in (A1, A2):
                expected_estimate = (scalar.measured or {}).get(j, (0.0, 0.0, 0.0))
                np.testing.assert_allclose(learner.state()[f"algorithm/{j}"], expected_estimate, rtol=1e-4)


@dataclass
class Holds:
    """The timesteps that an agent missed of an episode, and when copies of it ended for this agent alone."""

    missed: tuple[int, ...] = ()
    ends: dict[int, int] = field(default_factory=dict)  # copy: at which timestep

    def positions(self, config: AgentConfig) -> list[int]:
        copies = config.parallel_episodes
        return [
            t * copies + e
            for t in range(config.steps)
            for e in range(copies)
            if t < self.ends.get(e, config.steps) and not {t, t + 1} & set(self.missed)
        ]


PARTLY = {
    # as many samples, but others: row b of one is not row b of the other
    "missed timesteps": {A0: Holds(missed=(1,)), A1: Holds(missed=(3,)), A2: Holds()},
    # as in a PettingZoo environment whose agents die one by one
    "own ends": {A0: Holds(ends={0: 2}), A1: Holds(ends={1: 2}), A2: Holds(ends={0: 1, 1: 3})},
    "the receiver saw all": {A0: Holds(), A1: Holds(missed=(0,)), A2: Holds(ends={0: 3, 1: 1})},
    "the receiver saw less": {A0: Holds(missed=(2,)), A1: Holds(), A2: Holds(ends={1: 2})},
}


def lived(
    holds: dict[str, Holds], config: Callable[[str], AgentConfig]
) -> tuple[dict[str, Learner], dict[str, Played]]:
    """Learners that lived through the same states but hold other samples of them, and what each saw."""
    learners, toys = {}, {}
    for name, mine in holds.items():
        learner, toy = make_learner(config(name)), toy_episode(config(name), reward_seed=int(name[-1]) + 1)
        policies(learner)[:] *= 2
        for copy, end in mine.ends.items():
            toy.ended[end:, copy] = TERMINATED
        toys[name] = play(learner, toy, missed=mine.missed)
        learners[name] = learner
    return learners, toys


def small(name: str, **learning: Any) -> AgentConfig:
    """Adam's epsilon is 1, so that a step shows the size of the gradient; 10 positions are two bytes."""
    known = {
        "actions": {A0: 2, A1: 3, A2: 2},
        "actor_learning_rate": 1.0,
        "critic_learning_rate": 0.1,
        "adam_epsilon": 1.0,
    }
    return agent_config(name, steps=5, copies=2, observation_size=2, hidden=(4,), **{**known, **learning})


@pytest.mark.parametrize(("cause", "masks"), [*((cause, False) for cause in PARTLY), ("own ends", True)])
def test_shares_about_partly_different_samples_teach_what_the_formula_says_about_the_common_ones(
    cause: str, masks: bool
) -> None:
    """A neighbor's terms drop at own samples that its share is not about; kappa and all means stay over own samples."""
    holds, config = PARTLY[cause], partial(small, masks=masks)
    learners, toys = lived(holds, config)
    learner = learners[A0]
    scalar = ScalarLearner(learner, config(A0), toys[A0], holds[A0].missed)
    own = holds[A0].positions(config(A0))
    assert [t * 2 + e for t, e in scalar.places] == own
    for k in range(2):
        opened = {name: one.open_round(toys[name].episode, k, others_of(name, holds)) for name, one in learners.items()}
        heard = {name: opened[name].outgoing[A0] for name in (A1, A2)}
        for name, arrays in heard.items():
            theirs = positions_of(arrays["samples"])
            assert theirs == holds[name].positions(config(name))
            assert set(own) & set(theirs)
            learner.check(name, arrays)
        assert any(positions_of(arrays["samples"]) != own for arrays in heard.values())
        losses = learner.close_round(opened[A0], heard, {})
        expected = scalar.round(heard)
        assert expected["penalty"] > 1e-3
        for name, value in expected.items():
            assert losses[name] == pytest.approx(value, rel=1e-3, abs=1e-4)
        np.testing.assert_allclose(critic(learner), scalar.critic, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(policies(learner), scalar.actor, rtol=1e-3, atol=1e-4)
        for name in (A1, A2):
            learners[name].close_round(opened[name], {}, {})


def test_what_a_share_says_about_samples_the_receiver_does_not_hold_teaches_nothing() -> None:
    holds = PARTLY["own ends"]
    digests = set()
    for garbled in (False, True):
        learners, toys = lived(holds, small)
        opened = learners[A0].open_round(toys[A0].episode, 0, (A1,))
        said = learners[A1].open_round(toys[A1].episode, 0, (A0,)).outgoing[A0]
        own = holds[A0].positions(small(A0))
        foreign = [row for row, position in enumerate(positions_of(said["samples"])) if position not in own]
        assert foreign
        if garbled:
            said = {name: array.copy() for name, array in said.items()}
            said["policy"][foreign] = [1, 0, 0]
            said["actions"][foreign] = 2
            said["anticipation"][foreign] = [0, 1]
        learners[A0].check(A1, said)
        learners[A0].close_round(opened, {A1: said}, {})
        digests.add(learners[A0].weights_digest())
    assert len(digests) == 1


def test_a_share_about_no_common_sample_is_as_good_as_missing() -> None:
    holds = {A0: Holds(ends={0: 3, 1: 3}), A1: Holds(missed=(0, 1, 2))}
    learners, toys = lived(holds, small)
    alone, others = lived(holds, small)
    before = policies(learners[A0]).copy()
    assert not set(holds[A0].positions(small(A0))) & set(holds[A1].positions(small(A1)))
    opened = learners[A0].open_round(toys[A0].episode, 0, (A1,))
    said = learners[A1].open_round(toys[A1].episode, 0, (A0,)).outgoing[A0]
    learners[A0].check(A1, said)
    losses = learners[A0].close_round(opened, {A1: said}, {})
    expected = alone[A0].close_round(alone[A0].open_round(others[A0].episode, 0, (A1,)), {}, {})
    assert losses == expected
    found = policies(learners[A0])
    assert np.array_equal(found, policies(alone[A0]))
    assert not np.array_equal(found[0], before[0])


@pytest.mark.parametrize("algorithm", ["policy-sharing", "value-parameter-sharing"])
def test_parameters_are_mixed_whatever_samples_the_two_have_in_common(algorithm: str) -> None:
    """As those of an older share are: consensus is about no sample. With rates of 0 nothing else moves them."""

    def still(name: str) -> AgentConfig:
        rates = {"actor_learning_rate": 1e-30, "critic_learning_rate": 1e-30}
        return small(name, algorithm=algorithm, actions=2, **rates)

    holds = {A0: Holds(ends={0: 3, 1: 3}), A1: Holds(missed=(0, 1, 2))}
    after = {}
    for how in ("heard", "older"):
        learners, toys = lived(holds, still)
        opened = learners[A0].open_round(toys[A0].episode, 0, (A1,))
        said = learners[A1].open_round(toys[A1].episode, 0, (A0,)).outgoing[A0]
        said = {name: array + 1 if array.dtype == np.float32 else array for name, array in said.items()}
        learners[A0].check(A1, said)
        before = learners[A0].weights_digest()
        learners[A0].close_round(opened, *(({A1: said}, {}) if how == "heard" else ({}, {A1: said})))
        after[how] = learners[A0].weights_digest()
        assert after[how] != before
    assert after["heard"] == after["older"]


def test_neighbors_in_range_that_missed_a_timestep_teach_what_the_formula_says_about_the_common_samples() -> None:
    """A share is about the samples at which the two were in range; the receiver drops those that it missed."""
    near = np.array([[1, 1], [0, 1], [1, 0], [0, 1], [1, 1], [0, 0]], np.uint8)  # the pair agent-0, agent-1

    def config(name: str) -> AgentConfig:
        return small(name).model_copy(update={"proximity": True})

    missed = {A0: (1,), A1: (3,)}
    learners, toys = {}, {}
    for name in missed:
        toy = toy_episode(config(name), reward_seed=int(name[-1]) + 1)
        assert toy.neighbors is not None
        toy.neighbors[:, :, 0] = near  # each is the other's first neighbor
        learners[name] = make_learner(config(name))
        policies(learners[name])[:] *= 2
        toys[name] = play(learners[name], toy, missed=missed[name])
    scalar = ScalarLearner(learners[A0], config(A0), toys[A0], missed[A0])
    opened = learners[A0].open_round(toys[A0].episode, 0, (A1,))
    told = opened.outgoing[A1]
    heard = {A1: learners[A1].open_round(toys[A1].episode, 0, (A0,)).outgoing[A0]}
    ours, theirs = positions_of(told["samples"]), positions_of(heard[A1]["samples"])
    in_range = {t * 2 + e for t in range(5) for e in range(2) if near[t, e]}
    assert in_range == {0, 1, 3, 4, 7, 8, 9}
    assert ours == [4, 7, 8, 9]
    assert theirs == [0, 1, 3, 8, 9]
    learners[A0].check(A1, heard[A1])
    losses = learners[A0].close_round(opened, heard, {})
    for name, value in scalar.round(heard).items():
        assert losses[name] == pytest.approx(value, rel=1e-3, abs=1e-4)
    np.testing.assert_allclose(policies(learners[A0]), scalar.actor, rtol=1e-3, atol=1e-4)


def test_learning_from_a_share_leaves_it_as_it_is() -> None:
    learners, toys = lived(PARTLY["own ends"], small)
    opened = learners[A0].open_round(toys[A0].episode, 0, (A1,))
    said = learners[A1].open_round(toys[A1].episode, 0, (A0,)).outgoing[A0]
    before = {name: array.copy() for name, array in said.items()}
    for array in said.values():
        array.setflags(write=False)  # as the codec hands them over
    learners[A0].check(A1, said)
    learners[A0].close_round(opened, {A1: said}, {})
    assert said.keys() == before.keys()
    for name, array in said.items():
        np.testing.assert_array_equal(array, before[name])


def test_a_round_is_closed_the_same_whatever_the_learner_has_seen_since_it_was_opened() -> None:
    digests = set()
    for goes_on in (False, True):
        config = agent_config(ratio_reference="behaviour", proximity=True)
        learner = make_learner(config)
        episode = play(learner, toy_episode(config)).episode
        opened = learner.open_round(episode, 0, (A1, A2))
        if goes_on:
            toy = toy_episode(config, 1)
            toy.neighbors[:] = 0
            play(learner, toy, 1, missed=(2,))
        learner.close_round(opened, canned_shares(config, 0), {})
        learner.close_round(learner.open_round(episode, 1, (A1, A2)), {}, {})
        digests.add(learner.weights_digest())
    assert len(digests) == 1


def own_ratios(config: AgentConfig) -> list[np.ndarray]:
    """xi_i (B,) at the start of each round, from what the algorithm is given."""
    learner = make_learner(config)
    episode = play(learner, toy_episode(config)).episode
    ratios = []
    for k in range(3):
        opened = learner.open_round(episode, k, ())
        ratios.append(np.exp(opened.round.log_own() - opened.round.log_own_old))
        learner.close_round(opened, {}, {})
    return ratios


def test_with_reference_round_the_own_ratio_is_1_at_the_start_of_each_round() -> None:
    for ratio in own_ratios(agent_config()):
        np.testing.assert_array_equal(ratio, 1.0)


def test_with_reference_behaviour_the_own_ratio_refers_to_the_policy_that_acted() -> None:
    first, *later = own_ratios(agent_config(ratio_reference="behaviour"))
    np.testing.assert_array_equal(first, 1.0)
    assert all(np.abs(ratio - 1).max() > 0.01 for ratio in later)


def test_the_behaviour_of_an_episode_is_forgotten_in_the_next() -> None:
    config = agent_config(ratio_reference="behaviour")
    learner = make_learner(config)
    for number in range(2):
        episode = play(learner, toy_episode(config, number), number).episode
        for k in range(2):
            opened = learner.open_round(episode, k, ())
            ratio = np.exp(opened.round.log_own() - opened.round.log_own_old)
            assert bool((ratio == 1).all()) == (k == 0)
            learner.close_round(opened, {}, {})


@pytest.mark.parametrize("limit", [1, 4])
@pytest.mark.parametrize("normalize", [True, False])
def test_a_game_of_one_step_is_learned_from_one_copy(limit: int, *, normalize: bool) -> None:
    """Action 1 of 0 and 1 pays; the game is over after a step, whatever the time `limit`."""
    config = agent_config(
        algorithm="independent",
        agents=2,
        actions=2,
        steps=limit,
        copies=1,
        normalize_advantages=normalize,
        critic_learning_rate=0.01,
    )
    learner, chosen = make_learner(config), []
    for episode in range(120):
        learner.begin_episode(episode)
        one, none = np.ones((1, 3), np.float32), np.zeros(1, np.float32)
        (action,) = learner.act(0, seen_of(one, none, np.zeros(1, np.uint8))[1])
        paid = np.full(1, action, np.float32)
        learner.see(1, seen_of(one, paid, np.full(1, TERMINATED, np.uint8))[1])
        over = learner.end_episode()
        for number in range(3):
            learner.close_round(learner.open_round(over, number, ()), {}, {})
        chosen.append(int(action))
    assert sum(chosen[-20:]) >= 18, chosen


def test_the_critic_learns_once_a_round_and_nothing_of_what_was_heard() -> None:
    digests = []
    for partners in ((), (A1, A2)):
        config = agent_config()
        learner = make_learner(config)
        episode = play(learner, toy_episode(config)).episode
        for k in range(2):
            opened = learner.open_round(episode, k, partners)
            learner.close_round(opened, {j: canned_shares(config, k)[j] for j in partners}, {})
        digests.append(critic(learner).tobytes())
        assert steps(learner)[1] == [2]
    assert digests[0] == digests[1]


# What stays untouched


def whole_episodes(config: AgentConfig, partners: tuple[str, ...]) -> Learner:
    learner = make_learner(config)
    for number in range(3):
        episode = play(learner, toy_episode(config, number), number).episode
        for k in range(3):
            learner.close_round(learner.open_round(episode, k, partners), {}, {})
    return learner


@pytest.mark.parametrize("hidden", [(6, 5), (128, 64)])
def test_an_agent_whose_rounds_are_all_skipped_learns_as_an_independent_one_bit_for_bit(
    hidden: tuple[int, ...],
) -> None:
    skipped = whole_episodes(agent_config(hidden=hidden), ())
    alone = whole_episodes(agent_config(hidden=hidden, algorithm="independent"), (A1, A2))
    assert np.array_equal(policies(skipped)[0], policies(alone)[0])
    assert np.array_equal(critic(skipped), critic(alone))
    fresh = make_learner(agent_config(hidden=hidden))
    assert np.array_equal(policies(skipped)[1:], policies(fresh)[1:])
    assert not np.array_equal(policies(skipped)[0], policies(fresh)[0])


def test_an_agent_that_hears_nobody_learns_as_an_independent_one_bit_for_bit() -> None:
    """Although its networks are evaluated together."""
    missing = whole_episodes(agent_config(), (A1, A2))
    alone = whole_episodes(agent_config(algorithm="independent"), ())
    assert np.array_equal(policies(missing)[0], policies(alone)[0])
    assert steps(missing) == ([9, 0, 0], [9])
    assert np.array_equal(critic(missing), critic(alone))
    assert np.array_equal(policies(missing)[1:], policies(make_learner(agent_config()))[1:])


def test_the_own_policy_starts_the_same_whatever_actions_neighbors_have() -> None:
    counts = {A0: 2, A1: 4, A2: 3}
    toy = toy_episode(agent_config(actions=counts))
    seen = toy.observations.reshape(-1, 3)
    sharing, alone = (
        make_learner(agent_config(actions=counts, algorithm=name)) for name in ("anticipation-sharing", "independent")
    )
    np.testing.assert_allclose(distributions(sharing, 0, 2, seen), distributions(alone, 0, 2, seen), atol=1e-6)


def test_the_own_policy_starts_the_same_with_any_number_of_neighbors() -> None:
    starts = [policies(make_learner(agent_config(agents=n)))[0] for n in (1, 2, 5)]
    starts.append(policies(make_learner(agent_config(algorithm="independent")))[0])
    assert all(np.array_equal(start, starts[0]) for start in starts)


def test_all_networks_of_all_agents_start_differently() -> None:
    starts = np.concatenate([policies(learner) for learner in trio().values()])
    assert len({row.tobytes() for row in starts}) == 9


def test_anticipations_of_missing_partners_stay_untouched_while_those_heard_move() -> None:
    config = agent_config()
    learner = make_learner(config)
    episode = play(learner, toy_episode(config)).episode
    shares = canned_shares(config, 0)
    learner.close_round(learner.open_round(episode, 0, (A1, A2)), shares, {})
    names = ("actor/parameters", "actor/first", "actor/second")
    before = {name: learner.state()[name].copy() for name in names}
    learner.close_round(learner.open_round(episode, 1, (A1, A2)), {A2: shares[A2]}, {})
    for name, was in before.items():
        now = learner.state()[name]
        assert np.array_equal(now[1], was[1])
        assert not np.array_equal(now[0], was[0])
        assert not np.array_equal(now[2], was[2])
    assert steps(learner)[0] == [2, 1, 2]


def test_the_pair_of_a_random_partner_round_moves_and_the_rest_stays() -> None:
    learners = trio()
    toys = {name: play(learner, toy_episode(agent_config(name))) for name, learner in learners.items()}
    before = {name: policies(learner).copy() for name, learner in learners.items()}
    exchange(learners, toys, {A0: (A2,), A1: (), A2: (A0,)})
    moved = {
        name: [not np.array_equal(*rows) for rows in zip(policies(learner), before[name], strict=True)]
        for name, learner in learners.items()
    }
    # rows: own, then neighbors in order
    assert moved == {A0: [True, False, True], A1: [True, False, False], A2: [True, True, False]}


def test_shares_in_another_order_teach_the_same() -> None:
    config = agent_config()
    digests = set()
    for order in ((A1, A2), (A2, A1)):
        learner = make_learner(config)
        episode = play(learner, toy_episode(config)).episode
        shares = canned_shares(config, 0)
        learner.close_round(learner.open_round(episode, 0, (A1, A2)), {j: shares[j] for j in order}, {})
        digests.add(learner.weights_digest())
    assert len(digests) == 1


def test_the_digest_changes_exactly_when_a_parameter_does() -> None:
    config = agent_config()
    learner = make_learner(config)
    digest = learner.weights_digest()
    play(learner, toy_episode(config))
    assert learner.weights_digest() == digest == make_learner(config).weights_digest()
    for parameters in (*policies(learner), critic(learner)):
        for place in (0, -1):
            was = parameters[place].copy()
            parameters[place] = np.nextafter(was, np.float32(9))
            assert learner.weights_digest() != digest
            parameters[place] = was
            assert learner.weights_digest() == digest


def test_truncated_copies_that_ended_early_are_bootstrapped_only_on_request() -> None:
    """The option reaches the rollout: with it on, the batch holds the state behind each cut-off trajectory."""
    sizes = []
    for bootstrap in (False, True):
        config = agent_config(bootstrap_at_time_limit=bootstrap)
        learner = make_learner(config)
        toy = toy_episode(config)
        toy.ended[2:, 0] = TRUNCATED
        batch = play(learner, toy).episode.batch
        sizes.append(len(batch.observations) - batch.samples)
    assert sizes == [0, 2]


class Kinked(Independent):
    """Its loss is a number everywhere, and has no slope."""

    def loss(self, now: Round, shares: Any) -> Loss:
        loss = super().loss(now, shares)
        gradient = loss.gradient.copy()
        gradient[0, -1, -1] = np.nan
        return replace(loss, gradient=gradient)


class KinkedToo(Differentiated, Independent):
    """The same, found by torch: the square root has no slope at 0."""

    def torch_loss(self, now: Round, log_probabilities: Tensor, shares: Any) -> tuple[Tensor, dict[str, Tensor]]:
        return (log_probabilities * 0).abs().sum().sqrt(), {}


class Steep(Independent):
    """A gradient that is finite, and whose square is not."""

    def loss(self, now: Round, shares: Any) -> Loss:
        loss = super().loss(now, shares)
        return replace(loss, gradient=loss.gradient * np.float32(1e25))


@pytest.mark.parametrize("algorithm", [Kinked, KinkedToo, Steep])
def test_a_gradient_that_no_step_can_be_taken_of_is_refused_before_it_spoils_the_policy(
    algorithm: type[Algorithm],
) -> None:
    config = agent_config(algorithm="independent")
    learner = Learner(config, algorithm(config.learning, config.algorithm))
    episode = play(learner, toy_episode(config, 4), 4).episode
    opened = learner.open_round(episode, 2, ())
    before = {name: array.copy() for name, array in learner.state().items()}
    with pytest.raises(
        UserCodeRefused,
        match="agent-0: the gradient or its square is not finite with independent in round 2 of episode 4",
    ):
        learner.close_round(opened, {}, {})
    for name, array in learner.state().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("reward", [3e38, -3e38])
def test_a_critics_loss_that_is_not_finite_is_refused_before_it_spoils_the_critic(reward: float) -> None:
    config = agent_config()
    learner = make_learner(config)
    toy = toy_episode(config)
    toy.rewards[:] = reward
    episode = play(learner, toy).episode
    before = critic(learner).copy()
    with pytest.raises(
        UserCodeRefused, match=r"agent-0: critic_loss is (inf|nan) with anticipation-sharing in round 0 "
    ):
        learner.open_round(episode, 0, (A1, A2))
    np.testing.assert_array_equal(critic(learner), before)


def told_by(algorithm: str, name: str, value: float, **exchange: float) -> tuple[Learner, list[str]]:
    """agent-0 after two rounds in which agent-1 shares `name` with such numbers, as far as that is no violation.

    Beside it, what was refused, and why.
    """
    configs = {each: agent_config(each, agents=2, algorithm=algorithm, exchange=exchange) for each in (A0, A1)}
    learners = {each: make_learner(config) for each, config in configs.items()}
    toys = {each: play(learner, toy_episode(configs[each], 3), 3) for each, learner in learners.items()}
    refused: list[str] = []
    for number in range(2):
        opened = {
            each: learner.open_round(toys[each].episode, number, others_of(each, learners))
            for each, learner in learners.items()
        }
        said = {name: array.copy() for name, array in opened[A1].outgoing[A0].items()}
        said[name][:] = value
        try:
            learners[A0].check(A1, said)
        except ProtocolViolation as violation:
            refused.append(str(violation))
        learners[A0].close_round(opened[A0], {} if len(refused) > number else {A1: said}, {})
        learners[A1].close_round(opened[A1], {A0: opened[A0].outgoing[A1]}, {})
    return learners[A0], refused


REALS = {
    "value-sharing": "advantages",
    "reward-sharing": "rewards",
    "value-parameter-sharing": "critic",
    "dna-marl": "critic",
    "networked-actor-critic": "team_reward",
    "policy-sharing": "policies",
}


@pytest.mark.parametrize("algorithm", REALS)
def test_a_number_beyond_the_largest_is_refused_and_the_agent_learns_as_if_the_share_were_missing(
    algorithm: str,
) -> None:
    learner, refused = told_by(algorithm, REALS[algorithm], -2e9)
    assert (
        refused
        == [f"{REALS[algorithm]}: expected numbers of a size up to 1e+09 (exchange.largest_number), found 2e+09"] * 2
    )
    other, too = told_by(algorithm, REALS[algorithm], 3.4e38, largest_number=5.0)
    assert len(too) == 2
    assert learner.weights_digest() == other.weights_digest()
    assert told_by(algorithm, REALS[algorithm], 0.5)[1] == []


@pytest.mark.parametrize(
    ("algorithm", "value", "says"),
    [
        ("reward-sharing", 3e38, "critic_loss is inf with reward-sharing in round 0 of episode 3"),
        ("value-parameter-sharing", -3e38, "(gain|critic_loss) is .* with value-parameter-sharing in round . of .* 3"),
        ("policy-sharing", 3e38, "gain is nan, loss is nan with policy-sharing in round 1 of episode 3"),
        ("networked-actor-critic", 3e38, ".* is .* with networked-actor-critic in round . of episode 3"),
    ],
)
def test_numbers_that_are_not_finite_after_a_neighbors_are_far_too_large_are_laid_to_that_neighbor(
    algorithm: str, value: float, says: str
) -> None:
    with pytest.raises(UserCodeRefused) as refused:
        told_by(algorithm, REALS[algorithm], value, largest_number=3.4e38)
    assert re.fullmatch(
        rf"agent-0: {says}, after {REALS[algorithm]} with numbers of a size up to 3e\+38 came from agent-1 in round 0 "
        r"of episode 3 \(own ones: up to [0-9.]+\): see what is wrong with agent-1 or on the way from there, or set "
        r"exchange.largest_number \(now 3.4e\+38\) lower, so that such a share is rejected",
        str(refused.value),
    )


def test_mixed_parameters_that_are_not_finite_are_laid_to_the_neighbor_with_the_largest_number() -> None:
    class Summed(ValueParameterSharing):
        def mix(self, now: Round, shares: Any) -> Mixed:
            return Mixed(critic=now.critic + sum(each["critic"] for each in shares.values()))

    config = agent_config(algorithm="value-parameter-sharing", exchange={"largest_number": 3.4e38})
    learner = Learner(config, Summed(config.learning, config.algorithm))
    opened = learner.open_round(play(learner, toy_episode(config)).episode, 0, (A1, A2))
    said = {each: {name: array.copy() for name, array in arrays.items()} for each, arrays in opened.outgoing.items()}
    said[A1]["critic"][0], said[A2]["critic"][0] = 3e38, 2e38
    with pytest.raises(
        UserCodeRefused, match=r"^agent-0: mix\(\) of .*: critic: expected finite .*, after critic with"
    ) as e:
        learner.close_round(opened, said, {})
    assert "see what is wrong with agent-1" in str(e.value)


@pytest.mark.parametrize("rewards", [3e38, 2e22])
def test_where_neighbors_have_numbers_like_the_own_ones_they_are_not_blamed(rewards: float) -> None:
    """2e22 is more than a thousand, and no more than a thousand times what the agent itself has."""
    config = agent_config(agents=2, algorithm="reward-sharing", exchange={"largest_number": 3.4e38})
    learner = make_learner(config)
    toy = toy_episode(config)
    toy.rewards[:] = rewards / 900
    opened = learner.open_round(play(learner, toy).episode, 0, (A1,))
    said = opened.outgoing[A1] | {"rewards": np.full(8, rewards, np.float32)}
    learner.check(A1, said)
    with pytest.raises(UserCodeRefused, match=r"critic_loss is inf ") as refused:
        learner.close_round(opened, {A1: said}, {})
    assert "agent-1" not in str(refused.value)


@pytest.mark.parametrize("array", ["rewards", "observations"])
@pytest.mark.parametrize("later", [0, 1])
def test_numbers_that_are_not_finite_after_the_environments_are_far_too_large_are_laid_to_them(
    array: str, later: int
) -> None:
    """As one flipped bit of a timestep makes them, in this episode or in one before it."""
    config = agent_config(algorithm="independent")
    learner = make_learner(config)

    def learned(episode: int, size: float) -> None:
        toy = toy_episode(config, episode)
        getattr(toy, array)[:] = size
        learner.close_round(learner.open_round(play(learner, toy, episode).episode, 0, ()), {}, {})

    if later:
        learned(0, 1.1e9)
    with pytest.raises(UserCodeRefused) as refused:
        learned(1, 3e38)
    assert re.fullmatch(
        rf"agent-0: .* with independent in round 0 of episode 1, after {array} with numbers of a size up to 3e\+38 "
        "came from the environment in episode 1: see what is wrong with the environment or on the way from there, "
        r"or let it give numbers far below 1e\+09",
        str(refused.value),
    )


def test_a_part_of_a_loss_that_is_not_finite_is_refused_by_name() -> None:
    class Parted(Independent):
        def loss(self, now: Round, shares: Any) -> Loss:
            loss = super().loss(now, shares)
            return replace(loss, parts=loss.parts | {"entropy": -math.inf})

    config = agent_config(algorithm="independent")
    learner = Learner(config, Parted(config.learning, config.algorithm))
    episode = play(learner, toy_episode(config)).episode
    with pytest.raises(UserCodeRefused, match="agent-0: entropy is -inf with independent"):
        learner.close_round(learner.open_round(episode, 0, ()), {}, {})


def a_round_of(**hooks: Any) -> None:
    """A round of an agent whose algorithm has these hooks in the place of those of independent learning."""
    config = agent_config(algorithm="independent")
    learner = Learner(config, type("Brought", (Independent,), hooks)(config.learning, config.algorithm))
    episode = play(learner, toy_episode(config, 2), 2).episode
    assert episode.batch.samples == 8
    learner.close_round(learner.open_round(episode, 0, ()), {}, {})


def mixing(**arrays: Any) -> dict[str, Any]:
    return {"mix": lambda _, now, __: Mixed(**{name: make(now) for name, make in arrays.items()})}


def parted(now: Round, name: str) -> Loss:
    return Loss(0.0, np.zeros(now.log_probabilities.shape, np.float32), {name: 1.0})


def gradient_of(now: Round) -> Loss:
    return Loss(0.0, np.zeros(now.log_probabilities.shape, np.float64), {})


@pytest.mark.parametrize(
    ("hooks", "says"),
    [
        (
            {"critic_targets": lambda _, now: now.batch.returns[:-1]},
            r"critic_targets\(\) of .*: targets: expected \(8,\) float32, found \(7,\) float32",
        ),
        ({"critic_targets": lambda _, now: now.batch.returns.astype(float)}, "targets: expected .* found .* float64"),
        ({"critic_targets": lambda *_: np.float32(1)}, "targets: expected .*, found float32$"),
        (
            mixing(advantages=lambda now: now.advantages[:3]),
            r"mix\(\) of .*: advantages: expected \(8,\) float32, found \(3,\) float32",
        ),
        (mixing(advantages=lambda now: now.advantages.astype(float)), "advantages: expected .* found .* float64"),
        (mixing(rewards=lambda now: now.rewards.tolist()), r"rewards: expected \(8,\) float32, found list"),
        (mixing(critic=lambda _: np.float32(1)), r"mix\(\) of .*: critic: expected \(\d+,\) float32, found float32"),
        (mixing(policies=lambda _: np.zeros(2, np.float32)), r"policies: expected \(1, \d+\) float32, found \(2,\)"),
        (mixing(estimators=lambda _: {"team": 1}), "expected estimators among none, found 'team'"),
        (
            {"loss": lambda _, now, __: gradient_of(now)},
            r"loss\(\) of .*: gradient: expected \(1, 8, \d+\) float32, found \(1, 8, \d+\) float64",
        ),
        (
            {"loss": lambda _, now, __: parted(now, "round")},
            r"loss\(\) of .*: parts: expected other names than agent, .*, found 'round'",
        ),
    ],
)
def test_what_an_algorithm_gives_in_another_form_is_refused_by_the_name_of_what_gave_it(
    hooks: dict[str, Any], says: str
) -> None:
    with pytest.raises(UserCodeRefused, match=f"^agent-0: .*{says}") as refused:
        a_round_of(**hooks)
    assert "of independent in round 0 of episode 2: " in str(refused.value)


@pytest.mark.parametrize("which", ["critic", "policies"])
def test_mixed_parameters_that_are_not_finite_are_refused_before_they_are_kept(which: str) -> None:
    config = agent_config(algorithm="independent")
    learner = make_learner(config)
    parameters = (critic if which == "critic" else policies)(learner)
    bad = np.full_like(parameters, np.nan)
    with pytest.raises(
        UserCodeRefused, match=rf"mix\(\) of .*: {which}: expected finite numbers, found NaN or infinity"
    ):
        a_round_of(**mixing(**{which: lambda _: bad}))


def test_what_an_algorithm_gives_may_lie_in_memory_as_it_likes() -> None:
    def turned(array: np.ndarray) -> np.ndarray:
        return array[::-1].copy()[::-1]

    a_round_of(**mixing(advantages=lambda now: turned(now.advantages)))
    a_round_of(critic_targets=lambda _, now: turned(now.batch.returns))
    a_round_of(loss=lambda _, now, __: Loss(0.0, turned(np.zeros(now.log_probabilities.shape, np.float32)), {}))


@pytest.mark.parametrize(
    ("kept", "says"),
    [
        (None, "found NoneType"),
        ({"memory": [1, 2]}, "found list as memory"),
        ({3: np.zeros(2)}, "found the name 3"),
        ({"memory": np.array(["a"])}, "found <U1 as memory"),
        ({"memory": np.zeros(2, np.complex64)}, "found complex64 as memory"),
    ],
)
def test_what_an_algorithm_keeps_that_no_checkpoint_holds_is_refused_as_it_begins(kept: Any, says: str) -> None:
    expected = rf"^agent-0: keeps\(\) of independent: expected arrays of numbers by name, {says}$"
    with pytest.raises(UserCodeRefused, match=expected):
        a_round_of(keeps=lambda *_: kept)


def test_what_an_algorithm_keeps_is_changed_in_place_and_not_replaced() -> None:
    def replaced(_: Algorithm, now: Round, __: Any) -> None:
        now.kept["memory"] = np.zeros(3)  # type: ignore[index]

    with pytest.raises(UserCodeFailed, match=r"remember\(\) of independent raised TypeError: .* item assignment"):
        a_round_of(keeps=lambda *_: {"memory": np.zeros(2)}, remember=replaced)
