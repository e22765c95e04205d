"""Who may ever be whose neighbor: the graph of a topology."""

from __future__ import annotations

from dataclasses import dataclass

from broker.errors import ScenarioError
from broker.wire.messages import agent_name
from scenarios.document.scenario import Scenario
from scenarios.document.topology import CompleteConfig, ProximityConfig, TopologyConfig


@dataclass(frozen=True)
class Graph:
    """Who may talk with whom: undirected, without self-loops, each edge once.

    Attributes:
        neighbors: Every agent with its neighbors; both in the order of agent numbers (agent-2 before agent-10).
        proximity_distance: Where set, these are potential neighbors, and neighbors in a step are those at most this
            far apart, in the task's units.
    """

    neighbors: dict[str, tuple[str, ...]]
    proximity_distance: float | None = None

    @property
    def edges(self) -> tuple[tuple[str, str], ...]:
        """All directed edges (source, destination), sorted by agent numbers; each undirected edge stands here twice."""
        return tuple((source, destination) for source, others in self.neighbors.items() for destination in others)

    def components(self) -> int:
        """How many parts the graph falls into; agents of different parts never hear of each other."""
        unseen = dict.fromkeys(self.neighbors)
        count = 0
        while unseen:
            count += 1
            frontier = [unseen.popitem()[0]]
            while frontier:
                found = [agent for agent in self.neighbors[frontier.pop()] if agent in unseen]
                for agent in found:
                    del unseen[agent]
                frontier += found
        return count


def graph_of(scenario: Scenario, agents: int) -> Graph:
    """Who may talk with whom in a scenario.

    Agents that only act share nothing, so they have no neighbors; but who is near whom is part of what they are sent.

    Args:
        scenario: The document.
        agents: Number of agents.

    Raises:
        ScenarioError: As `build_graph` does.
    """
    if scenario.acts_only is None or isinstance(scenario.topology, ProximityConfig):
        return build_graph(scenario.topology, agents, scenario.seed)
    return Graph({agent_name(number): () for number in range(agents)})


def build_graph(config: TopologyConfig, agents: int, seed: int) -> Graph:
    """The graph of a scenario, a function of its arguments alone.

    Args:
        config: The document's `topology`.
        agents: Number of agents, at least 1; they are called agent-0 to agent-(agents - 1).
        seed: The scenario's seed; only random kinds use it.

    Raises:
        ScenarioError: The graph cannot be built with so many agents, or an agent would have no neighbor.
    """
    if agents == 1 and not isinstance(config, CompleteConfig):
        problem = f"kind '{config.kind}' needs at least 2 agents, found 1: it has no neighbors; use kind 'complete'"
        raise ScenarioError("topology.kind", problem)
    neighbors: list[list[int]] = [[] for _ in range(agents)]
    for one, other in config.pairs(agents, seed):
        neighbors[one].append(other)
        neighbors[other].append(one)
    names = [agent_name(number) for number in range(agents)]
    return Graph(
        neighbors={
            name: tuple(names[other] for other in sorted(neighbors[number])) for number, name in enumerate(names)
        },
        proximity_distance=config.distance if isinstance(config, ProximityConfig) else None,
    )
