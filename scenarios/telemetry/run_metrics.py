"""A sink that makes metrics of a run's records."""

from __future__ import annotations

import time
from collections.abc import Sequence

from broker.wire.messages import ENVIRONMENT
from broker.wire.records import (
    DelayRecord,
    EndingRecord,
    EpisodeRecord,
    EventKind,
    EventRecord,
    FaultRecord,
    FinishedRecord,
    JoinedRecord,
    ProcessFaultRecord,
    Record,
    RoundRecord,
    StatusRecord,
    TrafficRecord,
)
from scenarios.results.answers import struck
from scenarios.telemetry import metrics
from scenarios.telemetry.edge_metrics import take_edge
from scenarios.telemetry.samples import Samples


class RunMetrics:
    """Counts what the records say; see `scenarios.results.sinks.sink.Sink`.

    Args:
        samples: Where it counts.
        run: Name of the run, with its id.
        agents: Their ids, in the order of an episode's returns.
    """

    def __init__(self, samples: Samples, run: str, agents: tuple[str, ...]) -> None:
        self._samples = samples
        self._run = (run,)
        self._agents = [(run, agent) for agent in agents]

    def introduce(self, scenario: str, algorithm: str, way: str, episodes: int) -> None:
        """Say what runs.

        Args:
            scenario: Its name.
            algorithm: Its name.
            way: `run` or `simulate`.
            episodes: How many there are to be.
        """
        run = self._run
        with self._samples.changing() as samples:
            samples.put(metrics.RUN, (*run, scenario, algorithm, way), 1)
            samples.put(metrics.EPISODES_PLANNED, run, episodes)
            for zero in (metrics.EPISODES, metrics.STEPS, metrics.MISSING_ACTIONS, metrics.LIVES):
                samples.put(zero, run, 0)
            samples.put(metrics.GONE, run, 0)

    def take(self, records: Sequence[Record]) -> None:
        """Take records in."""
        now = time.time()
        with self._samples.changing() as samples:
            for record in records:
                self._take(samples, record, now)

    def begin_life(self, after_episode: int) -> None:  # noqa: ARG002 - what is played again counts again
        """Count it."""
        with self._samples.changing() as samples:
            samples.add(metrics.LIVES, self._run)

    def close(self) -> None:
        """Nothing is left."""

    def _take(self, samples: Samples, record: Record, now: float) -> None:
        run = self._run
        match record:
            case StatusRecord() | JoinedRecord() | FinishedRecord():
                samples.put(metrics.LAST_SIGN, (*run, record.participant), now)
            case TrafficRecord():
                take_edge(samples, self._run[0], record.edge)
            case RoundRecord():
                self._take_round(samples, record, now)
            case EpisodeRecord():
                self._take_episode(samples, record, now)
            case FaultRecord():
                samples.add(metrics.FAULTS, (*run, record.fault, record.source, record.destination))
            case DelayRecord():
                samples.observe(metrics.DELAY, (*run, record.source, record.destination), record.achieved_s)
            case EndingRecord():
                edge = (*run, record.source, record.destination)
                samples.add(metrics.ENDED, (*edge, record.kind, record.fate.value))
            case ProcessFaultRecord() if struck([record]):
                samples.add(metrics.STRIKES, (*run, record.fault, record.participant))
            case EventRecord():
                samples.add(metrics.EVENTS, (*run, record.participant, record.kind.value))
                if record.kind is EventKind.GONE:
                    samples.add(metrics.GONE, run)

    def _take_round(self, samples: Samples, record: RoundRecord, now: float) -> None:
        agent = (*self._run, record.agent)
        samples.put(metrics.LAST_SIGN, agent, now)
        samples.add(metrics.ROUNDS, agent)
        samples.add(metrics.HEARD, agent, record.heard)
        samples.add(metrics.MISSING, agent, record.partners - record.heard)
        samples.add(metrics.STALE, agent, record.losses.get("stale", 0.0))
        for name, value in record.losses.items():
            samples.put(metrics.LOSS, (*agent, name), value)

    def _take_episode(self, samples: Samples, record: EpisodeRecord, now: float) -> None:
        run = self._run
        samples.put(metrics.LAST_SIGN, (*run, ENVIRONMENT), now)
        samples.add(metrics.EPISODES, run)
        samples.add(metrics.STEPS, run, record.steps)
        samples.add(metrics.MISSING_ACTIONS, run, record.missing_actions)
        for agent, value in zip(self._agents, record.returns, strict=True):
            samples.put(metrics.RETURN, agent, value)
