"""The faults of a run: which there are, which are in force, whom they touch, and how often they have struck."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from broker.faults.config import FaultConfig, name_of_fault
from broker.faults.selector import touches
from broker.wire.messages import ENVIRONMENT
from scenarios.document.agent_names import AgentNames
from scenarios.document.process_faults import BROKER, PROCESS_FAULTS, matching
from scenarios.document.scenario import AnyFaultConfig, Scenario
from scenarios.results.answers import EdgeChanges, LiveFault
from scenarios.results.played import window_of, with_live_faults
from scenarios.watching.seen import FaultSeen

_Edge = tuple[str, str]


class FaultBook:
    """Knows the faults of a run.

    Args:
        scenario: The document, as it was begun; with ids.
        edges: All edges, (source, destination).
        names: The agents.
    """

    def __init__(self, scenario: Scenario, edges: Sequence[_Edge], names: AgentNames) -> None:
        self._scenario = scenario
        self._edges = edges
        self._participants = (*names.by_id, ENVIRONMENT, BROKER)
        self._touched: dict[str, tuple[frozenset[_Edge], tuple[str, ...]]] = {}
        self._changes: defaultdict[str, Counter[_Edge]] = defaultdict(Counter)

    def count(self, changes: Iterable[EdgeChanges]) -> None:
        """Take in how many more messages were changed."""
        for found in changes:
            self._changes[found.fault][found.source, found.destination] += found.messages

    def seen(self, live: Sequence[LiveFault], strikes: Counter[str], episode: int | None) -> tuple[FaultSeen, ...]:
        """Every fault as it is now.

        Args:
            live: What was added or healed.
            strikes: How often each fault struck processes.
            episode: The one that is played now; None for none.
        """
        changes = {change.name: change for change in live}
        faults = with_live_faults(self._scenario, live).faults
        return tuple(
            self._fault(fault, changes.get(name_of_fault(fault)), strikes[name_of_fault(fault)], episode)
            for fault in faults
        )

    def _fault(self, fault: AnyFaultConfig, change: LiveFault | None, strikes: int, episode: int | None) -> FaultSeen:
        name, of_processes = name_of_fault(fault), isinstance(fault, PROCESS_FAULTS)
        edges, participants = self._whom(fault)
        healed_after = None if change is None else change.healed_after
        by_edge = self._changes[name]
        return FaultSeen(
            name=name,
            kind=fault.kind,
            settings=fault.model_dump(mode="json", exclude_defaults=True, exclude={"name", "kind"}),
            is_added=change is not None and change.document is not None,
            of_processes=of_processes,
            added_after=None if change is None else change.added_after,
            healed_after=healed_after,
            in_force=healed_after is None and episode is not None and _in_window(fault, episode),
            edges=edges,
            participants=participants,
            struck=strikes or by_edge.total(),
            struck_edges=dict(by_edge),
        )

    def _whom(self, fault: AnyFaultConfig) -> tuple[frozenset[_Edge], tuple[str, ...]]:
        """The edges and participants it is about; looked up once, for edges are many."""
        name = name_of_fault(fault)
        if name not in self._touched:
            if isinstance(fault, PROCESS_FAULTS):
                self._touched[name] = frozenset(), matching(fault, self._participants)
            else:
                self._touched[name] = frozenset(edge for edge in self._edges if _touches(fault, edge)), ()
        return self._touched[name]


def _touches(fault: FaultConfig, edge: _Edge) -> bool:
    source, destination = edge
    kind = "timestep" if source == ENVIRONMENT else "action" if destination == ENVIRONMENT else "share"
    return touches(fault, source, destination, kind)


def _in_window(fault: AnyFaultConfig, episode: int) -> bool:
    """Whether it may strike in an episode."""
    window = window_of(fault)
    return window is None or window[0] <= episode < window[1]
