"""MQTT with a real broker: connections mend themselves, nobody is believed without a check, losses are counted."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from broker_toys import LIMIT_S, RUN, Ear, envelope, listen_until, make_codec, noticed, share
from ports import free_port

from broker.config import TransportConfig
from broker.errors import FrameRejected, UserError
from broker.security.mqtt_access import MqttCredentials
from broker.transports.mqtt.transport import MqttTransport
from broker.transports.transport import UNKNOWN
from broker.wire.messages import OBSERVER, Hello, Metrics, Share, Stop, topic
from broker.wire.records import EdgeRecord, EventKind, EventRecord, pack, unpack

pytestmark = pytest.mark.processes

if shutil.which("mosquitto") is None and os.environ.get("CI") != "true":
    pytest.skip("mosquitto is not installed", allow_module_level=True)


class Mosquitto:
    """A broker on a free port of this host."""

    def __init__(self, *settings):
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="ft-"))
        self._folder.chmod(0o755)
        lines = [f"listener {self.port} 127.0.0.1", "set_tcp_nodelay true", "log_type none", *settings]
        if not any(line.startswith("allow_anonymous") for line in settings):
            lines.append("allow_anonymous true")
        (self._folder / "mosquitto.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.start()

    @property
    def address(self):
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self):
        self.process = subprocess.Popen(["mosquitto", "-c", self._folder / "mosquitto.conf"])
        end = time.monotonic() + LIMIT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                assert time.monotonic() < end, "mosquitto does not listen"
                time.sleep(0.01)
            else:
                return

    def kill(self):
        self.process.kill()
        self.process.wait()

    def remove(self):
        self.process.send_signal(signal.SIGCONT)
        self.kill()
        shutil.rmtree(self._folder)


@pytest.fixture(scope="module")
def shared_broker():
    broker = Mosquitto()
    yield broker
    broker.remove()


@pytest.fixture
def own_broker():
    broker = Mosquitto()
    yield broker
    broker.remove()


@pytest.fixture
def opened():
    transports = []
    yield transports
    while transports:
        transports.pop().close(0.0)


@pytest.fixture
def open_at(opened):
    def open_(
        broker,
        name,
        *peers,
        max_bytes=16 << 20,
        credentials=None,
        within_s=LIMIT_S,
        gone_for_s=LIMIT_S,
        largest=0,
        **options,
    ):
        mqtt = {option: options.pop(option) for option in tuple(options) if "queue" not in option}
        config = TransportConfig(max_message_bytes=max_bytes, mqtt={"reconnect_s": 0.02} | mqtt, **options)
        codec = make_codec(name, peers, max_bytes=max_bytes)
        address = broker if isinstance(broker, str) else broker.address
        transport = MqttTransport(
            *(name, peers, address, codec, config),
            credentials=credentials,
            largest_bytes=largest,
            connect_within_s=within_s,
            gone_for_s=gone_for_s,
        )
        opened.append(transport)
        return Ear(transport)

    return open_


@pytest.fixture
def open_(open_at, shared_broker):
    return lambda *names, **options: open_at(shared_broker, *names, **options)


def say(ear, destination, text, sequence=None):
    ear.transport.send(envelope(ear.transport.name, destination, Stop(text), sequence))


def publish(broker, edge, payload):
    arguments = ["-h", "127.0.0.1", "-p", str(broker.port), "-t", topic(RUN, *edge), *(["-s"] if payload else ["-n"])]
    subprocess.run(["mosquitto_pub", *arguments], input=payload, check=True, timeout=LIMIT_S)


WAYS = [{"protocol": "5"}, {"protocol": "3.1.1"}, {"qos": 1}, {"qos": 1, "protocol": "3.1.1"}]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_messages_arrive_both_ways_with_their_source_and_number(open_, way):
    a, b = open_("a", "b", **way), open_("b", "a", **way)
    say(a, "b", "from a", 7)
    say(b, "a", "from b", 8)
    b.transport.send(envelope("b", "a", share(), 9))
    listen_until(lambda: len(a.heard) == 2 and b.heard, a, b)
    assert b.heard == [envelope("a", "b", Stop("from a"), 7)]
    assert a.heard[0] == envelope("b", "a", Stop("from b"), 8)
    assert np.array_equal(a.heard[1].message.arrays["x"], [1.0])
    size = len(make_codec("a", []).encode(b.heard[0]))
    assert a.transport.traffic["b"].sent == 1
    assert a.transport.traffic["b"].sent_bytes == size
    assert not noticed(a.transport)


@pytest.mark.parametrize("qos", [0, 1])
def test_many_messages_keep_their_order(open_, qos):
    a, b = (open_(*names, qos=qos, queue_messages=1000) for names in ("ab", "ba"))
    for number in range(500):
        say(a, "b", str(number))
    listen_until(lambda: len(b.texts) == 500, b, a)
    assert b.texts == [str(number) for number in range(500)]
    assert not b.transport.traffic["a"].rejected


def test_messages_handed_over_together_arrive_each_at_its_own_place(open_):
    a, b, c = open_("a", "b", "c"), open_("b", "a"), open_("c", "a")
    texts = {peer: [f"{number} for {peer}".ljust(20_000) for number in range(20)] for peer in "bc"}
    a.transport.send_all(
        [
            envelope("a", peer, Stop(text))
            for both in zip(*texts.values(), strict=True)
            for peer, text in zip("bc", both, strict=True)
        ]
    )
    listen_until(lambda: len(b.texts) == len(c.texts) == 20, a, b, c)
    assert {"b": b.texts, "c": c.texts} == texts
    assert [a.transport.traffic[peer].sent for peer in "bc"] == [20, 20]


def test_a_message_of_many_megabytes_arrives_whole(open_):
    a, b = open_("a", "b"), open_("b", "a")
    values = np.arange(1_000_000, dtype=np.float64)
    a.transport.send(envelope("a", "b", Share.of(0, 0, {"x": values})))
    listen_until(lambda: b.heard, a, b)
    assert np.array_equal(b.heard[0].message.arrays["x"], values)


def test_only_own_in_edges_are_heard(open_):
    a, b, c = open_("a", "b", "c"), open_("b", "a"), open_("c", "a")
    say(a, "c", "for c")
    say(a, "b", "for b")
    listen_until(lambda: b.heard and c.heard, a, b, c)
    assert (b.texts, c.texts) == (["for b"], ["for c"])
    assert not b.transport.traffic["a"].rejected


def test_a_message_that_is_too_large_is_refused_at_home(open_):
    a = open_("a", "b", max_bytes=2000)
    with pytest.raises(FrameRejected, match="max_message_bytes"):
        say(a, "b", "x" * 2001)
    assert not a.transport.totals()


def test_waiting_ends_at_its_time_and_at_once_when_something_comes(open_):
    a, b = open_("a", "b"), open_("b", "a")
    before = time.monotonic()
    b.transport.wait(0.05)
    assert 0.04 <= time.monotonic() - before < LIMIT_S
    say(a, "b", "now")
    b.transport.wait(None)
    assert [one.message for one in b.transport.poll(0.0)] == [Stop("now")]


def test_records_reach_the_observer(open_):
    a, observer = open_("a", OBSERVER), open_(OBSERVER, "a")
    event = EventRecord("a", EventKind.NOTE, "", "a sentence")
    a.transport.send(envelope("a", OBSERVER, Metrics(pack([event]))))
    listen_until(lambda: observer.heard, a, observer)
    assert unpack(observer.heard[0].message.records) == [event]


@pytest.mark.parametrize("qos", [0, 1])
def test_a_broker_that_starts_anew_is_found_again_and_losses_are_counted(own_broker, open_at, qos):
    a, b = (open_at(own_broker, *names, qos=qos, queue_messages=4) for names in ("ab", "ba"))
    say(a, "b", "before")
    listen_until(lambda: b.texts, a, b)
    own_broker.kill()
    kinds = {"a": [], "b": []}

    def note():
        for ear in (a, b):
            kinds[ear.transport.name] += [event.kind for event in noticed(ear.transport)]
        return kinds

    listen_until(lambda: all("disconnected" in each for each in note().values()), a, b)
    for number in range(10):
        say(a, "b", f"meanwhile {number}")
    a.transport.send(envelope("a", "b", Hello(0, wants_reply=True)))
    traffic = a.transport.traffic["b"]
    assert (traffic.sent, traffic.dropped) == (5, 6)
    own_broker.start()
    listen_until(lambda: all("reconnected" in each for each in note().values()), b, a)
    say(a, "b", "after")
    listen_until(lambda: "after" in b.texts, a, b)
    assert b.transport.traffic["a"].lost + len(b.texts) == 12
    say(b, "a", "and back")
    listen_until(lambda: a.texts, a, b)


def cut(*ears):
    for ear in ears:
        ear.transport._client._client.socket().shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("kept", [True, False], ids=["cut", "started anew"])
def test_messages_under_way_both_ways_survive_connections_that_end_again_and_again(own_broker, open_at, protocol, kept):
    options = {"qos": 1, "protocol": protocol, "queue_messages": 1000, "reconnect_s": 0.01}
    a, b = open_at(own_broker, "a", "b", **options), open_at(own_broker, "b", "a", **options)
    for life in range(4):
        for number in range(40):
            say(a, "b", f"{life}-{number}")
            say(b, "a", f"{life}-{number}")
        if kept:
            cut(a, b)
        else:
            own_broker.kill()
            own_broker.start()
        for ear, other in ((a, b), (b, a)):
            while f"{life} is over" not in ear.texts:  # a session that is lost loses messages, too
                say(other, ear.transport.name, f"{life} is over")
                for each in (a, b):
                    each.listen()
    for ear in (a, b):
        said = [text for text in ear.texts if "is over" not in text]
        assert sorted(set(said), key=lambda text: [int(part) for part in text.split("-")]) == said
        if kept and protocol == "5":  # with 3.1.1 a session is clean each time: what is said meanwhile reaches nobody
            assert len(said) == 4 * 40


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_broker_that_takes_only_small_packets_is_refused_or_said_to_end_connections(open_at, protocol):
    broker = Mosquitto("max_packet_size 2000")
    try:
        if protocol == "5":
            with pytest.raises(UserError, match=r"takes packets of up to 2000 bytes, and this run needs 16\d\d\d"):
                open_at(broker, "a", "b")
            return
        a = open_at(broker, "a", "b", qos=1, protocol=protocol)
        say(a, "b", "x" * 5000)
        events = []

        def is_told():
            events.extend(noticed(a.transport))
            return any(event.kind is EventKind.CONTESTED for event in events)

        listen_until(is_told, a)
        assert "does it refuse what is larger than some limit? This run needs 16" in events[-1].text + events[-2].text
    finally:
        broker.remove()


def test_a_peer_that_comes_back_is_reached_again(open_, opened):
    a, b = open_("a", "b"), open_("b", "a")
    for life in range(2):
        say(a, "b", f"life {life}")
        listen_until(lambda b=b: b.texts, a, b)
        opened.remove(b.transport)
        b.transport.close(0.0)
        b = open_("b", "a")


FRAME = make_codec("a", []).encode(envelope("a", "b", Stop("x")))
ATTACKS = {"garbage": (b"\xff" * 100, UNKNOWN), "empty": (b"", UNKNOWN), "cut-off": (FRAME[:-1], "a")}


@pytest.mark.parametrize(("payload", "blamed"), ATTACKS.values(), ids=ATTACKS.keys())
def test_what_a_stranger_publishes_is_counted_with_a_reason(shared_broker, open_, payload, blamed):
    a, b = open_("a", "b"), open_("b", "a")
    publish(shared_broker, ("a", "b"), payload)
    listen_until(lambda: b.transport.traffic[blamed].rejected, b)
    say(a, "b", "honest")
    listen_until(lambda: b.texts, a, b)
    assert b.texts == ["honest"]
    assert b.transport.totals() == [EdgeRecord(blamed, "b", rejected=1)]
    assert all(event.kind is EventKind.REJECTED and event.text for event in noticed(b.transport))


def test_a_broker_that_is_not_there_is_told_in_a_sentence(open_at):
    address = f"mqtt://127.0.0.1:{free_port()}"
    with pytest.raises(UserError, match=r"a cannot reach an MQTT broker at mqtt://.*refused.*Does it run"):
        open_at(address, "a", "b", within_s=0.2)


def test_a_host_that_does_not_exist_is_told_in_a_sentence(open_at):
    with pytest.raises(UserError, match=r"a cannot (use|reach) .*no-such-host\.invalid"):
        open_at("mqtt://no-such-host.invalid:1883", "a", "b", within_s=2.0)


@pytest.mark.parametrize("protocol", ["auto", "5", "3.1.1"])
def test_a_broker_that_refuses_is_told_in_a_sentence(open_at, protocol):
    broker = Mosquitto("allow_anonymous false")
    try:
        with pytest.raises(UserError, match=r"a cannot use the MQTT broker at .*: Not authorized\. Check the keys"):
            open_at(broker, "a", "b", credentials=MqttCredentials("a", "wrong", None), protocol=protocol)
    finally:
        broker.remove()


def test_an_unreachable_broker_is_tried_until_it_comes(own_broker, open_at):
    own_broker.kill()
    coming = threading.Timer(0.3, own_broker.start)
    coming.start()
    a = open_at(own_broker, "a", "b")
    coming.join()
    assert not a.transport.totals()


def test_the_observer_hears_the_will_of_who_is_gone_whatever_it_said_before(own_broker, open_at):
    observer = open_at(own_broker, OBSERVER, "a")
    a = open_at(own_broker, "a", OBSERVER, will_delay_s=0)
    for number in range(3):
        a.transport.send(envelope("a", OBSERVER, Metrics(pack([EventRecord("a", EventKind.NOTE, "", str(number))]))))
    listen_until(lambda: len(observer.heard) == 3, a, observer)
    a.transport._client._client.socket().shutdown(socket.SHUT_RDWR)
    listen_until(lambda: len(observer.heard) == 4, observer)
    (event,) = unpack(observer.heard[3].message.records)
    assert (event.participant, event.kind) == ("a", EventKind.CONNECTION_LOST)
    a.transport.send(envelope("a", OBSERVER, Metrics(pack([]))))
    listen_until(lambda: len(observer.heard) == 5, a, observer)
    assert not observer.transport.totals()


def test_who_says_goodbye_leaves_no_will(own_broker, open_at, opened):
    observer = open_at(own_broker, OBSERVER, "a", "b")
    a = open_at(own_broker, "a", OBSERVER, will_delay_s=0)
    b = open_at(own_broker, "b", OBSERVER)
    opened.remove(a.transport)
    a.transport.close(0.0)
    b.transport.send(envelope("b", OBSERVER, Metrics(pack([]))))
    listen_until(lambda: observer.heard, b, observer)
    assert [one.source for one in observer.heard] == ["b"]


@pytest.mark.parametrize("qos", [0, 1])
def test_a_broker_that_stalls_bounds_what_waits_and_every_loss_is_counted(own_broker, open_at, qos):
    a, b = (open_at(own_broker, *names, qos=qos, queue_messages=8) for names in ("ab", "ba"))
    own_broker.process.send_signal(signal.SIGSTOP)
    before = time.monotonic()
    for number in range(400):
        say(a, "b", f"{number:100000}")
    assert time.monotonic() - before < LIMIT_S
    traffic = a.transport.traffic["b"]
    assert traffic.sent + traffic.dropped == 400
    assert traffic.sent < 200
    own_broker.process.send_signal(signal.SIGCONT)
    listen_until(lambda: len(b.texts) == traffic.sent, a, b)
    say(a, "b", "last")
    listen_until(lambda: b.texts[-1] == "last", a, b)
    assert b.transport.traffic["a"].lost == traffic.dropped


@pytest.mark.parametrize("qos", [0, 1])
def test_closing_with_linger_sends_what_waits(open_, opened, qos):
    a, b = (open_(*names, qos=qos, queue_messages=100) for names in ("ab", "ba"))
    for number in range(100):
        say(a, "b", str(number))
    opened.remove(a.transport)
    a.transport.close(LIMIT_S)
    assert a.transport.traffic["b"].dropped == 0
    listen_until(lambda: len(b.texts) == 100, b)


def test_closing_counts_what_the_broker_did_not_take_of_what_was_written_together(own_broker, open_at, opened):
    a, b = (open_at(own_broker, *names, queue_messages=8) for names in ("ab", "ba"))
    own_broker.process.send_signal(signal.SIGSTOP)
    while not a.transport.traffic["b"].dropped:
        a.transport.send_all([envelope("a", "b", Stop("x" * 1000)) for _ in range(30)])
    opened.remove(a.transport)
    a.transport.close(0.1)
    sent = a.transport.traffic["b"].sent
    own_broker.process.send_signal(signal.SIGCONT)
    listen_until(lambda: len(b.texts) >= sent, b)
    for _ in range(5):
        b.listen()
    assert len(b.texts) == sent


def test_closing_with_linger_writes_to_the_end_what_was_written_together(own_broker, open_at, opened):
    a, b = (open_at(own_broker, *names, queue_messages=8) for names in ("ab", "ba"))
    own_broker.process.send_signal(signal.SIGSTOP)
    while not a.transport.traffic["b"].dropped:
        a.transport.send_all([envelope("a", "b", Stop("x" * 1000)) for _ in range(30)])
    waking = threading.Timer(0.2, own_broker.process.send_signal, (signal.SIGCONT,))
    waking.start()
    before = a.transport.traffic["b"].sent
    opened.remove(a.transport)
    a.transport.close(LIMIT_S)
    waking.join()
    assert a.transport.traffic["b"].sent == before
    listen_until(lambda: len(b.texts) == before, b)


def test_closing_leaves_nothing_undone_even_where_the_broker_says_nothing(own_broker, open_at, opened, monkeypatch):
    loop = asyncio.new_event_loop()
    monkeypatch.setattr(asyncio, "new_event_loop", lambda: loop)
    a = open_at(own_broker, "a", "b")
    own_broker.process.send_signal(signal.SIGSTOP)
    opened.remove(a.transport)
    a.transport.close(0.0)
    assert not [task for task in asyncio.all_tasks(loop) if not task.done()]


def test_closing_ends_at_its_time_and_counts_what_is_left(own_broker, open_at, opened):
    others = set(threading.enumerate())
    a = open_at(own_broker, "a", "b", qos=1, queue_messages=100)
    own_broker.process.send_signal(signal.SIGSTOP)
    for number in range(50):
        say(a, "b", str(number))
    opened.remove(a.transport)
    before = time.monotonic()
    a.transport.close(0.2)
    assert time.monotonic() - before < LIMIT_S
    assert (a.transport.traffic["b"].sent, a.transport.traffic["b"].dropped) == (0, 50)
    assert not set(threading.enumerate()) - others


OLD_BROKER = """
import asyncio, sys
from amqtt.broker import Broker
async def serve():
    listener = {"type": "tcp", "bind": f"127.0.0.1:{sys.argv[1]}"}
    plugins = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    await Broker({"listeners": {"default": listener}, "plugins": plugins}).start()
    await asyncio.Event().wait()
