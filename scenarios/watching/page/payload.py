"""What a browser is told of a run: all of it once, then what has changed. Plain values for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from broker.text_files import as_text
from broker.wire.messages import ENVIRONMENT
from scenarios.document.scenario import Scenario
from scenarios.watching.seen import AgentSeen, EdgeSeen, FaultSeen, RunSeen

Payload = dict[str, Any]
MOST_POINTS = 8000
"""Of a learning curve; of a longer one, means over windows are told."""
_DIGITS = 4


def whole(seen: RunSeen) -> Payload:
    """Everything about a run."""
    parts = _parts(seen)
    window, values = _curve(seen)
    parts["edges"] = [_edge(edge) for edge in seen.edges]
    curve = {"window": window, "from": 0, "values": values}
    return {"all": True, "fixed": _fixed(seen), "settings": settings_of(seen.played), **parts, "curve": curve}


def changes(before: RunSeen, seen: RunSeen) -> Payload | None:
    """What is new since an earlier look; None for nothing. Of agents and edges a list of [place, row].

    Args:
        before: As it was told last.
        seen: As it is now.
    """
    if (before.run, before.life, before.names, before.state) != (seen.run, seen.life, seen.names, seen.state):
        return whole(seen)
    payload: Payload = {}
    old, new = _parts(before), _parts(seen)
    payload |= {name: new[name] for name in new if name != "agents" and new[name] != old[name]}
    if before.played != seen.played:
        payload["settings"] = settings_of(seen.played)
    if rows := _changed(old["agents"], new["agents"]):
        payload["agents"] = rows
    if seen.edges is not before.edges:
        rows = _changed(list(map(_edge, before.edges)), list(map(_edge, seen.edges)))
        payload |= {"edges": rows} if rows else {}
    if len(seen.team) != len(before.team):
        (old_window, known), (window, values) = _curve(before), _curve(seen)
        first = max(0, len(known) - 1) if window == old_window else 0  # the last of them may have been of fewer
        payload["curve"] = {"window": window, "from": first, "values": values[first:]}
    return payload or None


def _changed(old: list[list[Any]], new: list[list[Any]]) -> list[list[Any]]:
    return [[place, row] for place, (row, known) in enumerate(zip(new, old, strict=True)) if row != known]


def _fixed(seen: RunSeen) -> Payload:
    """What stays while a life goes on."""
    scenario, place = seen.scenario, {agent.participant: number for number, agent in enumerate(seen.agents)}
    place[ENVIRONMENT] = -1
    found = seen.references
    return {
        "root": as_text(seen.root),
        "name": scenario.name,
        "task": scenario.environment.kind,
        "algorithm": scenario.algorithm.name,
        "seed": scenario.seed,
        "topology": scenario.topology.model_dump(mode="json"),
        "rounds": scenario.rounds,
        "substrate": seen.substrate,
        "ids": [agent.participant for agent in seen.agents],
        "names": [agent.name for agent in seen.agents],
        "pairs": [[place[edge.source], place[edge.destination]] for edge in seen.edges],
        "references": [] if found is None else [[line.label, line.value] for line in found.lines],
    }


def _parts(seen: RunSeen) -> Payload:
    place = {(edge.source, edge.destination): number for number, edge in enumerate(seen.edges)}
    return {
        "head": _head(seen),
        "agents": [_agent(agent) for agent in seen.agents],
        "evaluations": [
            [episode, team.mean, team.low, team.high]
            for episode, team in seen.evaluations.in_run(seen.scenario.episodes_before)
        ],
        "faults": [_fault(fault, place) for fault in seen.faults],
        "happenings": [[each.kind, each.after_episode, each.text, each.date_s] for each in seen.happenings],
    }


def _head(seen: RunSeen) -> Payload:
    shares = seen.shares
    return {
        "state": seen.state,
        "life": seen.life,
        "episode": len(seen.team),
        "episodes": seen.scenario.episodes,
        "environment": [seen.environment.phase, seen.names.tell(seen.environment.waits_for)],
        "sent": shares.sent,
        "bytes": shares.sent_bytes,
        "heard": shares.heard,
        "missing": shares.missing,
        "late": shares.late,
        "rejected": shares.rejected,
        "ledger": sum(fault.struck for fault in seen.faults),
    }


def _agent(agent: AgentSeen) -> list[Any]:
    """As `AGENT` in `assets/state.js` has it."""
    silent_s = None if agent.silent_s is None else round(agent.silent_s)
    return [
        *(agent.phase, agent.episode, agent.round, agent.heard, agent.partners),
        *(_rounded(agent.value), _rounded(agent.mean)),
        *(agent.waits_for.partition(" waits for ")[2], list(agent.awaited), round(agent.waits_s), silent_s),
        *(agent.host, agent.deaths, agent.gone),
    ]


def _edge(edge: EdgeSeen) -> list[Any]:
    """As `EDGE` in `assets/state.js` has it."""
    total, lately = edge.total, edge.recent.sent_bytes
    speed = round(lately / edge.recent_s) if edge.recent_s and lately is not None else None
    return [
        *(edge.health, total.sent, total.sent_bytes, total.heard, total.late, total.missing, total.rejected),
        *(total.dropped, speed, edge.held, _milliseconds(edge.delay_s), _milliseconds(edge.longest_delay_s)),
    ]


def _fault(fault: FaultSeen, place: Mapping[tuple[str, str], int]) -> Payload:
    return {
        "name": fault.name,
        "kind": fault.kind,
        "settings": dict(fault.settings),
        "added": fault.is_added,
        "processes": fault.of_processes,
        "from": fault.added_after,
        "until": fault.healed_after,
        "in_force": fault.in_force,
        "struck": fault.struck,
        "edges": sorted(place[edge] for edge in fault.edges),
        "participants": list(fault.participants),
    }


def _curve(seen: RunSeen) -> tuple[int, list[float]]:
    """Episodes in a window, and the mean over each; the last may be of fewer."""
    window = 1
    while len(seen.team) > MOST_POINTS * window:
        window *= 2
    firsts = np.arange(0, len(seen.team), window)
    if not len(firsts):
        return window, []
    lengths = np.minimum(window, len(seen.team) - firsts)
    means = np.add.reduceat(seen.team, firsts) / lengths
    return window, np.round(means, _DIGITS).tolist()


def settings_of(scenario: Scenario) -> dict[str, str]:
    """Every setting of a document by its path, as text: what differs between two runs is found by it."""
    found: dict[str, str] = {}

    def walk(path: str, value: object) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                walk(f"{path}.{name}" if path else name, inner)
        else:
            found[path] = str(value)

    walk("", scenario.model_dump(mode="json", exclude_none=True))
    return found


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
