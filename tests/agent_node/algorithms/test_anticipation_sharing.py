"""The loss of agent i against SPEC section 2: first with literals, then against a scalar loop, then its gradient."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from agent_cases import (
    Heard,
    Terms,
    agent_config,
    central_differences,
    make_learner,
    play,
    scalar_loss,
    scalar_network,
    softmax,
    toy_episode,
)

from agent_node.algorithms.anticipation_sharing import AnticipationSharing
from agent_node.algorithms.independent import Independent
from agent_node.config import AlgorithmConfig, AnticipationSharingConfig, LearningConfig
from agent_node.experience import masks
from agent_node.learning.fields import Arrays, ShareShape
from agent_node.learning.round import Draws, Loss, Round
from broker.arithmetic.chosen import kernels
from broker.arithmetic.sizes import Sizes

J, K = "agent-j", "agent-k"
NOTHING = np.zeros(0, np.float32)


@dataclass
class Hand:
    """Two steps, own actions 2, neighbor j has 3 actions and neighbor k has 2.

    Step by step, with epsilon = 0.2, rho = 0.5, A = (1, -2), so kappa = (1 + 2) / 2 = 1.5:

    |            | step 0                              | step 1                                 |
    |------------|-------------------------------------|----------------------------------------|
    | xi_i       | .6 / .4 = 1.5, clipped to 1.2       | .5 / .8 = .625, clipped to .8          |
    | ratio_ij   | .5 / .25 = 2, A > 0: X_ij = 1       | .5 / .25 = 2, A < 0: X_ij = 0          |
    | ratio_ji   | .6 / .75 = .8, A > 0: X_ii,j = 0    | .5 / .75 = .667, A < 0: X_ii,j = 1     |
    | ratio_ik   | .3 / .75 = .4, A > 0: X_ik = 0      | .4 / .5 = .8, A < 0: X_ik = 1          |
    | ratio_ki   | .6 / .5 = 1.2, A > 0: X_ii,k = 1    | .5 / .4 = 1.25, A < 0: X_ii,k = 0      |
    | distances  | pi_ij: .05^2 + .2^2 + .25^2 = .105  | pi_ji: .25^2 + .25^2 = .125            |
    |            | pi_ki: .1^2 + .1^2 = .02            | pi_ik: .1^2 + .1^2 = .02               |
    | xi_N       | 2 * .4 = .8                         | 2 * .8 = 1.6                           |
    | gain       | min(1.5, 1.2) * .8 * 1 = .96        | min(-.625, -.8) * 1.6 * 2 = -2.56      |
    | penalty    | 1.5 * .5 * (.105 + .02) = .09375    | 1.5 * .5 * (.125 + .02) = .10875       |

    so gain = -.8, penalty = .10125, loss = .90125.
    """

    own = [[0.6, 0.4], [0.5, 0.5]]
    actions = [0, 1]
    own_old = [0.4, 0.8]
    advantages = [1.0, -2.0]
    wished = {J: [[0.2, 0.3, 0.5], [0.5, 0.25, 0.25]], K: [[0.7, 0.3], [0.4, 0.6]]}
    heard = {
        J: Heard([[0.25, 0.5, 0.25], [0.25, 0.25, 0.5]], [2, 0], [[0.75, 0.25], [0.25, 0.75]]),
        K: Heard([[0.25, 0.75], [0.5, 0.5]], [1, 0], [[0.5, 0.5], [0.6, 0.4]]),
    }


def settings(rho: float = 0.5, cap: float | None = None, **more: Any) -> AlgorithmConfig:
    """A scenario says 0 for no cap, the formula None."""
    return AlgorithmConfig.model_validate(
        {"anticipation_sharing": {"rho": rho, "log_ratio_cap": 0.0 if cap is None else cap, **more}}
    )


def padded(rows: list[list[float]], width: int) -> np.ndarray:
    """Log-probabilities (B, A) with impossible actions as the networks give them."""
    logs = [[math.log(p) for p in row] + [masks.IMPOSSIBLE] * (width - len(row)) for row in rows]
    return np.array(logs, np.float32)


def as_shares(heard: Mapping[str, Heard], slopes: Mapping[str, float] | None = None) -> dict[str, Arrays]:
    """What crosses the edge: only the rows of samples in range, and the slopes of senders with calibrated weights."""

    def rows(of_all: Sequence[Any], dtype: type) -> np.ndarray:
        return np.array([each for each in of_all if each is not None], dtype)

    shares: dict[str, Arrays] = {}
    for j, said in heard.items():
        shares[j] = {
            "policy": rows(said.policy, np.float32),
            "actions": rows(said.actions, np.int32),
            "anticipation": rows(said.anticipation, np.float32),
        }
        if said.acted is not None:
            shares[j]["acted"] = rows(said.acted, np.float32)
        if slopes is not None:
            shares[j]["slope"] = np.array([slopes[j]], np.float32)
    return shares


def in_range(heard: Mapping[str, Heard]) -> dict[str, np.ndarray | None]:
    ranges: dict[str, np.ndarray | None] = {J: None, K: None}
    for j, said in heard.items():
        rows = [b for b, row in enumerate(said.policy) if row is not None]
        ranges[j] = None if len(rows) == len(said.policy) else np.array(rows)
    return ranges


DRAWS = Draws(seed=1, agent="agent-0", episode=0, round=0)


def hand_round(
    partners: tuple[str, ...] = (J, K),
    ranges: dict[str, np.ndarray | None] | None = None,
    draws: Draws = DRAWS,
    advantages: Sequence[float] = tuple(Hand.advantages),
) -> Round:
    logs = np.stack([padded(Hand.own, 3)] + [padded(Hand.wished[j], 3) for j in partners])
    return Round(
        advantages=np.array(advantages, np.float32),
        actions=np.array(Hand.actions),
        log_probabilities=logs,
        log_old=old_policies(Hand.own_old, logs),
        partners=partners,
        rows_in_range=ranges or {J: None, K: None},
        critic=NOTHING,
        policies=NOTHING,
        weights={},
        draws=draws,
    )


def old_policies(own_old: list[float], like: np.ndarray) -> np.ndarray:
    """Log-probabilities (R, B, A) that are `own_old` for every action of the own policy, and nothing for the others."""
    old = np.full_like(like, np.nan)
    old[0] = np.log(np.array(own_old))[:, None]
    return old


def out_of_range(said: Heard, sample: int) -> Heard:
    def without(rows: list[Any]) -> list[Any]:
        return [None if b == sample else row for b, row in enumerate(rows)]

    acted = None if said.acted is None else without(said.acted)
    return Heard(without(said.policy), without(said.actions), without(said.anticipation), acted)


def hand_loss(
    heard: Mapping[str, Heard] = Hand.heard,
    *,
    partners: tuple[str, ...] = (J, K),
    rho: float = 0.5,
    cap: float | None = None,
    rho_own: float | None = None,
    advantages: list[float] | None = None,
    **learning: Any,
) -> Loss:
    now = hand_round(partners, in_range(heard))
    if advantages is not None:
        now = replace(now, advantages=np.array(advantages, np.float32))
    algorithm = AnticipationSharing(LearningConfig(**learning), settings(rho, cap, rho_own=rho_own))
    return algorithm.loss(now, as_shares(heard))


def values(loss: Loss) -> tuple[float, float | None, float]:
    return loss.parts["gain"], loss.parts.get("penalty"), loss.total


def only(*names: str) -> dict[str, Heard]:
    return {j: Hand.heard[j] for j in names}


# Literals


def test_the_loss_of_two_steps_and_two_neighbors_is_the_one_computed_by_hand() -> None:
    assert values(hand_loss()) == pytest.approx((-0.8, 0.10125, 0.90125))


def test_the_scalar_oracle_gives_every_number_of_the_table() -> None:
    terms = scalar_loss(
        Hand.own,
        Hand.wished,
        Hand.heard,
        actions=Hand.actions,
        own_old=Hand.own_old,
        advantages=Hand.advantages,
        rho=0.5,
    )
    assert terms.own_ratio == pytest.approx([1.5, 0.625])
    assert terms.neighbor_ratio == pytest.approx([0.8, 1.6])
    assert terms.gain == pytest.approx([0.96, -2.56])
    assert terms.penalty == pytest.approx([0.09375, 0.10875])
    assert terms.loss == pytest.approx(0.90125)


def test_rho_0_leaves_the_gain_alone() -> None:
    assert values(hand_loss(rho=0.0)) == pytest.approx((-0.8, 0.0, 0.8))


def test_rho_scales_both_penalties() -> None:
    assert values(hand_loss(rho=5.0)) == pytest.approx((-0.8, 1.0125, 1.8125))


def test_rho_own_scales_the_penalty_of_the_own_policy_alone() -> None:
    # (.75 * .105 + 1.5 * .02 + 1.5 * .125 + .75 * .02) / 2
    assert values(hand_loss(rho_own=1.0)) == pytest.approx((-0.8, 0.155625, 0.955625))
    # (.75 * .105 + .75 * .02) / 2
    assert values(hand_loss(rho_own=0.0)) == pytest.approx((-0.8, 0.046875, 0.846875))


def test_without_rho_own_it_is_rho_as_in_the_paper() -> None:
    assert hand_loss().gradient.tobytes() == hand_loss(rho_own=0.5).gradient.tobytes()


def as_acted(acted: Mapping[str, list[float]]) -> dict[str, Heard]:
    return {j: replace(said, acted=list(acted[j])) for j, said in Hand.heard.items()}


def test_with_reference_behaviour_xi_n_refers_to_the_policies_that_acted_and_indicators_to_those_shared() -> None:
    # xi_N = (.5 / .5 * .3 / .6, .5 / 1 * .4 / .2) = (.5, 1): gain 1.2 * .5 - .8 * 1 * 2 = -1; the penalty is the same
    acted = as_acted({J: [0.5, 1.0], K: [0.6, 0.2]})
    assert values(hand_loss(acted, ratio_reference="behaviour")) == pytest.approx((-0.5, 0.10125, 0.60125))
    terms = scalar_loss(
        Hand.own,
        Hand.wished,
        acted,
        actions=Hand.actions,
        own_old=Hand.own_old,
        advantages=Hand.advantages,
        rho=0.5,
    )
    assert (terms.neighbor_ratio, terms.loss) == (pytest.approx([0.5, 1.0]), pytest.approx(0.60125))


def test_a_share_says_how_likely_the_actions_were_where_ratios_refer_to_the_policies_that_acted() -> None:
    for reference in ("round", "behaviour"):
        algorithm = AnticipationSharing(LearningConfig(ratio_reference=reference), settings())
        said = algorithm.share(hand_round(), J, ShareShape(2, 2, 3))
        assert said.keys() == {field.name for field in algorithm.fields(ShareShape(2, 2, 3))}
        assert ("acted" in said) == (reference == "behaviour")
    np.testing.assert_allclose(said["acted"], Hand.own_old, rtol=1e-6)


def test_kappa_is_the_mean_size_of_the_advantages_of_the_whole_batch() -> None:
    # A = (3, -2): kappa = 2.5, same signs. gain: 3 * .96 - 2.56 = .32 / 2; penalty: .10125 * 2.5 / 1.5
    assert values(hand_loss(advantages=[3.0, -2.0])) == pytest.approx((0.16, 0.16875, 0.00875), abs=1e-6)


def test_advantages_of_0_give_neither_gain_nor_penalty_nor_gradient() -> None:
    loss = hand_loss(advantages=[0.0, 0.0])
    assert values(loss) == pytest.approx((0.0, 0.0, 0.0))
    assert not loss.gradient.any()


@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        # gain: (1.2 * 2 * 1 + .8 * 2 * -2) / 2 = -.4; penalty: 1.5 * .5 * (.105 + .125) / 2
        ((J,), (-0.4, 0.08625, 0.48625)),
        # gain: (1.2 * .4 * 1 + .8 * .8 * -2) / 2 = -.4; penalty: 1.5 * .5 * (.02 + .02) / 2
        ((K,), (-0.4, 0.015, 0.415)),
        # PPO: (1.2 * 1 + .8 * -2) / 2 = -.2, no penalty at all
        ((), (-0.2, None, 0.2)),
    ],
)
def test_only_the_terms_of_neighbors_heard_are_in_the_loss(
    heard: tuple[str, ...], expected: tuple[float, float | None, float]
) -> None:
    """A share that did not arrive and a partner that was never asked come to the same."""
    missing = hand_loss(only(*heard))
    chosen = hand_loss(only(*heard), partners=heard)
    assert values(missing) == pytest.approx(expected)
    assert values(chosen) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        # step 0 loses j: xi_N = .4, gain .48; penalty .75 * .02
        (0, ((0.48 - 2.56) / 2, (0.015 + 0.10875) / 2, 1.04 + 0.061875)),
        # step 1 loses j: xi_N = .8, gain -1.28; penalty .75 * .02
        (1, ((0.96 - 1.28) / 2, (0.09375 + 0.015) / 2, 0.16 + 0.054375)),
    ],
)
def test_a_neighbor_out_of_range_at_one_sample_drops_from_that_sample_alone(
    sample: int, expected: tuple[float, float, float]
) -> None:
    loss = hand_loss({J: out_of_range(Hand.heard[J], sample), K: Hand.heard[K]})
    assert values(loss) == pytest.approx(expected)


def test_a_neighbor_out_of_range_at_a_sample_gets_no_gradient_there() -> None:
    gradient = hand_loss({J: out_of_range(Hand.heard[J], 0), K: Hand.heard[K]}).gradient
    assert not gradient[1, 0].any()
    assert gradient[1, 1].any()
    assert gradient[2, 0].any()


def test_the_cap_bounds_the_neighbors_ratio_on_both_sides() -> None:
    # xi_N = (.8, 1.6) becomes (1 / 1.1, 1.1): gain (1.2 / 1.1 - .8 * 1.1 * 2) / 2; the penalty is the same
    loss = hand_loss(cap=math.log(1.1))
    gain = (1.2 / 1.1 - 1.76) / 2
    assert values(loss) == pytest.approx((gain, 0.10125, 0.10125 - gain))


def test_the_entropy_of_the_own_policy_alone_is_rewarded() -> None:
    # -(.6 ln .6 + .4 ln .4) = .673012 and ln 2 = .693147: mean .683079
    loss = hand_loss(entropy_bonus=0.1)
    assert loss.parts["entropy"] == pytest.approx(0.6830794)
    assert loss.total == pytest.approx(0.90125 - 0.06830794)


def test_independent_learning_is_ppo_on_the_own_ratio() -> None:
    for shares in ({}, as_shares(Hand.heard)):
        loss = Independent(LearningConfig(), settings()).loss(hand_round(()), shares)
        assert values(loss) == pytest.approx((-0.2, None, 0.2))


def test_a_loss_is_a_plain_number_with_plain_parts_and_a_gradient_by_every_log_probability() -> None:
    loss = hand_loss(entropy_bonus=0.1)
    assert {type(number) for number in (loss.total, *loss.parts.values())} == {float}
    assert loss.parts.keys() == {"gain", "penalty", "entropy"}
    assert (loss.gradient.shape, loss.gradient.dtype) == ((3, 2, 3), np.float32)


def test_a_share_holds_the_own_distributions_own_actions_and_the_anticipation_of_the_receiver() -> None:
    algorithm = AnticipationSharing(LearningConfig(), settings())
    now = hand_round()
    for j, count in ((J, 3), (K, 2)):
        said = algorithm.share(now, j, ShareShape(2, 2, count))
        np.testing.assert_allclose(said["policy"], Hand.own, rtol=1e-6)
        assert said["actions"].tolist() == Hand.actions
        np.testing.assert_allclose(said["anticipation"], Hand.wished[j], rtol=1e-6)
        fields = {field.name: field for field in algorithm.fields(ShareShape(2, 2, count))}
        assert said.keys() == fields.keys() == {"policy", "actions", "anticipation"}
        assert all(said[name].shape == field.shape for name, field in fields.items())
        assert (said["policy"].dtype, said["actions"].dtype, said["anticipation"].dtype) == ("f4", "i4", "f4")


def test_a_share_is_about_the_samples_in_range_alone() -> None:
    now = hand_round(ranges={J: np.array([1]), K: None})
    said = AnticipationSharing(LearningConfig(), settings()).share(now, J, ShareShape(1, 2, 3))
    np.testing.assert_allclose(said["policy"], Hand.own[1:], rtol=1e-6)
    np.testing.assert_allclose(said["anticipation"], Hand.wished[J][1:], rtol=1e-6)
    assert said["actions"].tolist() == [1]


# The gradient by the networks' parameters, against central differences of the scalar loop


SIZES = Sizes(2, (4,), 3)
COUNTS = {"own": 2, J: 3, K: 2}


@dataclass
class Case:
    """Networks and shares drawn at random; heterogeneous actions; j may be out of range at some samples."""

    observations: np.ndarray
    parameters: np.ndarray  # (3, P): own, of j, of k
    actions: list[int]
    own_old: list[float]
    advantages: list[float]
    heard: dict[str, Heard]
    rho: float
    cap: float | None
    entropy_bonus: float
    rho_own: float | None = None
    slopes: dict[str, float] | None = None  # by neighbor; weights are calibrated then, else fixed

    def distributions(self, row: np.ndarray, count: int) -> list[list[float]]:
        return [
            softmax(scalar_network(row.tolist(), SIZES.widths, seen)[:count]) for seen in self.observations.tolist()
        ]

    def scalar(self, parameters: np.ndarray, heard: Mapping[str, Heard] | None = None) -> Terms:
        return scalar_loss(
            self.distributions(parameters[0], 2),
            {J: self.distributions(parameters[1], 3), K: self.distributions(parameters[2], 2)},
            self.heard if heard is None else heard,
            actions=self.actions,
            own_old=self.own_old,
            advantages=self.advantages,
            rho=self.rho,
            rho_own=self.rho_own,
            told=self.told(),
            cap=self.cap,
            entropy_bonus=self.entropy_bonus,
        )

    def told(self) -> dict[str, float] | None:
        """kappa rho' of each neighbor: half of c = 6 times what it tells, at most 24 kappa rho."""
        if self.slopes is None:
            return None
        kappa = sum(map(abs, self.advantages)) / len(self.advantages)
        return {j: min(3 * slope, 24 * self.rho * kappa) for j, slope in self.slopes.items()}

    def found(self, heard: Mapping[str, Heard] | None = None) -> tuple[float, np.ndarray]:
        """Loss and gradient (3, P) by the code under test, from the networks on and back to them."""
        said, rows = self.heard if heard is None else heard, range(3)
        parameters = self.parameters.astype(np.float32)
        passed = kernels.evaluate(SIZES, parameters, rows, self.observations.astype(np.float32))
        impossible = np.arange(3) >= np.array([2, 3, 2])[:, None, None]
        logs = kernels.log_softmax(np.where(impossible, np.float32(masks.IMPOSSIBLE), passed.outputs))
        now = Round(
            advantages=np.array(self.advantages, np.float32),
            actions=np.array(self.actions),
            log_probabilities=logs,
            log_old=old_policies(self.own_old, logs),
            partners=(J, K),
            rows_in_range=in_range(said),
            critic=NOTHING,
            policies=NOTHING,
            weights={},
            draws=DRAWS,
        )
        behaves = any(each.acted is not None for each in self.heard.values())
        reference = "behaviour" if behaves else "round"
        learning = LearningConfig(entropy_bonus=self.entropy_bonus, ratio_reference=reference)
        weights = "fixed" if self.slopes is None else "calibrated"
        own = settings(self.rho, self.cap, rho_own=self.rho_own, weights=weights)
        loss = AnticipationSharing(learning, own).loss(now, as_shares(said, self.slopes))
        by_logits = kernels.log_softmax_gradient(logs, loss.gradient)
        return loss.total, kernels.gradient(passed, parameters, rows, by_logits)


