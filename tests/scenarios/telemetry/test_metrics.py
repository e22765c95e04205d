"""Metrics: what records and counters become, and how they are exported."""

from __future__ import annotations

import os
import socket
import struct
import threading
import urllib.request
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path

import pytest
from limits import LIMIT_S
from runs import until

from broker.addresses import Address
from broker.driving.counters_teller import CountersTeller
from broker.errors import UserError
from broker.wire.counters import BarrierTime, Counters
from broker.wire.records import (
    DelayRecord,
    EdgeRecord,
    EndingRecord,
    EpisodeRecord,
    EventKind,
    EventRecord,
    Fate,
    FaultRecord,
    ProcessFaultRecord,
    Record,
    RoundRecord,
    StatusRecord,
    TrafficRecord,
)
from scenarios.telemetry import bounded_server, metrics
from scenarios.telemetry.bounded_server import MOST_CONNECTIONS
from scenarios.telemetry.collector import Collector, take_counters
from scenarios.telemetry.endpoint import Endpoint, metrics_address
from scenarios.telemetry.run_metrics import RunMetrics
from scenarios.telemetry.samples import Samples

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"
AGENTS = ("agent-0", "agent-1")
EDGE = ("agent-0", "agent-1")
RECORDS: list[Record] = [
    StatusRecord("agent-1", "ACTING", "agent-1 in ACTING waits"),
    RoundRecord("agent-0", 0, 0, 2, 1, {"gain": 0.5, "stale": 1.0}),
    RoundRecord("agent-0", 0, 1, 2, 2, {"gain": 0.25, "stale": 0.0}),
    EpisodeRecord(0, (1.5, -2.0), 20, 3),
    FaultRecord("drops", *EDGE, "share", 0, 0, 0, (), Fate.DROPPED),
    DelayRecord(*EDGE, "share", 0, 0, 0, 0.2, 0.25),
    DelayRecord(*EDGE, "share", 0, 1, 0, 0.2, 0.5),
    EndingRecord(*EDGE, "share", 0, 1, 0, Fate.LATE, "it came late"),
    ProcessFaultRecord("kill", "episode 1", "agent-1", "killed"),
    EventRecord("agent-0", EventKind.GONE, "agent-1", "it died"),
    TrafficRecord(EdgeRecord(*EDGE, heard=11)),
]
COUNTERS = Counters(
    "r-1",
    "agent-0",
    (
        EdgeRecord(*EDGE, sent=7, sent_bytes=700, dropped=1),
        EdgeRecord("agent-1", "agent-0", heard=5, late=1, missing=2, rejected=3, lost=4, skipped=6),
    ),
    {"agent-1": 9},
    {"share": BarrierTime(12, 3.5)},
)


def told() -> Samples:
    samples = Samples()
    sink = RunMetrics(samples, "r-1", AGENTS)
    sink.introduce("exchange-quick", "independent", "run", 40)
    sink.take(RECORDS)
    sink.begin_life(0)
    take_counters(samples, COUNTERS, 1000.0)
    return samples


def scraped(samples: Samples) -> dict[tuple[str, tuple[str, ...]], float]:
    """What Prometheus's own parser finds at an endpoint, by name and values of labels in their order there."""
    parser = pytest.importorskip("prometheus_client.parser")
    endpoint = Endpoint(metrics_address("0"), samples)
    try:
        text = urllib.request.urlopen(f"{endpoint.address}/metrics").read().decode()
    finally:
        endpoint.close()
    by_name = {metric.name: metric for metric in metrics.ALL}
    found = {}
    for family in parser.text_string_to_metric_families(text):
        metric = by_name[family.name]
        assert (family.type, family.documentation) == (metric.kind, metric.help)
        for sample in family.samples:
            assert set(sample.labels) == set(metric.labels), sample
            found[sample.name, tuple(sample.labels[label] for label in metric.labels)] = sample.value
    return found


