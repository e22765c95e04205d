"""ZeroMQ with real sockets: nothing lost in silence, nobody believed without a check, nobody waited for in vain."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import zmq
import zmq.utils.monitor
from broker_toys import LIMIT_S, RUN, Ear, envelope, listen_until, make_codec, noticed, quick_joining, share
from ports import free_port
from zmtp import frame, shake_hands

from broker.config import TransportConfig, ZeroMQConfig
from broker.errors import AddressInUse, FrameRejected, UserError
from broker.participants.joining import Joining
from broker.transports.transport import UNKNOWN
from broker.transports.zeromq.direct import ZeroMQTransport
from broker.transports.zeromq.doorkeeper import Caller
from broker.wire.identity import Identity
from broker.wire.messages import OBSERVER, Envelope, Hello, Share, Stop
from broker.wire.records import EdgeRecord


class Wires:
    """Opens transports of participants that know each other's addresses, and closes all in the end."""

    def __init__(self, folder, scheme="ipc"):
        self._folder, self._scheme, self._addresses, self._open = folder, scheme, {}, []
        self._context, self._intruders = zmq.Context(), []

    def address(self, name):
        if name not in self._addresses:
            self._addresses[name] = (
                f"ipc://{self._folder}/{name}" if self._scheme == "ipc" else f"tcp://127.0.0.1:{free_port()}"
            )
        return self._addresses[name]

    def open(self, name, *peers, addresses=None, max_bytes=16 << 20, **options):
        own = {option: options.pop(option) for option in tuple(options) if option in ZeroMQConfig.model_fields}
        config = TransportConfig(**{"max_message_bytes": max_bytes, "zeromq": own} | options)
        addresses = addresses or {each: self.address(each) for each in (name, *peers)}
        transport = ZeroMQTransport(name, addresses, make_codec(name, peers, max_bytes=max_bytes), config, keys=None)
        self._open.append(transport)
        return Ear(transport)

    def close(self, ear, linger_s=0.0):
        self._open.remove(ear.transport)
        ear.transport.close(linger_s)

    def intruder(self, name):
        """A bare socket at the door of `name`, and a monitor of its connection."""
        socket = self._context.socket(zmq.PUSH)
        socket.setsockopt(zmq.RECONNECT_IVL, -1)
        monitor = socket.get_monitor_socket(zmq.EVENT_CONNECTED | zmq.EVENT_DISCONNECTED)
        socket.connect(self.address(name))
        self._intruders += [socket, monitor]
        return socket, monitor

    def close_all(self):
        while self._open:
            self._open.pop().close(0.0)
        for each in self._intruders:
            each.close(linger=0)
        self._context.term()
        shutil.rmtree(self._folder)


@pytest.fixture
def tcp_wires():
    yield from make_wires("tcp")


def make_wires(scheme):
    wires = Wires(tempfile.mkdtemp(dir="/tmp", prefix="ft-"), scheme)  # short: a socket's path has at most 107 bytes
    yield wires
    wires.close_all()


@pytest.fixture
def wires():
    yield from make_wires("ipc")


@pytest.fixture(params=["ipc", "tcp"])
def both_wires(request):
    yield from make_wires(request.param)


def say(ear, destination, text, sequence=None):
    ear.transport.send(envelope(ear.transport.name, destination, Stop(text), sequence))


def meet(*ears):
    """Say Hello until everybody has heard everybody else; what is heard until then is forgotten."""

    def met():
        for ear in ears:
            for other in ears:
                if ear is not other:
                    hello = Hello(0, wants_reply=False)
                    ear.transport.send(envelope(ear.transport.name, other.transport.name, hello))
        return all(
            {one.source for one in ear.heard} >= {o.transport.name for o in ears if o is not ear} for ear in ears
        )

    listen_until(met, *ears)
    for ear in ears:
        # Whoever is met gets no more Hello; one that is still under way is of no interest to the tests.
        ear.heard.clear()


