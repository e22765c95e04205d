"""Addresses are joined and parted in one way, with IPv6 and without, and never give away a password."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from broker.addresses import Address, parse_address, parse_host
from broker.config import TransportConfig, ZeroMQConfig


@given(st.ip_addresses(), st.integers(1, 65535), st.booleans())
def test_an_address_is_read_as_it_was_written_with_brackets_and_without(host, port, brackets) -> None:
    written = f"[{host}]" if brackets and host.version == 6 else str(host)
    found = parse_address(f"tcp://{written}:{port}", "tcp")
    assert found == Address("tcp", str(host), port)
    assert parse_address(str(found), "tcp") == found
    assert str(found) == (f"tcp://[{host}]:{port}" if host.version == 6 else f"tcp://{host}:{port}")


def test_a_link_local_address_keeps_its_interface() -> None:
    assert str(parse_address("mqtt://[fe80::1%eth0]:1883", "mqtt")) == "mqtt://[fe80::1%eth0]:1883"


def test_a_path_is_an_address_too() -> None:
    assert str(parse_address("ipc:///tmp/a@b", "tcp", "ipc")) == "ipc:///tmp/a@b"


@pytest.mark.parametrize(
    "text",
    [
        *("", "mqtt://", "mqtt://host", "mqtt://host:", "mqtt://host:0", "mqtt://host:65536", "mqtt://:1883"),
        *("tcp://host:1883", "mqtt://a..b:1", "mqtt://[host]:1", "mqtt://1::2::3:1", "mqtt://a b:1", "mqtt://a/b:1"),
        *("mqtt://" + "x" * 64 + ":1", "mqtt://host:\u0661", "mqtt://host:" + "9" * 5000, "mqtt://[::1:1", "host:1883"),
    ],
)
def test_what_is_no_address_is_refused_with_what_was_expected(text) -> None:
    with pytest.raises(ValueError, match=r"expected (mqtt://HOST:PORT|a name|the name), ?|expected"):
        parse_address(text, "mqtt")


@pytest.mark.parametrize("text", ["mqtt://me:secret@host:1883", "mqtt://secret@host:1883", "mqtt://me:secret@host"])
def test_a_password_in_an_address_is_refused_and_not_shown(text) -> None:
    with pytest.raises(ValueError, match=r"user or a password in it \(not shown here\).*mqtt\.username") as caught:
        parse_address(text, "mqtt")
    assert "secret" not in str(caught.value)
    with pytest.raises(ValidationError) as refused:
        TransportConfig.model_validate({"kind": "mqtt", "mqtt": {"address": text}})
    assert "secret" not in refused.value.errors()[0]["msg"]


def test_all_addresses_of_a_document_are_kept_with_brackets_and_its_host_without() -> None:
    config = ZeroMQConfig(host="[::1]", forwarder="tcp://::1:1", addresses={"agent-0": "tcp://fe80::1:5670"})
    assert (config.host, config.forwarder) == ("::1", "tcp://[::1]:1")
    assert config.addresses == {"agent-0": "tcp://[fe80::1]:5670"}
    assert parse_host("::1") == "::1"


@pytest.mark.parametrize(
    ("mqtt", "security", "sentence"),
    [
        ({"address": "mqtt://127.0.0.1:1", "password_variable": "P"}, {}, "expected a username"),
        ({"username": "me"}, {}, "name an address"),
        (
            {"address": "mqtt://127.0.0.1:1", "username": "ö" * 32_768},
            {},
            "expected at most 65535 bytes in UTF-8, found 65536",
        ),
        ({"address": "mqtt://127.0.0.1:1", "username": "me", "password_variable": "A B=C!"}, {}, "pattern"),
        ({"address": "mqtt://127.0.0.1:1", "username": "me", "password_variable": "A\n"}, {}, "pattern"),
        (
            {"address": "mqtt://127.0.0.1:1", "username": "me", "password_file": "f", "password_variable": "P"},
            {},
            "both",
        ),
        ({"address": "mqtt://127.0.0.1:1", "username": "me"}, {"mode": "on"}, "found both"),
        ({"address": "mqtt://127.0.0.1:1", "username": "me"}, {"keys": "folder"}, "found both"),
        ({"address": "mqtt://10.0.0.1:1", "username": "me"}, {}, "in clear"),
    ],
)
def test_an_account_that_could_not_be_meant_is_refused(mqtt, security, sentence) -> None:
    with pytest.raises(ValidationError, match=sentence):
        TransportConfig.model_validate({"kind": "mqtt", "mqtt": mqtt, "security": security})


@pytest.mark.parametrize(
    ("address", "mode"),
    [("mqtt://127.0.0.1:1", "auto"), ("mqtts://10.0.0.1:1", "auto"), ("mqtt://10.0.0.1:1", "off")],
)
def test_an_account_is_used_where_its_password_does_not_cross_a_network_in_clear_unasked(address, mode) -> None:
    mqtt = {"address": address, "username": "me", "password_variable": "P"}
    assert (
        TransportConfig.model_validate({"kind": "mqtt", "mqtt": mqtt, "security": {"mode": mode}}).mqtt.username == "me"
    )
