"""With keys only neighbors get in, and each speaks for itself alone."""

from __future__ import annotations

import shutil
import stat
import tempfile
from pathlib import Path

import pytest
from broker_toys import Ear, envelope, listen_until, make_codec, noticed
from strangers import greeting, stranger

from broker.config import TransportConfig
from broker.errors import UserError
from broker.faults import Judge
from broker.faults.config import DropConfig
from broker.security.curve import make_curve_keys, read_curve_keys
from broker.transports.faulty import FaultyTransport
from broker.transports.journaled import JournaledTransport
from broker.transports.transport import UNKNOWN
from broker.transports.zeromq.direct import ZeroMQTransport
from broker.wire.messages import Stop
from broker.wire.records import EventKind

GRAPH = {"a": ("b", "c"), "b": ("a", "c"), "c": ("a", "b")}


class House:
    """Participants of one graph, their keys, and those that another `make_curve_keys` made."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="ft-"))  # short: a socket's path has at most 107 bytes
        make_curve_keys(self.folder / "keys", GRAPH)
        make_curve_keys(self.folder / "others", GRAPH)
        self.keys = {name: read_curve_keys(self.folder / "keys" / name) for name in GRAPH}
        self.others = {name: read_curve_keys(self.folder / "others" / name) for name in GRAPH}
        self._open = []

    def open(self, name, *peers, keys, at=None, wrap=lambda transport: transport):
        addresses = {each: f"ipc://{self.folder}/{each}" for each in peers} | {
            name: f"ipc://{self.folder}/{at or name}"
        }
        transport = wrap(ZeroMQTransport(name, addresses, make_codec(name, peers), TransportConfig(), keys=keys))
        self._open.append(transport)
        return Ear(transport)

    def journaled(self, transport):
        return JournaledTransport(transport, make_codec(transport.name, []), self.folder / "its.journal")

    def faulty(self, transport):
        return FaultyTransport(transport, Judge([DropConfig(kind="drop", probability=0.0)], 1))

    def close(self):
        for transport in self._open:
            transport.close(0.0)
        shutil.rmtree(self.folder)


@pytest.fixture
def house():
    found = House()
    yield found
    found.close()


def say(ear, destination, text):
    ear.transport.send(envelope(ear.transport.name, destination, Stop(text)))


def texts(ear):
    return [one.message.reason for one in ear.heard if isinstance(one.message, Stop)]


def test_neighbors_hear_each_other(house):
    a, b = house.open("a", "b", keys=house.keys["a"]), house.open("b", "a", keys=house.keys["b"])
    say(a, "b", "one")
    say(b, "a", "two")
    listen_until(lambda: texts(a) == ["two"] and texts(b) == ["one"], a, b)


def test_a_neighbor_that_speaks_in_the_name_of_another_is_not_heard(house):
    b = house.open("b", "a", "c", keys=house.keys["b"])
    c = house.open("c", "b", keys=house.keys["c"])
    c.transport.send(envelope("a", "b", Stop("forged")))
    say(c, "b", "honest")
    listen_until(lambda: texts(b) == ["honest"], b, c)
    assert b.transport.traffic["c"].rejected == 1
    assert [event.text for event in noticed(b.transport)] == ["the key of c signed a message of a"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ("another key", "b at .* refuses the key of a: it knows another one or none"),
        ("no key", "b at .* asks for a key, but a has none"),
        ("another key of whom it calls", "b at .* does not have the key that a knows it by"),
    ],
)
def test_a_stranger_is_not_heard_and_is_told_so_in_seconds(house, keys, sentence):
    b = house.open("b", "a", keys=house.keys["b"])
    a = house.open("a", "b", keys=stranger(keys, house.keys["a"], house.others["a"]), at="elsewhere")
    with pytest.raises(UserError, match=sentence):
        listen_until(greeting("a", "b", a), a, b)
    b.transport.totals()
    assert not b.heard
    if keys == "another key":
        assert b.transport.traffic[UNKNOWN].rejected > 0
        assert "refused at the door" in noticed(b.transport)[0].text


@pytest.mark.parametrize("around", [["journaled"], ["faulty"], ["journaled", "faulty"]], ids="-".join)
def test_a_stranger_at_the_door_is_counted_and_told_of_while_it_stands_there_whatever_is_around_the_sockets(
    house, around
):
    def wrap(transport):
        for what in around:
            transport = getattr(house, what)(transport)
        return transport

    b = house.open("b", "a", keys=house.keys["b"], wrap=wrap)
    a = house.open("a", "b", keys=stranger("another key", house.keys["a"], house.others["a"]), at="elsewhere")
    greet = greeting("a", "b", a)

    def is_refused():
        greet()
        a.transport.totals()
        return any(record.kind == EventKind.REFUSED for record in a.transport.noticed)

    listen_until(is_refused, a, b)
    assert [(edge.source, edge.destination) for edge in b.transport.totals() if edge.rejected] == [(UNKNOWN, "b")]
    assert "refused at the door" in noticed(b.transport)[0].text


def test_secret_keys_are_for_the_owners_eyes_alone(house):
    for name in GRAPH:
        secret = house.folder / "keys" / name / "curve.secret"
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
        assert stat.S_IMODE(secret.parent.stat().st_mode) == 0o700
        assert house.keys[name].secret not in repr(house.keys[name])
    secret.chmod(0o640)
    with pytest.raises(UserError, match="may be read by others"):
        read_curve_keys(secret.parent)


def test_each_has_the_public_keys_of_its_neighbors_and_of_nobody_else(tmp_path):
    line = {"a": ("b",), "b": ("a", "c"), "c": ("b",)}
    make_curve_keys(tmp_path, line)
    keys = {name: read_curve_keys(tmp_path / name) for name in line}
    assert {name: set(own.peers) for name, own in keys.items()} == {name: set(peers) for name, peers in line.items()}
    assert keys["a"].peers["b"] == keys["c"].peers["b"] == keys["b"].public


@pytest.mark.parametrize("content", ["", "one line\n", "x" * 40 + "\n" + "y" * 40 + "\n", "\xff\n"])
def test_a_file_that_holds_no_keys_is_a_sentence(house, content):
    path = house.folder / "keys" / "a" / "curve.secret"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(UserError, match=r"curve\.secret holds no pair of CURVE keys"):
        read_curve_keys(path.parent)


def test_a_missing_key_is_named(house):
    (house.folder / "keys" / "a" / "curve" / "b.key").unlink()
    with pytest.raises(UserError, match=r"a has no key of b: expected b\.key among its keys"):
        house.open("a", "b", keys=read_curve_keys(house.folder / "keys" / "a"))
    with pytest.raises(UserError, match=r"cannot read the key .*curve\.secret"):
        read_curve_keys(house.folder / "keys" / "nobody")


def test_keys_are_never_written_over(house):
    with pytest.raises(UserError, match="exists already"):
        make_curve_keys(house.folder / "keys", GRAPH)
