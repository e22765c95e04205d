"""Which networks an agent holds and how large they are: known before any of them is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent_node.learning.algorithm import Algorithm
from agent_node.learning.fields import ShareShape
from broker.arithmetic.sizes import Sizes


@dataclass(frozen=True)
class Networks:
    """The networks of one agent.

    Attributes:
        modeled: The agents it holds a policy for, one a row.
        actor: Sizes of every policy, as wide as the most actions that any of them has.
        critic: Sizes of the critic.
        estimators: Sizes of the algorithm's own networks, by name, in its order.
    """

    modeled: tuple[str, ...]
    actor: Sizes
    critic: Sizes
    estimators: Mapping[str, Sizes]

    def edge(self, rows: int, source_actions: int, destination_actions: int) -> ShareShape:
        """An edge of a graph in which sender and receiver hold equally many networks, if they share parameters."""
        policies = (len(self.modeled), self.actor.size)
        estimators = tuple((sizes.size,) for sizes in self.estimators.values())
        return ShareShape(rows, source_actions, destination_actions, (self.critic.size,), policies, estimators)


def networks_of(
    agent: str,
    algorithm: type[Algorithm],
    neighbors: tuple[str, ...],
    *,
    action_counts: Mapping[str, int],
    observation_size: int,
    hidden: tuple[int, ...],
) -> Networks:
    """What `agent` holds.

    Args:
        agent: Whose networks.
        algorithm: Says for whom it keeps a policy, and which networks of its own it has.
        neighbors: Of the agent.
        action_counts: Number of actions of every agent, in the agents' order.
        observation_size: Length of an observation.
        hidden: Widths of the hidden layers.
    """
    match algorithm.models:
        case "self":
            modeled: tuple[str, ...] = (agent,)
        case "neighbors":
            modeled = (agent, *neighbors)
        case "everyone":
            modeled = tuple(action_counts)
    width = max(action_counts[other] for other in modeled)
    estimators = {each.name: each.sizes(observation_size, hidden) for each in algorithm.estimators}
    return Networks(modeled, Sizes(observation_size, hidden, width), Sizes(observation_size, hidden, 1), estimators)
