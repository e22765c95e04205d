"""What all ZeroMQ transports share: out-edges with bounded queues, one inbound socket, and how both are waited for.

The context is made by the transport itself: ZeroMQ does not survive a fork.
"""

from __future__ import annotations

import errno
import math
import socket as socket_module
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import zmq

from broker.addresses import parse_address
from broker.errors import AddressInUse, UserError
from broker.own_clock import OwnClock
from broker.security.curve import CurveKeys
from broker.transports.queueing import OutEdge, QueueingTransport
from broker.transports.transport import Traffic
from broker.transports.zeromq.doorkeeper import Caller, Socket, call_with
from broker.wire.codec import Codec
from broker.wire.messages import Hello, Message
from broker.wire.records import EventKind, EventRecord, Record

if TYPE_CHECKING:
    from broker.config import TransportConfig

# As enumeration members they cost a microsecond a call.
NOBLOCK = int(zmq.NOBLOCK)
_EVENTS, _READABLE = int(zmq.EVENTS), int(zmq.POLLIN)
_RECONNECT_MAX_MS = 1000
_PROBES_MAX = 127  # of Linux, which else refuses the connection; TCP_MAXRT decides all the same
_DRAIN_WITHIN_S = 0.05  # reading what has arrived already ends, even if it arrives as fast as it is read
_LAST_PORT = 65535
_REFUSED_FOR_S = 3.0  # a peer that comes back with new keys at this moment is no reason to give up


class SocketEdge(OutEdge):
    """The way to one peer through a socket.

    Attributes:
        socket: Which.
        send: Its `send`; raises `zmq.Again` where it takes no frame now.

    Args:
        socket: As above.
        limit: How many frames may wait.
        traffic: What is counted of the peer.
    """

    def __init__(self, socket: Socket, limit: int, traffic: Traffic) -> None:
        super().__init__(limit, traffic)
        self.socket = socket
        self.send = plain_send(socket)


def plain_send(socket: Socket) -> Callable[[bytes, int], object]:
    """The socket's `send`, less its wrapper for sockets of draft types."""
    return super(zmq.Socket, socket).send


def is_readable(socket: Socket) -> bool:
    """Whether a socket has something: half of what it costs to try in vain."""
    return int(socket.get(_EVENTS)) & _READABLE != 0


def set_limits(socket: Socket, config: TransportConfig) -> None:
    """Bound a socket's queues and its messages, and let it notice a peer that takes in nothing any more.

    TCP does that. ZeroMQ's own pings end the process (`Assertion failed: !_io_error`, `_input_stopped`) where a peer
    goes while its messages fill the queue of a reader that is busy.
    """
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.SNDHWM, config.queue_messages)
    socket.setsockopt(zmq.RCVHWM, config.queue_messages)
    socket.setsockopt(zmq.MAXMSGSIZE, config.max_message_bytes)
    interval_s, timeout_s = config.zeromq.keepalive_interval_s, config.zeromq.keepalive_timeout_s
    if interval_s:
        socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
        socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, interval_s)
        socket.setsockopt(zmq.TCP_KEEPALIVE_INTVL, interval_s)
        socket.setsockopt(zmq.TCP_KEEPALIVE_CNT, min(_PROBES_MAX, math.ceil(timeout_s / interval_s)))
        socket.setsockopt(zmq.TCP_MAXRT, timeout_s * 1000)


def reach(socket: Socket, config: TransportConfig, address: str, name: str, peer: str) -> None:
    """Connect a socket of `name`, again and again if need be.

    Raises:
        UserError: The address makes no sense.
    """
    socket.setsockopt(zmq.RECONNECT_IVL, config.zeromq.reconnect_ms)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, _RECONNECT_MAX_MS)
    allow_ipv6(socket, address)
    try:
        socket.connect(address)
    except zmq.ZMQError as error:
        msg = f"{name} cannot reach {peer} at {address!r}: {error.strerror or error}. Check transport.zeromq."
        raise UserError(msg) from None


SocketEdgeT = TypeVar("SocketEdgeT", bound=SocketEdge)


