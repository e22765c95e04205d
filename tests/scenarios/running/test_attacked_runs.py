"""Real runs with strangers at their doors: the results stay those of the simulation, and the strangers are counted."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
import zmq
from limits import LIMIT_S
from ports import free_ports
from runs import TINY, need_mosquitto, participant_pid, run_name, simulate_here, start, summary, until

from broker.security.curve import make_curve_keys, read_curve_keys
from broker.servers.mqtt_server import MqttServer, start_mqtt_server
from broker.wire.messages import OBSERVER, topic
from scenarios.document.loading import load_scenario
from scenarios.document.plan import Plan
from scenarios.document.planning import make_plan
from scenarios.running.meeting.keys import everybodys_peers, make_keys
from scenarios.running.procfs import writers_of

pytestmark = pytest.mark.processes

DIGESTS = ("curve_digest", "weights_digest", "ledger_digest", "shares_heard", "shares_missing")
SCENARIO = (
    *("exchange-quick", "--episodes", "20", *TINY, "--set", "recovery.hung_after_s=600"),
    *("--set", "learning.rounds=1", "--set", "environment.steps=3"),
)
SECURE = ("--set", "transport.security.mode=on")
KEYS_OF = "exchange-quick-aaaaaaaa"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return simulate_here(tmp_path_factory.mktemp("calm") / "simulate", *SCENARIO)


def tcp(base: int) -> tuple[str, ...]:
    return ("--set", "transport.zeromq.scheme=tcp", "--set", f"transport.zeromq.base_port={base}")


class Attackers:
    """Threads that go on until the test has seen enough."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self.sent = 0

    def begin(self, attack: Callable[[], Iterator[None]]) -> None:
        """Repeat a step of `attack` until the end; a step that is refused counts too."""

        def go() -> None:
            for _ in attack():
                self.sent += 1
                if self._over.wait(0.0005):
                    return

        self._threads.append(threading.Thread(target=go, daemon=True))
        self._threads[-1].start()

    def end(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(LIMIT_S)


@pytest.fixture
def attackers() -> Iterator[Attackers]:
    found = Attackers()
    yield found
    found.end()


def flood(address: str, **keys: bytes) -> Callable[[], Iterator[None]]:
    """Garbage and forged names at a ZeroMQ address, as fast as it goes."""

    def attack() -> Iterator[None]:
        draw = random.Random(1)
        with zmq.Context() as context, context.socket(zmq.PUSH) as push:
            push.linger = 0
            for option, value in keys.items():
                setattr(push, option, value)
            push.connect(address)
            while True:
                with suppress(zmq.Again):
                    push.send(draw.randbytes(draw.randrange(400)), zmq.NOBLOCK)
                yield

    return attack


def run_attacked(out: Path, *arguments: str, begin: Callable[[], None]) -> tuple[dict[str, Any], str]:
    with start("run", *SCENARIO, *arguments, "--out", str(out)) as process:
        begin()
        told, wrong = process.communicate()
    assert process.returncode == 0, wrong
    return summary(out), told + wrong


def hold_up(out: Path, attacked: Callable[[], bool]) -> None:
    """Stop an agent until the run has been attacked: else it may have ended before."""
    until(lambda: any(writers_of(out / "logs" / "agent-2.log")), "the start of agent-2")
    bystander = participant_pid(out, "agent-2")
    os.kill(bystander, signal.SIGSTOP)
    until(attacked, "an attack")
    os.kill(bystander, signal.SIGCONT)


def agree(left: dict[str, Any], right: dict[str, Any]) -> None:
    assert {name: left[name] for name in DIGESTS} == {name: right[name] for name in DIGESTS}


def rejected(out: Path) -> int:
    with sqlite3.connect(out / "run.sqlite") as database:
        return int(database.execute("SELECT TOTAL(rejected) FROM edges").fetchone()[0])


def test_a_flood_at_every_participant_changes_nothing_and_is_counted(
    tmp_path: Path, simulated: dict[str, Any], attackers: Attackers
) -> None:
    base = free_ports(5)

    def begin() -> None:
        for port in range(base, base + 5):  # the environment, three agents and the observer
            attackers.begin(flood(f"tcp://127.0.0.1:{port}"))
        hold_up(tmp_path / "run", lambda: attackers.sent > 20 * simulated["shares_sent"])

    found, _ = run_attacked(tmp_path / "run", *tcp(base), begin=begin)
    agree(simulated, found)
    messages = found["shares_sent"]
    assert rejected(tmp_path / "run") > 10 * messages


def test_strangers_at_a_run_with_keys_hear_and_say_nothing(
    tmp_path: Path, simulated: dict[str, Any], attackers: Attackers
) -> None:
    base, others = free_ports(5), tmp_path / "others"
    make_curve_keys(others, {"agent-0": ("environment",), "environment": ("agent-0",)})
    stranger = read_curve_keys(others / "agent-0")
    wrong = {"curve_publickey": stranger.public.encode(), "curve_secretkey": stranger.secret.encode()}

    def begin() -> None:
        until((tmp_path / "run" / "keys" / "environment" / "run").exists, "a whole set of keys")
        served_by = read_curve_keys(tmp_path / "run" / "keys" / "environment").public.encode()  # no secret
        attackers.begin(flood(f"tcp://127.0.0.1:{base}"))  # no key
        attackers.begin(flood(f"tcp://127.0.0.1:{base}", curve_serverkey=served_by, **wrong))
        hold_up(tmp_path / "run", lambda: attackers.sent > 1000)

    found, _ = run_attacked(tmp_path / "run", *tcp(base), *SECURE, begin=begin)
    agree(simulated, found)
    with sqlite3.connect(tmp_path / "run" / "run.sqlite") as database:
        texts = [text for (text,) in database.execute("SELECT text FROM events WHERE kind = 'rejected'")]
    assert any(f"refused at the door: the key {stranger.public}" in text for text in texts)
    assert not any("no frame" in text for text in texts)


def test_strangers_at_a_forwarder_with_keys_are_turned_away_and_told_of(
    tmp_path: Path, simulated: dict[str, Any], attackers: Attackers
) -> None:
    base, others = free_ports(3), tmp_path / "others"
    make_curve_keys(others, {"agent-0": ("forwarder",), "forwarder": ("agent-0",)})
    stranger = read_curve_keys(others / "agent-0")

    def begin() -> None:
        until((tmp_path / "run" / "logs" / "forwarder.log").exists, "the start of the forwarder, which has its keys")
        wrong = {
            "curve_publickey": stranger.public.encode(),
            "curve_secretkey": stranger.secret.encode(),
            "curve_serverkey": read_curve_keys(tmp_path / "run" / "keys" / "forwarder").public.encode(),
        }
        for port in range(base, base + 3):
            attackers.begin(flood(f"tcp://127.0.0.1:{port}"))
            attackers.begin(_subscribe_to_all(f"tcp://127.0.0.1:{port}", **wrong))
        log = tmp_path / "run" / "logs" / "forwarder.log"
        hold_up(tmp_path / "run", lambda: f"the key {stranger.public}" in log.read_text(encoding="utf-8"))

    arguments = ("--transport", "forwarder", *tcp(base), *SECURE)
    found, told = run_attacked(tmp_path / "run", *arguments, begin=begin)
    agree(simulated, found)
    assert "turned away" in told


def _subscribe_to_all(address: str, **keys: bytes) -> Callable[[], Iterator[None]]:
    def attack() -> Iterator[None]:
        with zmq.Context() as context, context.socket(zmq.SUB) as spy:
            for option, value in keys.items():
                setattr(spy, option, value)
            spy.subscribe(b"")
            spy.connect(address)
            while True:
                assert spy.poll(0) == 0, "it heard something"
                yield

    return attack


class Listener:
    """A `mosquitto_sub` on every topic."""

    def __init__(self, server: MqttServer, *options: str) -> None:
        need_mosquitto()
        host, _, port = server.address.partition("://")[2].partition(":")
        command = ["stdbuf", "-oL", "mosquitto_sub", "-h", host, "-p", port, "-t", "#", "-F", "%t", "-d", *options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.strip())

    def subscribed(self) -> bool:
        return any("Subscribed" in line for line in self.lines)

    def refused(self) -> bool:
        return any("not authorised" in line.lower() for line in self.lines)

    def topics(self) -> set[str]:
        """End it; what it saw."""
        self._process.terminate()
        self._process.wait(LIMIT_S)
        self._reader.join(LIMIT_S)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return {line for line in self.lines if line.startswith("foretell/")}


def _plan(*assignments: str) -> Plan:
    settings = dict(part.split("=", 1) for part in assignments)
    return make_plan(load_scenario("exchange-quick", settings))


def _serve(folder: Path, plan: Plan, access: Path | None = None) -> MqttServer:
    need_mosquitto()
    folder.mkdir()
    return start_mqtt_server("mosquitto", folder, plan.scenario.transport, access=access)


def test_a_client_from_outside_sees_exactly_the_topics_of_the_graph(tmp_path: Path) -> None:
    plan = _plan("topology.kind=line")
    server = _serve(tmp_path / "broker", plan)
    try:
        listener = Listener(server)
        until(listener.subscribed, "a subscription")
        arguments = ("--set", "topology.kind=line", "--transport", "mqtt")
        run_attacked(
            tmp_path / "run", *arguments, "--set", f"transport.mqtt.address={server.address}", begin=lambda: None
        )
        seen = listener.topics()
    finally:
        server.close()
    edges = {(source, other) for source, others in everybodys_peers(plan).items() for other in others}
    assert ("agent-0", "agent-2") not in edges
    assert seen == {topic(run_name(tmp_path / "run"), *edge) for edge in edges}


LOGINS = {
    "nobody": (),
    "a wrong password": ("-u", "agent-0", "-P", "guess"),
    "the name of a participant": ("-u", "agent-0"),
}


def test_with_permissions_clients_from_outside_see_nothing_and_say_nothing(
    tmp_path: Path, simulated: dict[str, Any], attackers: Attackers
) -> None:
    plan, keys = _plan(), tmp_path / "keys"
    make_keys(plan, keys, KEYS_OF)
    server = _serve(tmp_path / "broker", plan, keys / "broker")
    authority = ("--cafile", str(keys / "agent-0" / "ca.pem"))
    try:
        listeners = {who: Listener(server, *authority, *login) for who, login in LOGINS.items()}
        for login in LOGINS.values():
            attackers.begin(_knock(server, keys, login[1::2]))
        arguments = ("--transport", "mqtt", "--set", f"transport.mqtt.address={server.address}", *SECURE)
        found, _ = run_attacked(
            tmp_path / "run",
            *(*arguments, "--set", f"transport.security.keys={keys}"),
            begin=lambda: hold_up(tmp_path / "run", lambda: all(each.refused() for each in listeners.values())),
        )
        seen = {who: listener.topics() for who, listener in listeners.items()}
    finally:
        attackers.end()
        server.close()
    agree(simulated, found)
    assert not any(seen.values()), seen
    assert rejected(tmp_path / "run") == 0
    assert server.turned_away() >= len(LOGINS)


def _knock(server: MqttServer, keys: Path, login: tuple[str, ...]) -> Callable[[], Iterator[None]]:
    """Try to come in and publish on somebody's edge, over and over."""
    host, _, port = server.address.partition("://")[2].partition(":")

    def attack() -> Iterator[None]:
        while True:
            client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "agent-0")
            client.tls_set(str(keys / "agent-0" / "ca.pem"))
            if login:
                client.username_pw_set(login[0], login[1] if len(login) > 1 else None)
            with suppress(OSError):
                client.connect(host, int(port))
                client.publish(topic(KEYS_OF, "agent-0", OBSERVER), b"garbage")
                client.publish(topic(KEYS_OF, "agent-0", "agent-1"), b"garbage")
                for _ in range(5):
                    client.loop(0.02)
            yield

    return attack
