"""Anticipation sharing (AS): agents tell each neighbor what they would like it to do (section 4.3, Eqs. 12 to 15).

Agent i keeps, beside its policy pi_ii, an anticipation pi_ij for each neighbor j: what i would *like* j to do.
It improves all of them on its own advantage, and is held back where they would part from what j really does
(pi_jj) and from what j would like i to do (pi_ji). No reward, value or parameter crosses an edge.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from agent_node.learning.algorithm import Algorithm, objective
from agent_node.learning.fields import Arrays, Field, Kind, ShareShape
from agent_node.learning.losses import clipped_gain, neighbor_ratio, pushes_apart, squared_distance
from agent_node.learning.round import Loss, Round, placed, spread_actions, spread_rows, taken
from broker.arithmetic.chosen import kernels
from broker.arithmetic.draws import flat_dirichlet

_TINY = np.float32(1e-8)


class AnticipationSharing(Algorithm):
    """Algorithm 1 of the paper."""

    name = "anticipation-sharing"
    tells = "own policy and actions, and what it wishes of this neighbor: no reward, value or parameter"
    models = "neighbors"

    def fields(self, edge: ShareShape) -> tuple[Field, ...]:
        """Own distributions, own actions and the anticipation of the receiver, a row per sample."""
        return (
            Field("policy", Kind.DISTRIBUTION, (edge.rows, edge.source_actions), own_choice=True),
            Field("actions", Kind.ACTIONS, (edge.rows,), edge.source_actions, own_choice=True),
            Field("anticipation", Kind.DISTRIBUTION, (edge.rows, edge.destination_actions)),
        )

    def share(self, now: Round, neighbor: str, edge: ShareShape) -> Arrays:
        """pi_ii(.|s_t), a_i and pi_ij(.|s_t), the last for `neighbor` j alone."""
        policy = now.select(now.probabilities(), neighbor)[:, : edge.source_actions]
        anticipation = now.select(now.probabilities(neighbor), neighbor)[:, : edge.destination_actions]
        actions = now.select(now.actions, neighbor)
        return {
            "policy": policy,
            "actions": actions.astype(np.int32),
            "anticipation": self._inaccurate(anticipation, now, neighbor),
        }

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
        """-(gain - penalty) over the m neighbors j heard (Eq. 15); with nobody heard, an independent PPO step.

        Distributions pi(.|s) are (B, A), or (m, B, A) with a row for each j; all else is (B,), or (m, B).
        """
        heard = now.heard(shares)
        if not heard:
            return super().loss(now, shares)
        settings, a_i = self.settings.anticipation_sharing, now.actions
        pi_ii, pi_ij = now.probabilities(), now.of_others(now.distributions, heard)
        pi_jj, pi_ji = (spread_rows(now, shares, heard, name) for name in ("policy", "anticipation"))
        pi_ji = now.among_own(pi_ji)  # j knows not what i could do: it says it of all actions of i
        a_j, mask = spread_actions(now, shares, heard)
        log_own = now.log_own()
        xi_i = kernels.exponentials(log_own - now.log_own_old)  # Eq. 12: pi_ii(a_i|s) / pi_ii,old(a_i|s)
        # Eqs. 12 and 13: log of pi_ij(a_j|s) / pi_jj(a_j|s) and of pi_ii(a_i|s) / pi_ji(a_i|s)
        log_ratio_ij = (taken(now.of_others(now.log_probabilities, heard), a_j) - _log(taken(pi_jj, a_j))) * mask
        log_ratio_ji = (log_own - _log(taken(pi_ji, np.broadcast_to(a_i, a_j.shape)))) * mask
        xi_n, follows = neighbor_ratio(log_ratio_ij, settings.log_ratio_cap)  # Eq. 12
        gain, by_own = clipped_gain(xi_i, xi_n, now.advantages, self.learning.clip)  # Eq. 15, first term
        by_others = gain * follows * mask  # the gain by log xi_N is the gain itself
        kappa = kernels.total(np.abs(now.advantages)) / now.samples  # below Eq. 15: the mean in place of the maximum
        weight = np.float32(settings.rho * kappa)  # rho' is the same, as in the paper
        w_ij = weight * pushes_apart(log_ratio_ij, now.advantages)  # Eq. 14 with X_ij of Eq. 13
        w_ji = weight * pushes_apart(log_ratio_ji, now.advantages)  # Eq. 14 with X_ii of Eq. 13
        distance_ij, by_ij = squared_distance(pi_ij, pi_jj)  # Eq. 15
        distance_ji, by_ji = squared_distance(pi_ii, pi_ji)  # Eq. 15
        penalty = kernels.summed_first(w_ij * distance_ij + w_ji * distance_ji)
        slopes = now.slopes(
            placed(by_own, a_i, pi_ii.shape) - kernels.summed_first(w_ji[..., None] * by_ji),
            placed(by_others, a_j, pi_ij.shape) - w_ij[..., None] * by_ij,
            heard,
        )
        return objective(self.learning, now, gain, penalty, slopes)  # Eq. 15


def _log(probabilities: np.ndarray) -> np.ndarray:
    return kernels.logarithms(np.maximum(probabilities, _TINY))
