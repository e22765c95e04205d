"""Why a broker cannot be used, in its own words, and what a user can do about it."""

from __future__ import annotations

import socket
import ssl

import aiomqtt
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from broker.security.mqtt_access import MqttCredentials

REFUSED = 0x80
"""This and higher ones are refusals."""
_UNSUPPORTED, _BAD_IDENTIFIER, _BAD_PASSWORD, _NOT_AUTHORIZED, _BANNED = 0x84, 0x85, 0x86, 0x87, 0x8A
TAKEN_OVER = 0x8E
_BAD_METHOD, _TOO_LARGE, _NO_RETAIN, _NO_SUCH_QOS, _ELSEWHERE, _MOVED = 0x8C, 0x95, 0x9A, 0x9B, 0x9C, 0x9D
_NO_SUCH_NAME = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
_MULTICAST_NAMES = ".local"
"""Such a name is there as soon as its host is."""
_SHOWN = 200


class NoAnswer(aiomqtt.MqttError):
    """No proper answer to the first packet: what some brokers do to a version they do not know."""


class SubscriptionRefused(aiomqtt.MqttError):
    """The broker does not let the participant listen."""


class OfferTooSmall(aiomqtt.MqttError):
    """The broker does not offer what the run needs; says what to do."""


def code_of(error: aiomqtt.MqttError) -> int | None:
    """The broker's reason, if it gave one."""
    cause = error if isinstance(error, aiomqtt.MqttCodeError) else error.__cause__
    code = getattr(cause, "rc", None)
    return code.value if isinstance(code, ReasonCode) else None


def reason_of(error: aiomqtt.MqttError) -> str:
    """Why, in the words of whoever said it."""
    cause = error.__cause__ or error
    code = getattr(cause, "rc", None)
    return str(code if isinstance(code, ReasonCode) else cause)


def words_of(properties: Properties | None) -> str:
    """What a broker adds to a refusal in words of its own, ready to stand behind it."""
    said = [getattr(properties, name, "") for name in ("ReasonString", "ServerReference")]
    return "".join(f" ({text[:_SHOWN]!r})" for text in said if text)


def means_other_version(error: aiomqtt.MqttError) -> bool:
    """Whether the broker may know another version of MQTT."""
    return isinstance(error, NoAnswer) or code_of(error) == _UNSUPPORTED


def final_of(error: aiomqtt.MqttError) -> bool:
    """Whether a connection that has worked will not work again: what it was used for is refused."""
    return isinstance(error, OfferTooSmall) or code_of(error) in {_TOO_LARGE, _NO_SUCH_QOS, _MOVED}


def advice(error: aiomqtt.MqttError, host: str, shown: MqttCredentials | None, packet_bytes: int) -> str | None:
    """What a user can do about an error that will not pass by itself, or None if it may.

    Args:
        error: It.
        host: The broker's.
        shown: Name and password that the broker was shown.
        packet_bytes: What the run's largest message may take.
    """
    code = code_of(error)
    if code in {_BAD_PASSWORD, _NOT_AUTHORIZED, _BANNED, _BAD_METHOD} or isinstance(error, SubscriptionRefused):
        return _advice_on_access(shown)
    if isinstance(error, OfferTooSmall):
        return ""
    if code is not None and code in _ADVICE:
        return _ADVICE[code].format(bytes=packet_bytes)
    if isinstance(error.__context__, socket.gaierror):
        is_final = error.__context__.errno in _NO_SUCH_NAME and not host.endswith(_MULTICAST_NAMES)
        return "Check the address." if is_final else None
    if isinstance(error.__context__, ssl.SSLError):
        return _advice_on_tls(shown)
    return None


_ADVICE = {
    _BAD_IDENTIFIER: "Give the run a shorter name.",
    _UNSUPPORTED: "Set transport.mqtt.protocol to auto.",
    _TOO_LARGE: "This run needs packets of {bytes} bytes: raise the broker's limit (mosquitto: max_packet_size).",
    _NO_RETAIN: "Use another broker.",
    _NO_SUCH_QOS: "This run needs quality of service 1. Use another broker.",
    _ELSEWHERE: "Set transport.mqtt.address to the one that it names.",
    _MOVED: "Set transport.mqtt.address to the one that it names.",
}


def _advice_on_access(shown: MqttCredentials | None) -> str:
    if shown is None:
        return (
            "Set transport.security.keys to the folder of keys that it knows, or, where it has accounts of its own, "
            "transport.mqtt.username and password_file or password_variable."
        )
    if shown.from_settings:
        return "Check transport.mqtt.username, its password, and what the broker lets this account do."
    return "Check the keys that transport.security.keys names, and the broker's own list."


def _advice_on_tls(shown: MqttCredentials | None) -> str:
    if shown is None or shown.ca is None:
        return (
            "Check that it speaks TLS (mqtts://) and that this host trusts who signed its certificate (else name the "
            "authority's file in the environment variable SSL_CERT_FILE)."
        )
    return "Check that it speaks TLS (mqtts://) and that its certificate is the one these keys were made for."
