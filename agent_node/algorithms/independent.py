"""Independent learning: every agent takes PPO steps on its own advantage and nothing crosses an edge."""

from __future__ import annotations

from collections.abc import Mapping

from agent_node.learning.algorithm import Algorithm, Arrays, Edge, Field, Loss, Round, objective
from agent_node.learning.losses import clipped_gain


class Independent(Algorithm):
    """The baseline without communication."""

    name = "independent"
    anticipates = False
    per_sample = False

    def fields(self, edge: Edge) -> tuple[Field, ...]:  # noqa: ARG002 - the same for every edge: nothing
        """Nothing."""
        return ()

    def share(self, now: Round, neighbor: str, edge: Edge) -> Arrays:  # noqa: ARG002
        """Nothing."""
        return {}

    def loss(self, now: Round, shares: Mapping[str, Arrays]) -> Loss:  # noqa: ARG002
        """The clipped objective of PPO on own actions and own advantages."""
        own_ratio = (now.log_own() - now.log_own_old).exp()
        gain = clipped_gain(own_ratio, None, now.advantages, self.learning.clip)
        return objective(self.learning, gain, None, now.log_probabilities[0])