def test_messages_arrive_both_ways_with_their_source_and_number(both_wires):
    a, b = both_wires.open("a", "b"), both_wires.open("b", "a")
    for number in range(2):
        say(a, "b", f"{number} from a", number)
        say(b, "a", f"{number} from b", number)
    listen_until(lambda: len(a.heard) == len(b.heard) == 2, a, b)
    assert b.heard == [envelope("a", "b", Stop(f"{number} from a"), number) for number in range(2)]
    assert a.heard == [envelope("b", "a", Stop(f"{number} from b"), number) for number in range(2)]
    size = len(make_codec("a", []).encode(b.heard[0]))
    assert a.transport.totals() == [EdgeRecord("a", "b", sent=2, sent_bytes=2 * size)]


def test_a_thousand_messages_of_each_of_two_senders_keep_their_order(both_wires):
    senders = [both_wires.open(name, "ear", queue_messages=2000) for name in ("a", "b")]
    ear = both_wires.open("ear", "a", "b", queue_messages=2000)
    for number in range(1000):
        for sender in senders:
            say(sender, "ear", str(number), number)
    listen_until(lambda: len(ear.heard) == 2000, ear, *senders)
    for name in ("a", "b"):
        assert [one.sequence for one in ear.heard if one.source == name] == list(range(1000))
    assert [sender.transport.traffic["ear"].dropped for sender in senders] == [0, 0]


def test_waiting_again_without_reading_loses_nothing(wires):
    a, b = wires.open("a", "b"), wires.open("b", "a")
    for text in ("one", "two", "three"):
        say(a, "b", text)
    listen_until(lambda: b.texts, b, a)
    listen_until(lambda: len(b.texts) == 3, b, a)
    for text in ("four", "five", "six"):
        say(a, "b", text)
    for _ in range(3):
        b.transport.wait(1.0)
    listen_until(lambda: b.texts[-1] == "six", b, a)
    assert b.texts[3:] == ["four", "five", "six"]


def test_a_message_of_many_megabytes_arrives_whole(both_wires):
    a, b = both_wires.open("a", "b"), both_wires.open("b", "a")
    values = np.arange(1_500_000, dtype=np.float64).reshape(1500, 1000)
    a.transport.send(envelope("a", "b", Share.of(0, 0, {"x": values})))
    listen_until(lambda: b.heard, b, a)
    assert np.array_equal(b.heard[0].message.arrays["x"], values)


def test_a_message_of_exactly_the_limit_arrives_and_a_larger_one_is_refused_at_home(wires):
    overhead = len(make_codec("a", []).encode(envelope("a", "b", Stop("x" * 2000)))) - 2000
    a, b = (wires.open(*names, max_bytes=overhead + 2000) for names in ("ab", "ba"))
    with pytest.raises(FrameRejected, match="max_message_bytes"):
        say(a, "b", "x" * 2001)
    say(a, "b", "x" * 2000)
    listen_until(lambda: b.heard, b, a)
    assert b.texts == ["x" * 2000]
    assert a.transport.traffic["b"].sent == 1


def test_waiting_ends_at_its_time_and_at_once_when_something_comes(wires):
    a, b = wires.open("a", "b"), wires.open("b", "a")
    before = time.monotonic()
    b.transport.wait(0.05)
    assert 0.04 <= time.monotonic() - before < LIMIT_S
    say(a, "b", "first")
    listen_until(lambda: b.heard, a, b)
    say(a, "b", "second")
    b.transport.wait(None)
    b.heard += b.transport.poll(0.0)
    assert b.texts == ["first", "second"]


def test_an_address_in_use_is_told_in_a_sentence():
    for wires in make_wires("tcp"):
        wires.open("a")
        with pytest.raises(AddressInUse, match=r"a cannot listen on .*: the address is in use\. Stop the program"):
            wires.open("a")


def test_a_socket_file_in_use_is_told_in_a_sentence(wires):
    wires.open("a")
    with pytest.raises(AddressInUse, match=r"a cannot listen on .*: the address is in use\. Stop the program"):
        wires.open("a")


def test_a_socket_file_left_behind_by_a_crash_is_no_hindrance(wires):
    Path(wires.address("a").removeprefix("ipc://")).touch()
    b = wires.open("b", "a")
    a = wires.open("a", "b")
    say(b, "a", "hello")
    listen_until(lambda: a.heard, a, b)


