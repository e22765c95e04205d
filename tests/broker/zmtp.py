"""A ZeroMQ peer made by hand (ZMTP 3.0), which sends whatever it likes."""

from __future__ import annotations

import socket
import struct

from limits import LIMIT_S

_GREETING_BYTES = 64
_COMMAND, _LONG = 4, 2


def dial(address):
    """A plain connection to `tcp://HOST:PORT` or `ipc://PATH`."""
    scheme, _, place = address.partition("://")
    if scheme == "ipc":
        found = socket.socket(socket.AF_UNIX)
        found.settimeout(LIMIT_S)
        found.connect(place)
        return found
    host, _, port = place.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=LIMIT_S)


def greeting(mechanism=b"NULL"):
    """The first bytes of a connection."""
    return b"\xff" + bytes(8) + b"\x7f\x03\x00" + mechanism.ljust(20, b"\0") + bytes(32)


def frame(body, flags=0):
    """A message or command as it travels."""
    if len(body) > 255:
        return bytes([flags | _LONG]) + struct.pack("!Q", len(body)) + body
    return bytes([flags, len(body)]) + body


def shake_hands(address, kind):
    """A connection as a socket of `kind` (b"PUSH", b"PUB", b"SUB") that was let in."""
    wire = dial(address)
    try:
        wire.sendall(greeting())
        _read(wire, _GREETING_BYTES)
        name = b"\x0bSocket-Type" + struct.pack("!I", len(kind)) + kind
        wire.sendall(frame(b"\x05READY" + name, _COMMAND))
        flags, length = _read(wire, 2)
        assert flags == _COMMAND
        _read(wire, length)
    except OSError:
        wire.close()
        raise
    return wire


def _read(wire, count):
    data = b""
    while len(data) < count:
        more = wire.recv(count - len(data))
        if not more:
            raise ConnectionError("the other side has closed")
        data += more
    return data
