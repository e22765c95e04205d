"""What was read of one life of a run so far; whatever is read again is only what is new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from broker.wire.messages import ENVIRONMENT
from scenarios.document.addressing import with_ids
from scenarios.document.agent_names import AgentNames
from scenarios.document.graph import Graph, graph_of
from scenarios.document.scenario import Scenario
from scenarios.results.answers import EpisodeRow, EventRow, LifeRow, LiveFault, RoundRow, StatusRow, StrikeRow, struck
from scenarios.results.edge_account import NO_SHARES, account_edges
from scenarios.results.played import as_played
from scenarios.results.reader import RunReader
from scenarios.watching.agents_seen import EPISODES_OF_MEAN, agents_seen, deaths_by_participant, participant_seen
from scenarios.watching.edge_book import EdgeBook
from scenarios.watching.fault_book import FaultBook
from scenarios.watching.happenings import KINDS, happenings
from scenarios.watching.seen import AgentSeen, EdgeSeen, FaultSeen, Happening, ParticipantSeen


@dataclass(frozen=True)
class _Read:
    """What is small, and so is read whole each time."""

    lives: Sequence[LifeRow]
    status: Sequence[StatusRow]
    strikes: Sequence[StrikeRow]
    live: Sequence[LiveFault]
    gone: Mapping[str, int]
    returns: Sequence[EpisodeRow]
    rounds: Sequence[RoundRow]


class RunBook:
    """Keeps what was read of a run.

    Attributes:
        scenario: The document, with ids.
        names: The agents; none before the run has begun.
        run: Name of the run, which no other has, not even in the same folder; empty before it has begun.
        life: Number of the life; a book serves no other, for then rows are taken back. -1 before the first.
        team: (episodes,) float64, team return of every recorded episode.
        shares: What is known of all shares between agents.

    Args:
        scenario: The document.
        names: The agents.
        run: Name of the run.
        life: Number of the life.
        homes: The host of each participant, where it does not live on this one.
    """

    def __init__(self, scenario: Scenario, names: AgentNames, run: str, life: int, homes: Mapping[str, str]) -> None:
        self.scenario = with_ids(scenario, names)
        self.names = names
        self.run, self.life = run, life
        self.team: NDArray[np.float64] = np.zeros(0)
        self.shares = NO_SHARES
        agents = len(names.by_id)
        graph = graph_of(self.scenario, agents) if agents else Graph({})
        self._homes = homes
        self._edges = EdgeBook(graph)
        self._faults = FaultBook(self.scenario, self._edges.edges, names)
        self._events: list[EventRow] = []
        self._rows = dict.fromkeys(("episodes", "delays", "faults"), 0)
        self._read: _Read | None = None

    def read(self, reader: RunReader, at_s: float) -> None:
        """Read what is new.

        Args:
            reader: Of the run's store, which has its tables.
            at_s: Now, in seconds of the monotonic clock.
        """
        agents = len(self.names.by_id)
        if returns := reader.team_returns(self._rows["episodes"]):
            self._rows["episodes"] = max(row.row for row in returns)
            self.team = np.concatenate((self.team, [row.value for row in returns]))
        self._events += reader.events(tuple(KINDS), self._events[-1].row if self._events else 0)
        known = account_edges(reader)
        self.shares = known.shares
        self._edges.count(known.edges, at_s)
        self._edges.hold(reader.delays_by_edge(self._rows["delays"]))
        self._faults.count(reader.changes_by_edge(self._rows["faults"]))
        self._rows |= {"delays": reader.last_row("delays"), "faults": reader.last_row("faults")}
        self._read = _Read(
            reader.lives(),
            reader.status(),
            reader.strikes_by_date(),
            reader.live_faults(),
            reader.deaths(),
            reader.newest_returns(agents * EPISODES_OF_MEAN),
            reader.newest_rounds(agents * 2),
        )

    def participants(self, now: float | None) -> tuple[ParticipantSeen, tuple[AgentSeen, ...]]:
        """The environment, and the agents in their order.

        Args:
            now: On the monotonic clock; None where the run does not go on.
        """
        read = self._read
        if read is None:
            return participant_seen(ENVIRONMENT, None, 0.0, host="", deaths=0, gone=False), ()
        status = {row.participant: row for row in read.status}
        at = max((row.seen for row in read.status), default=0.0) if now is None else now
        deaths = deaths_by_participant(read.lives)
        seen = {
            each: participant_seen(
                each,
                status.get(each),
                at,
                host=self._homes.get(each, ""),
                deaths=deaths[each] + (each in read.gone),
                gone=each in read.gone,
            )
            for each in (ENVIRONMENT, *self.names.by_id)
        }
        return seen[ENVIRONMENT], agents_seen(self.names, seen, read.returns, read.rounds)

    def edges(self, *, goes_on: bool) -> tuple[EdgeSeen, ...]:
        """Every edge as it is now."""
        return self._edges.seen(goes_on=goes_on)

    def faults(self, *, goes_on: bool) -> tuple[FaultSeen, ...]:
        """Every fault as it is now; none is in force where the run does not go on."""
        if self._read is None:
            return ()
        strikes = Counter(row.fault for row in struck(self._read.strikes))
        return self._faults.seen(self._read.live, strikes, len(self.team) if goes_on else None)

    @property
    def played(self) -> Scenario:
        """The document as it was played so far, with what was added or healed."""
        return self.scenario if self._read is None else as_played(self.scenario, self._read.live)

    def happenings(self) -> tuple[Happening, ...]:
        """All that happened."""
        read = self._read
        return () if read is None else happenings(read.lives, read.strikes, read.live, self._events)