BAD_ADDRESSES = {
    "": r"Check transport\.zeromq\.$",
    "nonsense": r"Check transport\.zeromq\.$",
    "tcp://127.0.0.1": r"Check transport\.zeromq\.$",
    "ipc:///no/such/folder/x": "its folder is not on this host",
    "ipc:///tmp/" + "x" * 200: "Set TMPDIR",
    "tcp://192.0.2.1:5670": r"this host has no such address\. Say under `listen` .* or mend transport\.zeromq\.$",
}


@pytest.mark.parametrize("address", BAD_ADDRESSES, ids=lambda address: address[:24])
def test_an_address_that_cannot_be_listened_on_is_told_in_a_sentence(wires, address):
    with pytest.raises(UserError, match=f"a cannot listen on .*{BAD_ADDRESSES[address]}"):
        wires.open("a", addresses={"a": address})


def test_a_name_is_listened_on_where_it_resolves_to(wires):
    port = free_port()
    wires.open("a", addresses={"a": f"tcp://localhost:{port}"})
    socket.create_connection(("localhost", port), timeout=LIMIT_S).close()


def test_a_name_that_does_not_resolve_cannot_be_listened_on(wires):
    with pytest.raises(UserError, match=r"a cannot listen on tcp://no\.such:5670: the name does not resolve here"):
        wires.open("a", addresses={"a": "tcp://no.such:5670"})


def test_a_port_beyond_65535_is_refused(wires):
    with pytest.raises(UserError, match="a cannot listen on"):
        wires.open("a", addresses={"a": "tcp://127.0.0.1:99999"})


def test_hello_to_a_peer_not_yet_there_is_repeated_and_heard_when_it_comes(both_wires):
    def join(ear, peer):
        joining = Joining(ear.transport.name, (peer,), quick_joining(), 0, Identity())
        say_all(ear, joining.start(time.monotonic()))
        return joining

    def say_all(ear, commands):
        for command in commands:
            ear.transport.send(envelope(ear.transport.name, command.destination, command.message))

    def go_on(pairs):
        for ear, joining in pairs:
            while ear.heard:
                one = ear.heard.pop()
                say_all(ear, joining.hear(one.source, one.message))
            if joining.deadline is not None and joining.deadline <= time.monotonic():
                say_all(ear, joining.expire(time.monotonic()))
        return all(joining.complete for _, joining in pairs)

    a = both_wires.open("a", "b")
    first = join(a, "b")
    asked_twice = first.deadline + 0.04
    listen_until(lambda: go_on([(a, first)]) or first.deadline > asked_twice, a)
    assert not first.complete
    b = both_wires.open("b", "a")
    pairs = [(a, first), (b, join(b, "a"))]
    listen_until(lambda: go_on(pairs), a, b)
    assert a.transport.totals() == b.transport.totals() == []


def test_hellos_to_a_peer_not_there_do_not_pile_up(wires):
    a = wires.open("a", "b", queue_messages=1)
    for _ in range(200):
        a.transport.send(envelope("a", "b", Hello(0, wants_reply=True)))
    say(a, "b", "the only one")
    b = wires.open("b", "a")
    listen_until(lambda: b.texts, a, b)
    assert [type(one.message) for one in b.heard] == [Stop]


def test_to_a_peer_not_yet_there_a_bounded_number_waits_and_the_rest_is_counted(wires):
    a = wires.open("a", "b", queue_messages=10)
    for number in range(100):
        say(a, "b", str(number), number)
    assert (a.transport.traffic["b"].sent, a.transport.traffic["b"].dropped) == (10, 90)
    b = wires.open("b", "a")
    listen_until(lambda: len(b.heard) == 10, a, b)
    assert b.texts == [str(number) for number in range(10)]


def test_the_observer_has_a_queue_of_its_own_length(wires):
    a = wires.open("a", OBSERVER, queue_messages=10, observer_queue_messages=500)
    for number in range(400):
        say(a, OBSERVER, str(number))
    assert (a.transport.traffic[OBSERVER].sent, a.transport.traffic[OBSERVER].dropped) == (400, 0)


