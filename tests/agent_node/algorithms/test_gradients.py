"""Gradients that are written out, against torch's autograd of the same losses in double precision."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from agent_node.config import AlgorithmConfig, LearningConfig
from agent_node.experience import masks
from agent_node.learning.fields import Arrays
from agent_node.learning.round import Draws, Loss, Round
from agent_node.registry import BUILT_IN, load_algorithm
from broker.arithmetic.chosen import kernels

WITHIN = 5e-6
"""How far a gradient in single precision may be from the exact one, in parts of its largest number."""
SAMPLES = 24
PARTNERS = ("agent-1", "agent-2", "agent-3", "agent-4")
COUNTS = (3, 5, 2, 4, 3)
"""Actions of the agent itself, and of its partners."""


@dataclass
class Case:
    """A round as an algorithm sees it when its loss is taken."""

    logits: np.ndarray  # (R, B, A)
    now: Round
    shares: dict[str, Arrays]
    learning: LearningConfig
    settings: AlgorithmConfig

    def found(self, algorithm: str) -> tuple[Loss, np.ndarray]:
        """The loss, and its gradient by the logits (R, B, A)."""
        loss = load_algorithm(algorithm)(self.learning, self.settings).loss(self.now, self.shares)
        return loss, kernels.log_softmax_gradient(self.now.log_probabilities, loss.gradient)

    def torch(self, algorithm: str) -> tuple[dict[str, float], np.ndarray, np.ndarray]:
        """Parts of the loss, and its gradients by log-probabilities and by logits (R, B, A)."""
        logits = torch.tensor(self.logits, dtype=torch.float64, requires_grad=True)
        assert self.now.possible is not None
        logs = logits.masked_fill(~torch.from_numpy(self.now.possible), masks.IMPOSSIBLE).log_softmax(dim=-1)
        logs.retain_grad()
        parts = TORCH[algorithm](self, logs)
        total = parts.get("penalty", torch.zeros(())) - parts["gain"]
        if self.learning.entropy_bonus:
            parts["entropy"] = -(logs[0].exp() * logs[0]).sum(dim=-1).mean()
            total = total - self.learning.entropy_bonus * parts["entropy"]
        total.backward()  # type: ignore[no-untyped-call]
        assert logs.grad is not None
        assert logits.grad is not None
        found = {name: part.item() for name, part in (parts | {"loss": total}).items()}
        return found, logs.grad.numpy(), logits.grad.numpy()

    @property
    def heard(self) -> list[str]:
        return [partner for partner in self.now.partners if partner in self.shares]

    def advantages(self) -> Tensor:
        return torch.from_numpy(self.now.advantages).double()

    def rows(self, partner: str) -> slice | np.ndarray:
        rows = self.now.rows_in_range[partner]
        return slice(None) if rows is None else rows

    def behaving(self) -> bool:
        return self.now.log_old is not self.now.log_probabilities

    def old(self, logs: Tensor) -> Tensor:
        """The policies that ratios refer to: those of the round themselves are as exact as they are."""
        return torch.from_numpy(self.now.log_old).double() if self.behaving() else logs.detach()


def of_action(rows: Tensor, actions: np.ndarray) -> Tensor:
    return rows.gather(-1, torch.from_numpy(actions.astype(np.int64))[:, None])[:, 0]


# The losses, as expressions of torch's


def ppo(ratio: Tensor, others: Tensor, advantages: Tensor, clip: float) -> Tensor:
    return torch.minimum(ratio * others * advantages, ratio.clamp(1 - clip, 1 + clip) * others * advantages).mean()


def alone(case: Case, logs: Tensor) -> dict[str, Tensor]:
    own, old = (of_action(each[0], case.now.actions) for each in (logs, case.old(logs)))
    return {"gain": ppo((own - old).exp(), torch.ones(()), case.advantages(), case.learning.clip)}


def policy_sharing(case: Case, logs: Tensor) -> dict[str, Tensor]:
    old = case.old(logs)
    log_ratio = of_action(logs[0], case.now.actions) - of_action(old[0], case.now.actions)
    for partner in case.heard:
        row, rows, actions = 1 + case.now.partners.index(partner), case.rows(partner), case.shares[partner]["actions"]
        added = torch.zeros_like(log_ratio)
        added[rows] = of_action(logs[row][rows], actions) - of_action(old[row][rows], actions)
        log_ratio = log_ratio + added
    return {"gain": ppo(log_ratio.exp(), torch.ones(()), case.advantages(), case.learning.clip)}


def anticipation_sharing(case: Case, logs: Tensor) -> dict[str, Tensor]:
    if not case.heard:
        return alone(case, logs)
    now, advantages = case.now, case.advantages()
    assert now.possible is not None
    own, old = (of_action(each[0], now.actions) for each in (logs, case.old(logs)))
    settings = case.settings.anticipation_sharing
    kappa, cap = advantages.abs().mean(), settings.log_ratio_cap or math.inf
    log_xi, penalty, apart = (torch.zeros_like(own) for _ in range(3))
    for partner in case.heard:
        row, rows, said = 1 + now.partners.index(partner), case.rows(partner), case.shares[partner]
        pi_jj, pi_ji = (torch.zeros(len(said["actions"]), logs.shape[-1], dtype=torch.float64) for _ in range(2))
        pi_jj[:, : said["policy"].shape[1]] = torch.from_numpy(said["policy"]).double()
        pi_ji[:, : said["anticipation"].shape[1]] = torch.from_numpy(said["anticipation"]).double()
        possible = torch.from_numpy(now.possible[0])[rows].double()
        kept = pi_ji * possible
        total = kept.sum(dim=-1, keepdim=True)
        pi_ji = torch.where(total > 0, kept / total, possible / possible.sum(dim=-1, keepdim=True))
        pi_ij, pi_ii, a_i, a = logs[row][rows].exp(), logs[0][rows].exp(), now.actions[rows], advantages[rows]
        log_pi_ij, log_pi_jj = of_action(logs[row][rows], said["actions"]), of_action(pi_jj, said["actions"])
        toward = log_pi_ij - log_pi_jj.clamp_min(1e-8).log()
        back = of_action(logs[0][rows], a_i) - of_action(pi_ji, a_i).clamp_min(1e-8).log()
        acted = torch.from_numpy(said["acted"]).double() if case.behaving() else log_pi_jj
        log_xi_ij = log_pi_ij - acted.clamp_min(1e-8).log()
        at = torch.arange(SAMPLES)[rows]
        log_xi = log_xi.index_add(0, at, log_xi_ij)
        apart = apart.index_add(0, at, log_xi_ij.clamp(-cap, cap).exp() * a)
        gap, own_gap = (pi_ij - pi_jj).square().sum(dim=-1), (pi_ii - pi_ji).square().sum(dim=-1)
        penalty = penalty.index_add(0, at, settings.rho * kappa * (toward.detach() * a > 0) * gap)
        if settings.weights == "calibrated":
            asked, most = settings.calibration.pull / 2 * said["slope"].item(), settings.calibration.cap * settings.rho
            penalty = penalty.index_add(0, at, min(asked, most * kappa.item()) * own_gap)
        else:
            rho_own = settings.rho if settings.rho_own is None else settings.rho_own
            penalty = penalty.index_add(0, at, rho_own * kappa * (back.detach() * a > 0) * own_gap)
    if settings.weights == "calibrated":
        own_gain = ppo((own - old).exp(), torch.ones(()), advantages, case.learning.clip)
        return {"gain": own_gain + apart.mean(), "penalty": penalty.mean()}
    gain = ppo((own - old).exp(), log_xi.clamp(-cap, cap).exp(), advantages, case.learning.clip)
    return {"gain": gain, "penalty": penalty.mean()}


TORCH: Mapping[str, Callable[[Case, Tensor], dict[str, Tensor]]] = {
    "anticipation-sharing": anticipation_sharing,
    "dna-marl": alone,
    "independent": alone,
    "networked-actor-critic": alone,
    "policy-sharing": policy_sharing,
    "reward-sharing": alone,
    "value-parameter-sharing": alone,
    "value-sharing": alone,
}


# Rounds drawn at random


def possible_actions(draw: np.random.Generator, count: int, masked: bool) -> np.ndarray:
    """(B, A) bool of an agent with `count` actions; each row has one that is possible."""
    possible = np.zeros((SAMPLES, max(COUNTS)), np.bool_)
    possible[:, :count] = draw.random((SAMPLES, count)) < 0.6 if masked else True
    possible[np.arange(SAMPLES), draw.integers(0, count, SAMPLES)] = True
    return possible


def distributions(draw: np.random.Generator, possible: np.ndarray) -> np.ndarray:
    weights = draw.gamma(1.5, size=possible.shape) * possible
    return (weights / weights.sum(axis=-1, keepdims=True)).astype(np.float32)


def actions_among(draw: np.random.Generator, possible: np.ndarray) -> np.ndarray:
    return (draw.random(possible.shape) * possible).argmax(axis=-1)


def share_of(draw: np.random.Generator, possible: np.ndarray, count: int, rows: slice | np.ndarray) -> Arrays:
    """What a partner that could do `possible` (B, A) says of its policy, its actions and its wishes."""
    wished = np.ones((SAMPLES, COUNTS[0]), np.bool_)
    return {
        "policy": distributions(draw, possible)[rows, :count],
        "actions": actions_among(draw, possible).astype(np.int32)[rows],
        "anticipation": distributions(draw, wished)[rows],
        "acted": draw.uniform(0.05, 1, SAMPLES).astype(np.float32)[rows],
        "slope": draw.uniform(0, 2, 1).astype(np.float32),
    }


def random_case(number: int) -> Case:
    """Every pattern of masks, missing partners, reference, cap and entropy bonus within 64 numbers."""
    draw = np.random.default_rng([18, number])
    masked, missing, behaves, capped, bonus, many = (bool(number >> bit & 1) for bit in range(6))
    partners = PARTNERS if many else PARTNERS[:2]
    ranges: dict[str, np.ndarray | None] = dict.fromkeys(PARTNERS)
    ranges[PARTNERS[1]] = np.flatnonzero(draw.random(SAMPLES) < 0.7)
    rows = [possible_actions(draw, count, masked) for count in COUNTS[: 1 + len(partners)]]
    heard = [partner for partner in partners if draw.random() < 0.5] if missing else list(partners)
    shares = {}
    for partner, possible, count in zip(partners, rows[1:], COUNTS[1:], strict=False):
        where = slice(None) if ranges[partner] is None else ranges[partner]
        if partner in heard:
            shares[partner] = share_of(draw, possible, count, where)
    logits = draw.normal(size=(len(rows), SAMPLES, max(COUNTS))).astype(np.float32)
    possible = np.stack(rows)
    logs = masks.among(logits, possible)
    old = masks.among(logits + draw.normal(scale=0.4, size=logits.shape).astype(np.float32), possible)
    return Case(
        logits=logits,
        now=Round(
            advantages=draw.normal(size=SAMPLES).astype(np.float32),
            actions=actions_among(draw, rows[0]),
            log_probabilities=logs,
            log_old=old if behaves else logs,
            partners=partners,
            rows_in_range=ranges,
            critic=np.zeros(0, np.float32),
            policies=np.zeros(0, np.float32),
            weights={},
            draws=Draws(1, "agent-0", 0, 0),
            possible=possible,
        ),
        shares=dict(reversed(shares.items())),  # arrivals have no order
        learning=LearningConfig(
            entropy_bonus=0.1 if bonus else 0.0, ratio_reference="behaviour" if behaves else "round"
        ),
        settings=AlgorithmConfig.model_validate(
            {
                "anticipation_sharing": {"rho": 0.7, "log_ratio_cap": 0.8 if capped else 0.0}
                | ({"rho_own": 1.9} if number % 3 == 0 else {})
            }
        ),
    )


def nobody_heard(number: int) -> Case:
    case = random_case(number)
    case.shares = {}
    return case


def with_calibrated_weights(case: Case) -> Case:
    fixed = case.settings.anticipation_sharing
    own = {"weights": "calibrated", "rho": fixed.rho, "log_ratio_cap": fixed.log_ratio_cap}
    return replace(
        case,
        settings=AlgorithmConfig.model_validate({"anticipation_sharing": own | {"calibration": {"cap": 5.0}}}),
    )


CASES = [*map(random_case, range(64)), *map(nobody_heard, range(0, 64, 9))]
CALIBRATED = list(map(with_calibrated_weights, CASES))


def test_every_algorithm_that_ships_has_its_loss_here() -> None:
    assert TORCH.keys() == BUILT_IN.keys()


@pytest.mark.parametrize(
    ("algorithm", "cases"),
    [*((name, CASES) for name in sorted(BUILT_IN)), ("anticipation-sharing", CALIBRATED)],
    ids=[*sorted(BUILT_IN), "calibrated-weights"],
)
def test_the_gradient_that_an_algorithm_says_is_the_one_that_autograd_finds(algorithm: str, cases: list[Case]) -> None:
    for case in cases:
        loss, by_logits = case.found(algorithm)
        parts, expected, expected_by_logits = case.torch(algorithm)
        assert {"loss": loss.total, **loss.parts} == pytest.approx(parts, rel=WITHIN, abs=WITHIN)
        used = [0, *(1 + case.now.partners.index(partner) for partner in case.heard)]
        for found, exact in ((loss.gradient, expected), (by_logits, expected_by_logits)):
            assert found.dtype == np.float32
            assert np.abs(exact).max() > 1e-4
            np.testing.assert_allclose(found[used], exact[used], rtol=0, atol=WITHIN * np.abs(exact).max())
            assert not np.delete(exact, used, axis=0).any()


def test_the_random_rounds_reach_every_branch() -> None:
    seen: set[Any] = set()
    for case in CASES:
        ratio = np.exp(case.now.log_own() - case.now.log_own_old)
        for xi, a in zip(ratio.tolist(), case.now.advantages.tolist(), strict=True):
            seen.add(("above" if xi > 1.2 else "below" if xi < 0.8 else "within", a > 0))
        log_xi = np.zeros(SAMPLES)
        for partner in case.heard:
            rows, said = case.rows(partner), case.shares[partner]
            own = case.now.log_probabilities[1 + case.now.partners.index(partner)][rows]
            at = np.arange(len(own)), said["actions"]
            toward = own[at] - np.log(said["policy"][at])
            log_xi[rows] += toward
            most = 5 * 0.7 * np.abs(case.now.advantages).mean()
            seen.add(("asked beyond the cap", bool(3 * said["slope"].item() > most)))
            seen |= {("apart", bool(push)) for push in toward * case.now.advantages[rows] > 0}
            assert case.now.possible is not None
            wished = said["anticipation"] * case.now.possible[0][rows, : COUNTS[0]]
            seen |= {("cut down", bool(less)) for less in wished.sum(axis=1) < 0.99}
        if case.settings.anticipation_sharing.log_ratio_cap:
            seen |= {("capped", int(np.sign(log) * (abs(log) > 0.8))) for log in log_xi}
        seen.add(("heard", len(case.heard), len(case.now.partners)))
        seen.add(("the first is missing", bool(case.heard) and case.now.partners[0] not in case.shares))
    both = ("apart", "cut down", "asked beyond the cap")
    clips = {(side, good) for side in ("above", "below", "within") for good in (False, True)}
    assert seen >= clips | {(name, flag) for name in both for flag in (False, True)}
    assert seen >= {("capped", side) for side in (-1, 0, 1)} | {("the first is missing", True)}
    assert seen >= {("heard", *counts) for counts in ((0, 2), (0, 4), (1, 2), (2, 2), (2, 4), (3, 4), (4, 4))}
