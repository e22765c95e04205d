"""A forwarder with keys: it lets in whom it knows, and each speaks and hears on its own edges alone."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
import zmq
from broker_toys import RUN, Ear, envelope, listen_until, make_codec
from strangers import greeting, stranger

from broker.config import TransportConfig
from broker.errors import UserError
from broker.security.curve import make_curve_keys, read_curve_keys, with_forwarder
from broker.servers.forwarder import start_forwarder
from broker.transports.zeromq.forwarded import ForwardedTransport, subscribe_address
from broker.wire.messages import OBSERVER, Stop

pytestmark = pytest.mark.processes

GRAPH = {"a": ("b",), "b": ("a", "c"), "c": ("b",)}
THROUGH = with_forwarder(GRAPH)


class House:
    """A guarded forwarder, its participants' keys, and those that another `make_curve_keys` made."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="ft-"))  # short: a socket's path has at most 107 bytes
        make_curve_keys(self.folder / "keys", THROUGH)
        make_curve_keys(self.folder / "others", THROUGH)
        self.keys = {name: read_curve_keys(self.folder / "keys" / name) for name in GRAPH}
        self.others = {name: read_curve_keys(self.folder / "others" / name) for name in GRAPH}
        self.address = f"ipc://{self.folder}/f"
        self._open = []
        self.start()

    def start(self):
        self.forwarder = start_forwarder(
            self.address,
            self.folder / "log",
            TransportConfig(),
            run=RUN,
            peers=GRAPH,
            credentials=self.folder / "keys" / "forwarder",
        )

    def open(self, name, *peers, keys):
        transport = ForwardedTransport(name, peers, self.address, make_codec(name, peers), TransportConfig(), keys=keys)
        self._open.append(transport)
        return Ear(transport)

    def leave(self, ear):
        self._open.remove(ear.transport)
        ear.transport.close(0.0)

    def log(self):
        return self.forwarder.log.read_text()

    def close(self):
        for transport in self._open:
            transport.close(0.0)
        self.forwarder.close()
        shutil.rmtree(self.folder)


@pytest.fixture
def house():
    found = House()
    yield found
    found.close()


def say(ear, source, destination, text, sequence):
    ear.transport.send(envelope(source, destination, Stop(text), sequence))


def insider(house, name, kind, address):
    """A bare socket with the key of a participant."""
    context = zmq.Context()
    socket = context.socket(kind)
    socket.linger = 0
    own = house.keys[name]
    socket.curve_publickey, socket.curve_secretkey = own.public.encode(), own.secret.encode()
    socket.curve_serverkey = own.peers["forwarder"].encode()
    socket.connect(address)
    return context, socket


def test_neighbors_hear_each_other_through_it(house):
    a, b = house.open("a", "b", keys=house.keys["a"]), house.open("b", "a", keys=house.keys["b"])
    say(a, "a", "b", "one", 0)
    say(b, "b", "a", "two", 0)
    listen_until(lambda: (a.texts, b.texts) == (["two"], ["one"]), a, b)


def test_a_participant_that_speaks_in_the_name_of_another_goes_no_further(house):
    a, b = house.open("a", "b", keys=house.keys["a"]), house.open("b", "a", "c", keys=house.keys["b"])
    context, forger = insider(house, "c", zmq.XPUB, house.address)
    listen_until(lambda: forger.poll(20), b)  # it has heard of a subscription, so what it publishes leaves
    forged = make_codec("b", ["a"]).encode(envelope("a", "b", Stop("forged"), 0))

    def caught():
        forger.send(forged)
        return "the key of c signed a message of a to b" in house.log()

    listen_until(caught, b)
    say(a, "a", "b", "honest", 0)
    listen_until(lambda: b.texts == ["honest"], a, b)
    context.destroy(linger=0)


FOREIGN = make_codec("b", ["a"]).prefix("a", "b")


@pytest.mark.parametrize("wanted", [FOREIGN, FOREIGN[:5], b""], ids=["edge", "part", "everything"])
def test_a_participant_that_listens_on_a_foreign_edge_hears_nothing_and_disturbs_nobody(house, wanted):
    a, b = house.open("a", "b", keys=house.keys["a"]), house.open("b", "a", keys=house.keys["b"])
    context, spy = insider(house, "c", zmq.SUB, subscribe_address(house.address, "c"))
    spy.subscribe(wanted)
    listen_until(lambda: "refused: c wants" in house.log(), a, b)
    say(a, "a", "b", "secret", 0)
    listen_until(lambda: b.texts == ["secret"], a, b)
    assert spy.poll(200) == 0
    context.destroy(linger=0)  # the end of its connection must not look like the end of b's
    for number in range(1, 30):
        say(a, "a", "b", str(number), number)
        listen_until(lambda number=number: b.texts[-1] == str(number), a, b)
    assert a.transport.traffic["b"].dropped == 0


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ("another key", "forwarder at .* refuses the key of a: it knows another one or none"),
        ("no key", "forwarder at .* asks for a key, but a has none"),
        ("another key of whom it calls", "forwarder at .* does not have the key that a knows it by"),
    ],
)
def test_a_stranger_is_not_heard_and_is_told_so_in_seconds(house, keys, sentence):
    b = house.open("b", "a", keys=house.keys["b"])
    a = house.open("a", "b", keys=stranger(keys, house.keys["a"], house.others["a"]))
    with pytest.raises(UserError, match=sentence):
        listen_until(greeting("a", "b", a), a, b)
    assert not b.heard
    if keys == "another key":
        listen_until(lambda: f"refused at the door: the key {house.others['a'].public}" in house.log(), b)


def test_who_comes_back_is_heard_again(house):
    a, b = house.open("a", "b", keys=house.keys["a"]), house.open("b", "a", keys=house.keys["b"])
    say(a, "a", "b", "one", 0)
    listen_until(lambda: b.texts == ["one"], a, b)
    house.leave(b)
    b = house.open("b", "a", keys=house.keys["b"])
    count = iter(range(1, 10_000))

    def heard():
        number = next(count)
        say(a, "a", "b", str(number), number)
        return b.texts

    listen_until(heard, a, b)


def test_a_forwarder_without_somebodys_key_does_not_start(house):
    (house.folder / "keys" / "forwarder" / "curve" / "a.key").unlink()
    house.forwarder.close()
    with pytest.raises(UserError, match=r"forwarder has no key of a: expected a\.key among its keys"):
        house.start()


def test_the_log_says_how_many_were_turned_away(house):
    b = house.open("b", "a", keys=house.keys["b"])
    while house.log().count("refused: ") < 20:  # a connection that breaks off in its handshake is not made again
        before = house.log().count("refused: ")
        context, spy = insider(house, "c", zmq.SUB, subscribe_address(house.address, OBSERVER))
        for number in range(30):
            spy.subscribe(f"{number}")
        listen_until(lambda seen=before: house.log().count("refused: ") > seen, b)
        context.destroy(linger=0)
    assert house.log().count("refused: ") == 20
    house.forwarder.close()
    assert "refused in all: " in house.log()
    first, said = house.forwarder.turned_away(), house.log()
    assert first >= 20
    house.start()
    assert house.log().startswith(said), "the next writes on"
    assert (house.forwarder.turned_away(), house.log().count("refused in all: ")) == (0, 1)
