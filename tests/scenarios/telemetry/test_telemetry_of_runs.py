"""Real runs that are watched: while they go on, by the real libraries, and with equal digests."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from batches import forking
from hosts.waiting_hosts import WaitingHost, fleet
from limits import LIMIT_S
from ports import free_port, free_ports
from runs import TINY, Started, foretell, run_name, simulate_here, start, summary, until

from broker.driving.traced_participant import span_of_episode, span_of_round
from broker.wire.trace_context import TraceContext, context_of_run
from scenarios.telemetry import writer_process
from scenarios.telemetry.writer import TOOLS

pytestmark = [pytest.mark.processes, pytest.mark.long]
SCENARIO = ("exchange-quick", *TINY, "--set", "environment.steps=3")
AGENTS = ("agent-0", "agent-1", "agent-2")
PARENT = TraceContext(0x1234, 0x56)
SCRIPT = """
import json, struct, sys
from wandb.proto.wandb_internal_pb2 import Record
data, at, rows, body = open(sys.argv[1], "rb").read(), 7, [], b""
while at + 7 <= len(data):  # a log of LevelDB: blocks of 32 KB, in which records have a checksum, a length and a kind
    left = 32768 - at % 32768
    if left < 7:
        at += left
        continue
    _, length, kind = struct.unpack_from("<IHB", data, at)
    body += data[at + 7 : at + 7 + length]
    at += 7 + length
    if kind in (1, 4):
        record, body = Record.FromString(body), b""
        if record.HasField("history"):
            items = record.history.item
            rows.append({item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items})
print(json.dumps(rows))
"""


def need(package: str) -> None:
    """A missing extra is a visible skip."""
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed")


class Watched:
    """A run of three episodes as processes, with spans and metrics."""

    def __init__(self, root: Path) -> None:
        self.out = root / "run"
        spans = ["--spans"] if find_spec("opentelemetry") else []
        served = ["--metrics", "0"] if find_spec("prometheus_client") else []
        words = ("run", *SCENARIO, "--episodes", "3", "--out", str(self.out), *served, *spans)
        done = foretell(*words, TRACEPARENT=str(PARENT), OTEL_TRACES_EXPORTER="")
        assert done.returncode == 0, done.stderr
        self.summary = summary(self.out)
        self.run = run_name(self.out)

    def spans(self) -> list[dict[str, Any]]:
        lines = [line for file in (self.out / "spans").iterdir() for line in file.read_text().splitlines()]
        return [json.loads(line) for line in lines]


class Curves:
    """The same in this process, and what the libraries for curves kept of it."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.out, self.mlflow = root / "run", root / "mlruns"
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("MLFLOW_TRACKING_URI", self.mlflow.as_uri())
        patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        patch.setattr(writer_process, "CLOSE_WITHIN_S", LIMIT_S)
        sinks = [word for tool in TOOLS if find_spec(tool) for word in ("--sink", tool)]
        self.summary = simulate_here(self.out, *SCENARIO, "--episodes", "3", *sinks)
        self.run = run_name(self.out)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    return Watched(tmp_path_factory.mktemp("watched"))


@pytest.fixture(scope="module")
def curves(tmp_path_factory: pytest.TempPathFactory) -> Curves:
    with pytest.MonkeyPatch.context() as patch:
        return Curves(tmp_path_factory.mktemp("curves"), patch)


def test_a_run_has_the_same_digests_whoever_watches_it(watched: Watched, curves: Curves, tmp_path: Path) -> None:
    alone = simulate_here(tmp_path / "alone", *SCENARIO, "--episodes", "3")
    for digest in ("curve_digest", "weights_digest", "ledger_digest"):
        assert watched.summary[digest] == curves.summary[digest] == alone[digest]


