"""Brokers that offer less than is asked for, end connections with things under way, or are found late."""

from __future__ import annotations

import socket
import time

import pytest
from broker_toys import LIMIT_S, Ear, envelope, listen_until, make_codec, noticed
from fake_mqtt_broker import (
    MAXIMUM_QOS_0,
    FakeBroker,
    Manner,
    maximum_packet_size,
    reason_string,
    receive_maximum,
    server_keep_alive,
)

from broker.config import TransportConfig
from broker.errors import Unreachable, UserError
from broker.transports.mqtt.transport import MqttTransport
from broker.wire.messages import ENVIRONMENT, OBSERVER, Stop
from broker.wire.records import EventKind


@pytest.fixture
def call():
    """Opens the transport of `a` at an address, or at a fake broker with these manners."""
    opened, brokers = [], []

    def open_(*manners, peers=("b",), largest=0, gone_for_s=LIMIT_S, within_s=LIMIT_S, **mqtt):
        if isinstance(manners[0], Manner):
            brokers.append(FakeBroker(*manners))
            address = brokers[-1].address
        else:
            (address,) = manners
        config = TransportConfig.model_validate({"mqtt": {"reconnect_s": 0.01, "protocol": "5"} | mqtt})
        transport = MqttTransport(
            *("a", peers, address, make_codec("a", peers), config),
            credentials=None,
            largest_bytes=largest,
            connect_within_s=within_s,
            gone_for_s=gone_for_s,
        )
        opened.append(transport)
        return Ear(transport), brokers[-1] if brokers else None

    open_.opened = opened
    yield open_
    for transport in opened:
        transport.close(0.0)
    for broker in brokers:
        broker.close()


def say(ear, *texts):
    for text in texts:
        ear.transport.send(envelope("a", "b", Stop(text)))


def why_unreachable(attempt):
    """What is said after an attempt, which takes longer where the machine is too slow for a single answer."""
    within_s = 0.1
    while True:
        with pytest.raises(Unreachable) as caught:
            attempt(within_s)
        if "no answer yet" not in str(caught.value):
            return str(caught.value)
        within_s *= 4
        assert within_s < LIMIT_S


def test_what_is_unconfirmed_when_a_connection_ends_is_written_again_in_the_next_however_often_that_happens(call):
    a, broker = call(*[Manner(ends_after=5, confirms=None)] * 4, Manner(), qos=1)
    say(a, *"12345")
    listen_until(lambda: len(broker.calls) == 5 and len(broker.calls[-1].identifiers) == 5, a)
    first, *others = [each.identifiers for each in broker.calls]
    assert others == [first] * 4
    assert [each.again for each in broker.calls] == [[], *[first] * 4]
    call.opened.remove(a.transport)
    a.transport.close(LIMIT_S)
    assert (a.transport.traffic["b"].sent, a.transport.traffic["b"].dropped) == (5, 0)


@pytest.mark.parametrize("reason", [0x8B, 0x8E, 0x93, 0x97, None])
def test_a_connection_that_ends_with_messages_under_way_is_made_anew_whatever_the_reason(call, reason):
    a, broker = call(*[Manner(ends_after=1, ends_with=reason)] * 2, Manner(), qos=1)
    say(a, "x")
    events = []

    def is_back():
        events.extend(noticed(a.transport))
        return len(broker.calls) == 3 and broker.calls[-1].identifiers

    listen_until(is_back, a)
    kinds = [event.kind for event in events]
    assert kinds.count(EventKind.DISCONNECTED) == 2


def test_no_more_messages_are_unconfirmed_than_the_broker_takes_in_any_of_its_connections(call):
    few, fewer = Manner(properties=receive_maximum(3), confirms=None, ends_after=3), receive_maximum(2)
    a, broker = call(few, Manner(properties=fewer, confirms=None), qos=1)
    say(a, *"123456")
    listen_until(lambda: len(broker.calls) == 2 and len(broker.calls[1].identifiers) == 2, a)
    for _ in range(3):
        a.listen()
    first, second = (each.identifiers for each in broker.calls)
    assert len(first) == 3
    assert second == first[:2]
    for number in range(6):
        broker.confirm(broker.calls[1].identifiers[number])
        listen_until(lambda number=number: len(broker.calls[1].identifiers) == min(6, number + 3), a)
    assert broker.calls[1].identifiers[:3] == first


