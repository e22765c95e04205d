"""A real browser for tests of the page, and what it sees."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from limits import LIMIT_S
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-default-apps", "--disable-extensions", "--disable-sync", "--no-first-run", "--mute-audio"),
)


def chromium_path() -> str:
    """The system's Chromium; a missing one is a visible skip, and a failure where all must run."""
    found = shutil.which("chromium")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("chromium is not installed: apt-get install chromium")
        pytest.skip("chromium is not installed")
    return found


@contextmanager
def browsing() -> Iterator[Browser]:
    """One browser, for many pages."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


class Window:
    """A window with a profile of its own, which notes whom it asks and what goes wrong in it.

    Attributes:
        page: What it shows.
        asked: The hosts of all requests.
        errors: What its console called an error.
    """

    def __init__(self, browser: Browser, url: str, width: int = 1440, height: int = 900, *, dark: bool = False) -> None:
        self._context: BrowserContext = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        self.asked: set[str | None] = set()
        self.errors: list[str] = []
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(LIMIT_S * 1000)
        self.page.on("request", self._note)
        self.page.on("websocket", lambda socket: self.asked.add(urlsplit(socket.url).hostname))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._hear)
        self.page.goto(url)

    def close(self) -> None:
        self._context.close()

    def _hear(self, said: ConsoleMessage) -> None:
        if said.type == "error" and "already in CLOSING" not in said.text:  # said whenever a page is left
            self.errors.append(said.text)

    def _note(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme != "data":
            self.asked.add(parts.hostname)