class SocketTransport(QueueingTransport[SocketEdgeT]):
    """A transport over ZeroMQ sockets; a subclass opens them.

    Args:
        name: The participant.
        codec: Allows this participant's in-edges.
        config: Limits of every transport, and options of the sockets.
        keys: Its own keys and those of its peers; None: anybody may connect.
        inbound: The type of the socket that frames come from.
    """

    def __init__(self, name: str, codec: Codec, config: TransportConfig, keys: CurveKeys | None, inbound: int) -> None:
        super().__init__(name, codec)
        self._config = config
        self._keys = keys
        self._context: zmq.Context[Socket] = zmq.Context()
        self._sockets: list[Socket] = []
        self._callers: list[Caller] = []
        self._inbound = self._socket(inbound)
        self._receive, self._take = self._way_in()
        self._timeout_s: float | None = None

    def wait(self, timeout_s: float | None, awaited: int = 1) -> None:
        """Block until `awaited` frames have arrived or a refused frame can go out; see `Transport.wait`.

        Reading many frames in one go costs half of reading them one by one.
        """
        if self._stuck:
            self._wait_and_flush(timeout_s)
            timeout_s = 0.0
        if timeout_s != self._timeout_s:
            self._inbound.setsockopt(zmq.RCVTIMEO, -1 if timeout_s is None else max(0, round(timeout_s * 1000)))
            self._timeout_s = timeout_s
        if len(self.arrived) >= awaited:
            return
        # Receiving at once is one call less than polling first: a fifth of a barrier's time.
        try:
            if awaited > 1:
                within_s = math.inf if timeout_s is None else max(timeout_s, _DRAIN_WITHIN_S)
                self._gather(time.monotonic() + within_s, awaited)
                return
            self._take(self._receive())
            if not self.arrived:  # it was no message: pass over many of them in one go
                self._gather(time.monotonic() + _DRAIN_WITHIN_S, awaited)
        except zmq.Again:
            return

    def _way_in(self) -> tuple[Callable[[], Any], Callable[[Any], None]]:
        """What receives a frame, and what takes it: chosen once, as it is called for each message."""
        return self._inbound.recv, self.take

    def _gather(self, give_up_at: float, awaited: int) -> None:
        """Take frames as they come, until there are enough messages or it is time to look at something else."""
        arrived, receive, take = self.arrived, self._receive, self._take
        while len(arrived) < awaited:
            take(receive())  # at once: the others still work
            if len(arrived) < awaited and time.monotonic() >= give_up_at:
                return

    def close(self, linger_s: float) -> None:
        """Close the sockets; frames under way are sent for at most `linger_s` seconds, `traffic` counts those left."""
        clock = OwnClock()
        give_up_at = clock() + linger_s
        while self._stuck and (left_s := clock.left_s(give_up_at)) > 0:
            self._flush_when_writable(left_s)
        for edge in self._edges.values():
            edge.give_up()
        self._close_sockets(max(0, round((give_up_at - clock()) * 1000)))

    def totals(self) -> list[Record]:
        """What was counted, refusals at the door included."""
        self._hear_refusals()
        return super().totals()

    def _close_sockets(self, linger_ms: int) -> None:
        self._hear_refusals()
        for caller in self._callers:
            caller.close()
        self._callers.clear()
        for socket in self._sockets:
            socket.close(linger=linger_ms)
        self._context.term()

    def _hear_refusals(self, callers: Iterable[Caller] | None = None) -> None:
        """Note which peers refuse this participant: those that these call, or any."""
        for caller in self._callers if callers is None else callers:
            if caller.look():
                self.noticed.append(EventRecord(self.name, EventKind.REFUSED, caller.peer, caller.reason))

    def _callers_on(self, edge: SocketEdgeT) -> Iterable[Caller]:  # noqa: ARG002 - all edges share what calls
        """Who may be refused where a frame cannot leave on an edge."""
        return self._callers

    def _call(self, socket: Socket, peer: str, address: str) -> Caller:
        """Connect a socket to a peer, again and again if need be; who watches it.

        Raises:
            UserError: The address makes no sense, or the peer's key is missing.
        """
        if self._keys is not None:
            call_with(socket, self._keys, self.name, peer)
        caller = Caller(socket, self._context, self.name, peer, address, keyed=self._keys is not None)
        self._callers.append(caller)
        reach(socket, self._config, address, self.name, peer)
        return caller

    def _leave(self, edge: SocketEdgeT, frame: bytes, kind: type[Message]) -> bool:  # noqa: ARG002 - all leave alike
        try:
            edge.send(frame, NOBLOCK)
        except zmq.Again:
            return False
        return True

    def _hello_refused(self, edge: SocketEdgeT, hello: Hello) -> None:
        """Find out why, on this edge alone: while many are only coming, to look at all for each of them would square.

        Raises:
            UserError: A peer has refused this participant for a while, or the other way round, before it has joined.
        """
        callers = self._callers_on(edge)
        self._hear_refusals(callers)
        for caller in callers:
            if hello.wants_reply and caller.refused_for_s() > _REFUSED_FOR_S:
                raise UserError(caller.reason)

    def _wait_and_flush(self, timeout_s: float | None) -> None:
        """Wait for a frame or for a peer that reads again."""
        self._flush_when_writable(timeout_s, self._inbound)

    def _flush_when_writable(self, timeout_s: float | None, *inbound: Socket) -> None:
        poller = zmq.Poller()
        for socket in inbound:
            poller.register(socket, zmq.POLLIN)
        self._watch_stuck(poller)
        poller.poll(None if timeout_s is None else max(0, round(timeout_s * 1000)))
        self._flush_stuck()

    def _flush_stuck(self) -> None:
        """Hand on what waits, as far as the peers read."""
        self._hear_refusals()
        super()._flush_stuck()

    @abstractmethod
    def _watch_stuck(self, poller: zmq.Poller) -> None:
        """Let a poller return as soon as a stuck edge may take a frame."""

    def _socket(self, kind: int) -> Socket:
        socket = self._context.socket(kind)
        set_limits(socket, self._config)
        self._sockets.append(socket)
        return socket


