"""What a user wants to be told of a run beside its folder. It stands in no document: watching changes no run."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec


@dataclass(frozen=True)
class TelemetryWish:
    """What is wanted.

    Attributes:
        metrics: Where an endpoint for Prometheus listens, as `PORT` or `HOST:PORT`; None: there is none.
        sinks: Tools that show curves, of `scenarios.telemetry.writer.TOOLS`.
        spans: Whether there are spans for OpenTelemetry.
    """

    metrics: str | None = None
    sinks: tuple[str, ...] = ()
    spans: bool = False

    def require(self) -> None:
        """See that what it needs is installed.

        Raises:
            ModuleNotFoundError: An extra is not.
        """
        needed = ["prometheus_client"] if self.metrics is not None else []
        needed += [*self.sinks, *(["opentelemetry.sdk"] if self.spans else [])]
        for name in needed:
            if find_spec(name) is None:
                raise ModuleNotFoundError(name=name)


NOTHING_WANTED = TelemetryWish()
