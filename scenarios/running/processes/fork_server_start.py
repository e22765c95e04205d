"""Starting the server that forks the participants of a run."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext
from queue import SimpleQueue
from types import ModuleType

from broker.isolated import isolated_interpreters
from broker.threads import limit_threads
from scenarios.running.processes.child import FOR_THE_LAUNCHER, PRELOADED

_ALLOCATOR = {
    "MALLOC_TRIM_THRESHOLD_": "131072",
    "MALLOC_MMAP_THRESHOLD_": "131072",
    "MALLOC_ARENA_MAX": "1",
}


def start_fork_server(preloaded: list[str] = PRELOADED) -> ForkServerContext:
    """A server that has imported what participants need, and forks them.

    It inherits: one compute thread; Ctrl-C and the end of the terminal blocked, since the launcher ends everybody in
    order; an allocator that gives memory back, which saves each of many agents the peak of its start; and no module of
    the working directory.
    """
    limit_threads()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(preloaded)
    _starter().start_server()
    return context


class _Starter(threading.Thread):
    """A thread that lives as long as this process, which all runs of it share: the server ends with who started it."""

    def __init__(self) -> None:
        super().__init__(name="foretell.fork-server", daemon=True)
        self._asked: SimpleQueue[Future[None]] = SimpleQueue()

    def start_server(self) -> None:
        """Start the server, if it does not run; returns when it does."""
        started: Future[None] = Future()
        self._asked.put(started)
        started.result()

    def run(self) -> None:
        """Do so whenever asked."""
        while True:
            started = self._asked.get()
            try:
                with forking():
                    forkserver.ensure_running()
            except BaseException as error:  # for who asked
                started.set_exception(error)
            else:
                started.set_result(None)


_the_starter: _Starter | None = None
_one_at_a_time = threading.Lock()


def _starter() -> _Starter:
    """The one of this process; another where that was forked, as threads are not."""
    global _the_starter  # noqa: PLW0603 - as the server, one for the process
    with _one_at_a_time:
        if _the_starter is None or not _the_starter.is_alive():
            _the_starter = _Starter()
            _the_starter.start()
        return _the_starter


@contextmanager
def forking() -> Iterator[None]:
    """What a server inherits that is started meanwhile: forking starts another where the last one was killed.

    Ctrl-C and the end of the terminal wait until it is over; ignored here, they would be lost to the launcher.
    The main module is empty meanwhile: multiprocessing has every child import the main module of its parent, which
    would cost each agent 3 MB, and start a run within the run where a user's script starts one.
    """
    with isolated_interpreters():
        resource_tracker.ensure_running()  # which would end the block, did multiprocessing start it later
    before = signal.pthread_sigmask(signal.SIG_BLOCK, FOR_THE_LAUNCHER)
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    tuned = {name: os.environ.get(name) for name in _ALLOCATOR}
    os.environ.update(_ALLOCATOR)
    try:
        with isolated_interpreters():
            yield
    finally:
        sys.modules["__main__"] = main
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for name, value in tuned.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)
