"""A connection to a host that waits for its launcher: a ZeroMQ socket that shows both keys."""

from __future__ import annotations

import socket as sockets
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event

import zmq

from broker.addresses import parse_address
from broker.own_clock import OwnClock
from broker.security.curve import CurveKeys, read_curve_keys
from broker.transports.zeromq.doorkeeper import Socket, call_with
from broker.transports.zeromq.sockets import allow_ipv6
from scenarios.running.fleet import LAUNCHER, HostConfig
from scenarios.running.hosts.bundle import CONTROL
from scenarios.running.hosts.carrier import Dial
from scenarios.running.hosts.sockets.watched import FAILED, JOINED, LEFT, PIECE_BYTES, heard, opened, watched

_CONNECTS_WITHIN_S = 10.0
_GOES_WITHIN_S = 3.0
_LAST_WORDS_MS = 1000
_RINGS = 1 << 12
_SET = "Give all hosts and the launcher bundles of one `foretell bundle`"


def over_sockets(launcher: Path) -> Dial:
    """Hosts are dialled where they wait, with the keys in the launcher's bundle.

    Raises:
        UserError: It has none.
    """
    keys = read_curve_keys(launcher / CONTROL)

    def dial(name: str, host: HostConfig, _log: Path) -> Dialled:
        return Dialled(name, host.control, keys)

    return dial


class Dialled:
    """See `scenarios.running.hosts.carrier.Carrier`. Whoever reads does all that is done to the socket.

    Args:
        host: Whom it dials, as its key is called.
        address: Where.
        keys: The launcher's own, and those of its hosts.

    Raises:
        UserError: There is no key of the host.
    """

    def __init__(self, host: str, address: str, keys: CurveKeys) -> None:
        self._host, self._address = host, address
        self._context: zmq.Context[Socket] = zmq.Context()
        self._socket = opened(self._context, zmq.DEALER)
        self._socket.setsockopt(zmq.RECONNECT_IVL, -1)
        call_with(self._socket, keys, LAUNCHER, host)
        self._events = watched(self._context, self._socket)
        self._outgoing: SimpleQueue[bytes] = SimpleQueue()
        self._hears, self._bell = sockets.socketpair()
        self._bell.setblocking(False)
        self._poller = zmq.Poller()
        for each in (self._socket, self._events, self._hears):
            self._poller.register(each, zmq.POLLIN)
        self._why, self._unsent = "", memoryview(b"")
        self._connected, self._closing, self._over = False, False, Event()

    def write(self, frame: bytes) -> None:
        """Have it sent."""
        if self._over.is_set():
            raise BrokenPipeError
        self._outgoing.put(frame)
        self._ring()

    def read(self) -> bytes:
        """Send what there is until something arrives."""
        if not self._over.is_set() and (self._connected or self._connect()):
            while not (self._closing and self._outgoing.empty()):
                arrived = self._turn(None)
                if arrived is not None:
                    if arrived:
                        return arrived
                    break
        self._end()
        return b""

    def said(self) -> str:
        """What the handshake, or the system, said."""
        return self._why

    def leave(self) -> None:
        """Let the reader send what is left, and go."""
        self._closing = True
        self._ring()
        self._over.wait(_GOES_WITHIN_S)

    def close(self) -> None:
        """Nothing is left: the reader has let go."""

    def _connect(self) -> bool:
        """Dial; whether the host is there and both sides know each other's keys."""
        at = parse_address(self._address, "tcp")
        try:
            sockets.create_connection((at.host, at.port), _CONNECTS_WITHIN_S).close()
        except OSError as error:
            said = "the name does not resolve" if isinstance(error, sockets.gaierror) else error.strerror or str(error)
            self._why = f"nobody answers at {self._address}: {said}. Start `foretell host` with its bundle there"
            return False
        allow_ipv6(self._socket, self._address)
        self._socket.connect(self._address)
        clock = OwnClock()
        give_up_at = clock() + _CONNECTS_WITHIN_S
        while not self._connected and not self._why and not self._closing and (left_s := clock.left_s(give_up_at)) > 0:
            self._turn(left_s)
        if not (self._connected or self._why or self._closing):
            self._why = f"whoever answers at {self._address} is no `foretell host`"
        return self._connected

    def _turn(self, within_s: float | None) -> bytes | None:
        """Wait for something to do, and do it; what arrived, empty where nothing more will."""
        ready = dict(self._poller.poll(None if within_s is None else round(within_s * 1000)))
        if self._hears.fileno() in ready:
            self._hears.recv(_RINGS)
        with suppress(Empty, zmq.Again):  # without a peer, which is known a moment later, nothing can be sent
            while True:
                self._unsent = self._unsent or memoryview(self._outgoing.get_nowait())
                self._socket.send(self._unsent[:PIECE_BYTES], zmq.NOBLOCK)
                self._unsent = self._unsent[PIECE_BYTES:]
        if self._socket in ready:
            return self._socket.recv()
        if self._events not in ready:
            return None
        happened = [event for event, _ in heard(self._events)]
        self._connected = self._connected or JOINED in happened
        self._why = next((self._explained(event) for event in happened if event in FAILED), self._why)
        return b"" if LEFT in happened else None

    def _explained(self, event: int) -> str:
        if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            return f"it refuses this launcher's key: its bundle is of another set. {_SET}"
        return f"whoever answers at {self._address} has not the key of {self._host}'s bundle. {_SET}"

    def _ring(self) -> None:
        with suppress(OSError):  # it is over, or has been rung often enough
            self._bell.send(b"\0")

    def _end(self) -> None:
        if self._over.is_set():
            return
        self._over.set()
        self._socket.disable_monitor()
        self._events.close(linger=0)
        self._socket.close(linger=_LAST_WORDS_MS if self._closing else 0)
        self._context.term()
        self._hears.close()
        self._bell.close()
