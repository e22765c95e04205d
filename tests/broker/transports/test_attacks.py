"""100,000 bad frames at every socket that listens: none stops anybody, all are counted, memory stays bounded."""

from __future__ import annotations

import os
import random
import shutil
import socket
import tempfile
import threading
import time
from contextlib import suppress
from functools import cache
from itertools import count, islice
from pathlib import Path

import pytest
from broker_toys import RUN, Ear, envelope, listen_until, make_codec
from garbage import frames
from limits import LIMIT_S
from ports import free_port, free_ports
from substrates import need_mosquitto
from zmtp import dial, frame, greeting, shake_hands

from broker.config import TransportConfig
from broker.security.curve import make_curve_keys, read_curve_keys
from broker.servers.forwarder import start_forwarder
from broker.servers.mqtt_server import start_mqtt_server
from broker.transports.mqtt.packets import confirmed_packet
from broker.transports.mqtt.transport import MqttTransport
from broker.transports.zeromq.direct import ZeroMQTransport
from broker.transports.zeromq.forwarded import SUBSCRIBED, ForwardedTransport, subscribe_address
from broker.wire.messages import OBSERVER, Stop, topic

COUNT = 100_000
SAID = 50
GRAPH = {"honest": ("b",), "attacker": ("b",), "herald": ("b",), "b": ("honest", "attacker", "herald")}
ROOM_MB = 64
AT_ONCE = 500
CONFIRMATION_BYTES = 4
CONFIG = TransportConfig()