def random_case(seed: int) -> Case:
    draw = np.random.default_rng(seed)
    samples = 5

    def shared(count: int) -> list[list[float]]:
        return draw.dirichlet(np.full(count, 3.0), samples).astype(np.float32).tolist()  # type: ignore[no-any-return]

    heard = {
        j: Heard(list(shared(COUNTS[j])), draw.integers(0, COUNTS[j], samples).tolist(), list(shared(2)))
        for j in (J, K)
    }
    if seed % 2:
        heard[J] = out_of_range(heard[J], int(draw.integers(samples)))
    return Case(
        observations=draw.normal(size=(samples, 2)),
        parameters=draw.normal(size=(3, SIZES.size)),
        actions=draw.integers(0, 2, samples).tolist(),
        own_old=draw.uniform(0.2, 0.9, samples).tolist(),
        advantages=draw.normal(size=samples).tolist(),
        heard=heard,
        rho=float(draw.uniform(0.1, 5)),
        cap=[None, 0.7][seed // 2 % 2],
        entropy_bonus=[0.0, 0.3][seed // 4 % 2],
    )


def neighbor_factors(case: Case, b: int) -> list[float]:
    """The factors of xi_N at a sample."""
    factors = []
    for row, (j, said) in enumerate(case.heard.items(), 1):
        action, policy = said.actions[b], said.policy[b]
        if action is not None and policy is not None:
            acted = policy[action] if said.acted is None else said.acted[b]
            assert acted is not None
            factors.append(case.distributions(case.parameters[row], COUNTS[j])[b][action] / acted)
    return factors


def is_smooth(case: Case) -> bool:
    """Whether no kink (ReLU, clip, indicator, cap) lies so near that a difference quotient would cross it."""
    terms = case.scalar(case.parameters)
    margin = 1e-3
    distances = [abs(xi - edge) for xi in terms.own_ratio for edge in (0.8, 1.2)]
    for ratios in (*terms.ratio_ij.values(), *terms.ratio_ji.values()):
        distances += [abs(ratio - 1) for ratio in ratios if ratio is not None]
    if case.cap is not None:
        for b in range(len(case.actions)):
            factors = neighbor_factors(case, b)
            logs = list(map(math.log, [math.prod(factors)] if case.slopes is None else factors))
            distances += [abs(abs(log) - case.cap) for log in logs]
    for row, seen in itertools.product(case.parameters, case.observations):
        hidden = row[:8].reshape(2, 4).T @ seen + row[8:12]
        distances += np.abs(hidden).tolist()
    return min(distances) > margin


def with_its_own(case: Case, seed: int) -> Case:
    """The same with a rho' of its own, or calibrated weights, and ratios that refer to the policies that acted."""
    draw = np.random.default_rng([seed, 19])
    heard = {
        j: replace(said, acted=[None if a is None else float(draw.uniform(0.1, 0.9)) for a in said.actions])
        for j, said in case.heard.items()
    }
    case = replace(case, heard=heard if seed % 2 else case.heard)
    if seed % 3 == 0:
        return replace(case, rho_own=case.rho * float(draw.uniform(0.2, 4)))
    return replace(case, slopes={j: case.rho * float(draw.uniform(0, 12)) for j in case.heard})


CASES = [*itertools.islice(filter(is_smooth, map(random_case, range(60))), 10)]
OWN_CASES = [*itertools.islice(filter(is_smooth, (with_its_own(random_case(seed), seed) for seed in range(60))), 14)]


def test_the_random_cases_reach_every_branch() -> None:
    terms = [(case, case.scalar(case.parameters)) for case in CASES]
    pairs = [
        (xi > 1.2, xi < 0.8, a > 0) for case, t in terms for xi, a in zip(t.own_ratio, case.advantages, strict=True)
    ]
    assert len(set(pairs)) == 6
    assert len(CASES) == 10
    assert any(case.cap is not None and abs(math.log(xi)) > 0.699 for case, t in terms for xi in t.neighbor_ratio)
    assert any(None in said.policy for case in CASES for said in case.heard.values())
    for kind in ("ratio_ij", "ratio_ji"):
        signs = {
            (ratio - 1) * a > 0
            for case, t in terms
            for ratios in getattr(t, kind).values()
            for ratio, a in zip(ratios, case.advantages, strict=True)
            if ratio is not None
        }
        assert signs == {True, False}


def test_the_cases_of_our_own_reach_what_they_add() -> None:
    assert len(OWN_CASES) == 14
    seen = {(case.slopes is not None, any(h.acted is not None for h in case.heard.values())) for case in OWN_CASES}
    assert len(seen) == 4
    told = [(j, case) for case in OWN_CASES for j in case.slopes or ()]
    assert {3 * case.slopes[j] > case.told()[j] + 1e-9 for j, case in told} == {True, False}  # type: ignore[index]


@pytest.mark.parametrize("case", [*CASES, *OWN_CASES], ids=range(len(CASES) + len(OWN_CASES)))
def test_loss_and_gradient_equal_the_scalar_loop_and_its_difference_quotients(case: Case) -> None:
    loss, gradient = case.found()
    assert loss == pytest.approx(case.scalar(case.parameters).loss, rel=1e-5, abs=1e-6)
    expected = central_differences(lambda at: case.scalar(at).loss, case.parameters)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("heard", [(J,), (K,), ()], ids=["j-alone", "k-alone", "nobody"])
@pytest.mark.parametrize("case", CASES[:3], ids=range(3))
def test_loss_and_gradient_of_a_round_with_neighbors_missing_are_those_of_the_formula_without_them(
    case: Case, heard: tuple[str, ...]
) -> None:
    said = {j: case.heard[j] for j in heard}
    loss, gradient = case.found(said)
    assert loss == pytest.approx(case.scalar(case.parameters, said).loss, rel=1e-5, abs=1e-6)
    expected = central_differences(lambda at: case.scalar(at, said).loss, case.parameters)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=2e-5)
    for row, j in enumerate((J, K), 1):
        assert bool(np.any(gradient[row])) == (j in heard)


def noisy_share(noise: float, draws: Draws = DRAWS, neighbor: str = J) -> dict[str, np.ndarray]:
    algorithm = AnticipationSharing(
        LearningConfig(),
        AlgorithmConfig(anticipation_sharing=AnticipationSharingConfig(anticipation_noise=noise)),
    )
    return algorithm.share(hand_round(draws=draws), neighbor, ShareShape(2, 2, 3))


def test_without_noise_the_anticipation_is_shared_as_it_is() -> None:
    share = noisy_share(0.0)
    assert share["anticipation"].tobytes() == hand_round().probabilities(J)[:, :3].tobytes()


@pytest.mark.parametrize("noise", [0.1, 0.5, 1.0])
def test_noise_moves_the_anticipation_that_far_to_a_random_distribution_and_nothing_else(noise: float) -> None:
    exact, noisy, random = noisy_share(0.0), noisy_share(noise), noisy_share(1.0)
    expected = (1 - noise) * exact["anticipation"] + noise * random["anticipation"]
    assert np.allclose(noisy["anticipation"], expected, atol=1e-6)
    assert noisy["anticipation"].dtype == np.float32
    assert noisy["anticipation"].min() >= 0
    assert np.allclose(noisy["anticipation"].sum(axis=1), 1, atol=1e-6)
    assert noisy["policy"].tobytes() == exact["policy"].tobytes()
    assert noisy["actions"].tobytes() == exact["actions"].tobytes()


def test_noise_is_named_by_seed_agent_episode_round_and_neighbor() -> None:
    again = noisy_share(1.0)["anticipation"]
    assert again.tobytes() == noisy_share(1.0)["anticipation"].tobytes()
    others = [replace(DRAWS, **change) for change in ({"seed": 2}, {"agent": "agent-1"}, {"episode": 1}, {"round": 1})]
    seen = [noisy_share(1.0, draws)["anticipation"] for draws in others] + [noisy_share(1.0, DRAWS, K)["anticipation"]]
    assert not any(np.array_equal(again, each) for each in seen)


def test_every_round_of_every_episode_has_noise_of_its_own_that_comes_again_with_the_seed() -> None:
    def noise() -> list[bytes]:
        config = agent_config(sharing={"anticipation_noise": 1.0})
        learner = make_learner(config)
        seen = []
        for number in range(2):
            episode = play(learner, toy_episode(config), number).episode
            for k in range(2):
                opened = learner.open_round(episode, k, ("agent-1", "agent-2"))
                seen += [opened.outgoing[partner]["anticipation"].tobytes() for partner in ("agent-1", "agent-2")]
                learner.close_round(opened, {}, {})
        return seen

    first = noise()
    assert len(set(first)) == len(first) == 8
    assert noise() == first


def test_shares_are_not_changed_by_learning_from_them() -> None:
    said = as_shares(Hand.heard)
    before = {j: {name: array.copy() for name, array in arrays.items()} for j, arrays in said.items()}
    for arrays in said.values():
        for array in arrays.values():
            array.setflags(write=False)  # as the codec hands them over
    AnticipationSharing(LearningConfig(), settings()).loss(hand_round(), said)
    for j, arrays in said.items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, before[j][name])
