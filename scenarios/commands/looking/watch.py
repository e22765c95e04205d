"""`foretell watch`: a page that shows runs."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from pathlib import Path

from scenarios.commands.looking.browser import open_in_browser
from scenarios.commands.screen import say
from scenarios.results.temporary import temporary_folder
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
        if private is not None:
            open_in_browser(found.url, private)

    with suppress(KeyboardInterrupt), temporary_folder() if opens else nullcontext() as private:
        serve(root, listen, port, tell)
