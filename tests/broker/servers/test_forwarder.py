"""A forwarder with real sockets and processes: each edge for itself, losses counted, deaths survived."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
import zmq
from broker_toys import LIMIT_S, RUN, Ear, envelope, listen_until, make_codec
from ports import free_ports
from zmtp import frame, shake_hands

from broker.config import TransportConfig
from broker.errors import UserError
from broker.run_name import every_run
from broker.servers.forwarder import start_forwarder
from broker.transports.zeromq.forwarded import SUBSCRIBED, ForwardedTransport, subscribe_address
from broker.wire.known_edges import edge_prefix
from broker.wire.messages import Envelope, Stop

pytestmark = pytest.mark.processes

GRAPH = {"a": ("b", "c"), "b": ("a", "c"), "c": ("a", "b")}


class Hall:
    """A forwarder, and participants around it; closes all in the end."""

    def __init__(self, scheme, **options):
        self.folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="ft-"))  # short: a socket's path has at most 107 bytes
        self.address = f"ipc://{self.folder}/f" if scheme == "ipc" else f"tcp://127.0.0.1:{free_ports(3)}"
        self.config = TransportConfig(**options)
        self.forwarder = None
        self._open = []

    def start(self, run=RUN, peers=GRAPH):
        self.forwarder = start_forwarder(self.address, self.folder, self.config, run=run, peers=peers)

    def open(self, name, *peers, run=RUN, **options):
        config = self.config.model_copy(update=options)
        transport = ForwardedTransport(name, peers, self.address, make_codec(name, peers, run), config, keys=None)
        self._open.append(transport)
        return Ear(transport)

    def close(self, ear, linger_s=0.0):
        self._open.remove(ear.transport)
        ear.transport.close(linger_s)

    def close_all(self):
        while self._open:
            self._open.pop().close(0.0)
        if self.forwarder is not None:
            self.forwarder.close()
        shutil.rmtree(self.folder)


def make_hall(scheme, **options):
    hall = Hall(scheme, **options)
    hall.start()
    yield hall
    hall.close_all()


@pytest.fixture
def hall():
    yield from make_hall("ipc")


@pytest.fixture
def narrow_hall():
    yield from make_hall("ipc", queue_messages=5)


@pytest.fixture(params=["ipc", "tcp"])
def both_halls(request):
    yield from make_hall(request.param)


def say(ear, destination, text, sequence=None):
    ear.transport.send(envelope(ear.transport.name, destination, Stop(text), sequence))


@pytest.fixture
def hall_of_every_run():
    hall = Hall("ipc")
    hall.start(every_run("toy"))
    yield hall
    hall.close_all()


def test_messages_arrive_on_their_edge_and_nowhere_else(both_halls):
    a, b, c = (both_halls.open(name, *peers) for name, peers in GRAPH.items())
    say(a, "b", "a to b")
    say(b, "a", "b to a")
    say(a, "c", "a to c")
    listen_until(lambda: a.heard and b.heard and c.heard, a, b, c)
    assert (a.texts, b.texts, c.texts) == (["b to a"], ["a to b"], ["a to c"])
    assert all(ear.transport.traffic[UNHEARD].rejected == 0 for ear in (a, b, c) for UNHEARD in GRAPH)


def test_a_message_sent_before_its_receiver_exists_arrives_when_it_subscribes(hall):
    a = hall.open("a", "b")
    say(a, "b", "early")
    b = hall.open("b", "a")
    listen_until(lambda: b.texts, a, b)
    assert b.texts == ["early"]


def test_who_comes_last_and_who_has_many_peers_hear_and_are_heard_however_short_queues_are():
    """Subscriptions wait in queues, too, and ZeroMQ drops those that find no room in one, without a word."""
    spokes = [f"s{number:02}" for number in range(30)]
    hall = Hall("ipc", queue_messages=3)
    try:
        hall.start(peers={"hub": spokes} | dict.fromkeys(spokes, ("hub",)))
        ears = [hall.open("hub", *spokes)]
        for spoke in spokes:
            ears.append(hall.open(spoke, "hub"))
            say(ears[-1], "hub", spoke)
            say(ears[0], spoke, "welcome")
        listen_until(lambda: len(ears[0].texts) == len(spokes) and all(ear.texts for ear in ears), *ears)
        assert sorted(ears[0].texts) == spokes
    finally:
        hall.close_all()


def test_a_reader_that_stops_holds_nobody_up_and_goes_on_when_it_reads_again(narrow_hall):
    a, b, c = (narrow_hall.open(name, *peers) for name, peers in GRAPH.items())
    say(a, "b", "first")
    listen_until(lambda: b.texts, a, b)

    def b_is_given_up():
        say(a, "b", "x" * 100_000)
        say(a, "c", "meanwhile")
        return "b does not read" in narrow_hall.forwarder.log.read_text()

    listen_until(b_is_given_up, a, c)
    for _ in range(20):
        say(a, "b", "x" * 100_000)
        heard = len(c.texts)
        say(a, "c", "and on")
        listen_until(lambda heard=heard: len(c.texts) > heard, c, a)
    listen_until(lambda: len(c.texts) == a.transport.traffic["c"].sent, a, c)

    def b_hears_again():
        say(a, "b", "again")
        return b.texts[-1] == "again"

    listen_until(b_hears_again, a, b)
    say(a, "b", "last")
    listen_until(lambda: b.texts[-1] == "last", a, b)
    given, missed = a.transport.traffic["b"], b.transport.traffic["a"].lost
    assert len(b.texts) + missed == given.sent + given.dropped
    assert missed > given.dropped


def test_a_stranger_that_listens_and_never_reads_takes_nothing_from_the_true_reader(narrow_hall):
    a, b, c = narrow_hall.open("a", "b"), narrow_hall.open("b", "a", "c"), narrow_hall.open("c", "b")
    say(a, "b", "first")
    say(c, "b", "first")
    listen_until(lambda: len(b.texts) == 2, a, b, c)
    with shake_hands(subscribe_address(narrow_hall.address, "b"), b"SUB") as wire:
        wire.settimeout(LIMIT_S)
        wire.sendall(frame(SUBSCRIBED + make_codec("a", []).prefix("a", "b")))
        for number in range(100):
            say(a, "b", f"{number}".ljust(100_000))
            say(c, "b", str(number))
            listen_until(lambda number=number: len(b.texts) == 2 * (number + 2), b)
    assert narrow_hall.forwarder.log.read_text().count("b does not read") == 1  # and is waited for no more


def test_a_forwarder_that_dies_while_a_reader_is_busy_and_its_queue_full_is_found_again(narrow_hall):
    a, b = narrow_hall.open("a", "b"), narrow_hall.open("b", "a")
    say(a, "b", "first")
    listen_until(lambda: b.texts, a, b)

    def b_is_given_up():
        say(a, "b", "x" * 100_000)
        return "b does not read" in narrow_hall.forwarder.log.read_text()

    listen_until(b_is_given_up, a)
    narrow_hall.forwarder.close()
    narrow_hall.start()

    def b_hears_again():
        say(a, "b", "again")
        return b.texts[-1] == "again"

    listen_until(b_hears_again, a, b)


def test_an_address_in_use_is_told_in_a_sentence(both_halls):
    with pytest.raises(UserError, match=r"forwarder cannot listen on .*: the address is in use.*zeromq\.forwarder"):
        start_forwarder(both_halls.address, both_halls.folder / "second", both_halls.config, run=RUN, peers=GRAPH)


def test_runs_at_one_forwarder_hear_nothing_of_each_other(hall_of_every_run):
    names = ("toy-aaaaaaaa", "toy-bbbbbbbb")
    ears = {
        run: (hall_of_every_run.open("a", "b", run=run), hall_of_every_run.open("b", "a", run=run)) for run in names
    }
    for run, (a, _) in ears.items():
        for number in range(20):
            a.transport.send(Envelope(run, "a", "b", number, Stop(f"{run} {number}")))
    everybody = [ear for pair in ears.values() for ear in pair]
    listen_until(lambda: all(len(b.texts) >= 20 for _, b in ears.values()), *everybody)
    for run, (_, b) in ears.items():
        assert b.texts == [f"{run} {number}" for number in range(20)]
        assert not any(traffic.rejected for traffic in b.transport.traffic.values())
    assert hall_of_every_run.forwarder.turned_away() == 0


def test_a_stranger_that_asks_for_many_runs_takes_no_place_for_ever(hall_of_every_run):
    hall = hall_of_every_run
    context = zmq.Context()
    spies = [context.socket(zmq.SUB) for _ in range(2)]
    for number in range(120):
        spies[number % 2].subscribe(edge_prefix(f"toy-{number:08}", "a", "b"))
    for spy in spies:
        spy.connect(subscribe_address(hall.address, "b"))
    listen_until(lambda: "beyond the 64 that are served at once" in hall.forwarder.log.read_text())
    context.destroy(linger=0)
    a, b = hall.open("a", "b", run="toy-aaaaaaaa"), hall.open("b", "a", run="toy-aaaaaaaa")
    a.transport.send(Envelope("toy-aaaaaaaa", "a", "b", 0, Stop("heard")))
    listen_until(lambda: b.texts == ["heard"], a, b)
