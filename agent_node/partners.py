"""Who exchanges with whom in a communication round. Pure: no I/O, no clock.

Every agent holds a plan of its own and asks it about its own rounds; two agents agree without a word, because each draw
is a function of the seed and of its name (SPEC section 2, communication experiments):

| draw                                              | decides                                                    |
|---------------------------------------------------|------------------------------------------------------------|
| `"partner", agent, episode, round`                | which neighbor the agent picks (mode random-partner)       |
| `"skip", episode, round`                          | whether a round is skipped (scope system)                  |
| `"skip", episode, round, agent`                   | whether it is skipped on all edges of the agent (agent)    |
| `"skip", episode, round, lesser end, greater end` | whether it is skipped on this edge (edge); names as text   |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from broker.seeding import choice, uniform

if TYPE_CHECKING:
    from agent_node.config import ExchangeConfig


class ExchangePlan:
    """The partners of every agent in every round, fixed by the seed before the run begins.

    Args:
        seed: The scenario's seed.
        graph_neighbors: Agents with their possible neighbors; undirected (with j among those of i stands i among those
            of j). Whoever is asked about has to be there and, where partners are picked, its neighbors too.
        config: Mode and skipping.
    """

    def __init__(self, seed: int, graph_neighbors: Mapping[str, tuple[str, ...]], config: ExchangeConfig) -> None:
        self._seed = seed
        self._neighbors = graph_neighbors
        self._config = config

    def partners(self, agent: str, episode: int, round_: int) -> tuple[str, ...]:
        """Those with which `agent` exchanges in a round, both ways, in the order of its neighbors.

        Args:
            agent: The one who asks; j is a partner of i exactly when i is a partner of j.
            episode: Training episode.
            round_: Communication round of the episode.
        """
        if not self._config.skip_probability:
            return self._unskipped(agent, episode, round_)
        match self._config.skip_scope:
            case "system":
                return () if self._coin(episode, round_) else self._unskipped(agent, episode, round_)
            case "agent":
                if self._coin(episode, round_, agent):
                    return ()
                others = self._unskipped(agent, episode, round_)
                return tuple(other for other in others if not self._coin(episode, round_, other))
            case "edge":
                others = self._unskipped(agent, episode, round_)
                return tuple(other for other in others if not self._coin(episode, round_, *sorted((agent, other))))

    def _unskipped(self, agent: str, episode: int, round_: int) -> tuple[str, ...]:
        """All neighbors, or the agent's pick and those whose pick it is."""
        neighbors = self._neighbors[agent]
        if self._config.mode == "all" or not neighbors:
            return neighbors
        own = self._pick(agent, episode, round_)
        return tuple(other for other in neighbors if other == own or self._pick(other, episode, round_) == agent)

    def _pick(self, agent: str, episode: int, round_: int) -> str:
        neighbors = self._neighbors[agent]
        return neighbors[choice(len(neighbors), self._seed, "partner", agent, episode, round_)]

    def _coin(self, episode: int, round_: int, *names: str) -> bool:
        """Whether the coin of this name says to skip."""
        return uniform(self._seed, "skip", episode, round_, *names) < self._config.skip_probability
