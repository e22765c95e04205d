"""Who may report what: each participant speaks for itself, and within what the plan of the run allows.

A record comes from outside, like every message. What no participant of this run can have to say is refused, so that
nobody's record ends the launcher, speaks for another or spoils the store.
"""

from __future__ import annotations

from math import isfinite

from broker.transports.transport import UNKNOWN
from broker.wire.messages import ENVIRONMENT, OBSERVER
from broker.wire.records import (
    RECEIVERS_COUNTS,
    SENDERS_COUNTS,
    ClosedRecord,
    ClosingRecord,
    DelayRecord,
    EdgeRecord,
    EndingRecord,
    EpisodeRecord,
    EventKind,
    EventRecord,
    FateCount,
    FaultCount,
    FaultRecord,
    FinishedRecord,
    JoinedRecord,
    PausedRecord,
    Record,
    RoundRecord,
    StatusRecord,
    TrafficRecord,
)
from scenarios.document.plan import Plan

_LAUNCHERS = (EventKind.GONE, EventKind.JOINED, EventKind.NOTE)
_DIGEST_LENGTH = 64


class Speakers:
    """All participants of one life, and what each has said so far.

    Args:
        plan: What runs.
        after_episode: The last episode that is not played in this life.
    """

    def __init__(self, plan: Plan, after_episode: int) -> None:
        self._plan = plan
        self._graph = plan.graph.neighbors
        self._episodes = range(after_episode + 1, plan.scenario.episodes)
        self._newest_episode = after_episode
        self._newest_round: dict[str, tuple[int, int]] = {}

    def may_say(self, speaker: str, record: Record) -> bool:
        """Whether `speaker` can have to say this, as the next thing after what it has said before."""
        match record:
            case EpisodeRecord():
                return speaker == ENVIRONMENT and self._is_next_episode(record)
            case RoundRecord():
                return speaker == record.agent and speaker in self._graph and self._is_next_round(record)
            case PausedRecord():
                return speaker == ENVIRONMENT and record.episode in self._episodes
            case FinishedRecord():
                digits = 0 if speaker == ENVIRONMENT else _DIGEST_LENGTH
                return speaker == record.participant and len(record.weights_digest) == digits
            case EventRecord():
                return speaker == record.participant and record.kind not in _LAUNCHERS and self._is_name(record.peer)
            case JoinedRecord() | StatusRecord() | ClosingRecord() | ClosedRecord():
                return speaker == record.participant
            case EdgeRecord():
                return self._is_end_of(speaker, record)
            case TrafficRecord():
                return self._is_end_of(speaker, record.edge)
            case FaultRecord() | EndingRecord() | DelayRecord() | FaultCount() | FateCount():
                return speaker == record.destination and self._hears(speaker, record.source) and _is_finite(record)
        return False

    def _is_next_episode(self, record: EpisodeRecord) -> bool:
        plan = self._plan
        possible = (
            record.episode in self._episodes
            and record.episode > self._newest_episode
            and len(record.returns) == len(plan.agents)
            and all(map(isfinite, record.returns))
            and record.steps <= plan.steps * plan.scenario.parallel_episodes
        )
        if possible:
            self._newest_episode = record.episode
        return possible

    def _is_next_round(self, record: RoundRecord) -> bool:
        agent, name = record.agent, (record.episode, record.round)
        possible = (
            record.episode in self._episodes
            and record.round < self._plan.scenario.rounds
            and name > self._newest_round.get(agent, (-1, -1))
            and record.heard <= record.partners <= len(self._graph[agent])
        )
        if possible:
            self._newest_round[agent] = name
        return possible

    def _is_end_of(self, speaker: str, record: EdgeRecord) -> bool:
        """Whether it is at one end of an edge, and counts nothing that only the other end can see."""
        if speaker == record.source:
            return self._hears(speaker, record.destination) and not any(
                getattr(record, each) for each in RECEIVERS_COUNTS
            )
        heard = speaker == record.destination and self._is_name(record.source)
        return heard and not any(getattr(record, each) for each in SENDERS_COUNTS)

    def _hears(self, speaker: str, peer: str) -> bool:
        if speaker == ENVIRONMENT:
            return peer == OBSERVER or peer in self._graph
        return peer in (OBSERVER, ENVIRONMENT) or peer in self._graph[speaker]

    def _is_name(self, peer: str) -> bool:
        """Whether somebody can have seemed to send something; strangers have one name for all."""
        return peer in ("", UNKNOWN, OBSERVER, ENVIRONMENT) or peer in self._graph


def _is_finite(record: FaultRecord | EndingRecord | DelayRecord | FaultCount | FateCount) -> bool:
    match record:
        case DelayRecord():
            return isfinite(record.asked_s) and isfinite(record.achieved_s)
        case FaultRecord():
            return all(map(isfinite, record.delays_s))
    return True
