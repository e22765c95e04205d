"""`foretell bench messages`: the step barrier of our driver over MQTT, QoS 0, against a bare loop of paho-mqtt.

The bare loop is the least that can be done with the library that everybody uses: blocking sockets without Nagle's
algorithm, ready-made bytes, nothing decoded.
"""

from __future__ import annotations

import select
import socket
import statistics
import time
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from broker.addresses import parse_address
from broker.counting import counted
from broker.servers.mqtt_server import start_mqtt_server
from scenarios.bench.messages import DOCUMENT, Barrier, Ours
from scenarios.bench.workers import end, fork
from scenarios.document.loading import parse_scenario
from scenarios.document.planning import make_plan
from scenarios.document.wiring import Wiring
from scenarios.results.temporary import temporary_folder
from scenarios.running.processes.child import end_with_parent

_PATIENCE_S = 30.0


def measure_mqtt_barriers(agents: int, blocks: int, block_s: float) -> Barrier:
    """Barriers per second of both loops with `agents` processes each, in alternating blocks of `block_s` seconds."""
    plan = make_plan(parse_scenario(DOCUMENT, {"environment.agents": agents, "transport.kind": "mqtt"}))
    with temporary_folder() as folder:
        server = start_mqtt_server("mosquitto", Path(folder), plan.scenario.transport)
        try:
            ours = Ours(plan, Wiring("barrier", broker=server.address))
            sizes = ours.frame_bytes()
            bare = _Bare(agents, *sizes, server.address)
            try:
                pairs = [(bare.rate(block_s), ours.rate(block_s)) for _ in range(blocks + 1)][1:]
            finally:
                bare.close()
                ours.close()
        finally:
            server.close()
    return Barrier(
        agents,
        *sizes,
        bare=statistics.median(pair[0] for pair in pairs),
        ours=statistics.median(pair[1] for pair in pairs),
        ratio=statistics.median(pair[1] / pair[0] for pair in pairs),
    )


class _Bare:
    """One client that publishes to N others and waits for their answers."""

    def __init__(self, agents: int, timestep_bytes: int, action_bytes: int, address: str) -> None:
        names = [f"bare-{index}" for index in range(agents)]
        self._heard = 0
        self._client = _connect(address, "bare")
        self._client.on_message = self._hear
        self._client.subscribe("bare/up/#")
        self._processes = fork(_serve, [(address, name, action_bytes) for name in names])
        self._topics = [f"bare/down/{name}" for name in names]
        self._payload = bytes(timestep_bytes)
        self._wait_for(agents)

    def _hear(self, *_: object) -> None:
        self._heard += 1

    def _wait_for(self, count: int) -> None:
        give_up_at = time.monotonic() + _PATIENCE_S
        while self._heard < count:
            _turn(self._client, 1.0)
            if time.monotonic() > give_up_at:
                msg = f"only {self._heard} of {counted(count, 'message')} came within {_PATIENCE_S} s"
                raise TimeoutError(msg)

    def rate(self, block_s: float) -> float:
        """Barriers per second over a block."""
        barriers, began_at = 0, time.monotonic()
        while (now := time.monotonic()) < began_at + block_s:
            self._heard = 0
            for topic in self._topics:
                self._client.publish(topic, self._payload)
            self._wait_for(len(self._topics))
            barriers += 1
        return barriers / (now - began_at)

    def close(self) -> None:
        """End the workers."""
        end(self._processes)
        self._client.disconnect()


def _serve(address: str, name: str, action_bytes: int) -> None:
    end_with_parent()
    client, payload = _connect(address, name), bytes(action_bytes)

    def answer(*_: object) -> None:
        client.publish(f"bare/up/{name}", payload)

    client.on_message = answer
    client.subscribe(f"bare/down/{name}")
    _turn(client, 1.0)
    client.publish(f"bare/up/{name}", payload)
    while True:
        _turn(client, 1.0)


def _connect(address: str, name: str) -> paho.Client:
    client = paho.Client(CallbackAPIVersion.VERSION2, name)
    place = parse_address(address, "mqtt", "mqtts")
    client.connect(place.host, place.port)
    _socket(client).setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while not client.is_connected():
        _turn(client, 1.0)
    return client


def _turn(client: paho.Client, timeout_s: float) -> None:
    """Read what has come, write what waits."""
    readable, _, _ = select.select([_socket(client)], [], [], timeout_s)
    if readable:
        client.loop_read()
    if client.want_write():
        client.loop_write()
    client.loop_misc()


def _socket(client: paho.Client) -> socket.socket:
    found = client.socket()
    if not isinstance(found, socket.socket):
        msg = "the broker closed the connection"
        raise ConnectionError(msg)
    return found
