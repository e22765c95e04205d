"""Theorems 1 to 3, the steps of their proofs and the literal readings of their symbols, each as two sides.

The paper uses d^pi for three things: the first state's distribution (Eq. 1), a distribution in an expectation
(Eqs. 5 and 6), and the discounted visits sum_t gamma^t P(s_t = s) that the proof puts there (Eq. 27). A `Reading`
says which; all claims hold `smaller <= larger`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from scenarios.studies.theory.mmdp import Mmdp, evaluate, joint, stationary, visitation

TOLERANCE = 1e-9
"""Rounding allowed to a claim, times 1 + |larger| + allowance."""


class Reading(Enum):
    """What d^pi stands for."""

    VISITS = "discounted visits from a fixed start"
    DISTRIBUTION = "the same divided by their sum"
    START = "each policy starts from its own d"


class BoundKind(Enum):
    """What a claim is to the paper."""

    THEOREM = "theorem"
    STEP = "step"
    LITERAL = "literal"


@dataclass(frozen=True)
class Instance:
    """An MMDP and the policies that the theorems compare.

    Attributes:
        mmdp: With N agents, S states, A own actions.
        old: (N, S, A), pi_old of Theorems 1 and 3 and pi' of Theorem 2.
        new: (N, S, A), pi_new of Theorems 1 and 3 and pi of Theorem 2.
        anticipations: (N, N, S, A), what i would like j to do; row i's own entry is not looked at, since pi^ii is
            i's new policy (Definition 1).
    """

    mmdp: Mmdp
    old: np.ndarray
    new: np.ndarray
    anticipations: np.ndarray


@dataclass(frozen=True)
class Terms:
    """What the theorems are made of, under one reading. Joint policies (S, J).

    Attributes:
        discount: gamma.
        eta_old: eta(pi_old) (Eq. 1).
        eta_new: eta(pi_new).
        visits: d^pi_old (S,).
        advantages: A_i^pi_old (N, S, J).
        old: pi_old.
        new: pi_new.
        anticipated: pi~^i (N, S, J) (Definition 1).
        own_divergence: D_KL^max of each agent's own old and new policy (N,).
    """

    discount: float
    eta_old: float
    eta_new: float
    visits: np.ndarray
    advantages: np.ndarray
    old: np.ndarray
    new: np.ndarray
    anticipated: np.ndarray
    own_divergence: np.ndarray

    @property
    def gain(self) -> float:
        """zeta_pi_old(pi_new) (Eq. 5)."""
        return float(np.einsum("s,sj,nsj->", self.visits, self.new, self.advantages))

    @property
    def anticipated_gain(self) -> float:
        """zeta_pi_old(Pi~_new) (Eq. 6)."""
        return float(np.einsum("s,nsj,nsj->", self.visits, self.anticipated, self.advantages))

    @property
    def constant(self) -> float:
        """C (Eq. 5)."""
        return float(4 * np.abs(self.advantages.sum(axis=0)).max() * self.discount / (1 - self.discount) ** 2)

    @property
    def largest(self) -> np.ndarray:
        """Each agent's max |A_i| over states and joint actions (N,)."""
        largest: np.ndarray = np.abs(self.advantages).max(axis=(1, 2))
        return largest

    @property
    def squares(self) -> np.ndarray:
        """Each agent's sum over s and a of (pi~^i - pi_new)^2 (N,)."""
        squares: np.ndarray = np.square(self.anticipated - self.new).sum(axis=(1, 2))
        return squares

    @property
    def offset(self) -> float:
        """f^pi_old (Eq. 8); |A| counts joint actions (Section 3)."""
        return float(self.largest.sum() / 2 * self.new.shape[1] * np.square(self.visits).sum())


@dataclass(frozen=True)
class Sides:
    """Both sides of `smaller <= larger`.

    Attributes:
        smaller: What is to be the smaller side.
        larger: What is to be the larger side.
        allowance: The penalty or bound that lets the claim hold; infinite where it claims nothing.
    """

    smaller: float
    larger: float
    allowance: float

    @property
    def slack(self) -> float:
        """Larger minus smaller, 0 where they differ by rounding."""
        slack = self.larger - self.smaller
        return 0.0 if abs(slack) <= self._rounding else slack

    @property
    def violated(self) -> bool:
        """Whether the claim is false here, beyond rounding."""
        return self.slack < 0

    @property
    def share(self) -> float | None:
        """How much of the allowance is needed: above 1 is a violation; None where it is 0 or infinite."""
        if self._rounding < self.allowance < np.inf:
            return (self.allowance - (self.larger - self.smaller)) / self.allowance
        return None

    @property
    def _rounding(self) -> float:
        return TOLERANCE * (1 + sum(abs(size) for size in (self.larger, self.allowance) if np.isfinite(size)))


