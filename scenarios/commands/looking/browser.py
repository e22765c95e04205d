"""Opens a page of ours in this host's browser without telling others of this host where it is."""

from __future__ import annotations

import html
import webbrowser
from pathlib import Path

from scenarios.commands.screen import say

_PAGE = """<!DOCTYPE html>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url={url}">
<title>Foretell</title>
<a href="{url}">To the page</a>
"""


def open_in_browser(url: str, folder: Path) -> None:
    """Open an address that has a token in it.

    Everybody on a host can read the command line of a browser, so that names a file, which leads to the address.

    Args:
        url: The address.
        folder: This user's alone; stays there while the browser begins.
    """
    page = folder / "foretell.html"
    try:
        page.touch(mode=0o600)
        page.write_text(_PAGE.format(url=html.escape(url)), encoding="utf-8")
    except OSError as error:
        say(f"cannot open the browser by {page}: {error.strerror}. Open the address above", err=True)
        return
    webbrowser.open(page.as_uri())