def test_every_metric_is_exported_under_its_name_with_its_help_and_labels() -> None:
    found = scraped(told())
    names = {name for name, _ in found}
    expected = {metric.shown for metric in metrics.ALL if metric.kind != "summary"}
    summaries = [metric.name for metric in (metrics.DELAY, metrics.BARRIER)]
    assert names == expected | {f"{name}{end}" for name in summaries for end in ("_sum", "_count")}


def test_the_figures_are_those_of_records_and_counters() -> None:
    found = scraped(told())
    edge, back = ("r-1", *EDGE), ("r-1", "agent-1", "agent-0")
    said = {
        ("foretell_episodes_total", ("r-1",)): 1,
        ("foretell_episodes_planned", ("r-1",)): 40,
        ("foretell_environment_steps_total", ("r-1",)): 20,
        ("foretell_missing_actions_total", ("r-1",)): 3,
        ("foretell_return", ("r-1", "agent-1")): -2.0,
        ("foretell_rounds_total", ("r-1", "agent-0")): 2,
        ("foretell_shares_heard_total", ("r-1", "agent-0")): 3,
        ("foretell_shares_missing_total", ("r-1", "agent-0")): 1,
        ("foretell_shares_stale_total", ("r-1", "agent-0")): 1,
        ("foretell_loss", ("r-1", "agent-0", "gain")): 0.25,
        ("foretell_faults_applied_total", ("r-1", "drops", *EDGE)): 1,
        ("foretell_delay_seconds_sum", edge): 0.75,
        ("foretell_delay_seconds_count", edge): 2,
        ("foretell_messages_ended_total", (*edge, "share", "late")): 1,
        ("foretell_lives_total", ("r-1",)): 1,
        ("foretell_agents_gone", ("r-1",)): 1,
        ("foretell_messages_sent_total", edge): 7,
        ("foretell_edge_shares_heard_total", edge): 11,
        ("foretell_sent_bytes_total", edge): 700,
        ("foretell_messages_dropped_total", edge): 1,
        ("foretell_queue_messages", edge): 9,
        ("foretell_edge_shares_missing_total", back): 2,
        ("foretell_messages_lost_total", back): 4,
        ("foretell_barrier_seconds_sum", ("r-1", "agent-0", "share")): 3.5,
        ("foretell_barrier_seconds_count", ("r-1", "agent-0", "share")): 12,
        ("foretell_counters_timestamp_seconds", ("r-1", "agent-0")): 1000.0,
    }
    assert {name: found.get(name) for name in said} == said
    assert ("foretell_messages_sent_total", back) not in found  # whoever receives counts nothing that is sent


def test_no_counter_of_an_edge_falls_when_an_older_figure_comes_later() -> None:
    samples = told()
    older = Counters("r-1", "agent-0", (EdgeRecord(*EDGE, sent=6, sent_bytes=600),), {}, {})
    take_counters(samples, older, 1001.0)
    found = scraped(samples)
    assert found["foretell_messages_sent_total", ("r-1", *EDGE)] == 7
    assert found["foretell_queue_messages", ("r-1", *EDGE)] == 0


def test_names_follow_prometheus() -> None:
    for metric in metrics.ALL:
        assert metric.name.startswith("foretell_"), metric
        assert metric.name == metric.name.lower(), metric
        assert not metric.name.endswith(("_total", "_sum", "_count")), metric
        assert metric.labels[0] == "run", metric
        assert metric.help.endswith("."), metric
        assert ("seconds" in metric.help) <= metric.name.endswith("seconds"), metric


def test_the_page_has_the_table_of_all_metrics() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert metrics.markdown(metrics.OF_THE_RUN) in text
    assert metrics.markdown(metrics.OF_THE_EDGES) in text
    assert metrics.markdown(metrics.OF_THE_HOST) in text


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("9464", Address("http", "127.0.0.1", 9464)),
        ("0.0.0.0:9464", Address("http", "0.0.0.0", 9464)),
        ("[::1]:0", Address("http", "::1", 0)),
    ],
)
def test_an_endpoint_is_on_loopback_unless_a_host_is_named(text: str, address: Address) -> None:
    assert metrics_address(text) == address


