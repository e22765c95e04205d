"""An HTTP server that idle or slow strangers cannot fill: few connections at a time, each for a few seconds."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from broker.addresses import Address

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

MOST_CONNECTIONS = 16
"""Each holds a thread and a descriptor of the process that serves, which may lead a run."""
LONGEST_S = 5.0


class BoundedServer(ThreadingMixIn, WSGIServer):
    """Answers in threads of its own; one connection too many is closed at once, one that lasts too long when it does.

    Args:
        address: Where it shall listen.
        app: What answers.

    Raises:
        OSError: It cannot listen there.
    """

    daemon_threads = True
    request_queue_size = 2 * MOST_CONNECTIONS

    def __init__(self, address: Address, app: WSGIApplication) -> None:
        asked = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family = asked[0][0]
        self._lock = threading.Lock()
        self._began: dict[socket.socket, float] = {}
        super().__init__((str(asked[0][4][0]), address.port), _SilentHandler)
        self.set_app(app)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - asked by the server
        """Whether there is room for one more connection."""
        with self._lock:
            has_room = len(self._began) < MOST_CONNECTIONS
            if has_room:
                self._began[request] = time.monotonic()
        return has_room

    def service_actions(self) -> None:
        """End what has lasted too long; the loop that accepts calls this about twice a second."""
        self._end_those_begun_before(time.monotonic() - LONGEST_S)

    def shutdown_request(self, request: Any) -> None:
        """Close one connection."""
        with self._lock:
            self._began.pop(request, None)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Listen no more, and end every connection."""
        super().server_close()
        self._end_those_begun_before(time.monotonic())

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: whoever went away in the middle of an answer is no concern of who runs something here."""

    def _end_those_begun_before(self, limit: float) -> None:
        """Let the threads that wait for these connections wake up and close them."""
        with self._lock:
            for request, began in self._began.items():
                if began <= limit:
                    with suppress(OSError):
                        request.shutdown(socket.SHUT_RDWR)


class _SilentHandler(WSGIRequestHandler):
    """Logs no requests: the screen is the run's."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the standard library
        """Log nothing."""
