"""The samples of all metrics, written by one thread and read by another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock

from scenarios.telemetry.metrics import Metric

Labels = tuple[str, ...]


class Samples:
    """What is known of each metric, by the values of its labels. Change it within `changing` alone."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._values: defaultdict[Metric, dict[Labels, float]] = defaultdict(dict)
        self._counts: defaultdict[Metric, dict[Labels, int]] = defaultdict(dict)

    @contextmanager
    def changing(self) -> Iterator[Samples]:
        """Nobody reads meanwhile."""
        with self._lock:
            yield self

    def put(self, metric: Metric, labels: Labels, value: float) -> None:
        """It is now this."""
        self._values[metric][labels] = value

    def raise_to(self, metric: Metric, labels: Labels, value: float) -> None:
        """It is at least this."""
        values = self._values[metric]
        values[labels] = max(values.get(labels, value), value)

    def add(self, metric: Metric, labels: Labels, value: float = 1.0) -> None:
        """It is more by this."""
        values = self._values[metric]
        values[labels] = values.get(labels, 0.0) + value

    def put_summary(self, metric: Metric, labels: Labels, count: int, value: float) -> None:
        """So many observations have this sum."""
        self._counts[metric][labels] = count
        self._values[metric][labels] = value

    def observe(self, metric: Metric, labels: Labels, value: float) -> None:
        """One more observation."""
        counts = self._counts[metric]
        counts[labels] = counts.get(labels, 0) + 1
        self.add(metric, labels, value)

    def forget_others(self, run: str) -> None:
        """Forget all but one run, which the first label names."""
        for metric, values in self._values.items():
            self._values[metric] = {labels: value for labels, value in values.items() if labels[0] == run}
        for metric, counts in self._counts.items():
            self._counts[metric] = {labels: count for labels, count in counts.items() if labels[0] == run}

    def read(self) -> tuple[Mapping[Metric, Mapping[Labels, float]], Mapping[Metric, Mapping[Labels, int]]]:
        """All values, sums among them, and the counts of summaries: copies."""
        with self._lock:
            values = {metric: dict(each) for metric, each in self._values.items()}
            return values, {metric: dict(each) for metric, each in self._counts.items()}