def test_for_a_slow_reader_a_bounded_part_is_kept_and_every_loss_is_counted(both_wires):
    count, queue, size_bytes = 3000, 8, 50_000
    a = both_wires.open("a", "b", queue_messages=queue)
    b = both_wires.open("b", "a", queue_messages=queue)
    meet(a, b)
    for number in range(count):
        a.transport.send(envelope("a", "b", Stop(f"{number:{size_bytes}}")))
    traffic = a.transport.traffic["b"]
    assert traffic.sent + traffic.dropped == count
    assert traffic.sent >= queue
    assert traffic.sent_bytes < 0.2 * count * size_bytes  # queues of both ends, and the kernel's buffers
    listen_until(lambda: len(b.texts) == traffic.sent, b, a)
    numbers = [int(text) for text in b.texts]
    assert numbers == sorted(set(numbers))
    say(a, "b", "the reader is back")
    listen_until(lambda: b.texts[-1] == "the reader is back", b, a)
    assert traffic.dropped == b.transport.traffic["a"].lost == count - len(numbers)


def test_a_slow_reader_holds_up_nobody_else(wires):
    a = wires.open("a", "slow", "quick", queue_messages=4)
    slow, quick = wires.open("slow", "a", queue_messages=4), wires.open("quick", "a")
    meet(a, slow)
    meet(a, quick)
    for _ in range(500):
        say(a, "slow", "x" * 50_000)
    assert a.transport.traffic["slow"].dropped
    for number in range(100):
        say(a, "quick", str(number))
        listen_until(lambda expected=number + 1: len(quick.texts) == expected, quick, a)


FRAME = make_codec("a", []).encode(envelope("a", "b", Stop("x")))


def frame_of(run=RUN, source="a", destination="b"):
    return make_codec(source, [], run=run).encode(Envelope(run, source, destination, 0, Stop("intruder")))


ATTACKS = {
    "garbage": ([b"\xff" * 100], UNKNOWN),
    "one-byte": ([b"\0"], UNKNOWN),
    "empty-frame": ([b""], UNKNOWN),
    "three-empty-frames": ([b"", b"", b""], UNKNOWN),
    "many-frames": ([b"x"] * 100, UNKNOWN),
    "cut-off": ([FRAME[:-1]], "a"),
    "two-cut-off": ([FRAME[:-1], FRAME[:-2]], "a"),
    "other-run": ([frame_of(run="other")], UNKNOWN),
    "other-source": ([frame_of(source="mallory")], UNKNOWN),
    "other-destination": ([frame_of(destination="c")], UNKNOWN),
    "to-itself": ([frame_of(source="b")], UNKNOWN),
}


@pytest.mark.parametrize(("parts", "blamed"), ATTACKS.values(), ids=ATTACKS.keys())
def test_what_an_intruder_sends_is_counted_with_a_reason_and_honest_messages_arrive(wires, parts, blamed):
    a, b = wires.open("a", "b"), wires.open("b", "a")
    meet(a, b)
    socket, _ = wires.intruder("b")
    for _ in range(3):
        socket.send_multipart(parts)
    frames = 3 * len(parts)  # each is judged by itself
    listen_until(lambda: b.transport.traffic[blamed].rejected == frames, b)
    say(a, "b", "honest")
    listen_until(lambda: b.texts, b, a)
    assert b.texts == ["honest"]
    assert b.transport.totals() == [EdgeRecord(blamed, "b", rejected=frames)]
    events = noticed(b.transport)
    assert len(events) == min(20, frames)
    assert all(event.peer == blamed and event.text for event in events)


def test_a_socket_of_another_type_gets_nothing_in(wires):
    a, b = wires.open("a", "b"), wires.open("b", "a")
    meet(a, b)
    context = zmq.Context()
    stranger = context.socket(zmq.PUB)
    stranger.connect(wires.address("b"))
    stranger.send(FRAME)
    say(a, "b", "honest")
    listen_until(lambda: b.texts, b, a)
    assert b.texts == ["honest"]
    context.destroy(linger=0)


