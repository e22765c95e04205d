"""Participants that meet by mistake refuse each other by name, and runs that share a broker leave each other alone."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ports import free_ports
from runs import (
    TINY,
    foretell,
    need_mosquitto,
    participant_pid,
    run_name,
    simulate_here,
    start,
    summary,
    until,
)
from thread_nodes import ThreadNodes

from broker.errors import UserError
from broker.servers.forwarder import start_forwarder
from broker.servers.mqtt_server import start_mqtt_server
from broker.wire.messages import ENVIRONMENT
from scenarios.commands.check import write_slices
from scenarios.document.loading import load_scenario
from scenarios.document.plan import Plan
from scenarios.document.planning import make_plan
from scenarios.document.wiring import Wiring
from scenarios.results.folder import RunFolder
from scenarios.results.reader import read_store
from scenarios.running.meeting.addresses import make_addresses
from scenarios.running.meeting.keys import everybodys_peers, make_keys

RUN = "toy-aaaaaaaa"
LINE = {"topology.kind": "line", "environment.agents": 4, "parallel_episodes": 2, "learning.hidden": [8], "episodes": 3}
TRANSPORTS = {"direct": {}, "forwarder": {"transport.zeromq.mode": "forwarder"}, "mqtt": {"transport.kind": "mqtt"}}
STOP = ("--set", 'faults=[{kind="stop",participants=["agent-2"],at_episodes=[2],for_s=6000}]')
STOP += ("--set", "recovery.hung_after_s=9000", "--set", "service.give_up_s=9000")
DIGESTS = ("curve_digest", "weights_digest", "shares_heard", "shares_missing", "rejected", "lost", "complete")


def plan_of(transport: str, **changes: object) -> Plan:
    return make_plan(load_scenario("exchange-quick", LINE | TRANSPORTS[transport] | changes))


@contextmanager
def between(transport: str, plan: Plan, folder: Path) -> Iterator[str]:
    """What stands between participants, for all runs that ask; its address."""
    if transport == "direct":
        yield ""
        return
    if transport == "mqtt":
        need_mosquitto()
        server = start_mqtt_server("mosquitto", folder, plan.scenario.transport)
    else:
        config, peers = plan.scenario.transport, everybodys_peers(plan)
        server = start_forwarder(f"ipc://{folder}/forwarder", folder, config, run=RUN, peers=peers)
    try:
        yield server.address
    finally:
        server.close()


@pytest.fixture
def short() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="ft-"))  # a socket's path has at most 107 bytes
    yield folder
    shutil.rmtree(folder)


@pytest.mark.processes
@pytest.mark.parametrize(
    ("transport", "odd"), [("direct", ENVIRONMENT), *((transport, "agent-1") for transport in TRANSPORTS)]
)
def test_a_slice_of_another_document_ends_all_with_a_sentence_that_names_it(
    short: Path, transport: str, odd: str
) -> None:
    plan, other = plan_of(transport), plan_of(transport, seed=8, **{"learning.actor_learning_rate": 0.5})
    nodes = ThreadNodes(RunFolder(short))
    with between(transport, plan, short) as address:
        wiring = Wiring(RUN, make_addresses(plan.participants, plan.scenario.transport.zeromq, short), RUN, address)
        for name in plan.participants:
            told = other if name == odd else plan
            slice_ = told.environment(wiring) if name == ENVIRONMENT else told.agent(name, wiring)
            nodes.start(name, slice_.model_dump_json())
        until(lambda: len(nodes.ended()) == len(plan.participants), "the end of all")
    ours, its = (each.scenario.shared_digest[:16] for each in (plan, other))
    ended = nodes.ended()
    assert {name: end.code for name, end in ended.items()} == dict.fromkeys(plan.participants, 2)
    mend = "Start all from the slices of one `foretell check --slices`"
    differs = "{} cannot work with {}: expected document {}, found {}. {}".format
    sentences = {differs(odd, peer, its, ours, mend) for peer in plan.peers(odd)}
    sentences |= {differs(peer, odd, ours, its, mend) for peer in plan.peers(odd)}
    assert {end.said.rpartition("stopped the run: ")[2] for end in ended.values()} <= sentences
    if odd == "agent-1":
        assert ended["agent-3"].said.endswith(f"environment stopped the run: {ended[ENVIRONMENT].said}")


@pytest.mark.processes
def test_slices_of_two_checks_are_not_mixed_up_though_the_document_is_the_same(short: Path) -> None:
    names = (ENVIRONMENT, "agent-0", "agent-1", "agent-2", "agent-3")
    addresses = {name: f"ipc://{short}/{name}" for name in names}
    plan = plan_of("direct", **{"transport.zeromq.addresses": addresses})
    for folder in ("ours", "other"):
        write_slices(plan, short / folder)
    nodes = ThreadNodes(RunFolder(short))
    for name in names:
        folder = "other" if name == "agent-1" else "ours"
        nodes.start(name, (short / folder / f"{name}.json").read_text())
    until(lambda: len(nodes.ended()) == len(names), "the end of all")
    ended = nodes.ended()
    assert {name: end.code for name, end in ended.items()} == dict.fromkeys(names, 2)
    said = ended[ENVIRONMENT].said
    assert said.startswith("environment cannot work with agent-1: expected run exchange-quick-")
    assert "document" not in said


@pytest.mark.processes
@pytest.mark.long
@pytest.mark.parametrize("transport", ["forwarder", "mqtt"])
def test_a_run_that_begins_and_ends_at_the_broker_of_another_leaves_it_as_it_is(tmp_path: Path, transport: str) -> None:
    if transport == "mqtt":
        need_mosquitto()
    quick = ("exchange-quick", *TINY, "--episodes", "6")
    simulated = {seed: simulate_here(tmp_path / f"simulated-{seed}", *quick, "--seed", seed) for seed in ("1", "2")}
    port = free_ports(3)
    listen = f"{'mqtt' if transport == 'mqtt' else 'tcp'}://127.0.0.1:{port}"
    where = "transport.mqtt.address" if transport == "mqtt" else "transport.zeromq.forwarder"
    told = ("--transport", transport, "--set", f"{where}={listen}")
    standing = ("broker", "exchange-quick", "--transport", transport, "--listen", listen)
    first, second = tmp_path / "first", tmp_path / "second"
    with start(*standing, "--out", str(tmp_path / "broker")) as broker:
        assert broker.stdout.readline().strip() == listen
        with start("run", *quick, "--seed", "1", *told, *STOP, "--out", str(first)) as process:
            stopped = stopped_agent(first)  # so that the run does not end before the other has
            done = foretell("run", *quick, "--seed", "2", *told, "--out", str(second))
            os.kill(stopped, signal.SIGCONT)
            _, said = process.communicate()
    assert (done.returncode, process.returncode) == (0, 0), done.stderr + said
    assert run_name(first) != run_name(second)
    for out, seed in ((first, "1"), (second, "2")):
        assert {each: summary(out)[each] for each in DIGESTS} == {each: simulated[seed][each] for each in DIGESTS}


def stopped_agent(out: Path) -> int:
    """The process of the agent that a run with `STOP` stops in its third episode, once it is."""

    def stopped() -> bool:
        try:
            with read_store(out / "run.sqlite") as store:
                return bool(store.strikes())
        except UserError:  # it has only begun
            return False

    until(stopped, "the stop of an agent")
    return participant_pid(out, "agent-2")


@pytest.mark.processes
@pytest.mark.long
def test_keys_serve_one_run_at_a_time_at_a_broker(tmp_path: Path) -> None:
    need_mosquitto()
    keys = tmp_path / "keys"
    make_keys(make_plan(load_scenario("exchange-quick", {})), keys, "exchange-quick-aaaaaaaa")
    port = free_ports(1)
    secure = ("--set", "transport.security.mode=on", "--set", f"transport.security.keys={keys}", "--transport", "mqtt")
    quick = ("exchange-quick", *TINY, "--episodes", "6")
    with start(
        "broker", "exchange-quick", *secure, "--listen", f"mqtt://127.0.0.1:{port}", "--out", str(tmp_path / "broker")
    ) as broker:
        told = (*secure, "--set", f"transport.mqtt.address={broker.stdout.readline().strip()}")
        with start("run", *quick, *told, *STOP, "--out", str(tmp_path / "first")) as process:
            stopped = stopped_agent(tmp_path / "first")
            done = foretell("run", *quick, *told, "--out", str(tmp_path / "second"))
            os.kill(stopped, signal.SIGCONT)
            _, said = process.communicate()
    assert process.returncode == 0, said
    assert done.returncode == 2
    assert f"another run uses the keys in {keys}" in done.stderr.replace("\n", " ")
    simulated = simulate_here(tmp_path / "simulated", *quick)
    assert {each: summary(tmp_path / "first")[each] for each in DIGESTS} == {each: simulated[each] for each in DIGESTS}
