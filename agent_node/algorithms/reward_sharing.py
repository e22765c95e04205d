"""Reward sharing (RS): agents tell their neighbors their rewards, and each learns on a weighted sum (Chu et al., 2020).

    r_i + w sum over neighbors j heard of r_j

One number a step crosses an edge, and it is the reward itself: nothing of it is private. The source weighs an agent d
edges away by w^d, over the whole graph; here rewards go one edge far.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from agent_node.learning.algorithm import Algorithm
from agent_node.learning.fields import Arrays, Field, Kind, ShareShape
from agent_node.learning.round import Mixed, Round


class RewardSharing(Algorithm):
    """PPO, and a critic, on own rewards and, with a weight, those of the neighbors heard."""

    name = "reward-sharing"
    tells = "the own reward of every step"
    critic_waits = True

    def fields(self, edge: ShareShape) -> tuple[Field, ...]:
        """The rewards, a number per sample."""
        return (Field("rewards", Kind.REAL, (edge.rows,)),)

    def share(self, now: Round, neighbor: str, edge: ShareShape) -> Arrays:  # noqa: ARG002
        """r_i as the environment gave it."""
        return {"rewards": now.select(now.rewards, neighbor)}

    def mix(self, now: Round, shares: Mapping[str, Arrays]) -> Mixed:
        """r_i plus w times those r_j that are about the same sample; critic and policy learn on it."""
        heard = now.heard(shares)
        if not heard:
            return Mixed()
        total, weight = now.rewards.copy(), np.float32(self.settings.reward_sharing.weight)
        for partner in heard:
            rows = now.rows_in_range[partner]
            total[slice(None) if rows is None else rows] += weight * shares[partner]["rewards"]
        return Mixed(rewards=total)