def next_event(monitor):
    assert monitor.poll(LIMIT_S * 1000), "the monitor saw nothing"
    return zmq.utils.monitor.recv_monitor_message(monitor)["event"]


def test_an_oversized_frame_ends_the_intruders_connection_and_nobody_elses(wires):
    a = wires.open("a", "b", max_bytes=100_000)
    b = wires.open("b", "a", max_bytes=100_000)
    meet(a, b)
    socket, monitor = wires.intruder("b")
    assert next_event(monitor) == zmq.EVENT_CONNECTED
    socket.send(b"x" * 5_000_000)
    assert next_event(monitor) == zmq.EVENT_DISCONNECTED
    say(a, "b", "honest")
    listen_until(lambda: b.texts, b, a)
    assert b.texts == ["honest"]


def test_a_flood_of_garbage_leaves_honest_messages_their_way(wires):
    a, b = wires.open("a", "b"), wires.open("b", "a")
    meet(a, b)
    socket, _ = wires.intruder("b")
    sent = 0
    while not b.texts:
        for _ in range(50):
            if socket.poll(0, zmq.POLLOUT):
                socket.send(b"garbage", zmq.NOBLOCK)
                sent += 1
        if sent == 50:
            say(a, "b", "honest")
        assert sent < 100_000
        b.listen()
    assert b.texts == ["honest"]
    assert len(noticed(b.transport)) == min(20, b.transport.traffic[UNKNOWN].rejected)


def test_garbage_that_never_ends_does_not_keep_a_wait_from_ending(wires):
    b = wires.open("b", "a")
    socket, _ = wires.intruder("b")
    over = threading.Event()

    def pester():
        end = time.monotonic() + LIMIT_S
        while not over.is_set() and time.monotonic() < end:
            if socket.poll(10, zmq.POLLOUT):
                socket.send(b"garbage", zmq.NOBLOCK)
            over.wait(0.02)

    pest = threading.Thread(target=pester)
    pest.start()
    while pest.is_alive() and not b.transport.traffic[UNKNOWN].rejected:
        b.transport.wait(0.2)
    b.transport.wait(0.2)
    ended_before_the_garbage = pest.is_alive()
    over.set()
    pest.join()
    assert ended_before_the_garbage


def test_a_peer_that_comes_back_on_the_same_address_is_reached_again(both_wires):
    a, b = both_wires.open("a", "b"), both_wires.open("b", "a")
    meet(a, b)
    for life in range(2):
        both_wires.close(b)
        b = both_wires.open("b", "a")
        meet(a, b)
        say(a, "b", f"life {life}")
        say(b, "a", f"life {life}")
        listen_until(lambda texts=[f"life {life}"], b=b: a.texts == b.texts == texts, a, b)


def test_closing_with_linger_delivers_what_is_under_way(both_wires):
    a, b = both_wires.open("a", "b"), both_wires.open("b", "a")
    meet(a, b)
    for number in range(20):
        a.transport.send(envelope("a", "b", share(number, np.zeros(100_000))))
    closing = threading.Thread(target=both_wires.close, args=(a, LIMIT_S))
    closing.start()
    shares = lambda: [one.message.round for one in b.heard if isinstance(one.message, Share)]  # noqa: E731
    listen_until(lambda: len(shares()) == 20, b)
    closing.join(LIMIT_S)
    assert not closing.is_alive()
    assert shares() == list(range(20))


def test_closing_with_linger_delivers_also_what_the_peer_had_refused_so_far(tcp_wires):
    wires = tcp_wires  # over ipc libzmq itself may lose the last frame to a slow reader when it closes
    a, b = (wires.open(*pair, queue_messages=4) for pair in ("ab", "ba"))
    meet(a, b)
    traffic = a.transport.traffic["b"]
    while traffic.dropped < 30:  # the socket takes no more, and the queue behind it is full
        say(a, "b", f"{traffic.sent:50000}")
        a.transport.wait(0.005)
    sent = traffic.sent
    closing = threading.Thread(target=wires.close, args=(a, LIMIT_S))
    closing.start()
    try:
        listen_until(lambda: len(b.texts) == sent, b)
    finally:
        closing.join(LIMIT_S)


