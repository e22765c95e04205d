"""Work in a thread of its own, where an event loop runs in the caller's: a thread can run no second one meanwhile."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from scenarios.running.control.run import Interrupted

_Result = TypeVar("_Result")


def without_loop(work: Callable[[Interrupted], _Result], interrupted: Interrupted) -> _Result:
    """Do work that may run an event loop, whoever asks for it: a program, a notebook, or a coroutine.

    Signals come to the caller's thread in any case. What they raise there, the work raises where it next asks whether
    it is interrupted, so that it ends as it would in the caller's thread.

    Args:
        work: Takes what it asks again and again whether it is to end.
        interrupted: What the caller would have it ask.

    Returns:
        What it returns; what it raises is raised.
    """
    if not _loop_runs():
        return work(interrupted)
    raised: list[BaseException] = []

    def ask() -> bool:
        if raised:
            raise raised[0]
        return interrupted()

    with ThreadPoolExecutor(1, "foretell") as executor:  # its end waits for that of the work
        working = executor.submit(contextvars.copy_context().run, work, ask)
        try:
            return working.result()
        except BaseException as error:
            raised.append(error)
            raise


def _loop_runs() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