def divergence(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """D_KL(p || q) in nats over the last axis; infinite where p is not 0 and q is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        total: np.ndarray = np.where(p > 0, p * np.log(p / q), 0.0).sum(axis=-1)
    return total.clip(min=0.0)


def terms(case: Instance, reading: Reading) -> Terms:
    """Evaluate a case."""
    mmdp, old, new = case.mmdp, joint(case.old), joint(case.new)
    before, after = evaluate(mmdp, old), evaluate(mmdp, new)
    start_old = start_new = mmdp.start
    if reading is Reading.START:
        start_old, start_new = stationary(mmdp, old), stationary(mmdp, new)
        visits = start_old / (1 - mmdp.discount)
    else:
        visits = visitation(mmdp, old) * ((1 - mmdp.discount) if reading is Reading.DISTRIBUTION else 1.0)
    return Terms(
        discount=mmdp.discount,
        eta_old=float((before.v @ start_old).sum()),
        eta_new=float((after.v @ start_new).sum()),
        visits=visits,
        advantages=before.advantages,
        old=old,
        new=new,
        anticipated=np.stack([joint(policies) for policies in anticipated_policies(case)]),
        own_divergence=divergence(case.old, case.new).max(axis=1),
    )


def anticipated_policies(case: Instance) -> np.ndarray:
    """pi^ij (N, N, S, A) with each agent's own new policy as pi^ii (Definition 1)."""
    policies = case.anticipations.copy()
    agents = np.arange(len(case.new))
    policies[agents, agents] = case.new
    return policies


def theorem_1(at: Terms) -> Sides:
    """Eq. 4: eta(pi_new) >= eta(pi_old) + zeta(pi_new) - C D_KL^max(pi_old || pi_new)."""
    allowance = _times(at.constant, float(divergence(at.old, at.new).max()))
    return Sides(at.eta_old + at.gain - allowance, at.eta_new, allowance)


def total_variation_step(at: Terms) -> Sides:
    """Eq. 25: |eta(pi_new) - eta(pi_old) - zeta(pi_new)| <= C (max_s D_TV(pi_old || pi_new))^2."""
    distance = float(np.abs(at.old - at.new).sum(axis=1).max() / 2)
    bound = at.constant * distance**2
    return Sides(abs(at.eta_new - at.eta_old - at.gain), bound, bound)


def theorem_2(at: Terms) -> Sides:
    """Eq. 7: zeta(Pi~) - zeta(pi) <= f + sum_i 1/2 max|A_i| sum_{s,a} (pi~^i - pi)^2."""
    bound = at.offset + _mismatch(at)
    return Sides(at.anticipated_gain - at.gain, bound, bound)


def printed_third_line(at: Terms) -> Sides:
    """Eq. 31, third line: ... <= sum_i max|A_i| |sum_{s,a} d(s) (pi~^i - pi)|."""
    bound = float(at.largest @ np.abs(np.einsum("s,nsj->n", at.visits, at.anticipated - at.new)))
    return Sides(at.anticipated_gain - at.gain, bound, bound)


def mended_third_line(at: Terms) -> Sides:
    """Eq. 31, third line, absolute value inside the sum: ... <= sum_i max|A_i| sum_{s,a} d(s) |pi~^i - pi|."""
    bound = _weighted_mismatch(at)
    return Sides(at.anticipated_gain - at.gain, bound, bound)


def additivity_step(at: Terms) -> Sides:
    """Eq. 34: D_KL^max of the joint policies <= sum_i D_KL^max of the own policies."""
    whole, parts = float(divergence(at.old, at.new).max()), float(at.own_divergence.sum())
    return Sides(0.0 if np.isinf(parts) else whole, parts, parts)


def theorem_3(at: Terms) -> Sides:
    """Eq. 9: eta(pi_new) >= zeta(Pi~) + eta(pi_old) - C sum_i D_KL^max - f - sum_i 1/2 max|A_i| sum (pi~^i - pi)^2."""
    return _third(at, at.offset + _mismatch(at))


def theorem_3_in_the_appendix(at: Terms) -> Sides:
    """Eq. 32, its parentheses supplied: as Eq. 9 with sum_{s,a} max_s d(s)^2 in place of |A| ||d||^2."""
    table = at.new.size * float(np.square(at.visits).max())
    return _third(at, float(at.largest.sum()) / 2 * table + _mismatch(at))


def theorem_3_mended(at: Terms) -> Sides:
    """Eq. 9 with sum_i max|A_i| sum_{s,a} d(s) |pi~^i - pi| in place of its last two terms."""
    return _third(at, _weighted_mismatch(at))


def _third(at: Terms, mismatch: float) -> Sides:
    allowance = _times(at.constant, float(at.own_divergence.sum())) + mismatch
    return Sides(at.anticipated_gain + at.eta_old - allowance, at.eta_new, allowance)


def _mismatch(at: Terms) -> float:
    return float(at.largest @ at.squares / 2)


def _weighted_mismatch(at: Terms) -> float:
    return float(at.largest @ np.einsum("s,nsj->n", at.visits, np.abs(at.anticipated - at.new)))


def _times(constant: float, divergence: float) -> float:
    """Their product; no constant leaves no penalty, however far the policies are."""
    return constant * divergence if constant else 0.0


@dataclass(frozen=True)
class Bound:
    """An inequality of the paper, or one that could be read into it.

    Attributes:
        key: Its name in `theory.json`.
        theorem: The number of the theorem that it belongs to.
        kind: Theorem, step or literal reading.
        label: Its name in tables.
        reading: What d^pi stands for.
        sides: Both its sides.
    """

    key: str
    theorem: int
    kind: BoundKind
    label: str
    reading: Reading
    sides: Callable[[Terms], Sides]

    def at(self, case: Instance) -> Sides:
        """Both sides for one case."""
        return self.sides(terms(case, self.reading))


CLAIMS = (
    Bound("theorem-1", 1, BoundKind.THEOREM, "Theorem 1, Eq. 4", Reading.VISITS, theorem_1),
    Bound("theorem-2", 2, BoundKind.THEOREM, "Theorem 2, Eq. 7", Reading.VISITS, theorem_2),
    Bound("theorem-3", 3, BoundKind.THEOREM, "Theorem 3, Eq. 9", Reading.VISITS, theorem_3),
    Bound("eq-25", 1, BoundKind.STEP, "Eq. 25, total variation", Reading.VISITS, total_variation_step),
    Bound("eq-31-mended", 2, BoundKind.STEP, "Eq. 31 line 3, mended", Reading.VISITS, mended_third_line),
    Bound("eq-34", 3, BoundKind.STEP, "Eq. 34, sum of divergences", Reading.VISITS, additivity_step),
    Bound("eq-32", 3, BoundKind.STEP, "Eq. 32, parentheses supplied", Reading.VISITS, theorem_3_in_the_appendix),
    Bound("theorem-3-mended", 3, BoundKind.STEP, "Theorem 3 with the mended line", Reading.VISITS, theorem_3_mended),
    Bound("eq-31-printed", 2, BoundKind.LITERAL, "Eq. 31 line 3, as printed", Reading.VISITS, printed_third_line),
    Bound("theorem-1-distribution", 1, BoundKind.LITERAL, "Theorem 1", Reading.DISTRIBUTION, theorem_1),
    Bound("theorem-2-distribution", 2, BoundKind.LITERAL, "Theorem 2", Reading.DISTRIBUTION, theorem_2),
    Bound("theorem-3-distribution", 3, BoundKind.LITERAL, "Theorem 3", Reading.DISTRIBUTION, theorem_3),
    Bound("theorem-1-start", 1, BoundKind.LITERAL, "Theorem 1", Reading.START, theorem_1),
    Bound("theorem-3-start", 3, BoundKind.LITERAL, "Theorem 3", Reading.START, theorem_3),
)
"""All that is checked; theorems and steps are to hold, literal readings are tested for whether they do."""
