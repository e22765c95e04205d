"""Metrics of one edge, from what either of its ends has counted."""

from __future__ import annotations

from broker.wire.records import EdgeRecord
from scenarios.telemetry import metrics
from scenarios.telemetry.samples import Samples

_BY_THE_SENDER = {"sent": metrics.SENT, "sent_bytes": metrics.SENT_BYTES, "dropped": metrics.DROPPED}
_BY_THE_RECEIVER = {
    "heard": metrics.EDGE_HEARD,
    "late": metrics.EDGE_LATE,
    "missing": metrics.EDGE_MISSING,
    "skipped": metrics.EDGE_SKIPPED,
    "rejected": metrics.REJECTED,
    "lost": metrics.LOST,
}


def take_edge(samples: Samples, run: str, edge: EdgeRecord) -> bool:
    """Take what one end has counted of an edge since the run began; nothing falls again, whoever tells it later.

    Args:
        samples: Where it goes; nobody reads meanwhile.
        run: Name of the run, with its id.
        edge: Totals.

    Returns:
        Whether they are those of the sender.
    """
    labels = (run, edge.source, edge.destination)
    sends = any(getattr(edge, name) for name in _BY_THE_SENDER)
    for name, metric in (_BY_THE_SENDER if sends else _BY_THE_RECEIVER).items():
        samples.raise_to(metric, labels, getattr(edge, name))
    return sends