def memory_mb(pid):
    pages = int((Path("/proc") / str(pid) / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.fixture
def folder():
    made = Path(tempfile.mkdtemp(dir="/tmp", prefix="ft-"))  # short: a socket's path has at most 107 bytes
    yield made
    shutil.rmtree(made)


@cache
def bad_frames(source):
    """`COUNT` of them, the same in each test, made once."""
    return tuple(frames(source, "b", COUNT, 1))


@pytest.fixture(autouse=True, scope="module")
def _made_before_memory_is_looked_at():
    for source in ("attacker", "honest"):
        bad_frames(source)


class Assault(threading.Thread):
    """Sends bad frames in the background, and keeps what went wrong for the test."""

    def __init__(self, send):
        super().__init__(daemon=True)
        self._send = send
        self.error = None

    def run(self):
        try:
            self._send()
        except Exception as error:
            self.error = error


def send_frames(address, kind, herald=None):
    """Connect by hand as one who publishes, and send all of it; then what the herald says until it has been heard."""

    def send():
        with shake_hands(address, kind) as wire:
            if herald is not None:
                _await_subscription(wire)
            bad = iter(bad_frames("attacker"))
            while some := list(islice(bad, AT_ONCE)):
                wire.sendall(b"".join(map(frame, some)))
            if herald is not None:
                herald.proclaim(wire)
            wire.shutdown(socket.SHUT_WR)
            while wire.recv(4096):  # closed with something unread, the kernel would take the last frames back
                pass

    return send


def _await_subscription(wire):
    """Let it hear that b wants what the attacker says: what comes earlier would reach nobody, and not be counted."""
    wanted, said = make_codec("b", ["attacker"]).prefix("attacker", "b"), b""
    while wanted not in said:
        said += wire.recv(4096)


def ask_for_everything(address):
    """Connect by hand as one who subscribes, again and again, and ask for all of it."""

    def send():
        bad = iter(bad_frames("attacker"))
        while some := list(islice(bad, AT_ONCE)):
            with suppress(OSError), shake_hands(address, b"SUB") as wire:  # it hangs up on us
                wire.sendall(b"".join(frame(SUBSCRIBED + wanted) for wanted in some))
                while wire.recv(4096):
                    pass

    return send


def withstand(b, honest, send, count_rejected, *, at_least=COUNT, forwarder=None):
    """Let `honest` speak to `b` while somebody attacks: all of it is heard, and nothing is amiss.

    What is not heard over a forwarder for a second is said again: where b reads too slowly, it gives up some.
    """
    watched = os.getpid() if forwarder is None else forwarder.pid
    before = memory_mb(watched)
    assault = Assault(send)
    assault.start()
    said, said_at, numbers = -1, 0.0, count()

    def over():
        nonlocal said, said_at
        b.heard[:] = [one for one in b.heard if one.source == "honest"]
        heard = len({one.message.reason for one in b.heard})
        if heard < SAID and (heard > said or (forwarder is not None and time.monotonic() > said_at + 1)):
            honest.transport.send(envelope("honest", "b", Stop(str(heard)), next(numbers)))
            said, said_at = heard, time.monotonic()
        return count_rejected() >= at_least and heard == SAID and not assault.is_alive()

    listen_until(over, b, honest, limit_s=LIMIT_S)
    assert assault.error is None
    heard = dict.fromkeys(one.message.reason for one in b.heard)
    assert list(heard) == [str(number) for number in range(SAID)]
    assert memory_mb(watched) - before < ROOM_MB


def call_mqtt(address, name):
    """Connect by hand to an MQTT broker, as a client of version 3.1.1."""
    wire = dial(address.replace("mqtt://", "tcp://"))
    connect = b"\x00\x04MQTT\x04\x02\x00\x00" + len(name).to_bytes(2, "big") + name.encode()
    wire.sendall(bytes([0x10, len(connect)]) + connect)
    assert wire.recv(4) == bytes([0x20, 2, 0, 0])
    return wire


def publish(address, how_many, left):
    """Connect by hand as a client of an MQTT broker, publish so many, and leave when told to."""

    def send():
        with call_mqtt(address, "attacker") as wire:
            bad, edge = islice(bad_frames("attacker"), how_many), topic(RUN, "attacker", "b")
            while some := list(islice(bad, AT_ONCE)):
                named = enumerate(some, 1)
                wire.sendall(b"".join(confirmed_packet(edge, b"", data, name, again=False) for name, data in named))
                confirmed = 0
                while confirmed < len(some) * CONFIRMATION_BYTES:
                    confirmed += len(wire.recv(1 << 16))
            left.wait(LIMIT_S)  # amqtt forgets what it has taken from a client that leaves

    return send


class Herald:
    """Says, on the way of the bad frames and behind them, that they are over: who hears it has had them all."""

    def __init__(self, ear):
        self.heard = threading.Event()
        poll = ear.transport.poll

        def listening(now):
            arrived = poll(now)
            if any(one.source == "herald" for one in arrived):
                self.heard.set()
            return arrived

        ear.transport.poll = listening

    def proclaim(self, wire):
        """Say it until it has been heard: to a reader that is slow, a forwarder gives up some."""
        codec = make_codec("b", ["herald"])
        for number in count():
            wire.sendall(frame(codec.encode(envelope("herald", "b", Stop("over"), number))))
            if self.heard.wait(0.1):
                return


def _count_heard(ear):
    """Counts what an ear hears of the attacker: a mutated frame may be a good one again."""
    counted = [0]
    poll = ear.transport.poll

    def counting(now):
        arrived = poll(now)
        counted[0] += sum(one.source == "attacker" for one in arrived)
        return arrived

    ear.transport.poll = counting
    return counted


def rejected(ear):
    return sum(traffic.rejected for traffic in ear.transport.traffic.values())


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["ipc", "tcp"])
def test_bad_frames_at_a_participant_are_all_counted_and_its_neighbors_heard(folder, scheme):
    places = {"honest", "b"}
    addresses = {
        name: f"ipc://{folder}/{name}" if scheme == "ipc" else f"tcp://127.0.0.1:{free_port()}" for name in places
    }
    b = Ear(ZeroMQTransport("b", addresses, make_codec("b", ["honest", "attacker"]), CONFIG, keys=None))
    honest = Ear(ZeroMQTransport("honest", addresses, make_codec("honest", ["b"]), CONFIG, keys=None))
    heard = _count_heard(b)
    try:
        withstand(b, honest, send_frames(addresses["b"], b"PUSH"), lambda: rejected(b) + heard[0])
        assert rejected(b) + heard[0] == COUNT
        assert len(b.transport.noticed) < 100  # the first of each peer, not a hundred thousand sentences
    finally:
        b.transport.close(0.0)
        honest.transport.close(0.0)


def test_bytes_that_are_not_even_zeromq_change_nothing(folder):
    addresses = {"b": f"tcp://127.0.0.1:{free_port()}", "honest": f"tcp://127.0.0.1:{free_port()}"}
    b = Ear(ZeroMQTransport("b", addresses, make_codec("b", ["honest"]), TransportConfig(), keys=None))
    honest = Ear(ZeroMQTransport("honest", addresses, make_codec("honest", ["b"]), TransportConfig(), keys=None))
    draw = random.Random(1)

    def send():
        for number in range(500):
            with dial(addresses["b"]) as wire:
                try:
                    if number % 2:
                        wire.sendall(greeting(draw.choice([b"NULL", b"PLAIN", b"CURVE", b"GARBAGE"])))
                    wire.sendall(draw.randbytes(draw.randrange(1, 4000)))
                except OSError:
                    continue  # it hung up on us: just so

    try:
        withstand(b, honest, send, lambda: 0, at_least=0)
    finally:
        b.transport.close(0.0)
        honest.transport.close(0.0)


@pytest.mark.long
def test_who_has_no_key_gets_no_frame_through_at_all(folder):
    addresses = {"b": f"tcp://127.0.0.1:{free_port()}", "honest": f"tcp://127.0.0.1:{free_port()}"}
    make_curve_keys(folder, {"b": ("honest",), "honest": ("b",)})
    b, honest = (
        Ear(
            ZeroMQTransport(
                name, addresses, make_codec(name, [peer]), TransportConfig(), keys=read_curve_keys(folder / name)
            )
        )
        for name, peer in (("b", "honest"), ("honest", "b"))
    )

    def send():
        bad = iter(bad_frames("honest"))  # in the name of one who would be heard
        while some := list(islice(bad, AT_ONCE)):
            with dial(addresses["b"]) as wire:
                try:
                    wire.sendall(greeting() + b"".join(map(frame, some)))
                except OSError:
                    continue

    try:
        withstand(b, honest, send, lambda: 0, at_least=0)
        assert rejected(b) == 0
    finally:
        b.transport.close(0.0)
        honest.transport.close(0.0)


@pytest.mark.processes
@pytest.mark.parametrize("door", ["publish", "subscribe", "observer"])
def test_bad_frames_at_a_forwarder_are_refused_there_or_by_their_reader(folder, door):
    address = f"tcp://127.0.0.1:{free_ports(3)}"
    forwarder = start_forwarder(address, folder, CONFIG, run=RUN, peers=GRAPH)
    b, honest = (
        Ear(ForwardedTransport(name, GRAPH[name], address, make_codec(name, GRAPH[name]), CONFIG, keys=None))
        for name in ("b", "honest")
    )
    target = {
        "publish": address,
        "subscribe": subscribe_address(address, "b"),
        "observer": subscribe_address(address, OBSERVER),
    }[door]
    heard, herald = _count_heard(b), Herald(b)
    send = send_frames(target, b"PUB", herald) if door == "publish" else ask_for_everything(target)
    try:
        withstand(b, honest, send, lambda: 0, at_least=0, forwarder=forwarder)
        reached_b = rejected(b) + heard[0]
    finally:
        b.transport.close(0.0)
        honest.transport.close(0.0)
        forwarder.close()
    if door == "publish":
        assert forwarder.turned_away() + reached_b == COUNT or (
            # On a machine that is busy with other things, b may read too slowly: that is said, and frames are given up.
            "b does not read" in forwarder.log.read_text() and forwarder.turned_away() + reached_b < COUNT
        )
    else:
        assert forwarder.turned_away() >= COUNT // AT_ONCE  # and hung up


@pytest.mark.processes
@pytest.mark.parametrize("kind", ["mosquitto", "amqtt"])
def test_bad_payloads_on_an_mqtt_edge_are_all_counted_and_its_neighbors_heard(folder, kind):
    if kind == "mosquitto":
        need_mosquitto()
    config = TransportConfig.model_validate({"kind": "mqtt"})
    server = start_mqtt_server(kind, folder, config)
    b, honest = (
        Ear(
            MqttTransport(
                name,
                GRAPH[name],
                server.address,
                make_codec(name, GRAPH[name]),
                config,
                credentials=None,
                largest_bytes=0,
                connect_within_s=LIMIT_S,
                gone_for_s=LIMIT_S,
            )
        )
        for name in ("b", "honest")
    )
    heard = _count_heard(b)
    how_many = COUNT if kind == "mosquitto" else COUNT // 10  # it is ten times slower
    left = threading.Event()

    def count_and_let_leave():
        counted = rejected(b) + heard[0]
        if counted >= how_many:
            left.set()
        return counted

    try:
        withstand(b, honest, publish(server.address, how_many, left), count_and_let_leave, at_least=how_many)
        assert rejected(b) + heard[0] == how_many
    finally:
        left.set()
        b.transport.close(0.0)
        honest.transport.close(0.0)
        server.close()
