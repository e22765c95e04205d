"""Who is whose neighbor: the communication graph, from its slice of the document. Pure: no I/O, no clock.

Each kind of graph is one class: its settings, and `pairs`, which lists its undirected edges as pairs of agent numbers.
`build_graph` turns those into names and refuses what cannot work. To add a kind, write its class and name it in
`TopologyConfig`.

Random graphs have a stream by name (`generator(seed, "topology")`, or `generator(seed, "topology", draw)` where a graph
is drawn again until it is connected).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from itertools import combinations, pairwise
from typing import Annotated, Literal

from numpy.random import Generator
from pydantic import Field

from broker.config import Model
from broker.counting import counted
from broker.errors import ScenarioError
from broker.seeding import generator
from broker.wire.messages import agent_name
from scenarios.document.random_graphs import Pair, each_pair_by_chance, is_connected, regular, small_world

DRAWS = 100
"""How often a random graph is drawn, at most, until one is connected."""


class _Topology(Model):
    """What all kinds share: none of them has neighbors for an agent that is alone."""

    @abstractmethod
    def pairs(self, agents: int, seed: int, /) -> Iterable[Pair]:
        """The undirected edges among `agents` >= 2 agents, each once, as pairs of agent numbers."""


class CompleteConfig(_Topology):
    """Everybody is everybody's neighbor; the only kind that serves a single agent (without neighbors)."""

    kind: Literal["complete"] = "complete"

    def pairs(self, agents: int, _seed: int, /) -> Iterable[Pair]:
        """Every pair."""
        return combinations(range(agents), 2)


class RingConfig(_Topology):
    """Agents in a circle, two neighbors each; needs at least 3 agents."""

    kind: Literal["ring"] = "ring"

    def pairs(self, agents: int, _seed: int, /) -> Iterable[Pair]:
        """Successive agents, and the last with the first."""
        if agents < 3:
            raise ScenarioError("topology.kind", f"a ring needs at least 3 agents, found {agents}; use kind 'line'")
        return [*pairwise(range(agents)), (0, agents - 1)]


class StarConfig(_Topology):
    """One agent in the middle, neighbor of all; the others are neighbors of it alone."""

    kind: Literal["star"] = "star"
    center: int = Field(
        default=0,
        ge=0,
        description="Number of the agent in the middle, 0 to agents - 1; its node has the most to send and to compute.",
    )

    def pairs(self, agents: int, _seed: int, /) -> Iterable[Pair]:
        """The center with everybody else."""
        if self.center >= agents:
            problem = f"expected the number of an agent, 0 to {agents - 1}, found {self.center}"
            raise ScenarioError("topology.center", problem)
        return [(self.center, other) for other in range(agents) if other != self.center]


class LineConfig(_Topology):
    """Agents in a row: one neighbor at the ends, two between."""

    kind: Literal["line"] = "line"

    def pairs(self, agents: int, _seed: int, /) -> Iterable[Pair]:
        """Successive agents."""
        return pairwise(range(agents))


class GridConfig(_Topology):
    """Agents in rows and columns, filled row by row; neighbors stand above, below, left and right."""

    kind: Literal["grid"] = "grid"
    rows: int = Field(
        ge=1, description="Rows of agents; rows * columns must equal the number of agents, so that no place is empty."
    )
    columns: int = Field(ge=1, description="Agents in a row; rows * columns must equal the number of agents.")

    def pairs(self, agents: int, _seed: int, /) -> Iterable[Pair]:
        """Each agent with the next in its row and the next in its column."""
        places = self.rows * self.columns
        if places != agents:
            size = f"{counted(self.rows, 'row')} of {counted(self.columns, 'column')}"
            hold = "holds" if self.rows == 1 else "hold"
            problem = f"{size} {hold} {counted(places, 'agent')}, expected exactly {agents}"
            raise ScenarioError("topology.rows", problem)
        across = [(a, a + 1) for a in range(agents) if (a + 1) % self.columns]
        return across + [(a, a + self.columns) for a in range(agents - self.columns)]


class RegularConfig(_Topology):
    """A random graph in which all agents have equally many neighbors; it may fall into parts."""

    kind: Literal["k-regular"] = "k-regular"
    degree: int = Field(
        ge=1,
        description="Neighbors of each agent, 1 to agents - 1; agents * degree must be even: each edge has two ends.",
    )

    def pairs(self, agents: int, seed: int, /) -> Iterable[Pair]:
        """A random regular graph (Steger and Wormald 1999); a dense one is the rest of a sparse one, drawn faster."""
        if self.degree >= agents:
            problem = f"expected less than the number of agents ({agents}), found {self.degree}"
            raise ScenarioError("topology.degree", problem)
        if agents * self.degree % 2:
            problem = (
                f"{counted(agents, 'agent')} with {counted(self.degree, 'neighbor')} each is an odd number of ends; "
                "make one of the two even"
            )
            raise ScenarioError("topology.degree", problem)
        others, stream = agents - 1 - self.degree, generator(seed, "topology")
        if self.degree <= others:
            return regular(stream, agents, self.degree)
        left_out = set(regular(stream, agents, others))
        return [pair for pair in combinations(range(agents), 2) if pair not in left_out]


