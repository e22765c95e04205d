"""MQTT's packets as bytes: ours are read by others, theirs by us, however the bytes come."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest
from broker_toys import property_test
from hypothesis import example, given
from hypothesis import strategies as st
from paho.mqtt import _packet
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from broker.transports.mqtt.packets import (
    PacketStream,
    confirm_packet,
    confirmation,
    confirmed_message,
    confirmed_packet,
    publish_head,
    publish_packet,
)

# Section 3.3.1.4 of MQTT 3.1.1 and 3.3.2.3.9 of MQTT 5: topic a/b; here with a payload, and one property of five bytes.
OLD = bytes.fromhex("30 07 0003 612f62 6869")
NEW = bytes.fromhex("30 0d 0003 612f62 05 02 0000003c 6869")
OTHERS = {
    "ping": bytes.fromhex("d0 00"),
    "quality 1": bytes.fromhex("32 09 0003 612f62 0007 6869"),
    "retained": bytes.fromhex("31 07 0003 612f62 6869"),
    "topic longer than the packet": bytes.fromhex("30 04 0009 6162"),
    "no room for a topic": bytes.fromhex("30 01 00"),
    "empty": bytes.fromhex("30 00"),
}
payloads = st.one_of(st.binary(max_size=300), st.integers(0, 1 << 18).map(bytes))


def read(data, *, cuts=(), has_properties=False):
    inbox = PacketStream(has_properties=has_properties)
    places = [0, *sorted(cuts), len(data)]
    return [found for start, end in pairwise(places) for found in inbox.packets(data[start:end])]


def expiry(seconds):
    properties = Properties(PacketTypes.PUBLISH)
    properties.MessageExpiryInterval = seconds
    return properties


def test_a_message_is_written_as_the_standard_says():
    assert publish_packet(publish_head("a/b", b""), b"hi") == OLD
    assert publish_packet(publish_head("a/b", bytes.fromhex("05 02 0000003c")), b"hi") == NEW


@pytest.mark.parametrize(("packet", "has_properties"), [(OLD, False), (NEW, True)])
def test_a_message_is_read_as_the_standard_says(packet, has_properties):
    assert read(packet, has_properties=has_properties) == [(b"hi", True)]


@pytest.mark.parametrize(
    ("length", "written"),
    [(127, "7f"), (128, "8001"), (16_383, "ff7f"), (16_384, "808001"), (2_097_151, "ffff7f"), (2_097_152, "80808001")],
)
def test_lengths_are_written_as_the_standard_s_table_says(length, written):
    packet = publish_packet(publish_head("a", b""), bytes(length - 3))
    assert packet[1:].startswith(bytes.fromhex(written + "0001"))
    assert read(packet) == [(bytes(length - 3), True)]


@given(st.text(max_size=300), payloads, st.none() | st.integers(0, 2**32 - 1), st.booleans())
@property_test
def test_what_we_write_another_library_reads(topic, payload, expires, is_v5):
    topic = topic or "a"
    properties = b"" if not is_v5 else b"\0" if expires is None else expiry(expires).pack()
    packet = publish_packet(publish_head(topic, properties), payload)
    start = next(at for at in range(1, 5) if packet[at] < 0x80) + 1
    version = MQTTProtocolVersion.MQTTv5 if is_v5 else MQTTProtocolVersion.MQTTv311
    found = _packet.decode_publish(packet[0], packet[start:], version)
    assert (found.topic.decode(), found.payload, found.qos) == (topic, payload, 0)
    assert getattr(found.properties, "MessageExpiryInterval", None) == (expires if is_v5 else None)


@given(st.data(), st.lists(payloads, max_size=6), st.booleans())
@property_test
def test_packets_are_the_same_wherever_the_bytes_are_cut(data, contents, is_v5):
    head = publish_head("a/b", b"\0" if is_v5 else b"")
    expected = [(content, True) for content in contents]
    for name in data.draw(st.lists(st.sampled_from(["ping", "quality 1", "retained"]), max_size=4)):
        expected.insert(data.draw(st.integers(0, len(expected))), (OTHERS[name], False))
    stream = b"".join(publish_packet(head, content) if is_frame else content for content, is_frame in expected)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=10))
    assert read(stream, cuts=cuts, has_properties=is_v5) == expected


@pytest.mark.parametrize("packet", OTHERS.values(), ids=OTHERS.keys())
def test_what_is_no_plain_message_is_given_whole(packet):
    assert read(packet + OLD) == [(packet, False), (b"hi", True)]


def test_properties_longer_than_the_packet_are_no_plain_message():
    packet = bytes.fromhex("30 07 0003 612f62 7f 00")
    assert read(packet + NEW, has_properties=True) == [(packet, False), (b"hi", True)]


def test_a_packet_that_is_not_whole_is_waited_for():
    assert not read(NEW[:-1], has_properties=True)
    assert not read(b"\x30\xff\xff\xff")


def test_a_length_that_does_not_end_is_refused():
    with pytest.raises(ValueError, match="more than four bytes"):
        read(b"\x30\xff\xff\xff\xff")


def test_what_was_given_is_not_given_again_after_what_is_refused():
    inbox, found = PacketStream(has_properties=False), []
    assert not list(inbox.packets(OLD[:4]))
    with pytest.raises(ValueError, match="more than four bytes"):
        found.extend(inbox.packets(OLD[4:] + b"\x30\xff\xff\xff\xff"))
    assert found == [(b"hi", True)]
    with pytest.raises(ValueError, match="more than four bytes"):
        found.extend(inbox.packets(b"\xff"))
    assert found == [(b"hi", True)]


@given(st.binary(max_size=200), st.booleans())
@property_test
def test_of_any_bytes_nothing_is_made_up(garbage, is_v5):
    inbox, found = PacketStream(has_properties=is_v5), []
    with suppress(ValueError):
        found.extend(inbox.packets(garbage))
    at = 0
    for packet, _ in found:
        at = garbage.index(packet, at) + len(packet)


def body_of(packet):
    """What stands behind a packet's length."""
    return packet[next(at for at in range(1, 5) if packet[at] < 0x80) + 1 :]


