"""One run's telemetry: opened before the run has a folder, told of it, and closed after it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from broker.addresses import Address
from broker.errors import UserError
from broker.participants.link import TraceConfig
from broker.wire.trace_context import TraceContext, context_of_run, parse_traceparent
from scenarios.document.plan import Plan
from scenarios.results.folder import RunFolder
from scenarios.results.observer import Observer
from scenarios.results.sinks.curves import Curves
from scenarios.telemetry import writer_process
from scenarios.telemetry.asked import AskedOfNodes
from scenarios.telemetry.host_metrics import host_metrics
from scenarios.telemetry.run_metrics import RunMetrics
from scenarios.telemetry.samples import Samples
from scenarios.telemetry.wish import TelemetryWish

_PARENT = "TRACEPARENT"
_LAUNCHER = "launcher"


class Telemetry:
    """What a run tells others.

    Args:
        wish: What is wanted.
        stack: Closes all of it.

    Raises:
        UserError: The address of the endpoint makes no sense, or is in use; or an exporter of spans is not installed.
        ModuleNotFoundError: An extra is not installed.
    """

    def __init__(self, wish: TelemetryWish, stack: ExitStack) -> None:
        wish.require()
        if wish.spans:
            from broker.driving.spans import named_exporters  # noqa: PLC0415 - an extra

            named_exporters()
        self._wish, self._stack = wish, stack
        self._samples = Samples()
        self._counters: Path | None = None
        self._address: Address | None = None
        if wish.metrics is not None:
            self._counters, self._address = stack.enter_context(host_metrics(wish.metrics, self._samples))

    def begin(
        self, plan: Plan, folder: RunFolder, observer: Observer, way: str, tell: Callable[[str], None]
    ) -> AskedOfNodes:
        """Be told of a run by its observer.

        Args:
            plan: What runs.
            folder: The run's.
            observer: Has its sinks told.
            way: On what it runs.
            tell: Shows where to look.

        Returns:
            What its processes are to be asked for.

        Raises:
            UserError: What writes curves cannot be started, or spans have nowhere to go.
        """
        scenario, run = plan.scenario, observer.run_name
        if self._address is not None:
            counted = RunMetrics(self._samples, run, plan.agents)
            counted.introduce(scenario.name, scenario.algorithm.name, way, scenario.episodes)
            observer.sinks.add("the endpoint for metrics", counted)
            tell(f"metrics at {self._address}/metrics")
        for tool in self._wish.sinks:
            about = {
                "run": run,
                "scenario": scenario.name,
                "settings": scenario.model_dump(mode="json"),
                "folder": str(folder.root.absolute()),
            }
            writer = writer_process.WriterProcess(tool, about, folder.log(tool), writer_process.CLOSE_WITHIN_S)
            observer.sinks.add(tool, Curves(plan.names, plan.scenario.rounds, writer))
        return AskedOfNodes(self._counters, self._traced(run, folder) if self._wish.spans else None)

    def _traced(self, run: str, folder: RunFolder) -> TraceConfig:
        """Let the run itself be a span that ends with it."""
        from broker.driving.spans import Spans  # noqa: PLC0415 - an extra

        parent: TraceContext | None = None
        with suppress(ValueError):  # whoever starts us may be of another version
            parent = parse_traceparent(os.environ.get(_PARENT, ""))
        own, began_ns = context_of_run(run, parent), time.time_ns()
        place = (folder.root / "spans").absolute()
        try:
            spans = Spans(_LAUNCHER, run, place / f"{_LAUNCHER}.jsonl")
        except OSError as error:
            msg = f"cannot make spans: {error}"
            raise UserError(msg) from None
        self._stack.callback(spans.close)
        self._stack.callback(lambda: spans.put("run", own, parent, began_ns=began_ns))
        return TraceConfig(traceparent=str(own), folder=place)


@contextmanager
def telemetry(wish: TelemetryWish) -> Iterator[Telemetry]:
    """All that is wanted, closed afterwards."""
    with ExitStack() as stack:
        yield Telemetry(wish, stack)
