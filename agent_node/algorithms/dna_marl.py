"""DNA-MARL: own rewards for a few steps, and from there on the team's value, as the agents agree on it.

Varela, Sardinha and Melo (2025), "Networked Agents in the Dark", the actor-critic as the first author's code has it
(`ActorCriticNetworkedLearner` in gsavarela/epymarl). A critic V_i takes a step toward n-step returns of own rewards,
which go on in value by a slow *target critic* W_i; the actor learns on the same difference; then V_i takes a step
toward the critics of the neighbors heard, and W_i follows it:

    R_i(t) = r_i(t) + gamma r_i(t+1) + ... + gamma^(n-1) r_i(t+n-1) + gamma^n W_i(s_(t+n))
    A_i(t) = R_i(t) - V_i(s_t)

Averaged over agents, R_i is a return of the team's mean reward, so the critics come to value the team, and with them
the target. Own rewards alone count before step n: with n as long as an episode, this is nearly value-parameter sharing.
docs/decisions.md says what an episode, its K rounds and PPO make of the source.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from agent_node.learning.algorithm import Algorithm
from agent_node.learning.consensus import step_toward
from agent_node.learning.fields import Arrays, Field, Kind, ShareShape
from agent_node.learning.round import Mixed, Round
from agent_node.learning.valuing import Valuing

_TARGET_CRITIC = "target_critic"


class DnaMarl(Algorithm):
    """PPO on own n-step returns that go on in the team's value, as the agents agree on it."""

    name = "dna-marl"
    tells = "a critic just learned from own rewards and what the agents agreed on before: what states are worth to it"
    shares_parameters = True

    def keeps(self, neighbors: tuple[str, ...], critic: np.ndarray) -> Arrays:  # noqa: ARG002 - of no neighbor
        """The target critic (P,), which begins as the critic."""
        return {_TARGET_CRITIC: critic.copy()}

    def critic_targets(self, now: Valuing) -> np.ndarray:
        """R_i (B,), by the target critic as the last round left it."""
        return now.returns(now.values(now.kept[_TARGET_CRITIC]), self.settings.dna_marl.n_steps)

    def fields(self, edge: ShareShape) -> tuple[Field, ...]:
        """The parameters of the critic; those of the target critic stay where they are."""
        return (Field("critic", Kind.REAL, edge.critic_shape, per_sample=False),)

    def share(self, now: Round, neighbor: str, edge: ShareShape) -> Arrays:  # noqa: ARG002 - the same for every neighbor
        """v_i after its step in this round."""
        return {"critic": now.critic}

    def mix(self, now: Round, shares: Mapping[str, Arrays]) -> Mixed:
        """v_i <- sum over j of c_ij v_j, which the actor feels from the next round on."""
        heard = now.heard(shares)
        if not heard:
            return Mixed()
        critics = {partner: shares[partner]["critic"] for partner in heard}
        mixed = now.critic + step_toward(now.critic, critics, now.weights)
        return Mixed(critic=mixed, advantages=now.advantages)

    def remember(self, now: Round, shares: Mapping[str, Arrays]) -> None:  # noqa: ARG002 - they are in the critic by now
        """w_i <- w_i + rate (v_i - w_i), in every round, whoever was heard."""
        target = now.kept[_TARGET_CRITIC]
        target += np.float32(self.settings.dna_marl.target_rate) * (now.critic - target)
