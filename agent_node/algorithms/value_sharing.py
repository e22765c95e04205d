"""Value sharing (VS): agents tell their neighbors their advantages, and each learns on the mean (Du et al., 2022).

    (A_i + w sum over neighbors j heard of A_j) / (1 + w times their number)

The source takes the sum, with w = 1; the mean and other weights are ours. Once normalized, sum and mean are the same
where as many are heard at every sample, and not where distance decides who is. One number a step crosses an edge. It
says what the step was worth to the sender, so the reward is private in name only.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from agent_node.learning.algorithm import Algorithm
from agent_node.learning.fields import Arrays, Field, Kind, ShareShape
from agent_node.learning.round import Mixed, Round


class ValueSharing(Algorithm):
    """PPO on the weighted mean of the advantages of the agent itself and of the neighbors heard."""

    name = "value-sharing"
    tells = "what every step was worth to it: the own reward in all but name"

    def fields(self, edge: ShareShape) -> tuple[Field, ...]:
        """The advantages, a number per sample."""
        return (Field("advantages", Kind.REAL, (edge.rows,)),)

    def share(self, now: Round, neighbor: str, edge: ShareShape) -> Arrays:  # noqa: ARG002
        """A_i as the own critic gives it: normalized ones would say all rewards are alike."""
        return {"advantages": now.select(now.advantages, neighbor)}

    def mix(self, now: Round, shares: Mapping[str, Arrays]) -> Mixed:
        """The mean of A_i and those A_j that are about the same sample, these weighted with w."""
        heard = now.heard(shares)
        if not heard:
            return Mixed()
        weight = np.float32(self.settings.value_sharing.weight)
        total, weights = now.advantages.copy(), np.ones(now.samples, np.float32)
        for partner in heard:
            rows = now.rows_in_range[partner]
            where = slice(None) if rows is None else rows
            total[where] += weight * shares[partner]["advantages"]
            weights[where] += weight
        return Mixed(advantages=total / weights)
