"""Calibrated weights: the estimate by hand and against plain sums, what is told of it, and what a liar can do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from agent_cases import agent_config, make_learner, play, scalar_slope, toy_episode
from hypothesis import given
from hypothesis import strategies as st
from learner_cases import policies
from test_anticipation_sharing import DRAWS, Hand, J, K, as_shares, hand_round, out_of_range, settings

from agent_node.algorithms.anticipation_sharing import AnticipationSharing
from agent_node.algorithms.calibrated_weights import CalibratedWeights, SlopeEstimate, wished_more
from agent_node.config import AgentConfig, CalibrationConfig, LearningConfig
from agent_node.learning.fields import Arrays, ShareShape
from agent_node.learning.learner import Learner
from agent_node.learning.round import Loss, Round
from broker.errors import ProtocolViolation, ScenarioError

A0, A1, A2 = "agent-0", "agent-1", "agent-2"
NOTHING_YET = SlopeEstimate(0.0, 0.0, 0.0)


def page(rho: float = 0.5, **calibration: float) -> AnticipationSharing:
    """Anticipation sharing as a scenario with calibrated weights has it."""
    return AnticipationSharing(LearningConfig(), settings(rho, weights="calibrated", calibration=calibration))


def column(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)


# The estimate


def test_two_episodes_give_the_estimate_computed_by_hand() -> None:
    """With a memory of 1/2, begun at a slope of 4:

    |         | x                | A            | mean x A | mean x^2 | rows |
    |---------|------------------|--------------|----------|----------|------|
    | first   | .2, -.2, .4, 0   | 1, -1, 1, -1 | .2       | .06      | 4    |
    | second  | .1, .3           | -1, 1        | .1       | .05      | 2    |

    m = (4 * .06 + .2) / 2 = .22, then (.22 + .1) / 2 = .16; v = .06, then (.06 + .05) / 2 = .055;
    n = 4 * 1.5 / .5 = 12, so 1 / n = 1/12, then (1/12 + 1/2) / 4 = 7/48.
    """
    first = NOTHING_YET.after(column(0.2, -0.2, 0.4, 0), column(1, -1, 1, -1), 0.5, 4.0)
    assert first == pytest.approx((0.22, 0.06, 1 / 12))
    assert first.slope(0.0) == pytest.approx(0.22 / 0.06)
    assert first.slope(1.0) == pytest.approx((0.22 - math.sqrt(0.06 / 12)) / 0.06)
    second = first.after(column(0.1, 0.3), column(-1, 1), 0.5, 99.0)
    assert second == pytest.approx((0.16, 0.055, 7 / 48))
    assert second.slope(1.0) == pytest.approx((0.16 - math.sqrt(0.055 * 7 / 48)) / 0.055)
    assert second.slope(2.0) == 0.0  # .16 is less than two standard errors of .0896


def test_of_what_was_never_seen_to_differ_the_slope_is_0() -> None:
    assert NOTHING_YET.slope(2.0) == 0.0
    equal = NOTHING_YET.after(column(0, 0), column(1, -1), 0.95, 4.0)
    assert (equal.m, equal.v, equal.slope(0.0)) == (0.0, 0.0, 0.0)


def test_it_begins_where_a_gap_is_first_seen() -> None:
    """Agents that start from the same networks wish of each other what they do, until they have learned."""
    seen = column(0.2, -0.2, 0.4, 0), column(1, -1, 1, -1)
    waited = NOTHING_YET.after(column(0, 0), column(1, -1), 0.5, 4.0).after(*seen, 0.5, 4.0)
    assert waited == NOTHING_YET.after(*seen, 0.5, 4.0)


NUMBERS = st.floats(-1, 1, width=32)
EPISODE = st.lists(st.tuples(NUMBERS, st.floats(-3, 3, width=32)), min_size=1, max_size=8)


@given(st.lists(EPISODE, min_size=1, max_size=6), st.floats(0, 0.99), st.floats(0, 50))
def test_the_estimate_is_the_weighted_sum_over_all_episodes(
    episodes: list[list[tuple[float, float]]], memory: float, first_slope: float
) -> None:
    estimate, history = NOTHING_YET, []
    for pairs in episodes:
        x, a = (column(*each) for each in zip(*pairs, strict=True))
        estimate = estimate.after(x, a, memory, first_slope)
        products, squares = (x * a).tolist(), (x * x).tolist()
        history.append((sum(products) / len(pairs), sum(squares) / len(pairs), len(pairs)))
    assert estimate == pytest.approx(scalar_slope(history, memory, first_slope), rel=1e-6, abs=1e-9)


@given(st.integers(1, 1000), st.floats(0, 0.99), st.integers(1, 5))
def test_with_equally_many_samples_the_effective_number_is_theirs_times_what_memory_makes_of_it(
    rows: int, memory: float, episodes: int
) -> None:
    estimate = NOTHING_YET
    for _ in range(episodes):
        estimate = estimate.after(np.ones(rows, np.float32), np.ones(rows, np.float32), memory, 1.0)
    assert 1 / estimate.spread == pytest.approx(rows * (1 + memory) / (1 - memory))


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=6), st.integers(1, 5000))
def test_with_a_memory_in_samples_an_episode_counts_by_how_many_it_has(rows: list[int], samples: int) -> None:
    calibration = CalibrationConfig(memory_samples=samples)
    estimate = NOTHING_YET
    for each in rows:
        before = estimate
        ones = np.ones(each, np.float32)
        estimate = estimate.after(ones, ones, calibration.remembered(each), 1.0)
        assert calibration.remembered(each) / (1 - calibration.remembered(each)) == pytest.approx(samples / each)
        if before == NOTHING_YET:
            assert 1 / estimate.spread == pytest.approx(2 * samples + each)
    most, least = max(rows), min(rows)
    assert 2 * samples + least <= 1.001 / estimate.spread
    assert 0.999 / estimate.spread <= 2 * samples + most


@given(st.integers(1, 1000))
def test_without_it_each_episode_counts_alike(rows: int) -> None:
    assert CalibrationConfig(memory=0.9).remembered(rows) == 0.9


@given(EPISODE, st.floats(0, 5), st.floats(0, 5))
def test_a_slope_is_never_negative_nor_more_than_measured_and_falls_with_the_standard_errors_taken_off(
    pairs: list[tuple[float, float]], fewer: float, more: float
) -> None:
    x, a = (column(*each) for each in zip(*pairs, strict=True))
    estimate = NOTHING_YET.after(x, a, 0.9, 3.0)
    low, high = sorted((fewer, more))
    assert 0 <= estimate.slope(high) <= estimate.slope(low)
    if estimate.v:
        assert estimate.slope(low) <= max(0.0, estimate.m / estimate.v)


def test_of_noise_nothing_is_told_and_of_what_an_advantage_follows_nearly_all() -> None:
    draw = np.random.default_rng(5)
    noise = follows = NOTHING_YET
    for _ in range(200):
        x, a = draw.normal(scale=0.05, size=100), draw.normal(size=100)
        noise = noise.after(x.astype(np.float32), a.astype(np.float32), 0.95, 5.0)
        worth = 8 * x + a
        follows = follows.after(x.astype(np.float32), worth.astype(np.float32), 0.95, 5.0)
    assert noise.slope(2.0) == 0.0
    assert 6.5 < follows.slope(2.0) < 8.0


# The loss


def loss(slopes: Mapping[str, float], rho: float = 0.5, now: Round | None = None, **calibration: float) -> Loss:
    return page(rho, **calibration).loss(now or hand_round(), as_shares(Hand.heard, slopes))


def test_the_loss_of_two_steps_and_two_neighbors_is_the_one_computed_by_hand() -> None:
    """Of the table of `Hand`; c = 6, so kappa rho' is .3 for j and .6 for k:

    |         | step 0                                  | step 1                                   |
    |---------|-----------------------------------------|------------------------------------------|
    | gain    | min(1.5, 1.2) * 1 + (2 + .4) * 1 = 3.6  | min(-1.25, -1.6) + (2 + .8) * -2 = -7.2  |
    | gated   | .75 * .105 = .07875                     | .75 * .02 = .015                         |
    | not     | .3 * .045 + .6 * .02 = .0255            | .3 * .125 + .6 * .02 = .0495             |
    """
    found = loss({J: 0.1, K: 0.2})
    assert (found.parts["gain"], found.parts["penalty"]) == pytest.approx((-1.8, 0.084375))
    assert found.total == pytest.approx(1.884375)


def test_what_is_asked_beyond_the_cap_counts_as_the_cap() -> None:
    # .2 * rho * kappa = .15 for both: (.09375 + .15 * (.045 + .02 + .125 + .02)) / 2
    found = loss({J: 0.1, K: 0.2}, cap=0.2)
    assert found.parts["penalty"] == pytest.approx((0.09375 + 0.15 * 0.21) / 2)


def test_nobody_heard_is_an_independent_step() -> None:
    found = page().loss(hand_round(()), {})
    assert (found.parts.keys(), found.total) == ({"gain"}, pytest.approx(0.2))


def test_the_scenario_says_which_page_it_is() -> None:
    assert type(page()) is CalibratedWeights
    assert type(AnticipationSharing(LearningConfig(), settings())) is AnticipationSharing
    assert page().name == "anticipation-sharing"


def test_advantages_that_are_not_normalized_are_refused() -> None:
    with pytest.raises(ScenarioError, match=r"learning.normalize_advantages: expected true: with calibrated weights"):
        AnticipationSharing(LearningConfig(normalize_advantages=False), settings(weights="calibrated"))


# Liars


@given(st.floats(0, 1, width=32), st.floats(0.1, 100), st.floats(0.1, 20), st.floats(0, 60))
def test_no_slope_that_a_receiver_takes_weighs_more_than_the_cap(
    part: float, rho: float, pull: float, cap: float
) -> None:
    algorithm, now = page(rho, pull=pull, cap=cap), hand_round(advantages=(0.5, -1.0))
    told = part * algorithm.settings.anticipation_sharing.largest_slope
    shares = as_shares(Hand.heard, {J: told, K: 0.0})
    pairs = algorithm.pairs(now, shares, [J, K])
    _, w_ji = algorithm.weights(now, shares, pairs)
    kappa = 0.75  # so what may be told, cap rho, is more than the cap lets count
    assert w_ji.max() <= np.float32(cap * rho * kappa)
    assert w_ji.max() == pytest.approx(min(part, kappa) * cap * rho, rel=1e-5)
    assert not w_ji[1].any()


def said_by(learner: Learner, config: AgentConfig) -> dict[str, Arrays]:
    """What two neighbors could share with agent-0."""
    rows, draw = config.steps * config.parallel_episodes, np.random.default_rng(3)
    return {
        j: {
            "policy": draw.dirichlet(np.ones(3), rows).astype(np.float32),
            "actions": draw.integers(0, 3, rows).astype(np.int32),
            "anticipation": draw.dirichlet(np.ones(3), rows).astype(np.float32),
            "samples": np.array([0xFF], np.uint8),
            "slope": column(1.0),
        }
        for j in config.neighbors[A0]
    }


def config_of(**more: Any) -> AgentConfig:
    sharing = {"weights": "calibrated", "rho": 3.0, **more.pop("sharing", {})}
    return agent_config(**{"sharing": sharing, "adam_epsilon": 1.0, **more})


def test_a_slope_is_refused_beyond_what_may_be_told_below_0_and_where_it_is_no_number() -> None:
    config = config_of()
    learner = make_learner(config)
    said = said_by(learner, config)[A1]
    most = np.float32(2 * 24 * 3 / 6)
    for slope in (column(most), column(0.0)):
        learner.check(A1, said | {"slope": slope})
    for slope in (np.nextafter(most, np.float32(np.inf)), -1e-30, np.nan, np.inf, 1e30):
        with pytest.raises(ProtocolViolation, match="slope: expected numbers from 0 to 24, found"):
            learner.check(A1, said | {"slope": column(slope)})
    for slope in (column(1.0, 1.0), np.array([1.0]), np.array([1], np.int32)):
        with pytest.raises(ProtocolViolation, match=r"slope: expected \(1,\) float32, found"):
            learner.check(A1, said | {"slope": slope})
    with pytest.raises(ProtocolViolation, match="expected arrays"):
        learner.check(A1, {name: array for name, array in said.items() if name != "slope"})


@pytest.mark.parametrize("rho", [0.1, 0.3, 3.0, 1e4 / 3])
def test_the_largest_slope_that_is_told_is_one_that_is_taken(rho: float) -> None:
    config = config_of(sharing={"rho": rho, "calibration": {"cap": 1.7, "pull": 0.7}})
    learner = make_learner(config)
    learner.state()[f"algorithm/{A1}"][:] = 1e30, 1.0, 1e-9
    episode = play(learner, toy_episode(config)).episode
    told = learner.open_round(episode, 0, (A1, A2)).outgoing
    assert told[A1]["slope"][0] == np.float32(2 * 1.7 * rho / 0.7)
    assert told[A2]["slope"][0] == 0
    learner.check(A1, said_by(learner, config)[A1] | {"slope": told[A1]["slope"]})


def test_a_liar_moves_the_receiver_no_further_than_the_cap() -> None:
    """The most that is taken is a slope of 2 * 2 * 3 / 6 = 2, which the cap cuts to 2 kappa, and kappa is below .95."""
    config = config_of(sharing={"calibration": {"cap": 2.0, "pull": 6.0}})
    moved = {}
    for slope in (0.0, 0.4, 1.2, 1.95, 2.0):
        learner = make_learner(config)
        episode = play(learner, toy_episode(config)).episode
        before, said = policies(learner)[0].copy(), said_by(learner, config)
        for j, number in ((A1, slope), (A2, 0.0)):
            said[j]["slope"] = column(number)
            learner.check(j, said[j])
        learner.close_round(learner.open_round(episode, 0, (A1, A2)), said, {})
        moved[slope] = policies(learner)[0] - before
    pull = {slope: float(np.abs(step - moved[0.0]).sum()) for slope, step in moved.items()}
    assert 0 < pull[0.4] < pull[1.2] < pull[2.0]
    assert moved[1.95].tobytes() == moved[2.0].tobytes()


# What is kept


def live(learner: Learner, config: AgentConfig, episode: int, heard: list[tuple[str, ...]]) -> None:
    played = play(learner, toy_episode(config, episode), episode).episode
    for k, partners in enumerate(heard):
        said = said_by(learner, config)
        learner.close_round(learner.open_round(played, k, (A1, A2)), {j: said[j] for j in partners}, {})


def estimates(learner: Learner) -> dict[str, tuple[float, ...]]:
    return {j: tuple(learner.state()[f"algorithm/{j}"].tolist()) for j in (A1, A2)}


def test_only_the_first_round_of_an_episode_is_measured_and_only_of_those_heard_in_it() -> None:
    config = config_of()
    learner = make_learner(config)
    live(learner, config, 0, [(), (A1, A2)])
    assert estimates(learner) == {A1: (0.0, 0.0, 0.0), A2: (0.0, 0.0, 0.0)}
    live(learner, config, 1, [(A2,), (A1, A2)])
    first = estimates(learner)
    assert first[A1] == (0.0, 0.0, 0.0)
    assert min(first[A2]) > 0
    live(learner, config, 2, [(A1,), (A2,)])
    assert estimates(learner)[A2] == first[A2]


def test_what_is_measured_in_round_0_is_told_from_round_1_on() -> None:
    config = config_of(sharing={"calibration": {"standard_errors": 0.0}})
    learner = make_learner(config)
    episode = play(learner, toy_episode(config)).episode
    opened = learner.open_round(episode, 0, (A1, A2))
    assert {said["slope"].item() for said in opened.outgoing.values()} == {0.0}
    learner.close_round(opened, said_by(learner, config), {})
    opened = learner.open_round(episode, 1, (A1, A2))
    for j, (m, v, _) in estimates(learner).items():
        assert opened.outgoing[j]["slope"].item() == pytest.approx(max(0.0, m / v), rel=1e-6)
    assert any(said["slope"].item() > 0 for said in opened.outgoing.values())


def test_a_learner_that_is_restored_goes_on_bit_for_bit_and_without_its_estimates_it_does_not() -> None:
    config = config_of(sharing={"calibration": {"standard_errors": 0.0}})
    learner = make_learner(config)
    live(learner, config, 0, [(A1, A2), (A1,)])
    kept = {name: array.copy() for name, array in learner.state().items()}
    assert {name for name in kept if name.startswith("algorithm/")} == {f"algorithm/{A1}", f"algorithm/{A2}"}
    told = []
    for forgets in (False, True):
        later = make_learner(config)
        later.restore(kept)
        if forgets:
            later.state()[f"algorithm/{A1}"][:] = 0
        else:
            assert estimates(later) == estimates(learner)
        episode = play(later, toy_episode(config, 1), 1).episode
        told.append(later.open_round(episode, 0, (A1, A2)).outgoing[A1]["slope"].tobytes())
    episode = play(learner, toy_episode(config, 1), 1).episode
    opened = learner.open_round(episode, 0, (A1, A2))
    assert told[0] == opened.outgoing[A1]["slope"].tobytes() != told[1]


def test_fixed_weights_keep_nothing_and_share_no_slope() -> None:
    learner = make_learner(agent_config())
    assert not any(name.startswith("algorithm/") for name in learner.state())
    fields = AnticipationSharing(LearningConfig(), settings()).fields(ShareShape(2, 2, 3))
    assert "slope" not in {field.name for field in fields}


def test_rounds_after_the_first_leave_the_estimate_as_it_is() -> None:
    algorithm = page()
    kept = algorithm.keeps((J, K), np.zeros(0, np.float32))
    shares = as_shares(Hand.heard, {J: 0.0, K: 0.0})
    algorithm.remember(replace(hand_round(draws=replace(DRAWS, round=1)), kept=kept), shares)
    assert not kept[J].any()
    algorithm.remember(replace(hand_round(), kept=kept), shares)
    # x = (.5 - .25, .5 - .25), A = (1, -2): mean x A = -.125, x^2 = .0625; begun at 2 * .5 * 1.5 = 1.5
    assert kept[J].tolist() == pytest.approx([0.95 * 1.5 * 0.0625 - 0.05 * 0.125, 0.0625, 0.05 / 1.95 / 2])


def test_what_is_taken_in_with_a_baseline_is_the_one_computed_by_hand() -> None:
    """Of the table of `Hand`, where A = (1, -2); begun at 2 * .5 * 1.5 = 1.5:

    |   |        | pi_ij - pi_jj    | its mean under pi_jj              | at a_j | x      | mean x A | mean x^2   |
    |---|--------|------------------|-----------------------------------|--------|--------|----------|------------|
    | j | step 0 | -.05, -.2, .25   | -.0125 - .1 + .0625 = -.05        | .25    | .3     | -.1625   | .093828125 |
    |   | step 1 | .25, 0, -.25     | .0625 + 0 - .125 = -.0625         | .25    | .3125  |          |            |
    | k | step 0 | .45, -.45        | .1125 - .3375 = -.225             | -.45   | -.225  | -.0125   | .0303125   |
    |   | step 1 | -.1, .1          | -.05 + .05 = 0                    | -.1    | -.1    |          |            |
    """
    kept = page(baseline=True).keeps((J, K), np.zeros(0, np.float32))
    page(baseline=True).remember(replace(hand_round(), kept=kept), as_shares(Hand.heard, {J: 0.0, K: 0.0}))
    spread = 0.05 / 1.95 / 2
    assert kept[J].tolist() == pytest.approx([0.95 * 1.5 * 0.093828125 - 0.05 * 0.1625, 0.093828125, spread])
    assert kept[K].tolist() == pytest.approx([0.95 * 1.5 * 0.0303125 - 0.05 * 0.0125, 0.0303125, spread])


def one_sample(advantage: float, slopes: Mapping[str, float]) -> tuple[Round, dict[str, Arrays]]:
    """The first step of the table of `Hand`, alone, and what is heard about it."""
    now = hand_round(advantages=(advantage,))
    logs, old = (np.ascontiguousarray(each[:, :1]) for each in (now.log_probabilities, now.log_old))
    now = replace(now, actions=now.actions[:1], log_probabilities=logs, log_old=old)
    said = as_shares(Hand.heard, slopes)
    return now, {
        j: {name: array if name == "slope" else array[:1] for name, array in arrays.items()}
        for j, arrays in said.items()
    }


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_what_is_told_of_one_sample_alone_does_not_show_how_large_its_advantage_is(size: float) -> None:
    """Its advantage is not normalized: it counts as -1. x = .25, begun at 2 * .5 * 1 = 1."""
    now, shares = one_sample(-size, {J: 0.0, K: 0.0})
    kept = page().keeps((J, K), np.zeros(0, np.float32))
    page().remember(replace(now, kept=kept), shares)
    assert kept[J].tolist() == pytest.approx([0.95 * 0.0625 - 0.05 * 0.25, 0.0625, 0.05 / 1.95])


@pytest.mark.parametrize("size", [1e-3, 1e3])
def test_of_one_sample_alone_penalties_keep_up_with_the_gain(size: float) -> None:
    (unit, shares), (now, _) = (one_sample(each, {J: 0.1, K: 0.2}) for each in (1.0, size))
    expected, found = page().loss(unit, shares), page().loss(now, shares)
    assert found.parts["gain"] == pytest.approx(size * expected.parts["gain"], rel=1e-5)
    assert found.parts["penalty"] == pytest.approx(size * expected.parts["penalty"], rel=1e-5)


@given(st.integers(0, 2**32), st.integers(2, 6))
def test_with_a_baseline_x_is_0_in_the_mean_over_what_j_does(seed: int, count: int) -> None:
    """Also where j can do only some of the actions."""
    draw = np.random.default_rng(seed)
    possible = draw.integers(0, 2, count)
    possible[0] = 1
    pi_ij, pi_jj = (p / p.sum() for p in draw.dirichlet(np.ones(count), 2) * possible)
    each = np.arange(count)
    rows = (np.tile(policy.astype(np.float32), (count, 1)) for policy in (pi_ij, pi_jj))
    x = wished_more(*rows, each, baseline=True)
    assert float((pi_jj * x).sum()) == pytest.approx(0, abs=1e-6)
    gap = pi_ij - pi_jj
    assert x - x[0] == pytest.approx(gap - gap[0], abs=1e-6)


def seen_in_two_states(draw: np.random.Generator, worth: float) -> tuple[Round, dict[str, Arrays]]:
    """640 samples in two states in which j acts otherwise, and of whose value i's critic is wrong by .5 either way.

    What i suggests is noise around what is all alike; A_i goes with x by `worth`, else not with what j did.
    """
    rows = 640
    state = draw.integers(2, size=rows)
    pi_jj = np.where(state[:, None] == 1, [[0.9, 0.1]], [[0.5, 0.5]])
    a_j = (draw.random(rows) > pi_jj[:, 0]).astype(np.int32)
    pi_ij = draw.dirichlet(np.ones(2), rows)
    gap, each = pi_ij - pi_jj, np.arange(rows)
    advantages = draw.normal(size=rows) + np.where(state == 1, -0.5, 0.5)
    advantages += worth * (gap[each, a_j] - (pi_jj * gap).sum(axis=1))
    logs = np.log(np.stack([pi_jj, pi_ij])).astype(np.float32)
    now = replace(
        hand_round((J,), {J: None}),
        advantages=((advantages - advantages.mean()) / advantages.std()).astype(np.float32),
        actions=np.zeros(rows, np.int64),
        log_probabilities=logs,
        log_old=logs,
    )
    return now, {J: {"policy": pi_jj.astype(np.float32), "actions": a_j, "anticipation": pi_jj.astype(np.float32)}}


@pytest.mark.parametrize(
    ("baseline", "worth", "least", "most"), [(True, 0.0, 0.0, 0.02), (True, 4.0, 2.3, 2.5), (False, 0.0, 0.1, 2.0)]
)
def test_with_a_baseline_an_error_of_the_critic_is_no_worth_of_a_suggestion(
    baseline: bool, worth: float, least: float, most: float
) -> None:
    """Mean x^2 is .0855: followed by 4, A_i deviates by sqrt(1 + .5^2 + 4^2 * .0855) = 1.62, so the slope is 2.47."""
    draw, told = np.random.default_rng(5), []
    algorithm = page(rho=3.0, baseline=baseline)
    kept = algorithm.keeps((J,), np.zeros(0, np.float32))
    for _ in range(200):
        now, shares = seen_in_two_states(draw, worth)
        algorithm.remember(replace(now, kept=kept), shares)
        told.append(SlopeEstimate(*kept[J].tolist()).slope(2.0))
    assert least <= np.mean(told[100:]) <= most


def test_the_effective_number_is_that_of_the_samples_a_share_is_about() -> None:
    algorithm = page()
    kept = algorithm.keeps((J, K), np.zeros(0, np.float32))
    heard = {J: out_of_range(Hand.heard[J], 0), K: Hand.heard[K]}
    now = replace(hand_round(ranges={J: np.array([1]), K: None}), kept=kept)
    algorithm.remember(now, as_shares(heard, {J: 0.0, K: 0.0}))
    assert kept[J][2] == pytest.approx(0.05 / 1.95)
    assert kept[K][2] == pytest.approx(0.05 / 1.95 / 2)
    # x = .5 - .25 at the second sample, where A = -2
    assert kept[J].tolist()[:2] == pytest.approx([0.95 * 1.5 * 0.0625 - 0.05 * 0.5, 0.0625])


def test_with_a_memory_in_samples_a_neighbor_that_was_near_at_fewer_changes_its_estimate_less() -> None:
    algorithm = page(memory_samples=8)
    kept = algorithm.keeps((J, K), np.zeros(0, np.float32))
    heard = {J: out_of_range(Hand.heard[J], 0), K: Hand.heard[K]}
    now = replace(hand_round(ranges={J: np.array([1]), K: None}), kept=kept)
    algorithm.remember(now, as_shares(heard, {J: 0.0, K: 0.0}))
    assert (kept[J][2], kept[K][2]) == pytest.approx((1 / (2 * 8 + 1), 1 / (2 * 8 + 2)))
    # x = .5 - .25 at the second sample, where A = -2; the episode counts 1 of 9
    assert kept[J].tolist()[:2] == pytest.approx([8 / 9 * 1.5 * 0.0625 - 1 / 9 * 0.5, 0.0625])
