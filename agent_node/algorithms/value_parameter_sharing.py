"""Value-parameter sharing (VPS): agents agree on a critic of the mean return, and each acts on its own rewards.

Each critic takes a step toward the agent's own returns, then a step toward the critics of the neighbors heard. The
policy learns on own rewards, valued by the critic that came of it.

This is the critic's consensus of Zhang et al. (2018, algorithm 2) alone. There the actor learns on a team-average TD
error, and no own reward reaches it: that is `networked_actor_critic`. Here the others' rewards reach it as a baseline
only, which changes what its gradient varies by and hardly where it points: VPS is nearly independent learning.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent_node.learning.algorithm import Algorithm
from agent_node.learning.consensus import step_toward
from agent_node.learning.fields import Arrays, Field, Kind, ShareShape
from agent_node.learning.round import Mixed, Round


class ValueParameterSharing(Algorithm):
    """PPO on own rewards with a critic mixed over the graph."""

    name = "value-parameter-sharing"
    tells = "a critic just learned from own returns: what states are worth to it"
    shares_parameters = True

    def fields(self, edge: ShareShape) -> tuple[Field, ...]:
        """The parameters of the critic."""
        return (Field("critic", Kind.REAL, edge.critic_shape, per_sample=False),)

    def share(self, now: Round, neighbor: str, edge: ShareShape) -> Arrays:  # noqa: ARG002 - the same for every neighbor
        """v_i after its step in this round."""
        return {"critic": now.critic}

    def mix(self, now: Round, shares: Mapping[str, Arrays]) -> Mixed:
        """v_i <- sum over j of c_ij v_j; with nobody heard, an independent round."""
        heard = now.heard(shares)
        if not heard:
            return Mixed()
        critics = {partner: shares[partner]["critic"] for partner in heard}
        return Mixed(critic=now.critic + step_toward(now.critic, critics, now.weights))
