"""Processes that benchmarks measure against."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess


def fork(target: Callable[..., None], arguments: Sequence[tuple[object, ...]]) -> list[BaseProcess]:
    """Start a process for each of `arguments`."""
    context = multiprocessing.get_context("forkserver")
    processes: list[BaseProcess] = [context.Process(target=target, args=each, daemon=True) for each in arguments]
    for process in processes:
        process.start()
    return processes


def end(processes: Sequence[BaseProcess]) -> None:
    """End them at once."""
    for process in processes:
        process.kill()
    for process in processes:
        process.join()
