"""Whether faults were aimed at messages that went, and met any. Pure: no I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Sequence
from typing import NamedTuple

from broker.counting import counted
from broker.faults.config import FaultConfig, name_of_fault
from broker.faults.selector import touches
from broker.wire.messages import ENVIRONMENT, OBSERVER
from broker.wire.records import EdgeRecord, FaultCount
from scenarios.document.scenario import Scenario
from scenarios.results.proof.evidence import Evidence


class Unmet(NamedTuple):
    """A fault of messages that had no chance in a whole run.

    Attributes:
        sentence: That, and how it can be.
        excuse: Why that need not be wrong; empty where it is.
    """

    sentence: str
    excuse: str


def unmet(scenario: Scenario, evidence: Evidence) -> list[Unmet]:
    """Faults that could strike nothing in the whole run, but for those that are aimed at nothing.

    Args:
        scenario: What ran, with all that was added while it did.
        evidence: What the run has recorded.
    """
    used = _used(evidence.edges, evidence.dead)
    carried = {kind_on(*edge) for edge in used}
    changed = {change.name for change in evidence.live}
    found = []
    for position, fault in enumerate(scenario.message_faults):
        name = name_of_fault(fault)
        of_fault = [count for count in evidence.counts if count.fault == name]
        if any(count.chances for count in of_fault):
            continue
        if nothing := _aimed_at_nothing(fault, used):
            if _touches_silenced(fault, used, evidence.counts):
                found.append(Unmet(nothing, "who sends there heard nothing: others had lost or held it all"))
            continue
        examined = sum(count.examined for count in of_fault)
        if examined:
            sentence = f"fault {name}: could strike none of the {counted(examined, 'message')} that it met"
        else:
            sentence = f"fault {name}: met no message in the whole run{_window_of(fault)}"
        if name in changed:
            excuse = "it was added or healed while the run went on"
        elif evidence.dead:
            excuse = "agents died, and the others went on without them"
        elif not carried & set(fault.messages):
            excuse = f"nobody sent any {' or '.join(fault.messages)}"
        else:
            excuse = "those before it had lost or held them all" if examined and position else ""
        found.append(Unmet(sentence, excuse))
    return found


def check_aim(faults: Sequence[FaultConfig], evidence: Evidence) -> list[str]:
    """Faults that touch none of the edges on which messages of their kinds went, a sentence each.

    One that touches who had nothing to answer, as faults took all that was sent there, is none of them.

    Args:
        faults: As the scenario has them.
        evidence: What the run has recorded.
    """
    used = _used(evidence.edges, evidence.dead)
    aimed = [fault for fault in faults if not _touches_silenced(fault, used, evidence.counts)]
    return [sentence for fault in aimed if (sentence := _aimed_at_nothing(fault, used))]


def kind_on(source: str, destination: str) -> str:
    """What travels on an edge; nothing that counts here on those of the observer and of strangers."""
    if OBSERVER in (source, destination) or not all(map(_is_participant, (source, destination))):
        return ""
    return "timestep" if source == ENVIRONMENT else "action" if destination == ENVIRONMENT else "share"


def _is_participant(name: str) -> bool:
    return name == ENVIRONMENT or name.startswith("agent-")


def _window_of(fault: FaultConfig) -> str:
    """Where no message came, as a clause; empty if that was nowhere in particular."""
    names = ("episodes", "rounds", "steps", "seconds")
    windows = [f"{name} [{window[0]:.12g}, {window[1]:.12g})" for name in names if (window := getattr(fault, name))]
    return f"; none came in its window of {' and '.join(windows)}" if windows else ""


def _used(edges: Sequence[EdgeRecord], dead: Container[str]) -> list[tuple[str, str]]:
    """Edges on which messages went; the dead told of none, so theirs are those on which somebody spoke to them."""
    used = [(edge.source, edge.destination) for edge in edges if edge.sent > 0]
    return used + [(to, source) for source, to in used if to in dead and source not in dead]


def _aimed_at_nothing(fault: FaultConfig, used: Sequence[tuple[str, str]]) -> str:
    """That a fault's selector fits none of the edges on which messages of its kinds went; empty where it fits some."""
    possible = [(*edge, kind) for edge in used if (kind := kind_on(*edge)) in fault.messages]
    if not possible or any(touches(fault, *edge) for edge in possible):
        return ""
    kinds = ", ".join(fault.messages)
    edges = counted(len(possible), "edge")
    return f"fault {name_of_fault(fault)}: none of the {edges} that carried {kinds} is one it touches"


def _touches_silenced(fault: FaultConfig, used: Sequence[tuple[str, str]], counts: Sequence[FaultCount]) -> bool:
    """Whether a fault touches an edge of somebody who had nothing to answer: faults took all that was sent there."""
    taken = {(count.source, count.destination) for count in counts if count.chances and count.hits == count.chances}
    incoming: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for edge in used:
        if kind_on(*edge):
            incoming[edge[1]].add(edge)
    speakers = {source for source, _ in used}
    silenced = [name for name, edges in incoming.items() if edges <= taken and name not in speakers]
    return any(
        kind in fault.messages and touches(fault, name, other, kind)
        for name in silenced
        for other in incoming
        if other != name and (kind := kind_on(name, other))
    )
