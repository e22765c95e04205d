"""Anticipation sharing (AS): agents tell each neighbor what they would like it to do (section 4.3, Eqs. 12 to 15).

Agent i keeps, beside its policy pi_ii, an anticipation pi_ij for each neighbor j: what i would *like* j to do.
It improves all of them on its own advantage, and is held back where they would part from what j really does
(pi_jj) and from what j would like i to do (pi_ji). No reward, value or parameter crosses an edge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self, cast

import numpy as np

from agent_node.config import AlgorithmConfig, LearningConfig
from agent_node.learning.algorithm import Algorithm, objective
from agent_node.learning.fields import Arrays, Field, Kind, ShareShape
from agent_node.learning.losses import clipped_gain, neighbor_ratio, pushes_apart, squared_distance
from agent_node.learning.round import Loss, Round, placed, spread_actions, spread_numbers, spread_rows, taken
from broker.arithmetic.chosen import kernels
from broker.arithmetic.draws import flat_dirichlet

_TINY = np.float32(1e-8)


@dataclass(frozen=True)
class Pairs:
    """Agent i with each of the m neighbors j heard; distributions pi(.|s) are (m, B, A), all else is (m, B).

    Attributes:
        heard: The neighbors, in the round's order.
        a_j: Their actions, int64.
        in_range: 1 where the share of j is about the sample; elsewhere 0, as all logarithms are there.
        pi_ij: What i would like j to do.
        pi_jj: What j does.
        pi_ji: What j would like i to do, among what i could do.
        log_xi_ij: log of pi_ij(a_j|s) / pi_jj,old(a_j|s), the factors of xi_N (Eq. 12).
        log_ratio_ij: log of pi_ij(a_j|s) / pi_jj(a_j|s), for X_ij (Eq. 13).
        log_ratio_ji: log of pi_ii(a_i|s) / pi_ji(a_i|s), for X_ii,j (Eq. 13).
    """

    heard: Sequence[str]
    a_j: np.ndarray
    in_range: np.ndarray
    pi_ij: np.ndarray
    pi_jj: np.ndarray
    pi_ji: np.ndarray
    log_xi_ij: np.ndarray
    log_ratio_ij: np.ndarray
    log_ratio_ji: np.ndarray


class AnticipationSharing(Algorithm):
    """Algorithm 1 of the paper; with `weights = "calibrated"` an instance of `CalibratedWeights`, a page beside it."""

    name = "anticipation-sharing"
    tells = "own policy and actions, and what it wishes of this neighbor: no reward, value or parameter"
    models = "neighbors"

    def __new__(cls, learning: LearningConfig, settings: AlgorithmConfig) -> Self:  # noqa: ARG004 - as `__init__`
        """The page that the settings ask for, as `Path` gives a `PosixPath`."""
        if cls is AnticipationSharing and settings.anticipation_sharing.weights == "calibrated":
            from agent_node.algorithms.calibrated_weights import CalibratedWeights  # noqa: PLC0415 - it stands on this

            return super().__new__(cast("type[Self]", CalibratedWeights))
        return super().__new__(cls)

    def fields(self, edge: ShareShape) -> tuple[Field, ...]:
        """Own distributions, own actions and the anticipation of the receiver, a row per sample.

        Where ratios refer to the policies that acted, also with what probability the own one took the actions.
        """
        fields = (
            Field("policy", Kind.DISTRIBUTION, (edge.rows, edge.source_actions), own_choice=True),
            Field("actions", Kind.ACTIONS, (edge.rows,), edge.source_actions, own_choice=True),
            Field("anticipation", Kind.DISTRIBUTION, (edge.rows, edge.destination_actions)),
        )
        return (*fields, Field("acted", Kind.BOUNDED, (edge.rows,), most=1.0)) if self._refers_to_behaviour else fields

    def share(self, now: Round, neighbor: str, edge: ShareShape) -> Arrays:
        """pi_ii(.|s_t), a_i and pi_ij(.|s_t), the last for `neighbor` j alone; and pi_ii,old(a_i|s_t) if j needs it."""
        policy = now.select(now.probabilities(), neighbor)[:, : edge.source_actions]
        anticipation = now.select(now.probabilities(neighbor), neighbor)[:, : edge.destination_actions]
        actions = now.select(now.actions, neighbor)
        said = {
            "policy": policy,
            "actions": actions.astype(np.int32),
            "anticipation": self._inaccurate(anticipation, now, neighbor),
        }
        if self._refers_to_behaviour:
            said["acted"] = kernels.exponentials(now.select(now.log_own_old, neighbor))
        return said

    @property
    def _refers_to_behaviour(self) -> bool:
        return self.learning.ratio_reference == "behaviour"

    def _inaccurate(self, anticipation: np.ndarray, now: Round, neighbor: str) -> np.ndarray:
        """(rows, actions) float32, mixed with random distributions as far as the scenario says; only what is shared."""
        noise = self.settings.anticipation_sharing.anticipation_noise
        if not noise:
            return anticipation
        rows, actions = anticipation.shape
        random = flat_dirichlet(now.draws.stream("noise", neighbor), actions, rows)
        mixed: np.ndarray = ((1 - noise) * anticipation + noise * random).astype(np.float32)
        return mixed

    def loss(self, now: Round, shares: Mapping[str, Arrays]) -> Loss:
        """-(gain - penalty) over the neighbors j heard (Eq. 15); with nobody heard, an independent PPO step."""
        heard = now.heard(shares)
        if not heard:
            return super().loss(now, shares)
        pairs, pi_ii = self.pairs(now, shares, heard), now.probabilities()
        gain, by_own, by_others = self.gain(now, pairs)  # Eq. 15, first term
        w_ij, w_ji = self.weights(now, shares, pairs)
        distance_ij, by_ij = squared_distance(pairs.pi_ij, pairs.pi_jj)  # Eq. 15
        distance_ji, by_ji = squared_distance(pi_ii, pairs.pi_ji)  # Eq. 15
        penalty = kernels.summed_first(w_ij * distance_ij + w_ji * distance_ji)
        slopes = now.slopes(
            placed(by_own, now.actions, pi_ii.shape) - kernels.summed_first(w_ji[..., None] * by_ji),
            placed(by_others, pairs.a_j, pairs.pi_ij.shape) - w_ij[..., None] * by_ij,
            heard,
        )
        return objective(self.learning, now, gain, penalty, slopes)  # Eq. 15

    def gain(self, now: Round, pairs: Pairs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The first term of Eq. 15 (B,), and its slopes by log xi_i (B,) and by each log xi_ij (m, B)."""
        xi_i = kernels.exponentials(now.log_own() - now.log_own_old)  # Eq. 12: pi_ii(a_i|s) / pi_ii,old(a_i|s)
        xi_n, follows = neighbor_ratio(pairs.log_xi_ij, self.settings.anticipation_sharing.log_ratio_cap)  # Eq. 12
        gain, by_own = clipped_gain(xi_i, xi_n, now.advantages, self.learning.clip)
        return gain, by_own, gain * follows * pairs.in_range  # the gain by log xi_N is the gain itself

    def weights(
        self,
        now: Round,
        shares: Mapping[str, Arrays],  # noqa: ARG002 - for pages that stand on this one
        pairs: Pairs,
    ) -> tuple[np.ndarray, np.ndarray]:
        """What the discrepancies of pi_ij from pi_jj, and of pi_ii from pi_ji, cost at each sample: two of (m, B)."""
        settings, kappa = self.settings.anticipation_sharing, mean_size(now.advantages)
        w_ij = np.float32(settings.rho * kappa) * pushes_apart(pairs.log_ratio_ij, now.advantages)  # Eq. 14 with X_ij
        w_ji = np.float32(settings.rho_prime * kappa) * pushes_apart(pairs.log_ratio_ji, now.advantages)  # and X_ii,j
        return w_ij, w_ji

    def pairs(self, now: Round, shares: Mapping[str, Arrays], heard: Sequence[str]) -> Pairs:
        """What i and the neighbors `heard` do, and would like each other to do."""
        a_j, in_range = spread_actions(now, shares, heard)
        pi_jj, pi_ji = (spread_rows(now, shares, heard, name) for name in ("policy", "anticipation"))
        pi_ji = now.among_own(pi_ji)  # j knows not what i could do: it says it of all actions of i
        log_pi_ij = taken(now.of_others(now.log_probabilities, heard), a_j)
        log_ratio_ij = (log_pi_ij - _log(taken(pi_jj, a_j))) * in_range
        log_xi_ij = log_ratio_ij
        if self._refers_to_behaviour:
            log_xi_ij = (log_pi_ij - _log(spread_numbers(now, shares, heard, "acted"))) * in_range
        return Pairs(
            heard=heard,
            a_j=a_j,
            in_range=in_range,
            pi_ij=now.of_others(now.distributions, heard),
            pi_jj=pi_jj,
            pi_ji=pi_ji,
            log_xi_ij=log_xi_ij,
            log_ratio_ij=log_ratio_ij,
            log_ratio_ji=(now.log_own() - _log(taken(pi_ji, now.actions))) * in_range,
        )


def mean_size(advantages: np.ndarray) -> float:
    """kappa_i: the mean of |A_i| (B,) in place of the maximum, as below Eq. 15."""
    return kernels.total(np.abs(advantages)) / len(advantages)


def _log(probabilities: np.ndarray) -> np.ndarray:
    return kernels.logarithms(np.maximum(probabilities, _TINY))
