"""Policy sharing (PS): every agent holds a policy for everyone, and all agree on them (Zhang & Zavlanos, 2019).

Agent i improves the joint policy {pi_i1 .. pi_iN} on its own advantage, so that each pi_ij drifts to where i would have
it, and averaging over the graph makes of these wishes one policy that serves all. Agent i acts by its pi_ii.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from agent_node.learning.algorithm import Algorithm, objective
from agent_node.learning.consensus import step_toward
from agent_node.learning.fields import Arrays, Field, Kind, ShareShape
from agent_node.learning.losses import clipped_gain
from agent_node.learning.round import Loss, Mixed, Round, placed, spread_actions, taken
from broker.arithmetic.chosen import kernels


class PolicySharing(Algorithm):
    """PPO on the joint ratio, then consensus on the joint policy."""

    name = "policy-sharing"
    tells = "its policies for everybody, and own actions: no reward or value"
    models = "everyone"
    shares_parameters = True

    def fields(self, edge: ShareShape) -> tuple[Field, ...]:
        """The parameters of the whole joint policy, and own actions, which nothing else would tell."""
        return (
            Field("policies", Kind.REAL, edge.policies_shape, per_sample=False),
            Field("actions", Kind.ACTIONS, (edge.rows,), edge.source_actions, own_choice=True),
        )

    def share(self, now: Round, neighbor: str, edge: ShareShape) -> Arrays:  # noqa: ARG002
        """theta_i as the round opened, and a_i."""
        actions = now.select(now.actions, neighbor)
        return {"policies": now.policies, "actions": actions.astype(np.int32)}

    def mix(self, now: Round, shares: Mapping[str, Arrays]) -> Mixed:
        """Sum over j of c_ij (theta_j - theta_i), which is added to the round's own step."""
        heard = now.heard(shares)
        if not heard:
            return Mixed()
        policies = {partner: shares[partner]["policies"] for partner in heard}
        return Mixed(policies=step_toward(now.policies, policies, now.weights))

    def loss(self, now: Round, shares: Mapping[str, Arrays]) -> Loss:
        """PPO on the joint ratio of the agent itself and those heard; with nobody heard, on its own.

        The clip bounds the joint ratio, since the joint policy is what is improved.
        """
        heard = now.heard(shares)
        if not heard:
            return super().loss(now, shares)
        actions, mask = spread_actions(now, shares, heard)
        now_others, old_others = (now.of_others(logs, heard) for logs in (now.log_probabilities, now.log_old))
        others = (taken(now_others, actions) - taken(old_others, actions)) * mask
        ratio = kernels.exponentials(now.log_own() - now.log_own_old + kernels.summed_first(others))
        gain, by_each = clipped_gain(ratio, None, now.advantages, self.learning.clip)  # by the log of each factor
        own = placed(by_each, now.actions, now.log_probabilities.shape[1:])
        slopes = now.slopes(own, placed(by_each * mask, actions, now_others.shape), heard)
        return objective(self.learning, now, gain, None, slopes)
