"""Brokers that write in pieces, or nonsense: what is whole is heard, and what makes no sense is left."""

from __future__ import annotations

import socket
import threading

import pytest
from broker_toys import LIMIT_S, RUN, Ear, envelope, listen_until, make_codec, noticed

from broker.config import TransportConfig
from broker.transports.mqtt.packets import confirmed_packet, publish_head, publish_packet
from broker.transports.mqtt.transport import MqttTransport
from broker.wire.messages import Stop, topic

HEAD = publish_head(topic(RUN, "a", "b"), b"")
CONNACK = bytes.fromhex("20 02 00 00")


def message(text, number):
    return publish_packet(HEAD, make_codec("a", []).encode(envelope("a", "b", Stop(text), number)))


class ScriptedBroker:
    """Accepts one connection after the other, and writes to each the pieces meant for it.

    The first comes together with the answer to its subscription. `read` is what all have written after that.
    """

    def __init__(self, *scripts):
        self.read = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"mqtt://127.0.0.1:{self._listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self._serve, args=(scripts,))
        self.thread.start()

    def _serve(self, scripts):
        with self._listener:
            self._listener.settimeout(LIMIT_S)
            for pieces in scripts:
                connection, _ = self._listener.accept()
                with connection:
                    connection.settimeout(LIMIT_S)
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    connection.recv(1000)
                    connection.sendall(CONNACK)
                    identifier = connection.recv(1000)[2:4]
                    first, *others = pieces
                    connection.sendall(b"\x90\x03" + identifier + b"\x00" + first)
                    for piece in others:
                        connection.sendall(piece)
                    while data := connection.recv(1000):
                        self.read += data


@pytest.fixture
def hear_from():
    opened = []

    def open_(*scripts):
        broker = ScriptedBroker(*scripts)
        config = TransportConfig(mqtt={"reconnect_s": 0.02, "protocol": "3.1.1"})
        transport = MqttTransport(
            *("b", ["a"], broker.address, make_codec("b", ["a"]), config),
            credentials=None,
            largest_bytes=0,
            connect_within_s=LIMIT_S,
            gone_for_s=LIMIT_S,
        )
        opened.append((broker, transport))
        return Ear(transport), broker

    yield open_
    for broker, transport in opened:
        transport.close(0.0)
        broker.thread.join(LIMIT_S)
        assert not broker.thread.is_alive()


def test_messages_that_come_byte_by_byte_are_heard(hear_from):
    texts = [str(number) for number in range(3)]
    stream = b"".join(message(text, number) for number, text in enumerate(texts))
    b, _ = hear_from([stream[at : at + 1] for at in range(len(stream))])
    listen_until(lambda: len(b.texts) == 3, b)
    assert b.texts == texts


def test_messages_that_come_with_the_answer_to_the_subscription_are_heard(hear_from):
    pings = b"\xd0\x00" * 3  # an answer to pings: none of our business, but in between
    b, _ = hear_from([message("one", 0) + pings + message("two", 1)])
    listen_until(lambda: len(b.texts) == 2, b)
    assert b.texts == ["one", "two"]


def confirmed(number, again):
    frame = make_codec("a", []).encode(envelope("a", "b", Stop(str(number)), number))
    return confirmed_packet(topic(RUN, "a", "b"), b"", frame, number + 1, again=again)


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize(
    "written",
    [
        [(0, False), (1, False), (0, True), (1, True), (2, False)],
        [(0, False), (1, True), (2, False)],
        [(0, True), (1, False), (1, True), (2, True)],
    ],
)
def test_messages_that_are_written_again_are_heard_in_the_order_in_which_all_were_written(hear_from, written, at_once):
    packets = [confirmed(number, again) for number, again in written]
    b, _ = hear_from([b"".join(packets)] if at_once else packets)
    listen_until(lambda: "2" in b.texts, b)
    assert b.texts == ["0", "1", "2"]
    traffic = b.transport.traffic["a"]
    assert (traffic.rejected, traffic.lost) == (0, 0)


NONSENSE = {
    "a length of five bytes": b"\x30\xff\xff\xff\xff\x7f",
    "a topic longer than its packet": bytes.fromhex("30 04 0009 6162"),
    "a packet that does not exist": b"\x00\x00",
}


@pytest.mark.parametrize("nonsense", NONSENSE.values(), ids=NONSENSE.keys())
def test_a_broker_that_makes_no_sense_is_left_and_tried_again(hear_from, nonsense):
    b, _ = hear_from([message("before", 0), nonsense], [message("after", 1)])
    events = []

    def is_back():
        events.extend(noticed(b.transport))
        return "after" in b.texts and any(event.kind == "reconnected" for event in events)

    listen_until(is_back, b)
    assert b.texts == ["before", "after"]
    assert [event.kind for event in events] == ["disconnected", "reconnected", "under-way-lost"]


def test_a_connection_that_ends_as_it_begins_is_not_written_to(hear_from):
    b, broker = hear_from([b"\x00\x00"], [b""])
    b.transport.send(envelope("b", "a", Stop("kept")))
    listen_until(lambda: b"kept" in broker.read, b)
