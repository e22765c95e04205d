"""What all tests need, and the guard that keeps `make quick` quick.

A test that starts a process bears the mark `processes`, or its file does; one that takes more than about two seconds in
this process alone bears `long`. `make quick` leaves out both. Nobody keeps a list: a test without the mark cannot start
a process.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import pytest
from hypothesis import settings

from broker.threads import limit_threads

limit_threads()
sys.dont_write_bytecode = False  # hundreds of processes begin here: each would compile all modules anew
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # in the background of a script: commands inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)
settings.register_profile("patient", deadline=None)  # no claim is about how fast this machine is
settings.load_profile("patient")
sys.path.insert(0, str(Path(__file__).parent / "scenarios"))

_MEMORY, _ROOM_BYTES = Path("/dev/shm"), 2 << 30


def _keep_files_in_memory() -> None:
    """Let temporary files lie in memory where there is room: no claim is about the disk, and its `fsync` takes long."""
    if "TMPDIR" in os.environ or not os.access(_MEMORY, os.W_OK):
        return
    found = os.statvfs(_MEMORY)
    if found.f_bavail * found.f_frsize >= _ROOM_BYTES and not found.f_flag & os.ST_NOEXEC:
        os.environ["TMPDIR"] = str(_MEMORY)
        tempfile.tempdir = None


_keep_files_in_memory()

_STARTS = {"subprocess.Popen", "os.posix_spawn", "os.fork", "os.forkpty", "os.system", "foretell.start"}
_unmarked: list[str] = []
"""The test that runs, if it may start no process."""


def _refuse_processes(event: str, _arguments: object) -> None:
    if event in _STARTS and _unmarked:
        msg = f"{_unmarked[0]} starts a process: mark it with @pytest.mark.processes"
        raise AssertionError(msg)


sys.addaudithook(_refuse_processes)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Look for garbage neither while all tests are collected nor, later on, among them: they stay to the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread files that wait for processes evenly among files that compute: together they keep all cores busy.

    Those that wait for long come first, lest the last of them be waited for alone.
    """
    sizes: Counter[bool] = Counter(map(_waits, items))
    seen: Counter[bool] = Counter()
    long, placed = [], []
    for _, group in groupby(items, attrgetter("path")):
        tests = list(group)
        kind = any(map(_waits, tests))
        place = seen[kind] / max(sizes[kind], 1)
        seen[kind] += sum(_waits(test) == kind for test in tests)
        if all(map(_waits_long, tests)):
            long.append(tests)
        else:
            placed.append((place, tests))
    placed.sort(key=lambda place: place[0])
    others = [test for _, tests in placed for test in tests]
    items[:] = _dealt(long, others, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def _dealt(long: list[list[pytest.Item]], others: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """Let each worker begin with files that wait for long: the first is given the first tests, and so on."""
    left = len(others) + sum(map(len, long))
    found: list[pytest.Item] = []
    for worker in range(workers):
        begins = [test for tests in long[worker::workers] for test in tests]
        more = max(left // (workers - worker) - len(begins), 0)
        found += begins + others[:more]
        others = others[more:]
        left -= len(begins) + more
    return found


def _waits_long(item: pytest.Item) -> bool:
    return _waits(item) and item.get_closest_marker("long") is not None


def _waits(item: pytest.Item) -> bool:
    return item.get_closest_marker("processes") is not None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Let only tests with the mark start processes."""
    if not _waits(item):
        _unmarked.append(item.nodeid)
    try:
        return (yield)
    finally:
        _unmarked.clear()


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    """Let a signal that a test was sent not change what the next one's processes inherit."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