class SmallWorldConfig(_Topology):
    """A ring of near neighbors with some edges moved to random agents (Watts and Strogatz 1998), connected."""

    kind: Literal["small-world"] = "small-world"
    neighbors: int = Field(
        ge=2,
        multiple_of=2,
        description="Neighbors of each agent on the ring before edges move, half on each side: even, less than agents.",
    )
    rewire_probability: float = Field(
        ge=0,
        le=1,
        description="Probability that an edge moves: 0 keeps the ring, 1 is nearly random, 0.01 to 0.1 lies between.",
    )

    def pairs(self, agents: int, seed: int, /) -> Iterable[Pair]:
        """The first connected draw; agents * neighbors / 2 edges."""
        if self.neighbors >= agents:
            problem = f"expected less than the number of agents ({agents}), found {self.neighbors}"
            raise ScenarioError("topology.neighbors", problem)
        pairs = _first_connected(
            lambda stream: small_world(stream, agents, self.neighbors, self.rewire_probability), agents, seed
        )
        if pairs is None:
            problem = (
                f"none of {DRAWS} graphs drawn was connected; raise topology.neighbors or lower rewire_probability"
            )
            raise ScenarioError("topology.rewire_probability", problem)
        return pairs


class ErdosRenyiConfig(_Topology):
    """Each pair is an edge with the same probability, given that the graph is connected."""

    kind: Literal["erdos-renyi"] = "erdos-renyi"
    edge_probability: float = Field(
        gt=0,
        le=1,
        description="Probability of each edge; below ln(agents) / agents few graphs are connected, and 100 are tried.",
    )

    def pairs(self, agents: int, seed: int, /) -> Iterable[Pair]:
        """The first connected draw."""
        pairs = _first_connected(
            lambda stream: each_pair_by_chance(stream, agents, self.edge_probability), agents, seed
        )
        if pairs is None:
            graphs = f"{DRAWS} graphs of {counted(agents, 'agent')}"
            problem = f"none of {graphs} drawn with {self.edge_probability} was connected; raise it"
            raise ScenarioError("topology.edge_probability", problem)
        return pairs


class EdgesConfig(_Topology):
    """The edges, written out; the graph may fall into parts but every agent needs a neighbor."""

    kind: Literal["edges"] = "edges"
    edges: tuple[tuple[str, str], ...] = Field(
        description="Pairs of agents (`['agent-0', 'agent-1']`, or the environment's names), each once: an edge "
        "carries both ways."
    )

    def pairs(self, agents: int, _seed: int, /) -> Iterable[Pair]:
        """The edges as numbers; refused unless each joins two agents for the first time and no agent is left out."""
        numbers = {agent_name(number): number for number in range(agents)}
        seen: dict[Pair, int] = {}
        for position, ends in enumerate(self.edges):
            path = f"topology.edges[{position}]"
            pair = _edge_numbers(path, ends, numbers)
            if pair in seen:
                problem = (
                    f"{ends[0]} and {ends[1]} are joined already by edges[{seen[pair]}]; an edge carries both ways"
                )
                raise ScenarioError(path, problem)
            seen[pair] = position
        _refuse_isolated(seen, agents)
        return seen


class ProximityConfig(_Topology):
    """Agents near each other, looked up again by the environment at every step; anybody may come near anybody."""

    kind: Literal["proximity"] = "proximity"
    distance: float = Field(
        gt=0,
        description="Greatest distance between neighbors in the task's units (cells of a grid; 1.5 has the diagonals).",
    )

    def pairs(self, agents: int, _seed: int, /) -> Iterable[Pair]:
        """Every pair: all of them may become neighbors."""
        return combinations(range(agents), 2)


TopologyConfig = Annotated[
    CompleteConfig
    | RingConfig
    | StarConfig
    | LineConfig
    | GridConfig
    | RegularConfig
    | SmallWorldConfig
    | ErdosRenyiConfig
    | EdgesConfig
    | ProximityConfig,
    Field(discriminator="kind"),
]


def _refuse_isolated(edges: Iterable[Pair], agents: int) -> None:
    joined = {end for edge in edges for end in edge}
    isolated = [agent_name(number) for number in range(agents) if number not in joined]
    if isolated:
        who = isolated[0] if len(isolated) == 1 else f"{isolated[0]} and {len(isolated) - 1} more"
        raise ScenarioError("topology.edges", f"every agent needs a neighbor, found none for {who}")


def _edge_numbers(path: str, ends: tuple[str, str], numbers: dict[str, int]) -> Pair:
    """The two ends of a written edge as numbers, the lower first."""
    for end in ends:
        if end not in numbers:
            raise ScenarioError(path, f"there is no '{end}'; the agents are agent-0 to {agent_name(len(numbers) - 1)}")
    low, high = sorted(numbers[end] for end in ends)
    if low == high:
        raise ScenarioError(path, f"{ends[0]} is joined with itself; expected two different agents")
    return low, high


def _first_connected(draw: Callable[[Generator], list[Pair]], agents: int, seed: int) -> list[Pair] | None:
    """The edges of the first connected graph out of `DRAWS`, or None."""
    graphs = (draw(generator(seed, "topology", number)) for number in range(DRAWS))
    return next((pairs for pairs in graphs if is_connected(pairs, agents)), None)