def test_a_broker_that_takes_smaller_packets_than_the_run_needs_is_refused_with_both_numbers(call):
    with pytest.raises(UserError, match=r"takes packets of up to 50000 bytes, and this run needs 600\d\d\. Raise its"):
        call(Manner(properties=maximum_packet_size(50_000)), largest=60_000)


def test_a_broker_that_takes_just_what_the_run_needs_is_used(call):
    _, broker = call(Manner(properties=maximum_packet_size(60_100)), largest=60_000)
    assert len(broker.calls) == 1


def test_a_broker_that_has_come_to_take_smaller_packets_while_it_was_gone_is_refused_with_both_numbers(call):
    a, _ = call(Manner(ends_after=1), Manner(properties=maximum_packet_size(50)), qos=1)
    say(a, "x")
    with pytest.raises(UserError, match=r"up to 50 bytes, and this run needs 16\d\d\d"):
        listen_until(lambda: False, a)


def test_packet_too_large_ends_the_participant_with_a_sentence(call):
    a, broker = call(Manner(ends_after=1, ends_with=0x95), qos=1)
    say(a, "x")
    with pytest.raises(UserError, match=r"Packet too large. This run needs packets of 16\d\d\d bytes: raise"):
        listen_until(lambda: False, a)
    assert len(broker.calls) == 1


@pytest.mark.parametrize(
    ("manner", "settings"),
    [
        (Manner(properties=MAXIMUM_QOS_0), {"qos": 1}),
        (Manner(properties=MAXIMUM_QOS_0), {"peers": ("b", OBSERVER)}),
        (Manner(refuses=0x9B), {"peers": ("b", OBSERVER)}),
        (Manner(grants=0), {"qos": 1}),
    ],
    ids=["messages", "records", "the will", "subscriptions"],
)
def test_a_broker_without_quality_of_service_1_is_refused_where_it_is_needed(call, manner, settings):
    with pytest.raises(UserError, match=r"this run needs (quality of service )?1.* Use another broker|needs quality"):
        call(manner, **settings)


def test_a_broker_without_quality_of_service_1_is_used_where_it_is_not_needed(call):
    _, broker = call(Manner(properties=MAXIMUM_QOS_0))
    assert len(broker.calls) == 1


def test_what_a_broker_says_to_its_refusal_is_told(call):
    with pytest.raises(UserError, match=r"Not authorized \('pay first'\)\. Set transport\.security\.keys"):
        call(Manner(refuses=0x87, properties=reason_string("pay first")))


def test_a_connection_that_ends_between_two_answers_is_made_anew_at_once(call):
    before = time.monotonic()
    a, broker = call(Manner(ends_at_once=0x8B), Manner(ends_unsubscribed=0x8B), Manner())
    assert len(broker.calls) == 3
    assert not noticed(a.transport)
    assert time.monotonic() - before < LIMIT_S


@pytest.mark.parametrize("manner", [Manner(ends_at_once=0x8B), Manner(ends_unsubscribed=0x8B)], ids=["first", "second"])
def test_a_broker_that_ends_every_connection_between_two_answers_is_told_with_its_reason(call, manner):
    assert "Server shutting down" in why_unreachable(lambda within_s: call(manner, within_s=within_s))


@pytest.mark.long
def test_a_broker_that_wants_signs_of_life_more_often_gets_them(call):
    a, broker = call(Manner(properties=server_keep_alive(1)))
    listen_until(lambda: broker.calls[0].pings >= 1, a)
    assert len(broker.calls) == 1


def test_a_message_that_the_broker_does_not_accept_is_told_of(call):
    a, _ = call(Manner(confirms=0x97), qos=1)
    say(a, "x")
    events = []

    def is_told():
        events.extend(noticed(a.transport))
        return events

    listen_until(is_told, a)
    assert events[0].kind is EventKind.REFUSED
    assert events[0].text.endswith("/a/b: Quota exceeded")


