"""What the tests of the broker share: small participants, transports at hand, and waiting for an event."""

from __future__ import annotations

import time
from collections import Counter
from enum import Enum

import numpy as np
from hypothesis import settings
from limits import LIMIT_S

from broker.config import JoiningConfig
from broker.driving.driver import Driver
from broker.faults import Judge
from broker.participants.joining import Joining
from broker.participants.participant import Send
from broker.transports.faulty import FaultyTransport
from broker.transports.memory import MemoryNetwork, MemoryTransport
from broker.wire.codec import Codec
from broker.wire.identity import Identity
from broker.wire.messages import Envelope, Hello, Share, Stop

RUN = "test"
MAX_BYTES = 1 << 20

property_test = settings(deadline=None, database=None, max_examples=100)


def make_codec(name, peers, run=RUN, max_bytes=MAX_BYTES):
    codec = Codec(run, max_bytes)
    for peer in peers:
        codec.allow(peer, name)
    return codec


def share(number=0, values=(1.0,), episode=0):
    return Share.of(episode, number, {"x": np.array(values, np.float32)})


_numbers = Counter()


def number_anew():
    """Begin every edge with message 0."""
    _numbers.clear()


def envelope(source, destination, message, sequence=None):
    """An envelope that bears the next number of its edge, unless another is given."""
    edge = source, destination
    if sequence is None:
        sequence = _numbers[edge]
        _numbers[edge] += not isinstance(message, Hello)
    return Envelope(RUN, source, destination, sequence, message)


class ToyPhase(Enum):
    """It has one."""

    AT_PLAY = "AT PLAY"


class Toy:
    """Says `says` at the start, answers with `answer`, is done when it has heard `enough` messages.

    `heard` keeps (now, source, message), `expired` the times at which its deadlines passed.
    """

    def __init__(self, name, *, says=(), enough=0, deadlines=(), answer=None):
        self.name = name
        self.peers = ()
        self.awaited = 1
        self.phase = ToyPhase.AT_PLAY
        self.heard = []
        self.expired = []
        self._says = list(says)
        self._enough = enough
        self.deadlines = list(deadlines)
        self.answer = answer or (lambda *_: [])

    @property
    def done(self):
        return len(self.heard) >= self._enough

    def start(self, now):
        return self._says

    def receive(self, source, message, now):
        commands = self.answer(source, message, now)
        self.heard.append((now, source, message))
        return commands

    @property
    def deadline(self):
        return self.deadlines[0] if self.deadlines else None

    def expire(self, now):
        self.expired.append(now)
        self.deadlines.pop(0)
        return []

    def waits_for(self):
        return f"{self.name} waits for {self._enough - len(self.heard)} more"

    def totals(self):
        return []


class Pong:
    """Finds its one peer, then says share k once it has heard share k - 1; done after `rounds` of them."""

    def __init__(self, name, peer, rounds, joining):
        self.name = name
        self.peers = (peer,)
        self.awaited = 1
        self.phase = ToyPhase.AT_PLAY
        self.numbers = []
        self._rounds = rounds
        self._said = 0
        self._joining = Joining(name, (peer,), joining, 0, Identity())

    @property
    def done(self):
        return len(self.numbers) >= self._rounds

    def start(self, now):
        return self._joining.start(now)

    def receive(self, source, message, now):
        match message:
            case Hello():
                return [*self._joining.hear(source, message), *self._say()]
            case Share():
                self.numbers.append(message.round)
                return self._say()
            case _:
                return []

    def _say(self):
        first, self._said = self._said, min(self._rounds, len(self.numbers) + 1) if self._joining.complete else 0
        return [Send(self.peers[0], share(number)) for number in range(first, self._said)]

    @property
    def deadline(self):
        return self._joining.deadline

    def expire(self, now):
        return self._joining.expire(now)

    def waits_for(self):
        return self._joining.waits_for() if not self._joining.complete else f"{self.name} waits for a share"

    def totals(self):
        return []


def quick_joining(give_up_s=LIMIT_S):
    return JoiningConfig(hello_interval_s=0.02, give_up_s=give_up_s)


class Stage:
    """Toys on one memory network, with the given faults, and the records that they caused."""

    def __init__(self, *toys, faults=(), seed=0):
        self.network = MemoryNetwork()
        self.records = []
        self.drivers = [Driver(RUN, toy, self._transport(toy, toys, faults, seed), self.records.extend) for toy in toys]

    def _transport(self, toy, toys, faults, seed):
        codec = make_codec(toy.name, [other.name for other in toys])
        inner = MemoryTransport(toy.name, self.network, codec)
        return FaultyTransport(inner, Judge(faults, seed)) if faults else inner

    def finish(self):
        for driver in self.drivers:
            driver.finish()
            driver.transport.close(0.0)
        return self.records

    def of(self, kind):
        return [record for record in self.records if isinstance(record, kind)]


def noticed(transport):
    """What a transport noticed, taken from it as a driver does."""
    records = list(transport.noticed)
    transport.noticed.clear()
    return records


class Ear:
    """Reads a transport and keeps what it heard."""

    def __init__(self, transport):
        self.transport = transport
        self.heard = []

    def listen(self, timeout_s=0.02):
        self.transport.wait(timeout_s)
        while arrived := self.transport.poll(0.0):
            self.heard += arrived
            self.transport.wait(0.0)

    @property
    def texts(self):
        return [one.message.reason for one in self.heard if isinstance(one.message, Stop)]


def listen_until(event, *ears, limit_s=LIMIT_S):
    """Let all ears listen until `event()`; fail after a generous limit."""
    end = time.monotonic() + limit_s
    while not event():
        assert time.monotonic() < end, f"nothing came of it in {limit_s} s"
        for ear in ears:
            ear.listen()
