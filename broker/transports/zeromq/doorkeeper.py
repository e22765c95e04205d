"""CURVE on sockets: whom a server lets in, how a client proves who it is, and what a refused client can tell."""

from __future__ import annotations

import struct
import threading
import time
from collections import deque
from collections.abc import Mapping

import zmq
from zmq.utils import z85

from broker.security.curve import CurveKeys, key_of

Socket = zmq.Socket[bytes]

_DOMAIN = b"foretell"
_ZAP_ADDRESS = "inproc://zeromq.zap.01"
_ALLOWED, _REFUSED = b"200", b"400"
_REMEMBERED = 20
_CONNECT_AGAIN_S = 1.0
_BROKEN_OFF = 3
"""A connection may break off in a handshake for other reasons, but hardly that often in a row."""


def serve_with(socket: Socket, keys: CurveKeys) -> None:
    """Let a socket admit only whom its context's doorkeeper knows."""
    socket.setsockopt(zmq.CURVE_SERVER, 1)
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret.encode())
    socket.setsockopt(zmq.ZAP_DOMAIN, _DOMAIN)
    socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)  # without a doorkeeper nobody gets in, instead of everybody


def call_with(socket: Socket, keys: CurveKeys, name: str, peer: str) -> None:
    """Let a socket of `name` prove its key to `peer`, and ask for its.

    Raises:
        UserError: There is no key of that peer.
    """
    socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public.encode())
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret.encode())
    socket.setsockopt(zmq.CURVE_SERVERKEY, key_of(keys, peer, name).encode())


class Doorkeeper(threading.Thread):
    """Answers ZeroMQ's question who may come in (ZAP), for all sockets of a context, until that is terminated.

    Every frame of a client that was let in bears its name as `User-Id`.

    Attributes:
        refused: Keys that were refused and not reported yet, the last few.

    Args:
        context: The context.
        peers: Public keys of those who may come in, by name.
    """

    def __init__(self, context: zmq.Context[Socket], peers: Mapping[str, str]) -> None:
        super().__init__(name="doorkeeper", daemon=True)
        self.refused: deque[str] = deque(maxlen=_REMEMBERED)
        self._names = {z85.decode(key): name for name, key in peers.items()}
        self._questions = context.socket(zmq.REP)
        self._questions.setsockopt(zmq.LINGER, 0)
        self._questions.bind(_ZAP_ADDRESS)
        self.start()

    def run(self) -> None:
        """Answer until the context ends."""
        try:
            while True:
                self._questions.send_multipart(self._answer(self._questions.recv_multipart()))
        except zmq.ContextTerminated:
            self._questions.close(linger=0)

    def _answer(self, question: list[bytes]) -> list[bytes]:
        version, request, domain, _, _, mechanism, *credentials = question
        name = self._names.get(credentials[0]) if mechanism == b"CURVE" and domain == _DOMAIN else None
        if name is None:
            self.refused.append(z85.encode(credentials[0]).decode() if mechanism == b"CURVE" else "none")
            return [version, request, _REFUSED, b"unknown key", b"", b""]
        return [version, request, _ALLOWED, b"", name.encode(), b""]


class Caller:
    """Watches a socket that connects: ZeroMQ tells nobody else that it was refused.

    Attributes:
        peer: Whom it calls.
        reason: Why it is refused now, in a sentence; empty when it is not.

    Args:
        socket: The socket, not connected yet.
        context: Its context.
        name: The participant that it belongs to.
        peer: Whom it calls.
        address: Where.
        keyed: Whether it has keys.
    """

    def __init__(
        self, socket: Socket, context: zmq.Context[Socket], name: str, peer: str, address: str, *, keyed: bool
    ) -> None:
        self.peer = peer
        self.reason = ""
        self._socket, self._address = socket, address
        self._sentences = _sentences(name, peer, address, keyed)
        self._failures = 0
        self._refused_at = self._call_again_at = 0.0
        endpoint = f"inproc://caller-{id(self)}"
        socket.monitor(endpoint, sum(self._sentences) | zmq.EVENT_HANDSHAKE_SUCCEEDED)
        self._events = context.socket(zmq.PAIR)
        self._events.setsockopt(zmq.RCVHWM, 0)  # a full one would hold up ZeroMQ's thread
        self._events.connect(endpoint)

    def look(self) -> bool:
        """Take in what happened since the last look; True when `reason` is a new one."""
        before = self.reason
        try:
            while True:
                event = struct.unpack("=H", self._events.recv_multipart(zmq.NOBLOCK)[0][:2])[0]
                self._note(event)
        except zmq.Again:
            pass
        if self._call_again_at and time.monotonic() >= self._call_again_at:
            self._call_again_at = 0.0  # after these refusals ZeroMQ does not try again by itself
            self._socket.connect(self._address)
        return bool(self.reason) and self.reason != before

    def refused_for_s(self) -> float:
        """For how many seconds it has been refused; 0 when it is not."""
        return time.monotonic() - self._refused_at if self.reason else 0.0

    def close(self) -> None:
        """Stop watching."""
        self._socket.disable_monitor()
        self._events.close(linger=0)

    def _note(self, event: int) -> None:
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self.reason, self._failures = "", 0
            return
        self._failures += 1
        if event != zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
            self._call_again_at = time.monotonic() + _CONNECT_AGAIN_S
        elif self._failures < _BROKEN_OFF:
            return
        if not self.reason:
            self._refused_at = time.monotonic()
            self.reason = self._sentences[event]


def _sentences(name: str, peer: str, address: str, keyed: bool) -> dict[int, str]:
    """What each event means for the user."""
    who, mend = f"{peer} at {address}", "Give all participants keys of one `foretell keys`."
    other = "takes no keys, but" if keyed else "asks for a key, but"
    has = "has one" if keyed else "has none"
    mismatch = f"{who} {other} {name} {has}. {mend}"
    unproven = f"{who} does not have the key that {name} knows it by. {mend}" if keyed else mismatch
    return {
        int(zmq.EVENT_HANDSHAKE_FAILED_AUTH): f"{who} refuses the key of {name}: it knows another one or none. {mend}",
        int(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL): mismatch,
        int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL): unproven,
    }