def test_closing_with_linger_delivers_to_a_peer_that_comes_only_then(wires):
    a = wires.open("a", "b")
    say(a, "b", "last words")
    closing = threading.Thread(target=wires.close, args=(a, LIMIT_S))
    closing.start()
    try:
        b = wires.open("b", "a")
        listen_until(lambda: b.texts, b)
    finally:
        closing.join(LIMIT_S)


@pytest.mark.parametrize("peer_is_there", [True, False])
def test_closing_without_linger_returns_at_once_even_with_unsent_messages(wires, peer_is_there):
    a = wires.open("a", "b", queue_messages=8)
    if peer_is_there:
        meet(a, wires.open("b", "a", queue_messages=8))
    for _ in range(200):
        say(a, "b", "x" * 50_000)
    before = time.monotonic()
    wires.close(a, 0.0)
    assert time.monotonic() - before < LIMIT_S


def test_closing_with_linger_ends_at_the_limit_when_the_peer_never_reads(wires):
    a, b = wires.open("a", "b", queue_messages=8), wires.open("b", "a", queue_messages=8)
    meet(a, b)
    for _ in range(200):
        say(a, "b", "x" * 50_000)
    before = time.monotonic()
    wires.close(a, 0.2)
    assert time.monotonic() - before < LIMIT_S


def tcp_connections(port):
    """Both ends of the connections to a port of this host, as sockets of this process."""
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            number = os.dup(int(link.name))
            with socket.socket(fileno=number) as found:
                if found.family == socket.AF_INET and port in {found.getsockname()[1], found.getpeername()[1]}:
                    yield found


@pytest.mark.parametrize("interval_s", [0, 2])
def test_a_peer_s_host_that_is_gone_is_noticed_by_both_ends(tcp_wires, interval_s):
    a, b = (tcp_wires.open(*names, keepalive_interval_s=interval_s, keepalive_timeout_s=7) for names in ("ab", "ba"))
    meet(a, b)
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE)]
    options += [(socket.IPPROTO_TCP, getattr(socket, f"TCP_{name}")) for name in ("KEEPIDLE", "KEEPINTVL", "KEEPCNT")]
    options += [(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)]
    port = int(tcp_wires.address("b").rpartition(":")[2])
    found = [[end.getsockopt(*option) for option in options] for end in tcp_connections(port)]
    assert len(found) == 2
    if interval_s:
        assert found == [[1, 2, 2, 4, 7000]] * 2
    else:
        assert [end[0] for end in found] == [0, 0]


def test_the_longest_limits_let_connections_be_made(tcp_wires):
    a, b = (tcp_wires.open(*names, keepalive_interval_s=1, keepalive_timeout_s=600) for names in ("ab", "ba"))
    say(a, "b", "hello")
    listen_until(lambda: b.texts, a, b)


def test_who_fills_the_queue_of_a_busy_reader_and_dies_does_not_end_it(both_wires):
    b = both_wires.open("b", "a", queue_messages=5)
    with shake_hands(both_wires.address("b"), b"PUSH") as wire:
        wire.settimeout(0.2)
        with suppress(TimeoutError):
            for number in range(500):
                wire.sendall(frame(make_codec("a", []).encode(envelope("a", "b", Stop("x" * 1000), number))))
    time.sleep(0.7)  # longer than ZeroMQ's pings would be apart, which end the process here
    listen_until(lambda: len(b.texts) >= 5, b)


def test_while_many_are_only_coming_it_is_asked_of_each_alone_whether_it_refuses(wires, monkeypatch):
    """To look at all of them for each HELLO that cannot leave would square with their number."""
    peers = tuple(f"agent-{number}" for number in range(12))
    ear, looked = wires.open("environment", *peers), []
    look = Caller.look
    monkeypatch.setattr(Caller, "look", lambda caller: (looked.append(caller.peer), look(caller))[1])
    ear.transport.send_all([envelope("environment", peer, Hello(0, wants_reply=True)) for peer in peers])
    assert looked == list(peers)
