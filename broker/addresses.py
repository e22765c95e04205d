"""Addresses such as `tcp://10.0.0.7:5670`, `mqtt://[::1]:1883` or `ipc:///tmp/a`: where they are joined and parted.

A host is kept without brackets and written with them where it is an IPv6 address. What stands before an `@` would be
somebody's name and password: such an address is refused, and never shown.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

IPC = "ipc"

_LAST_PORT = 65535
_NOT_IN_A_NAME = frozenset("/[]?#\\ \t\n\r\0")
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - looked up, not listened on


@dataclass(frozen=True)
class Address:
    """Where somebody listens.

    Attributes:
        scheme: Such as `tcp`.
        host: Name, IPv4 address, or IPv6 address without brackets; the path with `ipc`.
        port: 0 with `ipc`.
    """

    scheme: str
    host: str
    port: int = 0

    def __str__(self) -> str:
        if self.scheme == IPC:
            return f"{IPC}://{self.host}"
        return f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def is_beyond_this_host(self) -> bool:
        """Whether others than this host's own programs can reach it."""
        if self.scheme == IPC:
            return False
        try:
            return not ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host != "localhost"

    @property
    def from_here(self) -> str:
        """The host under which this host's own programs reach it."""
        return _ANY.get(self.host, self.host)


def parse_address(text: str, *schemes: str, least_port: int = 1) -> Address:
    """An address of one of the `schemes`; an IPv6 address may stand in brackets or not.

    Args:
        text: It.
        schemes: Those that make sense here.
        least_port: 0 where any free port will do.

    Raises:
        ValueError: It is none; says what was expected and, unless it may hold a password, what was found.
    """
    scheme, _, place = text.partition("://")
    if "@" in place and scheme != IPC:
        msg = (
            f"expected {_forms(schemes)}, found an address with a user or a password in it (not shown here). An MQTT "
            "broker's are given as transport.mqtt.username and transport.mqtt.password_file or password_variable"
        )
        raise ValueError(msg)
    if scheme == IPC and IPC in schemes and place:
        return Address(IPC, place)
    host, _, port = place.rpartition(":")
    if (
        scheme not in schemes
        or not port.isascii()
        or not port.isdecimal()
        or not least_port <= int(port[:6]) <= _LAST_PORT
    ):
        msg = f"expected {_forms(schemes)}, found {text!r}"
        raise ValueError(msg)
    return Address(scheme, parse_host(host), int(port))


def parse_host(text: str) -> str:
    """A host, without the brackets that may stand around an IPv6 address.

    Raises:
        ValueError: It is none.
    """
    host = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if ":" in host or host != text:
        try:
            return str(ipaddress.IPv6Address(host))
        except ValueError:
            msg = f"expected a name, an IPv4 address or an IPv6 address, found {text!r}"
            raise ValueError(msg) from None
    try:
        host.encode("idna")  # as whoever looks the name up does
    except UnicodeError:
        host = ""
    if not host or _NOT_IN_A_NAME & set(host):
        msg = f"expected the name or the address of a host, found {text!r}"
        raise ValueError(msg)
    return host


def _forms(schemes: tuple[str, ...]) -> str:
    forms = [f"{scheme}://PATH" if scheme == IPC else f"{scheme}://HOST:PORT" for scheme in schemes]
    return " or ".join(forms)
