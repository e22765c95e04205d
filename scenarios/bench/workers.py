"""Processes that benchmarks measure against."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess

from broker.isolated import isolated_interpreters


def fork(target: Callable[..., None], arguments: Sequence[tuple[object, ...]]) -> list[BaseProcess]:
    """Start a process for each of `arguments`."""
    context = multiprocessing.get_context("forkserver")
    processes: list[BaseProcess] = [context.Process(target=target, args=each, daemon=True) for each in arguments]
    with isolated_interpreters():
        for process in processes:
            process.start()
    return processes


def end(processes: Sequence[BaseProcess]) -> None:
    """End them at once."""
    for process in processes:
        process.kill()
    for process in processes:
        process.join()


def cores() -> list[int]:
    """The cores that this process may use; where the system does not say, one."""
    return sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else [0]


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Keep this thread, and those it starts, on a core, where the system lets one choose."""
    if sys.platform != "linux":
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, (core,))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
