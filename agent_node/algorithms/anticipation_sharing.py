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
from agent_node.learning.round import Loss, Round, spread_actions, spread_rows, taken

_TINY = 1e-8


class AnticipationSharing(Algorithm):
    """Algorithm 1 of the paper."""

    name = "anticipation-sharing"
    models = "neighbors"

    def fields(self, edge: ShareShape) -> tuple[Field, ...]:
        """Own distributions, own actions and the anticipation of the receiver, a row per sample."""
        return (
            Field("policy", Kind.DISTRIBUTION, (edge.rows, edge.source_actions)),
            Field("actions", Kind.ACTIONS, (edge.rows,), edge.source_actions),
            Field("anticipation", Kind.DISTRIBUTION, (edge.rows, edge.destination_actions)),
        )

    def share(self, now: Round, neighbor: str, edge: ShareShape) -> Arrays:
        """pi_ii(.|s_t), a_i and pi_ij(.|s_t), the last for `neighbor` j alone."""
        policy = now.select(now.probabilities(), neighbor)[:, : edge.source_actions]
        anticipation = now.select(now.probabilities(neighbor), neighbor)[:, : edge.destination_actions]
        actions = now.select(now.actions, neighbor)
        return {
            "policy": policy.numpy(),
            "actions": actions.numpy().astype(np.int32),
            "anticipation": self._inaccurate(anticipation.numpy(), now, neighbor),
        }

    def _inaccurate(self, anticipation: np.ndarray, now: Round, neighbor: str) -> np.ndarray:
        """(rows, actions) float32, mixed with random distributions as far as the scenario says; only what is shared."""
        noise = self.settings.anticipation_sharing.anticipation_noise
        if not noise:
            return anticipation
        rows, actions = anticipation.shape
        random = now.draws.stream("noise", neighbor).dirichlet(np.ones(actions), rows)
        mixed: np.ndarray = ((1 - noise) * anticipation + noise * random).astype(np.float32)
        return mixed

    def loss(self, now: Round, shares: Mapping[str, Arrays]) -> Loss:
        """-(gain - pen) over the neighbors heard (Eq. 15); with nobody heard, an independent PPO step."""
        heard = now.heard(shares)
        if not heard:
            return super().loss(now, shares)
        log_own, own = now.log_own(), now.log_probabilities[0]
        policy, anticipation = (spread_rows(now, shares, heard, name) for name in ("policy", "anticipation"))
        actions, mask = spread_actions(now, shares, heard)
        own_ratio = (log_own - now.log_own_old).exp()
        mine = now.log_others(heard)
        toward = (taken(mine, actions) - taken(policy, actions).clamp_min(_TINY).log()) * mask
        back = (log_own - taken(anticipation, now.actions.expand(len(heard), -1)).clamp_min(_TINY).log()) * mask
        settings = self.settings.anticipation_sharing
        ratio = neighbor_ratio(toward, settings.log_ratio_cap)
        gain = clipped_gain(own_ratio, ratio, now.advantages, self.learning.clip)
        discrepancy = settings.rho * (
            pushes_apart(toward, now.advantages) * squared_distance(mine.exp(), policy)
            + pushes_apart(back, now.advantages) * squared_distance(own.exp(), anticipation)
        )
        kappa = now.advantages.abs().mean()
        return objective(self.learning, gain, kappa * discrepancy.sum(dim=0), own)
