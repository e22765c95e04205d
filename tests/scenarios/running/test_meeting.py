"""What stands between participants, started by hand and by a run, and who needs keys for it."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits import LIMIT_S
from ports import free_ports
from runs import (
    TINY,
    Started,
    StartedAfresh,
    children_of,
    foretell,
    need_mosquitto,
    start,
    start_afresh,
    summary,
    until,
)

from broker.addresses import parse_address
from broker.config import TransportConfig
from broker.errors import ParticipantDied
from broker.own_clock import OwnClock
from broker.servers.mqtt_server import MqttServer, start_mqtt_server
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.document.wiring import Wiring
from scenarios.results.folder import make_run_folder
from scenarios.results.observer import Observer
from scenarios.running.launched.launched_life import open_inbox
from scenarios.running.meeting.keys import needs_keys
from scenarios.running.meeting.meeting import Meeting
from scenarios.running.procfs import is_alive

RUN = ("exchange-quick", "--episodes", "3", *TINY)


@contextmanager
def broker(
    out: Path, *arguments: str, begin: Callable[..., Started | StartedAfresh] = start
) -> Iterator[tuple[Started | StartedAfresh, str]]:
    """`foretell broker`, and the address that it tells."""
    with begin("broker", "exchange-quick", *arguments, "--out", str(out)) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=LIMIT_S)


def answers(address: str) -> bool:
    host, _, port = address.partition("://")[2].rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


@pytest.mark.processes
def test_a_broker_writes_into_no_folder_of_others(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = foretell("broker", "exchange-quick", "--transport", "forwarder", "--out", str(tmp_path))
    assert done.returncode == 2
    assert f"one that this command has made, found {tmp_path} with mine.txt in it" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.processes
def test_a_broker_writes_into_its_own_folder_again(tmp_path: Path) -> None:
    for _ in range(2):
        with broker(tmp_path / "broker", "--transport", "forwarder") as (_, address):
            assert address


@pytest.mark.processes
def test_a_run_takes_a_forwarder_that_runs_already(tmp_path: Path) -> None:
    port = free_ports(3)
    with broker(tmp_path / "broker", "--transport", "forwarder", "--listen", f"tcp://127.0.0.1:{port}") as (
        process,
        address,
    ):
        assert address == f"tcp://127.0.0.1:{port}"
        given_it = ("--transport", "forwarder", "--set", f"transport.zeromq.forwarder={address}")
        done = foretell("run", *RUN, *given_it, "--out", str(tmp_path / "run"))
        assert done.returncode == 0, done.stderr
        assert process.poll() is None
    assert not (tmp_path / "run" / "logs" / "forwarder.log").exists()
    assert summary(tmp_path / "run")["episodes"] == 3


@pytest.mark.processes
@pytest.mark.parametrize("transport", ["mqtt", "forwarder"])
def test_keys_made_by_hand_serve_a_broker_and_a_run_that_are_started_apart(tmp_path: Path, transport: str) -> None:
    if transport == "mqtt":
        need_mosquitto()
    keys, port = tmp_path / "keys", free_ports(3)
    made = foretell("keys", "exchange-quick", "--out", str(keys))
    assert made.returncode == 0, made.stderr
    assert "copy to each host its own folders and no others" in made.stdout
    secure = ("--transport", transport, "--set", "transport.security.mode=on")
    secure += ("--set", f"transport.security.keys={keys}")
    scheme = "mqtt" if transport == "mqtt" else "tcp"
    with broker(tmp_path / "broker", *secure, "--listen", f"{scheme}://127.0.0.1:{port}") as (_, address):
        where = "transport.mqtt.address" if transport == "mqtt" else "transport.zeromq.forwarder"
        done = foretell("run", *RUN, *secure, "--set", f"{where}={address}", "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    assert address.startswith("mqtts://" if transport == "mqtt" else "tcp://")


@pytest.mark.processes
@pytest.mark.parametrize("transport", ["mqtt", "forwarder"])
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_broker_outlives_its_command(tmp_path: Path, transport: str, ending: signal.Signals) -> None:
    if transport == "mqtt":
        need_mosquitto()
    listen = f"{'mqtt' if transport == 'mqtt' else 'tcp'}://127.0.0.1:{free_ports(3)}"
    told = ("--transport", transport, "--listen", listen)
    with broker(tmp_path / "broker", *told, begin=start_afresh) as (process, address):
        children = children_of(process.pid)
        assert children
        assert answers(address)
        process.send_signal(ending)
        process.wait(LIMIT_S)
        until(lambda: not any(map(is_alive, children)), "the broker's end")
        until(lambda: not answers(address), "the end of its last thread")


@pytest.mark.processes
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "expected a scenario that needs a broker, found ZeroMQ from process to process"),
        (("--transport", "mqtt", "--listen", "mqtt://0.0.0.0:18830"), "is open to other hosts, so it needs keys"),
        (("--transport", "forwarder", "--listen", "tcp://0.0.0.0:18830"), "is open to other hosts, so it needs keys"),
    ],
)
def test_a_broker_that_would_be_no_use_or_open_to_strangers_is_refused(
    arguments: tuple[str, ...], sentence: str
) -> None:
    done = foretell("broker", "exchange-quick", *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.processes
def test_a_run_whose_broker_elsewhere_cannot_know_its_keys_is_refused(tmp_path: Path) -> None:
    done = foretell(
        *("run", *RUN, "--transport", "mqtt", "--set", "transport.mqtt.address=mqtt://192.0.2.1:1883"),
        *("--out", str(tmp_path / "run")),
    )
    assert done.returncode == 2
    assert "keys made now would be strange to it. Make them with `foretell keys`" in done.stderr


@given(st.ip_addresses(), st.integers(1, 65535))
def test_an_address_needs_keys_if_others_than_this_host_can_reach_it(address, port) -> None:
    host = f"[{address}]" if address.version == 6 else str(address)
    mqtt = TransportConfig.model_validate({"kind": "mqtt", "mqtt": {"address": f"mqtt://{host}:{port}"}})
    assert needs_keys(mqtt) is not address.is_loopback
    assert parse_address(f"tcp://{host}:{port}", "tcp").is_beyond_this_host is not address.is_loopback
    for mode in ("on", "off"):
        settled = mqtt.model_copy(update={"security": mqtt.security.model_copy(update={"mode": mode})})
        assert needs_keys(settled) is (mode == "on")


@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        ({}, False),
        ({"kind": "mqtt"}, False),
        ({"zeromq": {"scheme": "tcp"}}, False),
        ({"zeromq": {"scheme": "tcp", "host": "0.0.0.0"}}, True),
        ({"zeromq": {"addresses": {"agent-0": "tcp://10.0.0.7:5670"}}}, True),
        ({"zeromq": {"mode": "forwarder"}}, False),
        ({"zeromq": {"mode": "forwarder", "forwarder": "tcp://pi.local:5670"}}, True),
        ({"kind": "mqtt", "zeromq": {"host": "10.0.0.7"}}, False),
    ],
)
def test_a_run_needs_keys_as_soon_as_one_of_its_addresses_lies_beyond_this_host(settings, needed) -> None:
    assert needs_keys(TransportConfig.model_validate(settings)) is needed


class Dying:
    """Something between participants that has died already."""

    address, note, log, pid = "tcp://127.0.0.1:1", "", Path("log"), 0

    def alive(self) -> bool:
        return False

    def turned_away(self) -> int:
        return 7

    def close(self) -> None:
        pass


def test_a_broker_that_keeps_dying_ends_the_run() -> None:
    told: list[str] = []
    found = Meeting(Wiring("run"), lambda _address: Dying(), told.append)
    found.begin()
    del told[:]
    assert found.look()
    assert found.look()
    with pytest.raises(ParticipantDied, match="it died 3 times within 30 s"):
        found.look()
    assert len(told) == 2
    assert found.look(), "it has as many deaths again where all begin anew"


def test_whom_a_broker_turned_away_is_told_in_the_end() -> None:
    told: list[str] = []
    found = Meeting(Wiring("run"), lambda _address: Dying(), told.append)
    found.begin()
    found.look()
    found.close()
    assert told[2:] == ["the broker at tcp://127.0.0.1:1 turned away 14: see log"], (
        "by the one that died, and the other"
    )


@pytest.mark.processes
def test_a_broker_that_dies_while_the_observer_connects_is_looked_after(tmp_path: Path) -> None:
    plan, port = make_plan(load_scenario("exchange-quick", {"transport.kind": "mqtt"})), free_ports(1)
    servers: list[MqttServer] = []

    class Reviving:
        looks = 0

        def look(self) -> bool:
            self.looks += 1
            if self.looks == 2:
                servers.append(start_mqtt_server("auto", tmp_path, plan.scenario.transport, port=port))
            return self.looks == 2

    wiring = Wiring("exchange-quick", broker=f"mqtt://127.0.0.1:{port}", observed=True)
    observer = Observer(plan, make_run_folder(tmp_path / "run", "run", 1), "run", lambda _: None)
    try:
        inbox = open_inbox(plan, wiring, observer, OwnClock(), found=Reviving(), try_for_s=0.3)
        inbox.close()
    finally:
        for server in servers:
            server.close()
        observer.finish()
    assert servers
