"""Brokers of both kinds with plain clients: who may not is truly kept out, and no broker outlives its starter."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from contextlib import nullcontext
from urllib.parse import urlparse

import pytest
from broker_toys import LIMIT_S
from mqtt_toys import AGENTS, KINDS, House, edge, need_mosquitto

from broker.config import TransportConfig
from broker.errors import AddressInUse, UserError
from broker.security.mqtt_access import make_mqtt_access
from broker.servers import mqtt_server
from broker.servers.mqtt_server import start_mqtt_server

pytestmark = pytest.mark.processes

STARTER = """
import sys, time
from pathlib import Path
from broker.config import TransportConfig
from broker.servers.mqtt_server import start_mqtt_server
server = start_mqtt_server(sys.argv[1], Path(sys.argv[2]), TransportConfig())
print(server.address, flush=True)
time.sleep(1000)
"""


@pytest.fixture(params=KINDS)
def kind(request):
    if request.param == "mosquitto":
        need_mosquitto()
    return request.param


@pytest.fixture
def open_house(kind, tmp_path):
    house = House(kind, tmp_path, secure=False, max_message_bytes=4096)
    yield house
    house.close()


@pytest.fixture
def house(kind, tmp_path):
    house = House(kind, tmp_path, secure=True)
    yield house
    house.close()


def wait_for(event):
    end = time.monotonic() + LIMIT_S
    while not event():
        assert time.monotonic() < end, f"nothing came of it in {LIMIT_S} s"
        time.sleep(0.01)


def answers(address):
    place = urlparse(address)
    try:
        socket.create_connection((place.hostname, place.port), timeout=LIMIT_S).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("qos", [0, 1])
def test_without_access_everybody_hears_everybody(open_house, qos):
    one, other = open_house.open(), open_house.open()
    other.subscribe("#")
    one.publish(edge("agent-0", "agent-1"), "hello", qos)
    other.hears(edge("agent-0", "agent-1"), "hello")


def test_it_says_what_it_is_and_where(open_house, kind):
    server = open_house.server
    assert server.kind == kind
    assert kind in server.note
    assert server.address.startswith("mqtt://127.0.0.1:")
    assert server.alive()
    assert server.log.exists()


def test_a_rightful_pair_hears_each_other_over_tls(house):
    assert house.server.address.startswith("mqtts://")
    one, other = house.enter("agent-0"), house.enter("agent-1")
    one.subscribe(edge("agent-1", "agent-0"))
    other.subscribe(edge("agent-0", "agent-1"))
    one.publish(edge("agent-0", "agent-1"), "there")
    other.hears(edge("agent-0", "agent-1"), "there")
    other.publish(edge("agent-1", "agent-0"), "and back", qos=0)
    one.hears(edge("agent-1", "agent-0"), "and back")


def test_who_has_no_password_or_a_wrong_one_is_refused(house):
    ca = house.keys / "agent-0" / "ca.pem"
    assert house.open(ca=ca).refused
    assert house.open(ca=ca, username="agent-0", password="guess").refused
    assert house.open(ca=ca, username="nobody", password="guess").refused


def test_who_was_refused_is_counted_and_who_came_in_is_not(house):
    mine, ca = house.enter("agent-0"), house.keys / "agent-0" / "ca.pem"
    mine.publish(edge("agent-0", "agent-1"), "one")
    assert house.server.turned_away() == 0
    for _ in range(3):
        assert house.open(ca=ca, username="agent-0", password="guess").refused
    wait_for(lambda: house.server.turned_away() == 3)


def test_a_broker_that_follows_one_that_died_writes_on_in_its_log_and_counts_its_own_refusals(house):
    first, ca = house.server, house.keys / "agent-0" / "ca.pem"
    assert house.open(ca=ca, username="agent-0", password="guess").refused
    wait_for(lambda: first.turned_away() == 1)
    os.kill(first.pid, signal.SIGKILL)
    first.close()
    said = first.log.read_text()
    house.server = start_mqtt_server(first.kind, first.log.parent, TransportConfig(), access=house.keys / "broker")
    assert house.server.log.read_text().startswith(said)
    assert house.server.turned_away() == 0
    for _ in range(2):
        assert house.open(ca=ca, username="agent-0", password="guess").refused
    wait_for(lambda: house.server.turned_away() == 2)


def test_a_message_on_the_edge_of_others_is_counted_and_the_log_says_whose_it_was(house):
    forger, victim = house.enter("agent-2"), house.enter("agent-1")
    victim.subscribe(edge("agent-2", "agent-1"))
    for qos in (0, 1, 0):
        forger.publish(edge("agent-0", "agent-1"), "forged", qos)
    forger.publish(edge("agent-2", "agent-1"), "rightful")
    victim.hears(edge("agent-2", "agent-1"), "rightful")
    wait_for(lambda: house.server.turned_away() == 3)
    refusals = [line for line in house.server.log.read_text().splitlines() if edge("agent-0", "agent-1") in line]
    assert len(refusals) == 3
    assert all("agent-2" in line for line in refusals)


def test_a_flood_of_forbidden_messages_is_counted_to_the_last_and_does_not_fill_the_log(house):
    forger, victim = house.enter("agent-2"), house.enter("agent-1")
    victim.subscribe(edge("agent-2", "agent-1"))
    for number in range(3000):
        forger.publish(edge("agent-0", "agent-1"), f"forged {number}", 0)
    forger.publish(edge("agent-2", "agent-1"), "rightful")
    victim.hears(edge("agent-2", "agent-1"), "rightful")
    assert len(victim.heard) == 1
    forger.close()
    victim.close()
    house.server.close()
    assert house.server.turned_away() == 3000
    assert house.server.log.stat().st_size < 40_000


def test_the_own_password_opens_no_other_name(house):
    own = (house.keys / "agent-2" / "mqtt.json").read_text().split('"')[-2]
    ca = house.keys / "agent-2" / "ca.pem"
    assert house.open(ca=ca, username="agent-0", password=own).refused
    assert not house.open(ca=ca, username="agent-2", password=own).refused


def test_what_is_published_on_the_edge_of_others_is_not_delivered(house):
    forger, victim = house.enter("agent-2"), house.enter("agent-1")
    victim.subscribe(edge("agent-0", "agent-1"), edge("agent-2", "agent-1"))
    for qos in (0, 1):
        forger.publish(edge("agent-0", "agent-1"), "forged", qos)
    forger.publish(edge("agent-2", "agent-1"), "rightful")
    victim.hears(edge("agent-2", "agent-1"), "rightful")
    assert len(victim.heard) == 1


def test_who_subscribes_to_the_edges_of_others_or_to_all_hears_his_own_alone(house):
    speaker, spy = house.enter("agent-0"), house.enter("agent-2")
    spy.subscribe("#", "foretell/#", "foretell/test/+/agent-1", edge("agent-0", "agent-1"), edge("agent-0", "agent-2"))
    speaker.publish(edge("agent-0", "agent-1"), "private")
    speaker.publish(edge("agent-0", "agent-2"), "rightful")
    spy.hears(edge("agent-0", "agent-2"), "rightful")
    assert {text for _, text in spy.heard} == {b"rightful"}


def test_a_will_on_the_edge_of_others_is_not_delivered(house):
    victim = house.enter("agent-1")
    victim.subscribe(edge("agent-0", "agent-1"), edge("agent-2", "agent-1"))
    house.enter("agent-2", will=(edge("agent-0", "agent-1"), "forged", 1)).vanish()
    house.enter("agent-2", will=(edge("agent-2", "agent-1"), "last words", 1)).vanish()
    victim.hears(edge("agent-2", "agent-1"), "last words")
    assert len(victim.heard) == 1


def test_nobody_takes_over_the_connection_of_another(house):
    victim, speaker = house.enter("agent-1", client_id="agent-1"), house.enter("agent-0")
    victim.subscribe(edge("agent-0", "agent-1"))
    house.enter("agent-2", client_id="agent-1")
    assert house.open(ca=house.keys / "agent-0" / "ca.pem", client_id="agent-1").refused
    assert house.open(
        ca=house.keys / "agent-0" / "ca.pem", client_id="agent-1", username="agent-1", password="guess"
    ).refused
    speaker.publish(edge("agent-0", "agent-1"), "still there")
    victim.hears(edge("agent-0", "agent-1"), "still there")


def test_a_broker_with_a_certificate_of_another_authority_is_not_talked_to(house, tmp_path):
    make_mqtt_access(tmp_path / "other", "test", {name: [] for name in AGENTS}, ["127.0.0.1"])
    place = urlparse(house.server.address)
    for keys, believed in ((house.keys, True), (tmp_path / "other", False)):
        context = ssl.create_default_context(cafile=keys / "agent-0" / "ca.pem")
        plain = socket.create_connection((place.hostname, place.port), timeout=LIMIT_S)
        with plain, nullcontext() if believed else pytest.raises(ssl.SSLCertVerificationError):
            context.wrap_socket(plain, server_hostname="localhost").close()


def test_who_talks_in_clear_to_a_broker_with_tls_is_refused(house):
    place = urlparse(house.server.address)
    with socket.create_connection((place.hostname, place.port), timeout=LIMIT_S) as clear:
        clear.sendall(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00")
        try:
            answer = clear.recv(4)
        except ConnectionResetError:
            answer = b""
    assert not answer.startswith(b"\x20")


def test_who_sends_more_than_allowed_is_disconnected(open_house):
    sender, other = open_house.open(), open_house.open()
    other.subscribe("#")
    sender.publish("size", "x" * 4096)
    other.hears("size", "x" * 4096)
    sender.publish("size", "x" * 10_000, qos=0)
    assert sender.is_disconnected()
    other.publish("size", "end")
    other.hears("size", "end")
    assert len(other.heard) == 2


@pytest.mark.parametrize("qos", [0, 1])
def test_who_does_not_read_for_a_while_loses_nothing_in_mosquitto(qos, tmp_path):
    need_mosquitto()
    house = House("mosquitto", tmp_path, secure=False)
    try:
        speaker, sleeper = house.open(), house.open()
        sleeper.subscribe("records")
        sleeper.sleep()
        for number in range(1999):
            speaker.publish("records", f"{number:8}" * 2048, qos, wait=False)
        speaker.publish("records", "end")
        sleeper.wake()
        sleeper.hears("records", "end")
        assert len(sleeper.heard) == 2000
    finally:
        house.close()


def test_mosquitto_sub_sees_what_is_published_and_nothing_where_there_are_passwords(kind, tmp_path):
    need_mosquitto("mosquitto_sub")
    for secure in (False, True):
        (tmp_path / str(secure)).mkdir()
        house = House(kind, tmp_path / str(secure), secure=secure)
        place = urlparse(house.server.address)
        command = ["mosquitto_sub", "-h", place.hostname, "-p", str(place.port), "-t", "#", "-v", "-d"]
        command += ["--cafile", str(house.keys / "agent-0" / "ca.pem")] if secure else ["-C", "2"]
        listener = subprocess.Popen(["stdbuf", "-oL", *command], stdout=subprocess.PIPE, text=True)
        try:
            if secure:
                assert listener.wait(LIMIT_S) != 0
            else:
                while "SUBACK" not in listener.stdout.readline():
                    assert listener.poll() is None
                speaker = house.open()
                speaker.publish(edge("agent-0", "agent-1"), "one")
                speaker.publish(edge("agent-1", "agent-0"), "two")
            said = listener.communicate(timeout=LIMIT_S)[0].splitlines()
        finally:
            listener.kill()
            listener.wait()
            house.close()
        seen = [line for line in said if line.startswith("foretell/")]
        assert seen == ([] if secure else [f"{edge(*AGENTS[:2])} one", f"{edge(*AGENTS[1::-1])} two"])


def test_a_broker_whose_starter_is_killed_ends(kind, tmp_path):
    starter = subprocess.Popen([sys.executable, "-c", STARTER, kind, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    address = starter.stdout.readline().strip()
    assert answers(address)
    starter.kill()
    starter.communicate()
    wait_for(lambda: not answers(address))


def test_ctrl_c_of_the_terminal_does_not_reach_it(open_house):
    assert os.getsid(open_house.server.pid) != os.getsid(0)


@pytest.mark.parametrize(("host", "doors"), [("::1", ["::1"]), ("::", ["::1", "127.0.0.1"])])
@pytest.mark.parametrize("secure", [False, True], ids=["in clear", "with TLS"])
def test_a_broker_listens_on_ipv6_where_that_is_asked(kind, tmp_path, host, doors, secure):
    house = House(kind, tmp_path, secure=secure, host=host)
    try:
        scheme, port = "mqtts" if secure else "mqtt", urlparse(house.server.address).port
        assert house.server.address == f"{scheme}://[{host}]:{port}"
        for door in doors:
            heard = house.at(door).enter("agent-1", client_id="agent-1") if secure else house.at(door).open()
            heard.subscribe(edge("agent-0", "agent-1"))
            said = house.enter("agent-0", client_id="agent-0") if secure else house.open()
            said.publish(edge("agent-0", "agent-1"), door)
            heard.hears(edge("agent-0", "agent-1"), door)
    finally:
        house.close()


def test_a_taken_port_is_named(open_house, kind, tmp_path):
    port = urlparse(open_house.server.address).port
    with pytest.raises(AddressInUse, match=rf"mqtt://127.0.0.1:{port}: the address is in use"):
        start_mqtt_server(kind, tmp_path, TransportConfig(), port=port)


def test_a_killed_broker_is_not_alive(open_house):
    os.kill(open_house.server.pid, signal.SIGKILL)
    wait_for(lambda: not open_house.server.alive())


def test_a_closed_broker_takes_no_connection_and_can_be_closed_again(open_house):
    client = open_house.open()
    open_house.server.close()
    open_house.server.close()
    assert client.is_disconnected()
    assert not open_house.server.alive()
    assert not answers(open_house.server.address)


def test_a_broker_that_cannot_start_says_why(kind, tmp_path):
    make_mqtt_access(tmp_path / "keys", "test", {}, [])
    (tmp_path / "keys" / "broker" / "server.pem").write_text("no certificate")
    with pytest.raises(UserError, match=rf"(?s){kind} did not start: .*(certificate|PEM).* Its log: "):
        start_mqtt_server(kind, tmp_path, TransportConfig(), access=tmp_path / "keys" / "broker")


def test_a_broker_that_is_not_installed_is_asked_for(monkeypatch, tmp_path):
    monkeypatch.setattr(mqtt_server.shutil, "which", lambda *_args, **_options: None)
    with pytest.raises(
        UserError, match=r"mosquitto is not installed: install it \(Debian: apt-get install mosquitto\)"
    ):
        start_mqtt_server("mosquitto", tmp_path, TransportConfig())
    server = start_mqtt_server("auto", tmp_path, TransportConfig())
    server.close()
    assert server.kind == "amqtt"
    monkeypatch.setattr(mqtt_server.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(UserError, match="no MQTT broker is installed"):
        start_mqtt_server("auto", tmp_path, TransportConfig())


def test_auto_takes_mosquitto_where_it_is_installed(tmp_path):
    need_mosquitto()
    server = start_mqtt_server("auto", tmp_path, TransportConfig())
    server.close()
    assert server.kind == "mosquitto"


def test_a_broker_killed_while_it_starts_is_started_again(kind, tmp_path, monkeypatch):
    popen, started = subprocess.Popen, []

    def start_and_kill_the_first(*arguments, **options):
        started.append(popen(*arguments, **options))
        if len(started) == 1:
            started[0].kill()
        return started[-1]

    monkeypatch.setattr(mqtt_server.subprocess, "Popen", start_and_kill_the_first)
    server = start_mqtt_server(kind, tmp_path, TransportConfig())
    try:
        assert answers(server.address)
        assert len(started) == 2
    finally:
        server.close()
