"""Serves the pages: on this host alone unless another address is asked for, until somebody ends it."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from nicegui import ui

from broker.addresses import Address, parse_host
from broker.errors import UserError
from scenarios.watching.page.door import PARAMETER, Door, new_token
from scenarios.watching.page.patient_protocol import PatientProtocol
from scenarios.watching.page.site import WatchedSite, make_pages

LOOPBACK = "127.0.0.1"
_LINGER_S = 1
_DEAD_AFTER_S = 30.0
"""A browser that gives no sign for so long is gone; a busy one may be slow."""
_MESSAGES_KEPT = 100


@dataclass(frozen=True)
class Listening:
    """Where the pages are.

    Attributes:
        host: The address that is listened on.
        port: Its port.
        url: What a browser opens, with the token.
    """

    host: str
    port: int
    url: str


def serve(root: Path, host: str, port: int, tell: Callable[[Listening], None]) -> None:
    """Serve the pages of a run, or of a folder of runs, until Ctrl-C or SIGTERM.

    Args:
        root: The folder.
        host: Address to listen on.
        port: Its port; 0: any that is free.
        tell: Called once the pages can be opened.

    Raises:
        UserError: There is nothing to watch, or the address cannot be listened on.
    """
    site, token, host = WatchedSite(root), new_token(), _host(host)
    with _bound(host, port) as listener:
        port = listener.getsockname()[1]
        listening = Listening(host, port, f"{Address('http', host, port)}/?{PARAMETER}={token}")
        behind = FastAPI(on_startup=[lambda: tell(listening)])
        make_pages(site)
        ui.run_with(
            behind,
            title="Foretell",
            dark=None,
            tailwind=False,
            binding_refresh_interval=None,
            reconnect_timeout=_DEAD_AFTER_S,
            message_history_length=_MESSAGES_KEPT,
            show_welcome_message=False,
            favicon="◉",
        )
        logging.getLogger("nicegui").setLevel(logging.ERROR)
        config = uvicorn.Config(
            Door(behind, token, port),
            log_level="error",
            http=PatientProtocol,
            ws="websockets-sansio",
            timeout_graceful_shutdown=_LINGER_S,
        )
        uvicorn.Server(config).run(sockets=[listener])


def _host(listen: str) -> str:
    try:
        return parse_host(listen)
    except ValueError as error:
        msg = f"--listen: {error}"
        raise UserError(msg) from None


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            msg = f"--listen: expected an address of this host, such as {LOOPBACK}, found {host}: {error.strerror}"
        else:
            msg = f"cannot listen on {host}, port {port}: {error.strerror}. Leave --port out for any that is free"
        raise UserError(msg) from None
    return listener