def test_wandb_has_the_curves_by_episode(curves: Curves) -> None:
    need("wandb")
    (file,) = (curves.out / "wandb").glob(f"offline-run-*/run-{curves.run}.wandb")
    read = subprocess.run([sys.executable, "-c", SCRIPT, str(file)], capture_output=True, text=True, check=True)
    rows = json.loads(read.stdout)
    assert [row["episode"] for row in rows] == [0, 1, 2]
    last = curves.summary["per_agent_return_last"]
    assert {agent: rows[-1][f"return/{agent}"] for agent in AGENTS} == pytest.approx(last)
    assert {"return/team", "loss/gain", "loss/critic_loss"} <= rows[0].keys()


def test_mlflow_has_the_curves_by_episode_and_the_settings(curves: Curves) -> None:
    need("mlflow")
    (tag,) = curves.mlflow.rglob("tags/foretell.run")
    assert tag.read_text() == curves.run
    lines = (tag.parent.parent / "metrics" / "return" / "agent-0").read_text().splitlines()
    values = {int(step): float(value) for _, value, step, *_ in map(str.split, lines)}
    assert values.keys() == {0, 1, 2}
    assert values[2] == pytest.approx(curves.summary["per_agent_return_last"]["agent-0"])
    assert (tag.parent.parent / "params" / "environment.steps").read_text() == "3"


def test_spans_of_sender_and_receiver_are_linked_and_lie_in_the_trace_that_began_the_run(watched: Watched) -> None:
    need("opentelemetry")
    by_name: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for span in watched.spans():
        assert int(span["context"]["trace_id"], 16) == PARENT.trace
        by_name[span["name"]].append(span)
    ids = {span["context"]["span_id"] for spans in by_name.values() for span in spans}
    whole = context_of_run(watched.run, PARENT)
    (run,) = by_name["run"]
    assert (int(run["context"]["span_id"], 16), int(run["parent_id"], 16)) == (whole.span, PARENT.span)
    assert len(by_name["episode"]) == 4 * 3
    rounds = by_name["round"]
    assert len(rounds) == len(AGENTS) * 3 * watched.summary["rounds"] // 3
    for span in rounds:
        said = span["attributes"]
        own, episode = said["foretell.participant"], said["foretell.episode"]
        others = [agent for agent in AGENTS if agent != own]
        linked = [int(link["context"]["span_id"], 16) for link in span["links"]]
        number = said["foretell.round"]
        assert linked == [span_of_round(whole, other, 0, episode, number).span for other in others]
        assert int(span["parent_id"], 16) == span_of_episode(whole, own, 0, episode).span
        assert {link["context"]["span_id"] for link in span["links"]} <= ids
        assert span["start_time"] <= span["end_time"]


@pytest.fixture
def going_on(tmp_path: Path) -> Iterator[tuple[Started, str]]:
    """A run that goes on until it is interrupted, and where its metrics are."""
    need("prometheus_client")
    port = free_port()
    arguments = ("run", *SCENARIO, "--episodes", "100000", "--out", str(tmp_path / "run"), "--metrics", str(port))
    with start(*arguments) as process:
        yield process, f"http://127.0.0.1:{port}/metrics"


def scrape(url: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    """What Prometheus would find, by the name of the sample; nothing as long as nobody answers."""
    from prometheus_client.parser import text_string_to_metric_families

    try:
        text = urllib.request.urlopen(url).read().decode()
    except OSError:
        return {}
    found: dict[str, list[tuple[dict[str, str], float]]] = defaultdict(list)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name].append((sample.labels, sample.value))
    return found


def told(url: str, name: str, *labels: str) -> set[tuple[str, ...]]:
    """The values of these labels that a metric has."""
    return {tuple(own[each] for each in labels) for own, _ in scrape(url)[name]}


