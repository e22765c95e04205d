"""Looks at a run while somebody watches it, and tells each who does what is new to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from broker.errors import ForetellError
from broker.text_files import as_text
from scenarios.watching.page.payload import Payload, changes, whole
from scenarios.watching.seen import RunSeen
from scenarios.watching.watched_run import WatchedRun

LOOK_EVERY_S = 0.5
Tell = Callable[[Payload], None]


class RunFeed:
    """One run and those who watch it.

    Attributes:
        run: Which.
        newest: What was seen of it last.

    Args:
        run: Which; it is looked at in a thread, never by two at a time.
    """

    def __init__(self, run: WatchedRun) -> None:
        self.run = run
        self.newest: RunSeen | None = None
        self._told: dict[int, tuple[Tell, RunSeen | None]] = {}
        self._next = 0
        self._looking: asyncio.Task[None] | None = None
        self._look_now = asyncio.Event()

    def join(self, tell: Tell) -> int:
        """Tell somebody all of it, and what is new from then on; returns what `leave` takes."""
        self._next += 1
        self._told[self._next] = (tell, None)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        self._look_now.set()
        return self._next

    def leave(self, number: int) -> None:
        """Tell them no more; nobody looks when the last has left."""
        self._told.pop(number, None)
        if not self._told and self._looking is not None:
            self._looking.cancel()
            self._looking = None

    def hurry(self) -> None:
        """Look at once: something was just done to the run."""
        self._look_now.set()

    async def _look(self) -> None:
        while True:
            self._look_now.clear()
            try:
                seen = await asyncio.to_thread(self.run.look)
                self.newest = seen
                self._tell_all(seen)
            except ForetellError as error:
                for tell, _ in self._told.values():
                    tell({"problem": as_text(error)})
            with suppress(TimeoutError):
                await asyncio.wait_for(self._look_now.wait(), LOOK_EVERY_S)

    def _tell_all(self, seen: RunSeen) -> None:
        """Tell each; those who know the same are told the same."""
        payloads: dict[int, Payload | None] = {}
        for number, (tell, before) in list(self._told.items()):
            if before is seen:
                continue
            known = id(before)
            if known not in payloads:
                payloads[known] = whole(seen) if before is None else changes(before, seen)
            self._told[number] = (tell, seen)
            payload = payloads[known]
            if payload is not None:
                tell(payload)