@pytest.fixture
def names(monkeypatch):
    """Lets names be looked up here: each answer is an error or an address, the last one for ever."""

    def answer_with(*answers):
        left, asked, looked_up = list(answers), [], socket.getaddrinfo

        def getaddrinfo(host, *arguments, **options):
            if not host.startswith("broker"):
                return looked_up(host, *arguments, **options)
            asked.append(host)
            answer = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(answer, int):
                raise socket.gaierror(answer, "a resolver's words")
            return looked_up(answer, *arguments, **options)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return asked

    return answer_with


@pytest.mark.parametrize(
    ("away_s", "settings", "lost"),
    [
        (29.0, {}, False),
        (31.0, {}, True),
        (31.0, {"message_expiry_s": 60}, False),
        (31.0, {"message_expiry_s": 0}, False),
        (31.0, {"peers": (ENVIRONMENT,)}, False),
        (31.0, {"peers": (ENVIRONMENT, "b")}, True),
    ],
)
def test_who_comes_back_to_its_session_so_late_that_shares_have_expired_says_so(call, away_s, settings, lost):
    ear, _ = call(Manner(ends_after=1), Manner(knows_session=True), qos=1, **settings)
    ear.transport._client.heard_at -= away_s
    ear.transport.send(envelope("a", settings.get("peers", ("b",))[0], Stop("is not confirmed")))
    kinds = []

    def is_back():
        kinds.extend(event.kind for event in noticed(ear.transport))
        return EventKind.RECONNECTED in kinds

    listen_until(is_back, ear)
    assert (EventKind.UNDER_WAY_LOST in kinds) == lost


@pytest.mark.parametrize("failure", [socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_SYSTEM])
def test_a_name_that_cannot_be_looked_up_yet_is_looked_up_again(call, names, failure):
    broker = FakeBroker(Manner())
    asked = names(failure, failure, "127.0.0.1")
    try:
        call(broker.address.replace("127.0.0.1", "broker.example"))
        assert len(asked) == 3
    finally:
        broker.close()


def test_a_name_that_its_host_announces_itself_may_come_later(call, names):
    broker = FakeBroker(Manner())
    names(socket.EAI_NONAME, "127.0.0.1")
    try:
        call(broker.address.replace("127.0.0.1", "broker.local"))
    finally:
        broker.close()


def test_a_name_that_does_not_exist_is_told_at_once(call, names):
    asked = names(socket.EAI_NONAME)
    with pytest.raises(UserError, match=r"a cannot use the MQTT broker at mqtt://broker.example:1: .*Check the addr"):
        call("mqtt://broker.example:1")
    assert len(asked) == 1


def test_a_name_that_could_never_be_looked_up_is_told_with_the_resolver_s_words(call, names):
    names(socket.EAI_AGAIN)
    why = why_unreachable(lambda within_s: call("mqtt://broker.example:1", within_s=within_s))
    assert why.startswith("a cannot reach an MQTT broker at mqtt://broker.example:1 within ")
    assert "a resolver's words" in why


def test_a_broker_that_is_gone_for_too_long_ends_the_participant_with_a_sentence(call):
    a, broker = call(Manner(ends_after=1), qos=1, gone_for_s=0.05)
    broker.close()
    say(a, "x")
    with pytest.raises(
        Unreachable, match=r"a has lost the MQTT broker at .* 0\.05 s \(joining\.give_up_s\): .*refused"
    ):
        listen_until(lambda: False, a)


def test_closing_says_nothing_worse_than_what_was_lost(call):
    a, broker = call(Manner(ends_after=1, ends_with=0x95, confirms=None), qos=1)
    say(a, "x")
    call.opened.remove(a.transport)
    before = time.monotonic()
    a.transport.close(LIMIT_S)
    assert time.monotonic() - before < LIMIT_S
    assert a.transport.traffic["b"].dropped == 1
    assert len(broker.calls) == 1
