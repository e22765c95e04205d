"""`foretell host BUNDLE`: waits for the launcher of its bundle, and for nobody else.

Each connection gets a `foretell host --stdio` of its own, as `sshd` does it: lease, takeover and going on are those of
a host over SSH.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress

import zmq

from broker.own_clock import OwnClock
from broker.security.curve import read_curve_keys
from broker.servers.leash import end
from broker.transports.zeromq.doorkeeper import Doorkeeper, Socket, serve_with
from broker.transports.zeromq.sockets import bind
from scenarios.running.hosts.bundle import CONTROL, Bundle
from scenarios.running.hosts.sockets.service_manager import ALIVE, READY, ServiceManager
from scenarios.running.hosts.sockets.serving import Serving
from scenarios.running.hosts.sockets.watched import FAILED, LEFT, PIECE_BYTES, heard, opened, watched

_LOOK_EVERY_S = 0.5
_ENDS_WITHIN_S = 15.0
_TOLD_EVERY_S = 60.0
_TURNED_AWAY = {
    FAILED[0]: "turned away a launcher whose key is not the one in this bundle: its bundle is of another set",
    FAILED[1]: "turned away somebody who does not know the key of this bundle: its bundle is of another set, if it is "
    "a launcher at all",
}


class Listener:
    """Waits on a socket, and hands what a launcher says to the process that serves it.

    Args:
        bundle: Says who the launcher is.
        address: Where it waits.
        command: Serves one launcher on its standard input and output.
        tell: Takes sentences for whoever looks after this host.

    Raises:
        UserError: The address is in use or makes no sense, or keys are missing.
    """

    def __init__(self, bundle: Bundle, address: str, command: Sequence[str], tell: Callable[[str], None]) -> None:
        self._command, self._tell = command, tell
        keys = read_curve_keys(bundle.folder / CONTROL)
        self._context: zmq.Context[Socket] = zmq.Context()
        self._doorkeeper = Doorkeeper(self._context, keys.peers)
        self._socket = opened(self._context, zmq.ROUTER)
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        serve_with(self._socket, keys)
        self._events = watched(self._context, self._socket)
        self._poller = zmq.Poller()
        for each in (self._socket, self._events):
            self._poller.register(each, zmq.POLLIN)
        self._serving: dict[int, Serving] = {}
        self._manager, self._clock = ServiceManager(), OwnClock()
        self._alive_at = self._clock()
        self._told_at: dict[int, float] = {}
        try:
            bind(self._socket, "this host", address, "--listen")
        except BaseException:
            self.close()
            raise
        tell(f"host {bundle.manifest.host} of {bundle.manifest.run} waits for its launcher at {address}")

    def serve(self, wants_end: Callable[[], bool]) -> None:
        """Serve until a signal wants the end."""
        self._manager.tell(READY)
        while not wants_end():
            ready = dict(self._poller.poll(round(_LOOK_EVERY_S * 1000)))
            self._say_alive()
            if self._socket in ready or self._events in ready:
                self._hear()
            for each in list(self._serving.values()):
                if each.output in ready:
                    self._answer(each)
                each.flush(self._poller)

    def close(self) -> None:
        """End all that serves, and wait no more."""
        for each in self._serving.values():
            each.hang_up(self._poller)
            end(each.process, _ENDS_WITHIN_S)
            each.close(self._poller)
        self._serving.clear()
        self._socket.disable_monitor()
        self._events.close(linger=0)
        self._socket.close(linger=0)
        self._context.term()

    def _hear(self) -> None:
        """Hand on what was said and note who has gone.

        Each event is seen before the last look at what was said, and each saying before the last look at events: all
        that somebody said before going is handed on, and a descriptor is never taken for one that had its number.
        """
        said: list[tuple[bytes, int, bytes]] = []
        gone: set[int] = set()
        happened = True
        while happened:
            said += self._said()
            events = list(heard(self._events))
            gone |= {descriptor for event, descriptor in events if event == LEFT}
            for event in sorted({event for event, _ in events} & _TURNED_AWAY.keys()):
                self._turned_away(event)
            happened = bool(events)
        served = {each.launcher: each for each in self._serving.values()}
        for launcher, _, content in said:
            if launcher in served:
                served[launcher].take(content, self._poller)
        for each in served.values():
            if each.descriptor in gone:
                self._let_go(each)
        new: dict[bytes, Serving] = {}
        for launcher, descriptor, content in said:
            if launcher not in served:
                if launcher not in new:
                    new[launcher] = self._begin(launcher, descriptor)
                new[launcher].take(content, self._poller)

    def _said(self) -> list[tuple[bytes, int, bytes]]:
        """Who said what, and over which descriptor."""
        found = []
        with suppress(zmq.Again):
            while True:
                launcher, content = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
                found.append((launcher.bytes, int(content.get(zmq.SRCFD)), content.bytes))
        return found

    def _begin(self, launcher: bytes, descriptor: int) -> Serving:
        self._tell("the launcher is there")
        made = Serving(self._command, launcher, descriptor)
        self._serving[made.output] = made
        self._poller.register(made.output, zmq.POLLIN)
        return made

    def _answer(self, serving: Serving) -> None:
        """Hand an answer back, or the end of all answers."""
        content = os.read(serving.output, PIECE_BYTES)
        if serving.launcher:
            try:
                self._socket.send_multipart([serving.launcher, content])
            except zmq.ZMQError:
                self._let_go(serving)
        if not content:
            del self._serving[serving.output]
            serving.close(self._poller)

    def _turned_away(self, event: int) -> None:
        """Say so, but not again and again: anybody may knock."""
        now = self._clock()
        if now - self._told_at.get(event, -_TOLD_EVERY_S) >= _TOLD_EVERY_S:
            self._told_at[event] = now
            self._tell(_TURNED_AWAY[event])

    def _let_go(self, serving: Serving) -> None:
        self._tell("the launcher is gone")
        serving.hang_up(self._poller)

    def _say_alive(self) -> None:
        if self._manager.within_s is not None and self._clock() - self._alive_at > self._manager.within_s / 4:
            self._alive_at = self._clock()
            self._manager.tell(ALIVE)
