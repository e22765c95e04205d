"""Independent learning: every agent takes PPO steps on its own advantage and nothing crosses an edge."""

from __future__ import annotations

from agent_node.learning.algorithm import Algorithm
from agent_node.learning.fields import Arrays, Field, ShareShape
from agent_node.learning.round import Round


class Independent(Algorithm):
    """The baseline without communication."""

    name = "independent"
    tells = "nothing"

    def fields(self, edge: ShareShape) -> tuple[Field, ...]:  # noqa: ARG002 - the same for every edge: nothing
        """Nothing."""
        return ()

    def share(self, now: Round, neighbor: str, edge: ShareShape) -> Arrays:  # noqa: ARG002
        """Nothing."""
        return {}
