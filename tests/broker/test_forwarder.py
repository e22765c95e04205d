"""A forwarder with real sockets and processes: each edge for itself, losses counted, deaths survived."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from broker_toys import RUN, Ear, envelope, listen_until, make_codec
from ports import free_ports

from broker.config import TransportConfig
from broker.errors import UserError
from broker.forwarder import start_forwarder
from broker.messages import Stop
from broker.transports.forwarded import ForwardedTransport

GRAPH = {"a": ("b", "c"), "b": ("a", "c"), "c": ("a", "b")}


class Hall:
    """A forwarder, and participants around it; closes all in the end."""

    def __init__(self, scheme, **options):
        self.folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="ft-"))  # short: a socket's path has at most 107 bytes
        self.address = f"ipc://{self.folder}/f" if scheme == "ipc" else f"tcp://127.0.0.1:{free_ports(3)}"
        self.config = TransportConfig(**options)
        self.forwarder = None
        self._open = []

    def start(self):
        self.forwarder = start_forwarder(self.address, self.folder, self.config, run=RUN, peers=GRAPH)

    def open(self, name, *peers, **options):
        config = self.config.model_copy(update=options)
        transport = ForwardedTransport(name, peers, self.address, make_codec(name, peers), config)
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


def make_hall(scheme):
    hall = Hall(scheme)
    hall.start()
    yield hall
    hall.close_all()


@pytest.fixture
def hall():
    yield from make_hall("ipc")


@pytest.fixture(params=["ipc", "tcp"])
def both_halls(request):
    yield from make_hall(request.param)


def say(ear, destination, text, sequence=None):
    ear.transport.send(envelope(ear.transport.name, destination, Stop(text), sequence))


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


def test_an_address_in_use_is_told_in_a_sentence(both_halls):
    with pytest.raises(UserError, match=r"forwarder cannot listen on .*: the address is in use.*zeromq\.forwarder"):
        start_forwarder(both_halls.address, both_halls.folder / "second", both_halls.config, run=RUN, peers=GRAPH)
