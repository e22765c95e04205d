"""What participants say as they end reaches the store, however busy what stands between is."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from running.watched_run import BROKERS, PROC
from thread_nodes import in_threads

from broker.driving import real_time
from scenarios.bench.startup import descendants
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.results.folder import RunFolder, make_run_folder
from scenarios.results.observer import Observer
from scenarios.results.reader import read_store
from scenarios.running.control.run import run
from scenarios.running.launched.launch import launched

TINY = {
    "episodes": 8,
    "parallel_episodes": 1,
    "environment.steps": 2,
    "learning.hidden": [4],
    "learning.rounds": 1,
    "transport.zeromq.mode": "forwarder",
}
BUSY_S = 0.5


@pytest.mark.processes
def test_all_totals_come_though_the_forwarder_does_nothing_for_a_while_as_participants_are_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(real_time, "_SHOW_EVERY_S", float("inf"))  # nobody tells of totals before its end
    plan = make_plan(load_scenario("exchange-quick", TINY))
    folder = make_run_folder(tmp_path / "run", "tiny", 1)
    observer = Observer(plan, folder, "run", lambda _: None)
    with a_busy_forwarder() as begin:

        def interrupted() -> bool:
            if observer.recorded < 4:
                return False
            begin()
            return True

        try:
            run(plan, folder, observer, launched(in_threads), interrupted)
        finally:
            observer.finish()
    assert sources(folder) == {*plan.participants}


def sources(folder: RunFolder) -> set[str]:
    with read_store(folder.store) as store:
        return {edge.source for edge in store.edges() if edge.sent} - {"observer"}


@contextmanager
def a_busy_forwarder() -> Iterator[Callable[[], None]]:
    """Yields what lets the forwarder do nothing for a while, once."""
    timers: list[threading.Timer] = []

    def begin() -> None:
        if not timers:
            forwarder = next(each for each in descendants(os.getpid()) if is_broker(each))
            os.kill(forwarder, signal.SIGSTOP)
            timers.append(threading.Timer(BUSY_S, os.kill, (forwarder, signal.SIGCONT)))
            timers[0].start()

    try:
        yield begin
    finally:
        for timer in timers:
            timer.join()


def is_broker(process: int) -> bool:
    words = (PROC / str(process) / "cmdline").read_bytes().decode(errors="replace")
    return any(broker in words for broker in BROKERS)
