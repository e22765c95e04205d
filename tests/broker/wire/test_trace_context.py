"""Spans are named by what everybody knows."""

from __future__ import annotations

import pytest

from broker.driving.traced_participant import span_of_episode, span_of_round
from broker.wire.trace_context import TraceContext, context_of_run, parse_traceparent


def test_a_traceparent_is_that_of_w3c_and_is_read_again() -> None:
    context = context_of_run("exchange-quick-74mraqch")
    assert str(context) == f"00-{context.trace:032x}-{context.span:016x}-01"
    assert len(str(context)) == 55
    assert parse_traceparent(str(context)) == context
    example = parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    assert (example.trace, example.span) == (0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
    ],
)
def test_what_is_no_traceparent_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a traceparent"):
        parse_traceparent(text)


def test_all_name_a_span_alike_and_no_two_spans_have_one_name() -> None:
    run = context_of_run("a-1")
    spans = [
        run,
        *(span_of_episode(run, who, life, episode) for who in ("a", "b") for life in (0, 1) for episode in (0, 1)),
        *(span_of_round(run, who, life, 1, number) for who in ("a", "b") for life in (0, 1) for number in (0, 1)),
    ]
    assert len({span.span for span in spans}) == len(spans)
    assert {span.trace for span in spans} == {run.trace}
    assert span_of_round(parse_traceparent(str(run)), "b", 1, 1, 0) in spans


def test_a_run_lies_in_the_trace_of_whoever_started_it() -> None:
    parent = TraceContext(7, 9)
    run = context_of_run("a-1", parent)
    assert run.trace == 7
    assert run.span != context_of_run("a-1").span
