"""Plain MQTT clients and brokers for the tests."""

from __future__ import annotations

import os
import queue
import shutil
import ssl
import threading
import time
from dataclasses import replace
from urllib.parse import urlparse

import paho.mqtt.client as mqtt
import pytest
from broker_toys import LIMIT_S, RUN

from broker.addresses import parse_address
from broker.config import TransportConfig
from broker.security.mqtt_access import make_mqtt_access, read_mqtt_credentials
from broker.servers.mqtt_server import start_mqtt_server
from broker.wire.messages import topic

KINDS = ("mosquitto", "amqtt")
AGENTS = ("agent-0", "agent-1", "agent-2")
PEERS = {name: [other for other in AGENTS if other != name] for name in AGENTS}


def need_mosquitto(program="mosquitto"):
    """Skip where mosquitto is not installed; where everything must be tested, fail."""
    if not shutil.which(program) and not shutil.which(program, path="/usr/sbin"):
        assert os.environ.get("CI") != "true", (
            f"{program} is not installed: apt-get install mosquitto mosquitto-clients"
        )
        pytest.skip(f"{program} is not installed")


def edge(source, destination):
    return topic(RUN, source, destination)


class Client:
    """A plain MQTT client that keeps what it heard."""

    def __init__(self, address, *, client_id="", username=None, password=None, ca=None, will=None):
        self.heard = []
        self._awake = threading.Event()
        self._awake.set()
        self._events = queue.Queue()
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=client_id)
        self._client.on_connect = lambda _c, _u, _f, reason, _p: self._events.put(reason)
        self._client.on_subscribe = lambda _c, _u, _m, reasons, _p: self._events.put(reasons)
        self._client.on_disconnect = lambda _c, _u, _f, reason, _p: self._events.put("disconnected")
        self._client.on_message = self._hear
        if username:
            self._client.username_pw_set(username, password)
        if ca:
            self._client.tls_set(str(ca), cert_reqs=ssl.CERT_REQUIRED)
        if will:
            self._client.will_set(*will)
        self._client.reconnect_delay_set(min_delay=60, max_delay=120)
        place = urlparse(address)
        self._client.connect(place.hostname, place.port, keepalive=600)
        self._client.loop_start()
        self.welcome = self._next_event()

    def _next_event(self):
        return self._events.get(timeout=LIMIT_S)

    @property
    def refused(self):
        return self.welcome == "disconnected" or self.welcome.is_failure

    def subscribe(self, *filters):
        """Subscribe; what the broker says about it is not to be relied on."""
        for each in filters:
            self._client.subscribe(each, qos=1)
            self._next_event()

    def publish(self, to, text, qos=1, *, wait=True):
        published = self._client.publish(to, text, qos)
        if wait:
            published.wait_for_publish(LIMIT_S)

    def sleep(self):
        """Read nothing more than one message until `wake`."""
        self._awake.clear()

    def wake(self):
        self._awake.set()

    def _hear(self, _client, _userdata, message):
        self._awake.wait()
        self.heard.append((message.topic, message.payload))

    def hears(self, to, text):
        """Wait until it has heard this."""
        end = time.monotonic() + LIMIT_S
        while (to, text.encode()) not in self.heard:
            assert time.monotonic() < end, f"{(to, text)} did not come, only {self.heard}"
            time.sleep(0.005)

    def is_disconnected(self):
        return self._next_event() == "disconnected"

    def vanish(self):
        """End the connection without a word, as a killed process does."""
        self._client.loop_stop()
        self._client.socket().close()

    def close(self):
        self.wake()
        self._client.disconnect()
        self._client.loop_stop()


class House:
    """A broker and its clients; `secure` gives it passwords, permissions and TLS."""

    def __init__(self, kind, folder, *, secure, host="127.0.0.1", **config):
        self.keys = folder / "keys"
        if secure:
            make_mqtt_access(self.keys, RUN, PEERS, ["127.0.0.1", "::1"])
        self.server = start_mqtt_server(
            kind, folder, TransportConfig(**config), host=host, access=self.keys / "broker" if secure else None
        )
        self._door = None
        self._clients = []

    def at(self, host):
        """Let clients come in under this host from now on."""
        self._door = str(replace(parse_address(self.server.address, "mqtt", "mqtts"), host=host))
        return self

    def open(self, **options):
        client = Client(self._door or self.server.address, **options)
        self._clients.append(client)
        return client

    def enter(self, name, **options):
        """A participant with its own credentials."""
        own = read_mqtt_credentials(self.keys / name)
        return self.open(username=own.username, password=own.password, ca=own.ca, **options)

    def close(self):
        for client in self._clients:
            client.close()
        self.server.close()
