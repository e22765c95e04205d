"""Every way for messages to travel, behind one face: `Substrate.open` gives a participant's transport."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from broker_toys import RUN, Ear, listen_until, quick_joining
from broker_toys import envelope as numbered
from ports import free_port

from broker.config import TransportConfig
from broker.driving.connect import connect
from broker.faults.config import DropConfig
from broker.participants.link import LinkConfig
from broker.servers.forwarder import start_forwarder
from broker.servers.mqtt_server import start_mqtt_server
from broker.transports.memory import MemoryNetwork
from broker.wire.messages import Hello, Stop

KINDS = ("memory", "ipc", "tcp", "forwarder", "mosquitto", "amqtt")
BETWEEN = ("forwarder", "mosquitto", "amqtt")
WRAPS = ("bare", "faulty", "journaled")
WITH_MARKS = tuple(pytest.param(kind, marks=pytest.mark.processes if kind in BETWEEN else ()) for kind in KINDS)
"""The kinds as parameters: what stands between participants is a process."""
NO_FAULT = DropConfig(kind="drop", messages=("timestep", "action", "share"), probability=0.0)


def need_mosquitto() -> None:
    """A missing broker is a visible skip, and a failure where all must run."""
    if shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("mosquitto is not installed: apt-get install mosquitto mosquitto-clients")
        pytest.skip("mosquitto is not installed")


class Substrate:
    """One way for messages to travel, in one wrapping.

    Args:
        kind: One of `KINDS`.
        wrap: One of `WRAPS`.
        folder: For sockets, logs and journals; its path is short.
        peers: For each participant, whom it speaks to.
        settings: Of the transport.
    """

    def __init__(self, kind, wrap, folder, peers, **settings):
        self.kind, self._wrap, self._folder, self._peers = kind, wrap, Path(folder), peers
        self.forgets_farewells = kind == "amqtt"  # at times, what it has taken from a client that leaves at once
        self.open_ears = []
        self.faults = (NO_FAULT,) if wrap == "faulty" else ()
        own = {
            "forwarder": {"zeromq": {"mode": "forwarder"}},
            "mosquitto": {"kind": "mqtt", "mqtt": {"broker": "mosquitto"}},
            "amqtt": {"kind": "mqtt", "mqtt": {"broker": "amqtt"}},
        }
        self.config = TransportConfig.model_validate(own.get(kind, {}) | settings)
        self._network = MemoryNetwork() if kind == "memory" else None
        self._addresses = {}
        self.between = self._start("") if kind in BETWEEN else None

    def _start(self, address):
        logs = self._folder / "logs"
        logs.mkdir(exist_ok=True)
        if self.kind == "forwarder":
            address = address or f"ipc://{self._folder}/forwarder"
            return start_forwarder(address, logs, self.config, run=RUN, peers=self._peers)
        if self.kind == "mosquitto":
            need_mosquitto()
        return start_mqtt_server(
            self.kind, logs, self.config, port=int(address.rpartition(":")[2]) if address else free_port()
        )

    def restart_between(self):
        """End what stands between the participants and start it again at the same address."""
        address = self.between.address
        self.between.close()
        self.between = self._start(address)

    def _address(self, name):
        if name not in self._addresses:
            ipc = f"ipc://{self._folder}/{name}"
            self._addresses[name] = f"tcp://127.0.0.1:{free_port()}" if self.kind == "tcp" else ipc
        return self._addresses[name]

    def open(self, name, *peers):
        """The transport of `name`, as a run would open it."""
        link = LinkConfig(
            run=RUN,
            name=name,
            peers=peers,
            seed=1,
            transport=self.config,
            joining=quick_joining(),
            faults=self.faults,
            addresses={each: self._address(each) for each in (name, *peers)},
            broker=self.between.address if self.between else "",
            journal=self._folder / f"{name}-{len(self.open_ears)}.journal" if self._wrap == "journaled" else None,
        )
        ear = Ear(connect(link, self._network))
        self.open_ears.append(ear)
        return ear

    def leave(self, ear, linger_s=0.0):
        """Close one participant's transport."""
        self.open_ears.remove(ear)
        ear.transport.close(linger_s)

    def close(self):
        """Close everything."""
        for ear in self.open_ears:
            ear.transport.close(0.0)
        if self.between is not None:
            self.between.close()


def say(ear, destination, text, sequence=None):
    """Say something to a peer."""
    ear.transport.send(numbered(ear.transport.name, destination, Stop(text), sequence))


def meet(*ears, lives=None):
    """Say Hello until each has heard all others; the Hellos heard are forgotten."""
    names = [ear.transport.name for ear in ears]
    life = lives or dict.fromkeys(names, 0)

    def met():
        for ear in ears:
            for other in names:
                if other != ear.transport.name:
                    hello = Hello(life[ear.transport.name], wants_reply=False)
                    ear.transport.send(numbered(ear.transport.name, other, hello))
        return all({one.source for one in ear.heard} >= {*names} - {ear.transport.name} for ear in ears)

    listen_until(met, *ears)
    for ear in ears:
        ear.heard[:] = [one for one in ear.heard if not isinstance(one.message, Hello)]
