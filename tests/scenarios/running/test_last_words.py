"""What participants say as they end reaches the store, however busy what stands between is."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
import thread_nodes
from running.watched_run import BROKERS, PROC
from runs import TINIEST, until
from thread_nodes import in_threads

from broker.driving import real_time
from broker.driving.driver import Driver
from broker.driving.process import DONE
from broker.wire.messages import ENVIRONMENT
from broker.wire.records import ClosedRecord, ClosingRecord, EdgeRecord, JoinedRecord
from scenarios.bench.startup import descendants
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.results.folder import RunFolder, make_run_folder
from scenarios.results.observer import Observer
from scenarios.results.reader import read_store
from scenarios.running.control.run import run
from scenarios.running.launched import launched_life
from scenarios.running.launched.accounts import Accounts
from scenarios.running.launched.launch import launched

TINY = TINIEST | {"episodes": 8}
FORWARDED = TINY | {"transport.zeromq.mode": "forwarder"}
BUSY_S = 0.5
ONE, OTHER = "agent-0", "agent-1"
SENT, HEARD = EdgeRecord(ONE, OTHER, sent=3), EdgeRecord(OTHER, ONE, heard=2)
ACCOUNT = [ClosingRecord(ONE), SENT, HEARD, ClosedRecord(ONE, 2)]


def test_an_account_counts_once_however_often_and_in_how_many_parts_it_is_said():
    accounts = Accounts(lambda *_: True)
    assert [*accounts.take(ONE, ACCOUNT[:2])] == []
    assert [*accounts.take(ONE, ACCOUNT)] == ACCOUNT[1:]
    assert [*accounts.take(ONE, ACCOUNT)] == []
    assert accounts.take_cut() == {}
    assert (accounts.speaking, accounts.whole) == (set(), {ONE})


@pytest.mark.parametrize("lost", range(4))
def test_an_account_of_which_a_part_was_lost_counts_when_all_of_it_has_come(lost):
    accounts = Accounts(lambda *_: True)
    assert [*accounts.take(ONE, [*ACCOUNT[:lost], *ACCOUNT[lost + 1 :]])] == []
    assert accounts.whole == set()
    assert [*accounts.take(ONE, ACCOUNT)] == ACCOUNT[1:]


def test_of_an_account_that_was_cut_off_counts_what_came():
    accounts = Accounts(lambda *_: True)
    assert [*accounts.take(ONE, [JoinedRecord(ONE), *ACCOUNT[:3]])] == [JoinedRecord(ONE)]
    assert accounts.speaking == {ONE}
    assert accounts.take_cut() == {ONE: [SENT, HEARD]}
    assert accounts.take_cut() == {}


def test_nobody_begins_or_ends_the_account_of_another():
    accounts = Accounts(lambda *_: True)
    forged = [ClosingRecord(OTHER), JoinedRecord(ONE), ClosedRecord(OTHER, 1)]
    assert [*accounts.take(ONE, forged)] == forged
    assert accounts.whole == set()


@pytest.mark.processes
def test_all_totals_come_though_the_forwarder_does_nothing_for_a_while_as_participants_are_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(real_time, "_SHOW_EVERY_S", float("inf"))  # nobody tells of totals before its end
    plan = make_plan(load_scenario("exchange-quick", FORWARDED))
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


def play(folder: RunFolder, **settings: object) -> tuple[Observer, list[str]]:
    plan = make_plan(load_scenario("exchange-quick", TINY | settings))
    said: list[str] = []
    observer = Observer(plan, folder, "run", lambda _: None, said.append)
    try:
        run(plan, folder, observer, launched(in_threads), lambda: False)
    finally:
        observer.finish()
    return observer, said


def test_who_ends_with_zero_before_its_work_is_done_has_died(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lives = count()
    as_told = thread_nodes._Node._take_part

    def may_leave(node: thread_nodes._Node) -> int:
        return DONE if node.name == OTHER and next(lives) == 0 else as_told(node)

    monkeypatch.setattr(thread_nodes._Node, "_take_part", may_leave)
    observer, said = play(make_run_folder(tmp_path / "run", "tiny", 1))
    assert observer.recorded == TINY["episodes"]
    assert any(f"{OTHER} died: it ended with exit code 0 before its work was done" in sentence for sentence in said)


def test_who_does_not_end_although_its_work_is_done_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launched_life, "_EXIT_WITHIN_S", 0.2)
    as_told = thread_nodes._Node._take_part

    def stays(node: thread_nodes._Node) -> int:
        code = as_told(node)
        until(lambda: node.name != OTHER or node.gate.asked_to_end, "being ended")
        return code

    monkeypatch.setattr(thread_nodes._Node, "_take_part", stays)
    observer, said = play(make_run_folder(tmp_path / "run", "tiny", 1))
    assert observer.recorded == TINY["episodes"]
    assert said == [f"did not end within 0.2 s after their work was done, and are ended: {OTHER}"]


@pytest.mark.processes
def test_a_run_ends_as_it_would_although_the_forwarder_dies_when_the_last_episode_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is under way then is said once, but for the account and the Stop that end the run."""
    settings = {"transport.zeromq.mode": "forwarder", "recovery.on_crash": "fail"}
    finish, killed = Driver.finish, []

    def finish_without_a_forwarder(driver: Driver) -> None:
        if driver.participant.name == ENVIRONMENT and not killed:
            killed.append(next(each for each in descendants(os.getpid()) if is_broker(each)))
            os.kill(killed[0], signal.SIGKILL)
        finish(driver)

    monkeypatch.setattr(Driver, "finish", finish_without_a_forwarder)
    folder = make_run_folder(tmp_path / "run", "tiny", 1)
    observer, _ = play(folder, **settings)
    assert killed
    assert observer.recorded == TINY["episodes"]
    assert sources(folder) == {ENVIRONMENT, ONE, OTHER, "agent-2"}


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