def bind(socket: Socket, name: str, address: str, setting: str) -> None:
    """Listen on an address, which comes from `setting` or, as to its host, from what stands beside that.

    Raises:
        AddressInUse: Another program listens there.
        UserError: The address cannot be listened on for another reason.
    """
    if address.startswith("ipc://") and _somebody_listens(address.removeprefix("ipc://")):
        raise AddressInUse(name, address, setting)
    port = address.rpartition(":")[2]
    if address.startswith("tcp://") and port.isdecimal() and int(port) > _LAST_PORT:
        msg = f"{name} cannot listen on {address}: ports end at {_LAST_PORT}. Choose a lower port in {setting}."
        raise UserError(msg)  # ZeroMQ would take it modulo 65536
    try:
        resolved = _resolved(address)
    except OSError as error:
        msg = (
            f"{name} cannot listen on {address}: the name does not resolve here ({error.strerror or error}). "
            "Say under `listen` which address of this host is meant, such as 0.0.0.0, or mend the name."
        )
        raise UserError(msg) from None
    allow_ipv6(socket, resolved)
    try:
        socket.bind(resolved)
    except zmq.ZMQError as error:
        if error.errno == zmq.EADDRINUSE:
            raise AddressInUse(name, address, setting) from None
        msg = f"{name} cannot listen on {address}: {_why_not(error, address, setting.rpartition('.')[0] or setting)}."
        raise UserError(msg) from None


def _why_not(error: zmq.ZMQError, address: str, place: str) -> str:
    """Why an address cannot be listened on, which stands in `place`, and what to do about it."""
    if error.errno == errno.ENAMETOOLONG:
        return "the path of a local socket may have 107 characters. Set TMPDIR to a shorter folder"
    if error.errno == errno.EADDRNOTAVAIL:
        return (
            "this host has no such address. Say under `listen` which of its own is meant, such as 0.0.0.0, "
            f"or mend {place}"
        )
    if error.errno == errno.ENOENT and address.startswith("ipc://"):
        return (
            "its folder is not on this host. Who meets at sockets of a folder is on one host: "
            f"give {place} addresses of a network, or make the folder"
        )
    return f"{error.strerror or error}. Check {place}"


def _resolved(address: str) -> str:
    """An address with numbers for a name: ZeroMQ listens on interfaces and numbers alone.

    Raises:
        OSError: The name does not resolve.
    """
    try:
        at = parse_address(address, "tcp", least_port=0)
    except ValueError:  # ipc, or what ZeroMQ itself says no to
        return address
    found = socket_module.getaddrinfo(at.host, at.port, type=socket_module.SOCK_STREAM)
    numbers = [str(place[0]) for _, _, _, _, place in found]
    return str(replace(at, host=at.host if at.host in numbers else numbers[0]))


def allow_ipv6(socket: Socket, address: str) -> None:
    """Let a socket use IPv6 where its address is one, or a name that has no other address now.

    ZeroMQ looks a name up anew at each try, but only in the families that it may use.
    """
    try:
        at = parse_address(address, "tcp", least_port=0)
        found = socket_module.getaddrinfo(at.host, at.port, type=socket_module.SOCK_STREAM)
    except (ValueError, OSError):  # no tcp, or a name that is not there yet
        return
    if {family for family, *_ in found} == {socket_module.AF_INET6}:
        socket.setsockopt(zmq.IPV6, 1)


def _somebody_listens(path: str) -> bool:
    """Whether a local socket is in use: ZeroMQ would take it over without a word."""
    with socket_module.socket(socket_module.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
        return True