asyncio.run(serve())
"""


def test_a_broker_that_knows_no_version_5_is_used_all_the_same(open_at, opened):
    pytest.importorskip("amqtt")
    port = free_port()
    with subprocess.Popen([sys.executable, "-c", OLD_BROKER, str(port)], stderr=subprocess.DEVNULL) as process:
        try:
            a, b = (open_at(f"mqtt://127.0.0.1:{port}", *names) for names in ("ab", "ba"))
            say(a, "b", "hello")
            listen_until(lambda: b.texts, a, b)
            while opened:
                opened.pop().close(0.0)
        finally:
            process.kill()


def test_two_of_one_name_are_told_of_each_other(open_):
    first, second = open_("a", "b"), open_("a", "b")
    events = []

    def contested():
        events.extend(noticed(first.transport) + noticed(second.transport))
        return any(event.kind is EventKind.CONTESTED and "is a running twice?" in event.text for event in events)

    listen_until(contested, first, second)


class Interruption(SystemExit):
    pass


def test_a_signal_passes_through_waiting_and_closing_works_after_it(open_):
    def interrupt(_signal, _frame):
        raise Interruption

    a = open_("a", "b")
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(Interruption):
            a.transport.wait(LIMIT_S)
    finally:
        signal.signal(signal.SIGALRM, before)
