"""One page per algorithm; they differ in what crosses an edge and in the loss."""

from __future__ import annotations

from agent_node.config import AlgorithmName
from agent_node.learning.algorithm import Algorithm


def load_algorithm(name: AlgorithmName) -> type[Algorithm]:
    """The algorithm that a scenario calls `name`."""
    # The pages are imported one by one, so that an agent holds only its own.
    if name == "independent":
        from agent_node.algorithms.independent import Independent  # noqa: PLC0415

        return Independent
    from agent_node.algorithms.anticipation_sharing import AnticipationSharing  # noqa: PLC0415

    return AnticipationSharing
