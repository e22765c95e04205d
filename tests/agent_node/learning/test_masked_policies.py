"""Masks of actions: what is left of distributions, that nothing impossible is ever drawn, and what shares must say."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from agent_cases import (
    OneNumber,
    Played,
    agent_config,
    central_differences,
    make_learner,
    masked_softmax,
    play,
    random_masks,
    restricted,
    softmax,
    toy_episode,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from learner_cases import policies
from scipy.stats import chisquare

from agent_node.algorithms.anticipation_sharing import AnticipationSharing
from agent_node.config import AgentConfig
from agent_node.experience import acting_episode, masks
from agent_node.learning.algorithm import Algorithm, Round
from agent_node.learning.learner import Learner
from agent_node.learning.losses import entropy
from agent_node.registry import BUILT_IN
from broker.arithmetic.chosen import kernels
from broker.errors import ProtocolViolation

Arrays = dict[str, np.ndarray]
A0, A1, A2 = "agent-0", "agent-1", "agent-2"
MANY = {A0: 9, A1: 3, A2: 2}
"""Nine actions take two bytes in a share."""


def masked(name: str = A0, **settings: Any) -> AgentConfig:
    return agent_config(name, **{"masks": True, "actions": MANY, **settings})


# Distributions under a mask


def test_a_distribution_over_what_is_possible_is_the_one_computed_by_hand() -> None:
    logits = np.log(np.array([[1, 2, 3], [1, 2, 3]], np.float32))
    possible = np.array([[True, False, True], [False, True, False]])
    logs = masks.among(logits, possible)
    assert np.exp(logs).tolist() == [pytest.approx([0.25, 0, 0.75]), pytest.approx([0, 1, 0])]
    assert kernels.exponentials(logs)[~possible].tolist() == [0.0] * 3  # exactly
    np.testing.assert_allclose(masks.among(logs, possible), logs, rtol=1e-6)
    # H = -(.25 ln .25 + .75 ln .75), and of a single choice 0
    assert entropy(logs)[0].tolist() == pytest.approx([0.5623351, 0.0])


def test_what_others_say_of_own_actions_is_kept_as_far_as_they_are_possible() -> None:
    said = np.array([[0.2, 0.3, 0.5], [0.0, 1.0, 0.0], [0.0, 1e-38, 1.0]], np.float32)
    possible = np.array([[True, False, True], [True, False, True], [True, True, False]])
    kept = masks.renormalized(said, possible).tolist()
    assert kept == [pytest.approx([2 / 7, 0, 5 / 7]), [0.5, 0, 0.5], [0, 1, 0]]


@st.composite
def rows(draw: st.DrawFn) -> tuple[list[float], list[bool]]:
    count = draw(st.integers(1, 20))
    logits = draw(st.lists(st.floats(-80, 80, width=32), min_size=count, max_size=count))
    possible = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    possible[draw(st.integers(0, count - 1))] = True
    return logits, possible


@given(rows(), st.floats(0.1, 2))
@settings(deadline=None)
def test_the_logarithm_of_0_is_defined_and_no_gradient_is_nan(
    drawn: tuple[list[float], list[bool]], weight: float
) -> None:
    """Entropy, Kullback-Leibler divergence and squared norm, with their slopes, against torch's autograd of them."""
    logits, possible = np.array(drawn[0], np.float32), np.array(drawn[1])
    logs, other = masks.among(logits, possible), masks.among(np.float32(weight) * logits[::-1], possible)
    p = kernels.exponentials(logs)
    divergence = p * (logs - other)
    own_entropy, by_logs = entropy(logs)
    gradient = kernels.log_softmax_gradient(logs, by_logs + divergence + p + 2 * p * p)
    assert p.tolist() == pytest.approx(masked_softmax(drawn[0], drawn[1]), abs=1e-5)
    assert np.isfinite(logs).all()
    assert math.isfinite(own_entropy)
    assert divergence.sum() >= -1e-4
    assert not gradient[~possible].any()
    assert not p[~possible].any()
    leaf = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    exact = leaf.masked_fill(~torch.from_numpy(possible), masks.IMPOSSIBLE).log_softmax(dim=-1)
    q = torch.from_numpy(other).double()
    total = -(exact.exp() * exact).sum() + (exact.exp() * (exact - q)).sum() + exact.exp().square().sum()
    total.backward()  # type: ignore[no-untyped-call]
    assert leaf.grad is not None
    np.testing.assert_allclose(own_entropy + divergence.sum() + (p * p).sum(), total.item(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(gradient, leaf.grad, rtol=1e-4, atol=1e-4)


@given(rows())
@settings(deadline=None)
def test_a_distribution_cut_down_agrees_with_the_plain_loop(drawn: tuple[list[float], list[bool]]) -> None:
    said = np.array(softmax(drawn[0]), np.float32)
    kept = masks.renormalized(said, np.array(drawn[1]))
    assert kept.tolist() == pytest.approx(restricted(said.tolist(), [float(can) for can in drawn[1]]), abs=1e-5)
    assert float(kept.sum()) == pytest.approx(1)


@given(st.integers(1, 40).flatmap(lambda n: st.lists(st.lists(st.booleans(), min_size=n, max_size=n), max_size=5)))
def test_a_mask_survives_as_one_bit_for_each_action(possible: list[list[bool]]) -> None:
    array = np.array(possible, np.bool_).reshape(len(possible), -1 if possible else 3)
    bits = masks.pack(array)
    assert bits.shape == (len(array), masks.packed_bytes(array.shape[1]))
    np.testing.assert_array_equal(masks.unpack(bits, array.shape[1]), array)


# Sampling


LARGEST = float(np.float32(1) - np.float32(2**-24))


@given(
    seed=st.integers(0, 2**32),
    scale=st.sampled_from([0.0, 1.0, 1e3, 1e6, math.nan, math.inf]),
    u=st.one_of(st.sampled_from([0.0, LARGEST]), st.none(), st.floats(0, LARGEST, width=32)),
    count=st.integers(1, 9),
)
@settings(deadline=None, max_examples=60)
def test_no_impossible_action_is_ever_drawn(seed: int, scale: float, u: float | None, count: int) -> None:
    config = masked(actions={A0: count, A1: 9, A2: 3}, copies=40, steps=3)
    learner = make_learner(config)
    toy = toy_episode(config, state_seed=seed)
    with pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"):
        if u is not None:
            patch.setattr(acting_episode, "generator", lambda *_: OneNumber(u))
        policies(learner)[:] *= (
            scale  # logits so far apart that probabilities of possible actions vanish, or no numbers
        )
        play(learner, toy)
    assert toy.masks is not None
    for step, actions in toy.actions.items():
        assert (actions < count).all()
        assert np.take_along_axis(toy.masks[step], actions[:, None], axis=1).all()


def test_drawn_actions_follow_the_policy_over_what_is_possible() -> None:
    config = masked(copies=4000, steps=1)
    learner = make_learner(config)
    policies(learner)[:] *= 3
    toy = toy_episode(config)
    toy.observations[:] = toy.observations[:, :1]
    assert toy.masks is not None
    toy.masks[:] = [1, 0, 1, 1, 0, 0, 1, 0, 1]
    play(learner, toy)
    (policy,) = {tuple(row) for row in learner.open_round(toy.episode, 0, (A1,)).outgoing[A1]["policy"].tolist()}
    counts = np.bincount(toy.actions[0], minlength=9)
    possible = np.flatnonzero(toy.masks[0, 0])
    assert counts[possible].sum() == 4000
    assert chisquare(counts[possible], np.array(policy)[possible] / sum(policy) * 4000).pvalue > 1e-3


@pytest.mark.parametrize("algorithm", sorted(BUILT_IN))
def test_a_mask_that_allows_everything_changes_no_action_and_no_weight(algorithm: str) -> None:
    learners = []
    for said in (False, True):
        config = masked(masks=said, algorithm=algorithm)
        learner, toy = make_learner(config), toy_episode(config)
        if said:
            toy.masks = np.ones((config.steps + 1, config.parallel_episodes, 9), np.uint8)
        play(learner, toy)
        learner.close_round(learner.open_round(toy.episode, 0, (A1, A2)), {}, {})
        learners.append(learner)
    assert learners[0].weights_digest() == learners[1].weights_digest()


def test_who_has_no_choice_learns_no_choice_of_it() -> None:
    """Of a sample with one possible action the policy says 1 whatever it is, so nothing would move it."""
    config = masked(algorithm="independent", entropy_bonus=0.1)
    learner, toy = make_learner(config), toy_episode(config)
    toy.masks = np.zeros((config.steps + 1, config.parallel_episodes, 9), np.uint8)
    toy.masks[..., 4] = 1
    play(learner, toy)
    before = policies(learner).copy()
    losses = learner.close_round(learner.open_round(toy.episode, 0, ()), {}, {})
    assert {action for actions in toy.actions.values() for action in actions.tolist()} == {4}
    assert losses["critic_loss"] > 0
    assert losses["entropy"] == 0
    np.testing.assert_array_equal(policies(learner), before)


# Shares


def trio(algorithm: str, **settings: Any) -> tuple[dict[str, Learner], dict[str, Played]]:
    learners = {name: make_learner(masked(name, algorithm=algorithm, **settings)) for name in MANY}
    toys = {}
    for number, (name, learner) in enumerate(learners.items()):
        config = masked(name, algorithm=algorithm, **settings)
        toys[name] = toy_episode(config, reward_seed=number)
        toys[name].masks = random_masks(config, np.random.default_rng(number))
        play(learner, toys[name])
    return learners, toys


def told_by(learners: dict[str, Learner], toys: dict[str, Played]) -> dict[str, Any]:
    return {
        name: learner.open_round(toys[name].episode, 0, tuple(other for other in MANY if other != name))
        for name, learner in learners.items()
    }


SAYS_SO = {"anticipation-sharing", "policy-sharing"}


@pytest.mark.parametrize("algorithm", sorted(set(BUILT_IN) - {"independent"}))
def test_a_mask_travels_where_others_hold_a_policy_for_its_sender_and_nowhere_else(algorithm: str) -> None:
    learners, toys = trio(algorithm)
    for name, opened in told_by(learners, toys).items():
        for said in opened.outgoing.values():
            assert ("mask" in said) == (algorithm in SAYS_SO)
            if "mask" in said:
                expected = toys[name].masks[:-1].reshape(-1, 9)[:, : MANY[name]]
                np.testing.assert_array_equal(masks.unpack(said["mask"], MANY[name]), expected)
                assert said["mask"].shape == (8, 2 if name == A0 else 1)
    unmasked = make_learner(agent_config(algorithm=algorithm))
    toy = play(unmasked, toy_episode(agent_config(algorithm=algorithm)))
    assert "mask" not in unmasked.open_round(toy.episode, 0, (A1,)).outgoing[A1]


def test_what_is_shared_of_the_own_policy_is_exactly_0_where_it_is_impossible() -> None:
    learners, toys = trio("anticipation-sharing")
    for name, opened in told_by(learners, toys).items():
        for said in opened.outgoing.values():
            possible = masks.unpack(said["mask"], MANY[name])
            assert not said["policy"][~possible].any()
            assert (said["policy"][possible] > 0).all()
            assert np.take_along_axis(possible, said["actions"][:, None], axis=1).all()


@pytest.mark.parametrize("algorithm", sorted(BUILT_IN))
def test_everybody_takes_what_the_others_share_and_learns_finite_numbers_from_it(algorithm: str) -> None:
    learners, toys = trio(algorithm, entropy_bonus=0.1)
    for learner in learners.values():
        policies(learner)[:] *= 20  # sure of actions that may be impossible
    for _ in range(2):
        opened = told_by(learners, toys)
        for name, learner in learners.items():
            heard = {source: one.outgoing[name] for source, one in opened.items() if name in one.outgoing}
            for source, arrays in heard.items():
                learner.check(source, arrays)
            losses = learner.close_round(opened[name], heard, {})
            assert all(math.isfinite(loss) for loss in losses.values())
            assert np.isfinite(policies(learner)).all()


def canned() -> Arrays:
    """What agent-1 shares with agent-0 about eight samples; it cannot do the second of its three actions."""
    return {
        "policy": np.tile(np.array([0.25, 0, 0.75], np.float32), (8, 1)),
        "actions": np.tile(np.array([0, 2], np.int32), 4),
        "anticipation": np.full((8, 9), 1 / 9, np.float32),
        "mask": masks.pack(np.tile(np.array([1, 0, 1], np.uint8), (8, 1))),
        "samples": np.array([0xFF], np.uint8),
    }


def change(name: str, place: tuple[int, ...], value: float) -> Callable[[Arrays], None]:
    def changed(arrays: Arrays) -> None:
        arrays[name] = arrays[name].copy()
        arrays[name][place] = value

    return changed


def put(name: str, array: np.ndarray) -> Callable[[Arrays], None]:
    return lambda arrays: arrays.__setitem__(name, array)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda arrays: arrays.pop("mask"), "expected arrays .*'mask'"),
        (put("mask", np.full((7, 1), 0xE0, np.uint8)), r"mask: expected \(8, 1\)"),
        (put("mask", np.full((8, 2), 0xE0, np.uint8)), r"mask: expected \(8, 1\)"),
        (put("mask", np.full((8, 1), 0xE0, np.int32)), "mask: expected .* uint8"),
        (put("mask", np.full((8, 3), 1, np.uint8)), r"mask: expected \(8, 1\)"),
        (change("mask", (3, 0), 0x10), "mask: expected 3 bits in a row, found one behind them"),
        (change("mask", (2, 0), 0), "mask: expected a possible action in every row, found none in row 2"),
        (change("actions", (5,), 1), "actions: expected only actions that the sender's own mask allows, .* in row 5"),
        (
            change("policy", (4, slice(None)), 1 / 3),
            "policy: expected only actions that the sender's own mask allows, found another in row 4",
        ),
    ],
)
def test_a_mask_that_no_correct_neighbor_sends_is_refused_and_named(
    change: Callable[[Arrays], None], says: str
) -> None:
    learner = make_learner(masked())
    play(learner, toy_episode(masked()))
    said = canned()
    learner.check(A1, said)
    change(said)
    with pytest.raises(ProtocolViolation, match=says):
        learner.check(A1, said)