@pytest.mark.parametrize("text", ["", "x", "1.2.3.4", "99999", "host:port", "-1", "http://127.0.0.1:1"])
def test_an_address_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="--metrics: expected PORT or HOST:PORT"):
        metrics_address(text)


def test_an_address_in_use_is_a_sentence() -> None:
    pytest.importorskip("prometheus_client")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"cannot serve metrics at http://127.0.0.1:{port}: Address already in use"):
            Endpoint(metrics_address(str(port)), Samples())


def test_idle_connections_fill_no_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few at a time and the others closed at once; who says nothing, or only ever a little, is closed in the end."""
    pytest.importorskip("prometheus_client")
    monkeypatch.setattr(bounded_server, "LONGEST_S", LIMIT_S)
    before = threading.active_count()
    endpoint = Endpoint(metrics_address("0"), Samples())
    place = (endpoint.address.host, endpoint.address.port)
    with ExitStack() as open_ones:
        first = [open_ones.enter_context(socket.create_connection(place)) for _ in range(MOST_CONNECTIONS)]
        first[0].sendall(b"GET /metrics HTTP/1.1\r\n")
        others = [open_ones.enter_context(socket.create_connection(place)) for _ in range(3 * MOST_CONNECTIONS)]
        assert {is_closed(each) for each in others} == {True}
        assert threading.active_count() <= before + 1 + MOST_CONNECTIONS
        monkeypatch.setattr(bounded_server, "LONGEST_S", 0.0)
        assert {is_closed(each) for each in first} == {True}
        monkeypatch.setattr(bounded_server, "LONGEST_S", LIMIT_S)
    until(lambda: threading.active_count() == before + 1, "their threads have made room")
    assert urllib.request.urlopen(f"{endpoint.address}/metrics").status == HTTPStatus.OK
    with socket.create_connection(place) as last:
        until(lambda: threading.active_count() > before + 1, "it is accepted")
        endpoint.close()
        assert is_closed(last)
    until(lambda: threading.active_count() == before, "no thread stays")


def test_who_goes_away_in_the_middle_of_a_request_leaves_nothing_on_the_screen(
    capfd: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("prometheus_client")
    before = threading.active_count()
    endpoint = Endpoint(metrics_address("0"), Samples())
    with socket.create_connection((endpoint.address.host, endpoint.address.port)) as rude:
        until(lambda: threading.active_count() > before + 1, "it is accepted")
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # it ends with a reset
    until(lambda: threading.active_count() == before + 1, "its thread has ended")
    endpoint.close()
    assert capfd.readouterr() == ("", "")


def is_closed(connection: socket.socket) -> bool:
    """Whether the other end closes the connection without a word."""
    connection.settimeout(LIMIT_S)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_collector_takes_what_participants_tell_and_outlives_nonsense(tmp_path: Path) -> None:
    samples, path = Samples(), tmp_path / "c"
    collector = Collector(path, samples)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        for nonsense in (b"", b"\xc1", os.urandom(200)):
            stranger.sendto(nonsense, str(path))
    edges = tuple(EdgeRecord("environment", f"agent-{number}", sent=number + 1) for number in range(500))
    teller = CountersTeller(path, "r-2")
    teller.tell(Counters("topic", "environment", edges, {}, {}))
    until(lambda: len(samples.read()[0].get(metrics.SENT, {})) == 500, "all edges are told")
    assert samples.read()[0][metrics.SENT]["r-2", "environment", "agent-499"] == 500
    collector.close()
    teller.tell(COUNTERS)  # nobody listens any more, and nobody minds
    teller.close()


def test_a_teller_waits_for_nobody(tmp_path: Path) -> None:
    """A collector that reads nothing: what its socket does not take is lost."""
    path = tmp_path / "c"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(str(path))
        teller = CountersTeller(path, "r-1")
        for _ in range(5000):
            teller.tell(COUNTERS)
        teller.close()
