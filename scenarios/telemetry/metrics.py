"""Every metric that Foretell exports: its name, unit, meaning and labels. Pure.

Names follow Prometheus: `foretell_`, then what is counted, then its unit, and `_total` where it only grows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "summary"]


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: Of its family: without `_total`, `_sum` and `_count`, which its samples add.
        kind: What it is to Prometheus; a summary has a sum and a count, and no quantiles.
        help: One sentence.
        labels: Names of its labels.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ("run",)

    @property
    def shown(self) -> str:
        """As it is asked for."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


_AGENT = ("run", "agent")
_EDGE = ("run", "source", "destination")
_PARTICIPANT = ("run", "participant")

RUN = Metric("foretell_run_info", "gauge", "1 for the run.", ("run", "scenario", "algorithm", "way"))
EPISODES_PLANNED = Metric("foretell_episodes_planned", "gauge", "Training episodes that there are to be.")
EPISODES = Metric("foretell_episodes", "counter", "Training episodes played; those played again count again.")
STEPS = Metric("foretell_environment_steps", "counter", "Environment steps made, over all parallel copies.")
MISSING_ACTIONS = Metric("foretell_missing_actions", "counter", "Actions that the environment had to fill in.")
RETURN = Metric("foretell_return", "gauge", "Undiscounted return of the last episode, mean over its copies.", _AGENT)
ROUNDS = Metric("foretell_rounds", "counter", "Communication rounds closed.", _AGENT)
HEARD = Metric("foretell_shares_heard", "counter", "Shares heard in their round, from all neighbors.", _AGENT)
MISSING = Metric("foretell_shares_missing", "counter", "Shares not there when their round closed.", _AGENT)
STALE = Metric("foretell_shares_stale", "counter", "Shares of older rounds used for those missing.", _AGENT)
LOSS = Metric("foretell_loss", "gauge", "A loss in the last round.", ("run", "agent", "loss"))
FAULTS = Metric(
    "foretell_faults_applied", "counter", "Messages whose fate a fault changed.", ("run", "fault", *_EDGE[1:])
)
DELAY = Metric("foretell_delay_seconds", "summary", "For how long faults held messages back, as achieved.", _EDGE)
ENDED = Metric(
    "foretell_messages_ended",
    "counter",
    "Messages that ended late, rejected or expired, where no fault's line says so.",
    (*_EDGE, "kind", "fate"),
)
STRIKES = Metric("foretell_process_faults", "counter", "What faults did to processes.", ("run", "fault", "participant"))
EVENTS = Metric("foretell_events", "counter", "Events, such as rejected messages.", (*_PARTICIPANT, "kind"))
LIVES = Metric("foretell_lives", "counter", "How often all have begun again after a crash.")
GONE = Metric("foretell_agents_gone", "gauge", "Agents that died and are not replaced.")
LAST_SIGN = Metric(
    "foretell_last_sign_timestamp_seconds", "gauge", "When the last record came, in seconds since 1970.", _PARTICIPANT
)

SENT = Metric("foretell_messages_sent", "counter", "Messages handed to the transport, counted by the sender.", _EDGE)
SENT_BYTES = Metric("foretell_sent_bytes", "counter", "Bytes of their frames.", _EDGE)
DROPPED = Metric("foretell_messages_dropped", "counter", "Messages given up because the peer did not read.", _EDGE)
QUEUE = Metric("foretell_queue_messages", "gauge", "Messages that wait at the sender.", _EDGE)
EDGE_HEARD = Metric("foretell_edge_shares_heard", "counter", "Shares heard in their round, on this edge.", _EDGE)
EDGE_LATE = Metric("foretell_edge_shares_late", "counter", "Shares that came after their round had closed.", _EDGE)
EDGE_MISSING = Metric("foretell_edge_shares_missing", "counter", "Shares missing when their round closed.", _EDGE)
EDGE_SKIPPED = Metric("foretell_edge_rounds_skipped", "counter", "Rounds in which the two did not exchange.", _EDGE)
REJECTED = Metric("foretell_messages_rejected", "counter", "Frames and messages that failed validation.", _EDGE)
LOST = Metric("foretell_messages_lost", "counter", "Messages left out when a later one came.", _EDGE)
BARRIER = Metric(
    "foretell_barrier_seconds",
    "summary",
    "For how long a barrier was open: the environment's for actions and for readiness, an agent's for shares.",
    (*_PARTICIPANT, "barrier"),
)
TOLD = Metric(
    "foretell_counters_timestamp_seconds",
    "gauge",
    "When a participant last told its counters, in seconds since 1970.",
    _PARTICIPANT,
)

OF_THE_RUN = (
    *(RUN, EPISODES_PLANNED, EPISODES, STEPS, MISSING_ACTIONS, RETURN, ROUNDS, HEARD, MISSING, STALE, LOSS),
    *(FAULTS, DELAY, ENDED, STRIKES, EVENTS, LIVES, GONE, LAST_SIGN),
)
"""What the launcher knows, from the records of all participants."""
OF_THE_EDGES = (SENT, SENT_BYTES, DROPPED, EDGE_HEARD, EDGE_LATE, EDGE_MISSING, EDGE_SKIPPED, REJECTED, LOST)
"""What both the launcher and the hosts know: the launcher of all, a host of the ends that live there."""
OF_THE_HOST = (QUEUE, BARRIER, TOLD)
"""What only the participants of a host tell there, once a second."""
ALL = (*OF_THE_RUN, *OF_THE_EDGES, *OF_THE_HOST)


def markdown(metrics: tuple[Metric, ...]) -> str:
    """The table of the documents."""
    rows = [
        (f"`{each.shown}`", each.kind, ", ".join(f"`{label}`" for label in each.labels), each.help) for each in metrics
    ]
    head = ("metric", "type", "labels", "what it says")
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * 4, *rows))
