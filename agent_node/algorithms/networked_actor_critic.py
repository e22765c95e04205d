"""Networked actor-critic (NAC): agents agree on critic and team reward, and learn on both (Zhang et al., 2018).

Algorithm 2 of "Fully decentralized multi-agent reinforcement learning with networked agents", made neural. Each critic
V_i takes a step toward the agent's own returns and each team reward rbar_i one toward its own rewards, then both take a
step toward those of the neighbors heard: they become estimates of the *mean over all agents*. The actor learns on the
team-average TD error, in which no own reward is left:

    delta_i = rbar_i(s, s') + gamma V_i(s') - V_i(s)

This is what an episode and its K rounds make of the source's online, average-reward form (docs/decisions.md says why):
(s, s') stands for (s, a), mu_i is 0, and the actor takes delta_i summed as in Eq. 16; with `gae_lambda = 0`, delta_i.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent_node.learning.algorithm import Algorithm
from agent_node.learning.consensus import step_toward
from agent_node.learning.estimators import Estimator
from agent_node.learning.fields import Arrays, Field, Kind, ShareShape
from agent_node.learning.round import Mixed, Round

_TEAM_REWARD = "team_reward"


class NetworkedActorCritic(Algorithm):
    """PPO on the advantages of the team's mean reward, as the agents agree on it."""

    name = "networked-actor-critic"
    tells = "a critic and a reward network just learned from own rewards: what states and transitions pay it"
    shares_parameters = True
    estimators = (Estimator(_TEAM_REWARD, sees="transition", learns="rewards"),)

    def fields(self, edge: ShareShape) -> tuple[Field, ...]:
        """The parameters of critic and team reward."""
        (team_reward,) = edge.estimator_shapes
        return (
            Field("critic", Kind.REAL, edge.critic_shape, per_sample=False),
            Field(_TEAM_REWARD, Kind.REAL, team_reward, per_sample=False),
        )

    def share(self, now: Round, neighbor: str, edge: ShareShape) -> Arrays:  # noqa: ARG002 - the same for every neighbor
        """v_i and lambda_i after their steps in this round."""
        return {"critic": now.critic, _TEAM_REWARD: now.estimators[_TEAM_REWARD].parameters}

    def mix(self, now: Round, shares: Mapping[str, Arrays]) -> Mixed:
        """Sums over j of c_ij v_j and c_ij lambda_j; with nobody heard, an independent round."""
        heard = now.heard(shares)
        if not heard:
            return Mixed()
        estimated = now.estimators[_TEAM_REWARD]
        critic, team_reward = (
            own + step_toward(own, {partner: shares[partner][name] for partner in heard}, now.weights)
            for name, own in (("critic", now.critic), (_TEAM_REWARD, estimated.parameters))
        )
        return Mixed(critic=critic, estimators={_TEAM_REWARD: team_reward}, rewards=estimated.at_samples(team_reward))