def test_a_mask_where_nothing_is_masked_is_refused() -> None:
    learner = make_learner(agent_config(actions=3))
    play(learner, toy_episode(agent_config(actions=3)))
    with pytest.raises(ProtocolViolation, match=r"expected arrays .*, found .*'mask'"):
        learner.check(A1, canned())


def test_the_gradient_under_masks_is_the_slope_of_the_loss_and_0_where_nothing_was_possible() -> None:
    """The own log-probabilities at one sample, against difference quotients in double precision."""
    logits, possible = np.array([0.3, -0.2, 1.0, 0.5]), [1.0, 0.0, 1.0, 1.0]

    def slow(row: np.ndarray) -> float:
        policy = masked_softmax(row.tolist(), possible)
        return policy[2] ** 2 - sum(p * math.log(p) for p in policy if p)

    logs = masks.among(logits.astype(np.float32), np.array(possible, np.bool_))
    _, slopes = entropy(logs)
    slopes[2] += 2 * kernels.exponentials(logs)[2] ** 2
    gradient = kernels.log_softmax_gradient(logs, slopes)
    assert gradient.tolist() == pytest.approx(central_differences(slow, logits).tolist(), abs=1e-6)
    assert gradient[1] == 0


# Algorithms that other packages add


def test_an_algorithm_is_told_what_is_possible_for_itself_and_for_those_it_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Round] = []
    config = masked()
    learner = make_learner(config)
    toy = play(learner, toy_episode(config))

    def watching(self: Algorithm, now: Round, shares: Any) -> Any:
        seen.append(now)
        return Algorithm.loss(self, now, shares)

    monkeypatch.setattr(AnticipationSharing, "loss", watching)
    opened = learner.open_round(toy.episode, 0, (A1, A2))
    learner.close_round(opened, {A1: canned()}, {})
    (now,) = seen
    assert now.possible is not None
    assert toy.masks is not None
    np.testing.assert_array_equal(now.possible[0], toy.masks[:-1].reshape(-1, 9))
    assert now.possible[1].astype(int).tolist() == [[1, 0, 1, 0, 0, 0, 0, 0, 0]] * 8
    assert now.possible[2].astype(int).tolist() == [[1, 1, 0, 0, 0, 0, 0, 0, 0]] * 8  # not heard: all that it has
    assert not now.distributions[~now.possible].any()
    np.testing.assert_allclose(now.distributions.sum(axis=-1), 1, rtol=1e-5)
