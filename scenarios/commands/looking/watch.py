"""`foretell watch`: a page that shows runs."""

from __future__ import annotations

import webbrowser
from contextlib import suppress
from pathlib import Path

from scenarios.commands.screen import say
from scenarios.watching.page.server import LOOPBACK, Listening, serve


def watch(root: Path, listen: str, port: int, *, opens: bool) -> None:
    """Serve the page until it is ended, and say where it is.

    Args:
        root: A run's folder, or one of many runs.
        listen: Address to listen on.
        port: Its port; 0: any that is free.
        opens: Whether to open it in this host's browser.
    """

    def tell(found: Listening) -> None:
        say(f"watching {root}: {found.url}")
        if found.host != LOOPBACK:
            say("what it shows travels unencrypted, and whoever has the token may change faults", err=True)
        if opens:
            webbrowser.open(found.url)

    with suppress(KeyboardInterrupt):
        serve(root, listen, port, tell)
