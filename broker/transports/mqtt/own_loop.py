"""An event loop that its owner runs while it waits, and no more of it than is needed."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

_CLOSE_WITHIN_S = 1.0
_TURN_EVERY_S = 1.0


class Reads(Protocol):
    """What is read without the loop while all is well."""

    def can_publish(self) -> bool:
        """Whether all is well."""

    def read_within(self, timeout_s: float) -> None:
        """Read what comes within `timeout_s` seconds."""


class OwnLoop:
    """A loop that runs only within `run` and `turn`, in the thread that calls them.

    Args:
        reader: What is read without the loop, if it is there already; asked again each time.
    """

    def __init__(self, reader: Callable[[], Reads | None]) -> None:
        self._reader = reader
        self._stopped = False
        self._turn_at = 0.0
        self._failure: BaseException | None = None
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._note_failure)

    def start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Let `run` do some work besides; where that fails, so does `run`."""

        def done(task: asyncio.Task[None]) -> None:
            if not task.cancelled():
                self._failure = task.exception()
            self._loop.stop()

        task = self._loop.create_task(work, name=name)
        task.add_done_callback(done)

    def run(self, timeout_s: float | None) -> None:
        """Read, and do the work, until `stop`; for at most `timeout_s` seconds.

        While all is well, the loop has a turn a second, for aiomqtt's pings: reading needs none.
        """
        self._stopped = False
        give_up_at = math.inf if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left_s = give_up_at - (now := time.monotonic())
            reader = self._reader()
            if reader is None or not reader.can_publish():
                self._run_loop(left_s)
            elif now >= self._turn_at:
                self._turn_at = now + _TURN_EVERY_S
                self.turn()
            else:
                reader.read_within(max(0.0, min(left_s, self._turn_at - now)))
            if self._failure is not None:
                raise self._failure
            if self._stopped or time.monotonic() >= give_up_at:
                return

    def stop(self) -> None:
        """Let `run` return."""
        self._stopped = True
        self._loop.stop()

    def turn(self) -> None:
        """Let the loop do what can be done now."""
        self._loop.stop()
        self._loop.run_forever()

    def end_work(self) -> None:
        """Cancel the work, and let it end."""
        loop = self._loop
        give_up_at = time.monotonic() + _CLOSE_WITHIN_S
        while (tasks := asyncio.all_tasks(loop)) and time.monotonic() < give_up_at:
            for task in tasks:
                task.cancel()  # again and again: asyncio forgets it where a task has just got what it waited for
            self.turn()

    def close(self) -> None:
        """Release the loop, which has nothing left to do."""
        self._loop.close()

    def _run_loop(self, timeout_s: float) -> None:
        timer = self._loop.call_later(timeout_s, self._loop.stop) if timeout_s < math.inf else None
        self._loop.run_forever()
        if timer is not None:
            timer.cancel()

    def _note_failure(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An error in a callback ends `run`; what is said of futures that nobody asks any more is dropped."""
        if "handle" in context:
            self._failure = context.get("exception")
            loop.stop()
