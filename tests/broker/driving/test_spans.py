"""Spans on their way to a file, or to an exporter that fails."""

from __future__ import annotations

import json
import logging
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from broker.errors import UserError
from broker.wire.trace_context import TraceContext, context_of_run

if find_spec("opentelemetry") is None:
    pytest.skip("opentelemetry is not installed", allow_module_level=True)

from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from broker.driving import spans as module
from broker.driving.spans import Spans, named_exporters

RUN = context_of_run("a-1")


def put(spans: Spans, name: str, *links: TraceContext) -> None:
    attributes: dict[str, str | int] = {"foretell.episode": 3}
    spans.put(name, RUN.child(name), RUN, began_ns=time.time_ns(), links=links, attributes=attributes)


def test_spans_have_the_names_that_others_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = InMemorySpanExporter()
    monkeypatch.setattr(module, "_exporters", lambda _: [memory])
    spans = Spans("agent-0", "a-1", tmp_path / "s")
    put(spans, "one", RUN.child("other"))
    put(spans, "two")
    spans.close()
    one, two = memory.get_finished_spans()
    for span, name in ((one, "one"), (two, "two")):
        assert span.context is not None
        assert span.parent is not None
        assert (span.context.trace_id, span.context.span_id) == (RUN.trace, RUN.child(name).span)
        assert span.parent.span_id == RUN.span
    assert [link.context.span_id for link in one.links] == [RUN.child("other").span]
    assert one.resource.attributes["service.name"] == "agent-0"


def test_without_an_exporter_a_file_has_a_line_for_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_TRACES_EXPORTER", raising=False)
    spans = Spans("agent-0", "a-1", tmp_path / "spans" / "agent-0.jsonl")
    for name in ("one", "two"):
        put(spans, name)
    spans.close()
    lines = (tmp_path / "spans" / "agent-0.jsonl").read_text().splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["one", "two"]


class Broken(InMemorySpanExporter):
    """Nobody takes anything."""

    def export(self, spans: object) -> object:
        raise OSError(28, "No space left on device")


def test_an_exporter_that_fails_is_told_of_once_and_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_exporters", lambda _: [Broken()])
    caplog.set_level(logging.INFO, "foretell")
    spans = Spans("agent-0", "a-1", tmp_path / "s")
    for _ in range(2000):  # more than one batch
        put(spans, "one")
    spans.close()
    (said,) = [record for record in caplog.records if "spans" in record.getMessage()]
    assert said.getMessage().startswith("spans do not get away, which holds up nothing: ")
    assert said.exc_info is None


def test_an_exporter_that_is_not_installed_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none, nonsense")
    with pytest.raises(UserError, match="names nonsense, which is not installed; expected some of "):
        named_exporters()
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    assert named_exporters() == []
