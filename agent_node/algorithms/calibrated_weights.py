"""Calibrated weights: anticipation sharing in which every edge finds its own rho' (ours; docs/algorithms.md).

Where A_i pushes pi_ij away from pi_jj and rho holds it, the gap settles near A_i / (2 rho kappa): a suggestion says how
much it matters to i. What it weighs with j is rho' / rho, and no ratio serves all tasks: where j's actions matter
little to i, the gap is lag and noise, and pulls no less. So i measures what its suggestions are worth. At the actions
that j took, on samples that pi_ij has not learned from,

    x_ij     =  pi_ij(a_j|s) - pi_jj(a_j|s)                by how much i would have had j do more of it
    m, v     =  means of x_ij A_i and of x_ij^2, over samples and past episodes
    beta_ij  =  max(0, m - z sqrt(v / n)) / v              slope of A_i on x_ij, less z standard errors; n samples

and tells beta_ij to j. With `calibration.baseline` x_ij is less its mean under pi_jj: as a_j is drawn from that, it is
then 0 in the mean in every state, and what A_i has of the state alone, such as what i's critic is wrong by, does not
count. Three things differ from the paper's page:

1. **rho' is measured.** kappa_j rho'_ji = (c/2) beta_ij, at most what the cap allows.
2. **Ratios apart.** gain = min(xi_i A_i, clip(xi_i) A_i) + sum over j of xi_ij A_i, with xi_ij the factors of xi_N: the
   first order of Eq. 12's product, in which the own gradient is not multiplied by the anticipations' noise.
3. **X_ii,j = 1.** The own policy is held to a suggestion whatever the sign of its own advantage.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from agent_node.algorithms.anticipation_sharing import AnticipationSharing, Pairs, mean_size
from agent_node.config import AlgorithmConfig, LearningConfig
from agent_node.learning.fields import Arrays, Field, Kind, ShareShape
from agent_node.learning.losses import bounded_ratio, clipped_gain, pushes_apart
from agent_node.learning.round import Round, taken
from broker.arithmetic.chosen import kernels
from broker.errors import ScenarioError


class SlopeEstimate(NamedTuple):
    """What agent i has measured of the slope of A_i on x_ij; all 0 before the first time.

    Attributes:
        m: Weighted mean of x_ij A_i.
        v: Weighted mean of x_ij^2.
        spread: 1 / n: the variance of such a mean, for samples of variance 1. With equally many in each episode n is
            that number times (1 + memory) / (1 - memory); samples of one episode are taken for independent.
    """

    m: float
    v: float
    spread: float

    def after(self, x: np.ndarray, advantages: np.ndarray, memory: float, first_slope: float) -> SlopeEstimate:
        """The estimate once another episode is taken in.

        Args:
            x: x_ij (rows,) at the samples that both hold, at least one.
            advantages: A_i (rows,), in units of `usual_size`.
            memory: Weight of the estimate so far; the episode has the rest of 1.
            first_slope: Where it begins, with the first episode in which a gap is seen: agents that start from the same
                networks have none before they have learned.
        """
        rows, fresh = len(x), 1 - memory
        xa, xx = kernels.total(x * advantages) / rows, kernels.total(x * x) / rows
        before = self if self.v else SlopeEstimate(first_slope * xx, xx, fresh / (1 + memory) / rows)
        return SlopeEstimate(
            memory * before.m + fresh * xa,
            memory * before.v + fresh * xx,
            memory * memory * before.spread + fresh * fresh / rows,
        )

    def slope(self, standard_errors: float) -> float:
        """beta_ij: the slope less so many standard errors, at least 0; 0 where no gap was seen."""
        return max(0.0, self.m - standard_errors * math.sqrt(self.v * self.spread)) / self.v if self.v else 0.0


class CalibratedWeights(AnticipationSharing):
    """Anticipation sharing with `weights = "calibrated"`.

    Raises:
        ScenarioError: Advantages are not normalized.
    """

    def __init__(self, learning: LearningConfig, settings: AlgorithmConfig) -> None:
        super().__init__(learning, settings)
        if not learning.normalize_advantages:
            raise ScenarioError(
                "learning.normalize_advantages",
                "expected true: with calibrated weights agents tell each other slopes of their advantages, which "
                "compare, and hide how large rewards are, only where advantages are normalized",
            )

    def keeps(self, neighbors: tuple[str, ...], critic: np.ndarray) -> Arrays:  # noqa: ARG002
        """Of each neighbor j the `SlopeEstimate` (3,) float64."""
        return {neighbor: np.zeros(3) for neighbor in neighbors}

    def fields(self, edge: ShareShape) -> tuple[Field, ...]:
        """One number more."""
        most = self.settings.anticipation_sharing.largest_slope
        return (*super().fields(edge), Field("slope", Kind.BOUNDED, (1,), most=most, per_sample=False))

    def share(self, now: Round, neighbor: str, edge: ShareShape) -> Arrays:
        """Also beta_ij, as far as the cap lets it count."""
        settings = self.settings.anticipation_sharing
        slope = SlopeEstimate(*now.kept[neighbor].tolist()).slope(settings.calibration.standard_errors)
        told = np.array([min(slope, settings.largest_slope)], np.float32)  # rounded as the limit of the field is
        return {**super().share(now, neighbor, edge), "slope": told}

    def remember(self, now: Round, shares: Mapping[str, Arrays]) -> None:
        """Take in what round 0 shows; in later rounds pi_ij has learned from the samples."""
        if now.draws.round > 0:
            return
        settings = self.settings.anticipation_sharing
        own = now.advantages / usual_size(now.advantages)
        first_slope = 2 * settings.rho * mean_size(own)  # where pi_ij pushes and rho holds it
        for neighbor in now.heard(shares):
            a_j = shares[neighbor]["actions"].astype(np.int64)
            pi_ij, pi_jj = now.select(now.probabilities(neighbor), neighbor), shares[neighbor]["policy"]
            x = wished_more(pi_ij, pi_jj, a_j, baseline=settings.calibration.baseline)
            kept, advantages = now.kept[neighbor], now.select(own, neighbor)
            memory = settings.calibration.remembered(len(x))
            kept[:] = SlopeEstimate(*kept.tolist()).after(x, advantages, memory, first_slope)

    def gain(self, now: Round, pairs: Pairs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The own clipped gain plus the sum of xi_ij A_i (B,), and its slopes, (B,) and (m, B)."""
        xi_i = kernels.exponentials(now.log_own() - now.log_own_old)
        own, by_own = clipped_gain(xi_i, None, now.advantages, self.learning.clip)
        xi_ij, follows = bounded_ratio(pairs.log_xi_ij, self.settings.anticipation_sharing.log_ratio_cap)
        each = xi_ij * now.advantages * pairs.in_range
        return own + kernels.summed_first(each), by_own, each * follows

    def weights(self, now: Round, shares: Mapping[str, Arrays], pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
        """kappa_i rho X_ij, and kappa_i rho'_ij = (c/2) beta_ji as j tells it, at most kappa_i rho times the cap."""
        settings, kappa = self.settings.anticipation_sharing, mean_size(now.advantages)
        told = np.stack([shares[neighbor]["slope"] for neighbor in pairs.heard])  # (m, 1)
        w_ij = np.float32(settings.rho * kappa) * pushes_apart(pairs.log_ratio_ij, now.advantages)
        most = np.float32(settings.calibration.cap * settings.rho * kappa)
        pull = np.float32(settings.calibration.pull / 2 * usual_size(now.advantages))
        w_ji = np.minimum(pull * told, most) * pairs.in_range
        return w_ij, w_ji


def usual_size(advantages: np.ndarray) -> float:
    """What slopes of A_i (B,) are told in units of: 1, its deviation; of one sample alone, which has none, its size."""
    return (mean_size(advantages) or 1.0) if len(advantages) == 1 else 1.0


def wished_more(pi_ij: np.ndarray, pi_jj: np.ndarray, a_j: np.ndarray, *, baseline: bool) -> np.ndarray:
    """x_ij (rows,): by how much i would have had j do more of what it did.

    Args:
        pi_ij: What i would like j to do, (rows, actions) with at least as many actions as j has.
        pi_jj: What j does, (rows, actions of j).
        a_j: What it did, (rows,) int64.
        baseline: Take off the mean under pi_jj, with which x_ij is 0 in the mean in every state.
    """
    x_ij: np.ndarray = taken(pi_ij, a_j) - taken(pi_jj, a_j)
    if not baseline:
        return x_ij
    less: np.ndarray = x_ij - kernels.summed_last(pi_jj * (pi_ij[:, : pi_jj.shape[1]] - pi_jj))
    return less