@given(st.text(min_size=1, max_size=300), payloads, st.integers(1, 65_535), st.booleans(), st.booleans())
@property_test
def test_a_message_of_qos_1_is_written_so_that_another_library_and_we_read_it(topic, payload, identifier, again, is_v5):
    properties = expiry(60).pack() if is_v5 else b""
    packet = confirmed_packet(topic, properties, payload, identifier, again=again)
    version = MQTTProtocolVersion.MQTTv5 if is_v5 else MQTTProtocolVersion.MQTTv311
    found = _packet.decode_publish(packet[0], body_of(packet), version)
    assert (found.topic.decode(), found.payload, found.qos, found.mid) == (topic, payload, 1, identifier)
    assert (bool(found.dup), bool(found.retain)) == (again, False)
    read_here = confirmed_message(packet, has_properties=is_v5)
    assert read_here == (identifier.to_bytes(2, "big"), payload, again)


@given(st.integers(1, 65_535), st.sampled_from([None, 0x00, 0x10, 0x87, 0x97]), st.integers(0, 300))
@property_test
def test_an_answer_to_a_message_is_read_with_its_reason_and_whatever_stands_behind_it(identifier, reason, more):
    answer = confirm_packet(identifier.to_bytes(2, "big"))
    assert confirmation(answer) == (identifier, 0)
    if reason is not None:
        body = answer[2:] + bytes([reason]) + bytes(more)
        length = bytes([len(body)]) if len(body) < 128 else bytes([len(body) & 0x7F | 0x80, len(body) >> 7])
        assert confirmation(b"\x40" + length + body) == (identifier, reason)


@example(b":\x80\x80\x80\x80", False)
@given(st.binary(min_size=2, max_size=40), st.booleans())
@property_test
def test_of_packets_that_are_no_messages_of_qos_1_and_no_answers_nothing_is_made_up(packet, is_v5):
    if packet[0] != 0x40:
        assert confirmation(packet) is None
    try:
        found = confirmed_message(packet, has_properties=is_v5)
    except ValueError:  # a length of more than four bytes, which ends a connection where packets are parted
        found = None
    assert found is None or packet.endswith(found[1])
    assert found is None or packet[0] in (0x32, 0x3A)
