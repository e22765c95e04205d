"""The shares that reach an agent: which it expects, which it kept for later, and which are heard, late or missing.

A round is opened, hears shares, and is closed:

    open   says from whom shares are expected, and hears what was kept for the round
    hear   takes a share: in its round it is heard, before it it is kept, after it it may be late; one that the neighbor
           cannot send is refused whenever it comes, so what is heard does not hang on when
    close  hands over what was heard, and counts what was and what is missing
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Mapping
from enum import Enum
from functools import lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from agent_node.in_edge import InEdge, RoundName
from agent_node.partners import ExchangePlan
from broker.errors import ProtocolViolation
from broker.participants.checkpoint import State
from broker.wire.arrays import Arrays
from broker.wire.records import EdgeRecord

if TYPE_CHECKING:
    from agent_node.config import AgentConfig

_NEWEST = "newest/"


def is_of_edges(name: str) -> bool:
    """Whether an array of an agent's state was heard on an in-edge; the others are its learner's."""
    return name.startswith(_NEWEST)


class Arrival(Enum):
    """What became of a share when it came."""

    HEARD = "heard"
    """It is of the open round."""
    KEPT = "kept"
    """It is of a round to come."""
    LATE = "late"
    """It was missing in its round."""
    PAST = "past"
    """Its round is over, and was not without it."""


class ClosedRound(NamedTuple):
    """What a round has brought.

    Attributes:
        shares: By partner, those heard.
        stale: By partner, the newest share of older rounds from each that is missing and not gone, if such are reused.
        expected: How many were waited for.
    """

    shares: dict[str, Arrays]
    stale: dict[str, Arrays]
    expected: int


class Sharing:
    """All in-edges of one agent.

    Attributes:
        current: The round that is open, or the last that was.
        edges: By neighbor, what was counted.
        gone: Neighbors that are dead: their shares are missing, and waited for no more.
        reuses: Whether an older share stands in for one that is missing.

    Args:
        config: The agent's slice of the scenario.
        check: Refuses a share that a neighbor cannot send, with a `ProtocolViolation`.
    """

    def __init__(self, config: AgentConfig, check: Callable[[str, Mapping[str, np.ndarray]], None]) -> None:
        self.current = RoundName(-1, -1)
        self.edges = {neighbor: InEdge() for neighbor in config.neighbors[config.link.name]}
        self.gone = set(config.link.life.gone)
        self.reuses = config.exchange.late_shares == "reuse"
        self._name = config.link.name
        plan = ExchangePlan(config.link.seed, config.neighbors, config.exchange)
        # Every share that comes early asks, and draws take time: the rounds of two episodes are at hand.
        self._partners_in = lru_cache(2 * config.rounds)(partial(plan.partners, self._name))
        self._episodes_before = config.link.episodes_before
        self._check = check
        self._open = False
        self._partners: tuple[str, ...] = ()
        self._expected: tuple[str, ...] = ()
        self._heard: dict[str, Arrays] = {}
        self._kept: defaultdict[RoundName, dict[str, Arrays]] = defaultdict(dict)

    def partners(self, name: RoundName) -> tuple[str, ...]:
        """With whom the agent exchanges in a round, in the order of its neighbors."""
        return self._partners_in(self._episodes_before + name.episode, name.number)

    def begin_episode(self, episode: int) -> None:
        """Forget what was kept for rounds of earlier ones."""
        self.current = RoundName(episode, -1)
        for past in [name for name in self._kept if name.episode < episode]:
            del self._kept[past]

    def open(self, name: RoundName, partners: tuple[str, ...], outgoing: Container[str]) -> None:
        """Open a round, and hear what was kept for it.

        Args:
            name: The round.
            partners: With whom the agent exchanges in it.
            outgoing: Those of them that it has anything to tell, and so to hear from.
        """
        self.current, self._open = name, True
        self._partners, self._heard = partners, {}
        self._expected = tuple(partner for partner in partners if partner in outgoing)
        for neighbor, edge in self.edges.items():
            edge.skipped += neighbor not in partners
        for source, arrays in self._kept.pop(name, {}).items():
            self._hear_now(source, arrays)

    def hear(self, source: str, name: RoundName, arrays: Arrays) -> Arrival:
        """Take the share of a neighbor for a round.

        Raises:
            ProtocolViolation: `source` cannot have sent it; nothing was changed.
        """
        is_open = self._open and name == self.current
        if source not in (self._partners if is_open else self.partners(name)):
            raise ProtocolViolation(f"{source} shares in a round in which the two do not exchange")
        self._check_share(source, arrays)
        if is_open:
            self._hear_now(source, arrays)
            return Arrival.HEARD
        if name <= self.current:
            return self._hear_late(source, name, arrays)
        self._kept[name].setdefault(source, arrays)
        return Arrival.KEPT

    @property
    def missing(self) -> list[str]:
        """Whose shares of the open round are waited for."""
        return [each for each in self._expected if each not in self._heard and each not in self.gone]

    @property
    def complete(self) -> bool:
        """Whether the open round need wait for nobody."""
        return len(self._heard) == len(self._expected) or (bool(self.gone) and not self.missing)

    def close(self) -> ClosedRound:
        """Close the open round: count what was heard and what is missing, and hand it over in the partners' order."""
        self._open = False
        shares = {source: self._heard[source] for source in self._expected if source in self._heard}
        missing = [source for source in self._expected if source not in shares]
        newest = {source: self.edges[source].newest for source in missing if source not in self.gone}
        for source in shares:
            self.edges[source].heard += 1
        for source in missing:
            self.edges[source].note_missing(self.current)
        stale = {source: arrays for source, arrays in newest.items() if arrays is not None}
        return ClosedRound(shares, stale, len(self._expected))

    def totals(self) -> list[EdgeRecord]:
        """What was counted of each neighbor's shares."""
        return [
            EdgeRecord(
                neighbor,
                self._name,
                heard=edge.heard,
                late=edge.late,
                missing=edge.missing,
                skipped=edge.skipped,
            )
            for neighbor, edge in self.edges.items()
        ]

    def state(self) -> State:
        """What a later life needs of the in-edges."""
        arrays: Arrays = {}
        for neighbor, edge in self.edges.items():
            arrays |= {f"{_NEWEST}{neighbor}/{name}": array for name, array in (edge.newest or {}).items()}
        return State(arrays, {"edges": {neighbor: edge.facts() for neighbor, edge in self.edges.items()}})

    def restore(self, state: State) -> Arrays:
        """Take up what `state` once was; returns the arrays in it that are not of the in-edges."""
        for neighbor, facts in state.facts["edges"].items():
            own = f"{_NEWEST}{neighbor}/"
            newest = {name.removeprefix(own): each for name, each in state.arrays.items() if name.startswith(own)}
            self.edges[neighbor].restore(facts, newest)
        return {name: each for name, each in state.arrays.items() if not is_of_edges(name)}

    def _hear_now(self, source: str, arrays: Arrays) -> None:
        if source in self._expected:  # else the two have no samples in common, and only the other one does not know
            self._heard.setdefault(source, arrays)
            if self.reuses:
                self.edges[source].keep_newest(self.current, arrays)

    def _hear_late(self, source: str, name: RoundName, arrays: Arrays) -> Arrival:
        """Count it, and keep it if the scenario reuses such."""
        if self.reuses:
            self.edges[source].keep_newest(name, arrays)
        return Arrival.LATE if self.edges[source].note_late(name) else Arrival.PAST

    def _check_share(self, source: str, arrays: Arrays) -> None:
        try:
            self._check(source, arrays)
        except ProtocolViolation as violation:
            raise ProtocolViolation(f"share from {source}: {violation}") from None
