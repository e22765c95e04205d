"""Where several brokers are named, any of them will do, and the next one does when one is gone or refuses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from broker_toys import LIMIT_S, Ear, envelope, listen_until, make_codec, noticed
from fake_mqtt_broker import FakeBroker, Manner
from pydantic import ValidationError

from broker.config import MqttConfig, TransportConfig
from broker.errors import UserError
from broker.transports.mqtt.brokers import from_on
from broker.transports.mqtt.transport import MqttTransport
from broker.wire.messages import Stop
from broker.wire.records import EventKind

NOT_AUTHORIZED, UNSUPPORTED = 0x87, 0x84


@pytest.fixture
def brokers(request: pytest.FixtureRequest) -> Iterator[list[FakeBroker]]:
    made = [FakeBroker(*manners) for manners in request.param]
    yield made
    for broker in made:
        broker.close()


def opened(brokers: list[FakeBroker], protocol: str = "5") -> MqttTransport:
    addresses = [broker.address for broker in brokers]
    mqtt = {"reconnect_s": 0.01, "protocol": protocol, "qos": 1, "address": addresses}
    config = TransportConfig.model_validate({"mqtt": mqtt})
    return MqttTransport(
        *("a", ("b",), addresses[0], make_codec("a", ("b",)), config),
        credentials=None,
        largest_bytes=0,
        connect_within_s=LIMIT_S,
        gone_for_s=LIMIT_S,
    )


@pytest.mark.parametrize("brokers", [([Manner(confirms=None)], [Manner()])], indirect=True)
def test_a_client_goes_on_with_the_next_broker_and_what_no_broker_has_confirmed_is_written_there(brokers):
    first, second = brokers
    transport = opened(brokers)
    events = []
    try:
        transport.send(envelope("a", "b", Stop("x")))
        listen_until(lambda: first.calls[0].identifiers, Ear(transport))
        first.close()
        listen_until(lambda: second.calls and second.calls[-1].identifiers, Ear(transport))
        events += noticed(transport)
    finally:
        transport.close(0.0)
    assert second.calls[-1].again == first.calls[0].identifiers
    texts = {event.kind: event.text for event in events}
    assert f"connected to {second.address} again" in texts[EventKind.RECONNECTED]


@pytest.mark.parametrize("brokers", [([Manner(refuses=NOT_AUTHORIZED)], [Manner()])], indirect=True)
def test_a_broker_that_refuses_is_passed_over_where_another_takes_the_client(brokers):
    opened(brokers).close(0.0)
    assert [len(broker.calls) for broker in brokers] == [1, 1]


@pytest.mark.parametrize("brokers", [[[Manner(refuses=NOT_AUTHORIZED)]] * 3], indirect=True)
def test_where_all_brokers_refuse_the_user_is_told(brokers):
    with pytest.raises(UserError, match=r"cannot use the MQTT broker at .*: Not authorized"):
        opened(brokers)
    assert [len(broker.calls) for broker in brokers] == [1, 1, 1]


@pytest.mark.parametrize("brokers", [([Manner(refuses=UNSUPPORTED)], [Manner()])], indirect=True)
def test_a_broker_that_knows_neither_version_is_passed_over_once_it_was_asked_for_both(brokers):
    opened(brokers, "auto").close(0.0)
    assert [len(broker.calls) for broker in brokers] == [2, 1]


def test_brokers_of_a_cluster_are_tried_round_and_round_from_ones_own():
    assert from_on("b", ("a", "b", "c")) == ("b", "c", "a")
    assert from_on("x", ("a", "b")) == ("x",)


@pytest.mark.parametrize("addresses", [["mqtt://a:1", "mqtt://a:1"], ["mqtt://a:1", "mqtts://b:1"], ["mqtt://a"]])
def test_a_list_of_brokers_names_different_ones_that_all_have_tls_or_none(addresses):
    with pytest.raises(ValidationError, match="expected"):
        MqttConfig.model_validate({"address": addresses})


def test_one_address_and_a_list_of_addresses_stay_as_they_were_written():
    assert MqttConfig(address="mqtt://a:1").model_dump()["address"] == "mqtt://a:1"
    several = MqttConfig.model_validate({"address": ["mqtt://a:1", "mqtt://::1:2"]})
    assert several.addresses == ("mqtt://a:1", "mqtt://[::1]:2")
    assert MqttConfig().addresses == MqttConfig.model_validate({"address": []}).addresses == ()
