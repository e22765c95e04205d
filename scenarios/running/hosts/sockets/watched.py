"""What becomes of the connections of a ZeroMQ socket: it says so to nobody but who watches it."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import zmq

from broker.transports.zeromq.doorkeeper import Socket

PIECE_BYTES = 1 << 20
"""The longest message of such a socket. It carries a stream of bytes, so what is longer goes in pieces."""

_AROUND_A_PIECE_BYTES = 1 << 10
_EVENT = struct.Struct("=HI")
_IDLE_S, _AGAIN_S, _TIMES = 10, 10, 3
FAILED = (
    int(zmq.EVENT_HANDSHAKE_FAILED_AUTH),
    int(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL),
    int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL),
)
JOINED, LEFT = int(zmq.EVENT_HANDSHAKE_SUCCEEDED), int(zmq.EVENT_DISCONNECTED)


def opened(context: zmq.Context[Socket], kind: int) -> Socket:
    """A socket that keeps all that it is given, and notices a peer that is gone without a word.

    Who sends a longer message loses its connection, before anybody knows who it is.
    """
    socket = context.socket(kind)
    for option, value in (
        (zmq.LINGER, 0),
        (zmq.SNDHWM, 0),
        (zmq.RCVHWM, 0),
        (zmq.MAXMSGSIZE, PIECE_BYTES + _AROUND_A_PIECE_BYTES),
        (zmq.TCP_KEEPALIVE, 1),
        (zmq.TCP_KEEPALIVE_IDLE, _IDLE_S),
        (zmq.TCP_KEEPALIVE_INTVL, _AGAIN_S),
        (zmq.TCP_KEEPALIVE_CNT, _TIMES),
    ):
        socket.setsockopt(option, value)
    return socket


def watched(context: zmq.Context[Socket], socket: Socket) -> Socket:
    """Where to hear of a socket that is neither bound nor connected yet."""
    endpoint = f"inproc://watched-{id(socket)}"
    socket.monitor(endpoint, sum(FAILED) | JOINED | LEFT)
    events = context.socket(zmq.PAIR)
    events.setsockopt(zmq.RCVHWM, 0)  # a full one would hold up ZeroMQ's thread
    events.connect(endpoint)
    return events


def heard(events: Socket) -> Iterator[tuple[int, int]]:
    """What happened since the last look: each event and, with `LEFT`, the descriptor of the connection."""
    try:
        while True:
            event, value = _EVENT.unpack(events.recv_multipart(zmq.NOBLOCK)[0])
            yield event, value
    except zmq.Again:
        return