def test_the_endpoint_of_a_run_is_scraped_while_it_goes_on_and_somebody_who_hangs_holds_up_nothing(
    going_on: tuple[Started, str],
) -> None:
    process, url = going_on
    until(lambda: scrape(url).get("foretell_barrier_seconds_count"), "participants tell what they have counted")
    hanging = socket.create_connection(("127.0.0.1", int(re.findall(r":(\d+)/", url)[0])))
    first = scrape(url)
    until(lambda: scrape(url)["foretell_episodes_total"][0][1] > first["foretell_episodes_total"][0][1], "it goes on")
    until(lambda: len(scrape(url)["foretell_messages_sent_total"]) >= 12, "all edges are told")
    edges = {(one, other) for one in AGENTS for other in AGENTS if one != other}
    until(
        lambda: edges <= told(url, "foretell_edge_shares_heard_total", "source", "destination"), "shares on all edges"
    )
    waits = {("environment", "action"), ("environment", "ready"), ("agent-0", "share")}
    until(lambda: waits <= told(url, "foretell_barrier_seconds_sum", "participant", "barrier"), "times at all barriers")
    found = scrape(url)
    assert {labels["run"] for values in found.values() for labels, _ in values} == {
        found["foretell_run_info"][0][0]["run"]
    }
    assert {labels["agent"] for labels, _ in found["foretell_return"]} == set(AGENTS)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    hanging.close()
    assert scrape(url) == {}


def test_each_host_serves_the_figures_of_its_own_participants(tmp_path: Path) -> None:
    need("prometheus_client")
    port = free_port()
    homes = {"box": ["environment", "agent-2"], "pi1": ["agent-0", "agent-1"]}
    document = fleet(homes).replace("[box]", f'[box]\nmetrics = "{port}"')
    document = re.sub(r'control = ".*"\n', "", document) + f'folder = "{tmp_path}/there"\n'
    document = document.replace("[pi1]", f'folder = "{tmp_path}/there"\n[pi1]')
    (tmp_path / "hosts.toml").write_text(document)
    base = f"transport.zeromq.base_port={free_ports(5)}"
    hosts = ("--on", "here", "--hosts", str(tmp_path / "hosts.toml"), "--set", base)
    with start(
        "run", *SCENARIO, "--episodes", "100000", "--out", str(tmp_path / "run"), *hosts, FORETELL_DOOR=forking()
    ) as process:
        url = f"http://127.0.0.1:{port}/metrics"
        until(lambda: len(scrape(url).get("foretell_messages_sent_total", ())) >= 6, "the host serves metrics")
        found = scrape(url)
        process.send_signal(signal.SIGINT)
        process.wait()
    tellers = {labels["participant"] for labels, _ in found["foretell_counters_timestamp_seconds"]}
    senders = {labels["source"] for labels, _ in found["foretell_messages_sent_total"]}
    assert tellers == senders == {"environment", "agent-2"}
    assert "foretell_run_info" not in found
    assert scrape(url) == {}


def test_a_host_that_waits_serves_what_its_last_run_has_counted(tmp_path: Path) -> None:
    need("prometheus_client")
    (tmp_path / "hosts.toml").write_text(fleet({"box": ["*"]}))
    base = f"transport.zeromq.base_port={free_ports(5)}"
    words = ("bundle", *SCENARIO, "--episodes", "2", "--set", base, "--hosts", str(tmp_path / "hosts.toml"))
    made = foretell(*words, "--out", str(tmp_path / "bundles"))
    assert made.returncode == 0, made.stderr
    host = WaitingHost(tmp_path / "bundles" / "box", "--metrics", "0")
    try:
        url = host.until_said("metrics at ").removeprefix("metrics at ").strip()
        done = foretell("run", str(tmp_path / "bundles"), "--on", "socket", "--out", str(tmp_path / "run"))
        assert done.returncode == 0, done.stderr
        found = scrape(url)
    finally:
        host.close()
    heard = {labels["source"]: value for labels, value in found["foretell_edge_shares_heard_total"]}
    assert heard.keys() >= set(AGENTS)
    assert {value for value in heard.values() if value} == {2.0 * 3}


def test_an_address_in_use_is_a_sentence_and_leaves_no_folder(tmp_path: Path) -> None:
    need("prometheus_client")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        out = tmp_path / "run"
        done = foretell("simulate", *SCENARIO, "--episodes", "1", "--out", str(out), "--metrics", str(port))
    assert done.returncode == 2
    said = (
        f"foretell: cannot serve metrics at http://127.0.0.1:{port}: Address already in use. Choose another address\n"
    )
    assert done.stderr == said
    assert not out.exists()
