"""The participants of a run as they were last heard of."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from scenarios.document.agent_names import AgentNames
from scenarios.results.answers import EpisodeRow, LifeRow, RoundRow, StatusRow
from scenarios.watching.awaited import awaited
from scenarios.watching.seen import AgentSeen, ParticipantSeen

EPISODES_OF_MEAN = 20
"""Newest episodes over which an agent's returns are averaged."""


def participant_seen(
    participant: str, status: StatusRow | None, now: float, *, host: str, deaths: int, gone: bool
) -> ParticipantSeen:
    """One of them.

    Args:
        participant: Its id.
        status: What it last said; None if nothing.
        now: On the clock of `status`.
        host: Where it lives.
        deaths: How often it died.
        gone: Whether it was not replaced.
    """
    return ParticipantSeen(
        participant=participant,
        phase="" if status is None else status.phase,
        waits_for="" if status is None else status.waits_for,
        awaited=() if status is None else awaited(status.waits_for),
        waits_s=0.0 if status is None else max(0.0, now - status.since),
        silent_s=None if status is None else max(0.0, now - status.seen),
        host=host,
        deaths=deaths,
        gone=gone,
    )


def agents_seen(
    names: AgentNames, seen: Mapping[str, ParticipantSeen], returns: Iterable[EpisodeRow], rounds: Iterable[RoundRow]
) -> tuple[AgentSeen, ...]:
    """The agents, in their order.

    Args:
        names: Who they are.
        seen: What is known of each as a participant.
        returns: Of the newest episodes, the oldest first.
        rounds: The newest, the oldest first.
    """
    values: defaultdict[str, list[float]] = defaultdict(list)
    for row in returns:
        values[row.agent].append(row.value)
    newest = {row.agent: row for row in rounds}
    found = []
    for agent, name in names.by_id.items():
        own, last = values[agent][-EPISODES_OF_MEAN:], newest.get(agent)
        found.append(
            AgentSeen(
                **asdict(seen[agent]),
                name=name,
                episode=-1 if last is None else last.episode,
                round=-1 if last is None else last.round,
                partners=0 if last is None else last.partners,
                heard=0 if last is None else last.heard,
                value=own[-1] if own else None,
                mean=sum(own) / len(own) if own else None,
            )
        )
    return tuple(found)


def deaths_by_participant(lives: Sequence[LifeRow]) -> Counter[str]:
    """How often the death of each ended a life: a life says why it began, and whoever died stands first in that."""
    return Counter(life.why.split(" ", 1)[0] for life in lives if " died: " in life.why)
