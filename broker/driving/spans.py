"""Spans for OpenTelemetry, where it is installed and asked for. They are brought away beside the work.

Exporters are those that `OTEL_TRACES_EXPORTER` names, as everywhere; where it names none, a file of a line of JSON for
each span. An exporter that fails is told of once.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, TraceFlags

from broker.driving.traced_participant import Attributes, TracedParticipant
from broker.errors import UserError
from broker.wire.trace_context import TraceContext, parse_traceparent

if TYPE_CHECKING:
    from broker.participants.link import LinkConfig
    from broker.participants.participant import Participant

_EXPORTERS = "OTEL_TRACES_EXPORTER"
_GROUP = "opentelemetry_traces_exporter"
_OTLP = "otlp_proto_http"
_CLOSE_WITHIN_S = 5.0
_LONGEST = 300
_log = logging.getLogger("foretell")


class Spans:
    """All spans of one process.

    Args:
        service: What the process is called.
        run: Name of the run, with its id.
        file: Where they go if no exporter is named; made with its folder.

    Raises:
        OSError: The file cannot be made.
        UserError: An exporter is not installed.
    """

    def __init__(self, service: str, run: str, file: Path) -> None:
        complaints = logging.getLogger("opentelemetry")
        complaints.handlers, complaints.propagate = [_Once()], False
        self._ids = _NamedIds()
        resource = Resource.create({"service.name": service, "service.namespace": "foretell", "foretell.run": run})
        self._provider = TracerProvider(
            id_generator=self._ids, resource=resource, sampler=trace_sampler(), shutdown_on_exit=False
        )
        for exporter in _exporters(file):
            self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("foretell")

    def put(
        self,
        name: str,
        own: TraceContext,
        parent: TraceContext | None,
        *,
        began_ns: int,
        links: Sequence[TraceContext] = (),
        attributes: Attributes | None = None,
    ) -> None:
        """Take a span that ends now; see `broker.driving.traced_participant.TakesSpans`."""
        self._ids.next = own
        context = trace.set_span_in_context(NonRecordingSpan(_told(parent))) if parent is not None else None
        span = self._tracer.start_span(
            name,
            context=context,
            attributes=attributes,
            links=[Link(_told(each)) for each in links],
            start_time=began_ns,
        )
        span.end(max(time.time_ns(), began_ns))

    def close(self) -> None:
        """Bring away what is left, within a time."""
        closing = threading.Thread(target=self._provider.shutdown, name="foretell.spans", daemon=True)
        closing.start()
        closing.join(_CLOSE_WITHIN_S)


def traced(participant: Participant, link: LinkConfig) -> tuple[Participant, Spans]:
    """The participant with spans, and what is closed when it is done.

    Args:
        participant: It.
        link: Says in which trace.

    Raises:
        OSError: The file for the spans cannot be made.
        UserError: An exporter is not installed.
    """
    assert link.trace is not None  # noqa: S101 - it was asked for
    spans = Spans(link.name, link.identity.run or link.run, link.trace.folder / f"{link.name}.jsonl")
    run = parse_traceparent(link.trace.traceparent)
    return TracedParticipant(participant, run, link.life.incarnation, spans), spans


def trace_sampler() -> Any:
    """All spans are kept: the sampler that the environment names would leave out those of some."""
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON  # noqa: PLC0415 - beside its use

    return ALWAYS_ON


class _NamedIds(IdGenerator):
    """Gives each span the id by which others know it."""

    next = TraceContext(1, 1)

    def generate_span_id(self) -> int:
        return self.next.span

    def generate_trace_id(self) -> int:
        return self.next.trace


class _Once(logging.Handler):
    """Says the first complaint, without a traceback, and nothing after it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said = False

    def emit(self, record: logging.LogRecord) -> None:
        if not self._said:
            self._said = True
            _log.info("spans do not get away, which holds up nothing: %s", record.getMessage()[:_LONGEST])


class _File(ConsoleSpanExporter):
    """A line of JSON for each span."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8")
        super().__init__(out=self._file, formatter=_line)

    def shutdown(self) -> None:
        with suppress(OSError):
            self._file.close()


def _line(span: ReadableSpan) -> str:
    return f"{span.to_json(indent=None)}\n"


def named_exporters() -> list[EntryPoint] | None:
    """Those that the environment names; None where it names none, and spans go to a file.

    Raises:
        UserError: One is not installed.
    """
    names = [name.strip() for name in os.environ.get(_EXPORTERS, "").split(",") if name.strip()]
    if not names:
        return None
    found = {point.name: point for point in entry_points(group=_GROUP)}
    asked = [_OTLP if name == "otlp" else name for name in names if name != "none"]
    if unknown := [name for name in asked if name not in found]:
        there = ", ".join(sorted(found))
        msg = f"{_EXPORTERS} names {', '.join(unknown)}, which is not installed; expected some of {there}"
        raise UserError(msg)
    return [found[name] for name in asked]


def _exporters(file: Path) -> list[SpanExporter]:
    named = named_exporters()
    return [_File(file)] if named is None else [point.load()() for point in named]


def _told(context: TraceContext) -> SpanContext:
    return SpanContext(context.trace, context.span, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
