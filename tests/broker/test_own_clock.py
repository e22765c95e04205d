"""Time that a process did not live through counts for nothing, and all other time counts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits import LIMIT_S

from broker.own_clock import LONGEST_WAIT_S, OwnClock

MONTH_S = 30 * 86400.0


class Host:
    """A host whose seconds pass when it is told, some of them computing."""

    def __init__(self) -> None:
        self.passed_s = self.computed_s = 0.0
        self.clock = OwnClock(lambda: self.passed_s, lambda: self.computed_s)

    def pass_(self, seconds: float, computing: float = 0.0) -> None:
        self.passed_s += seconds
        self.computed_s += computing

    def wait(self, seconds: float) -> None:
        """As the loops do it: with looks in between."""
        give_up_at = self.clock() + seconds
        while (left_s := self.clock.left_s(give_up_at)) > 0:
            self.pass_(max(left_s, 0.001))


@given(st.lists(st.floats(0.0, 2 * LONGEST_WAIT_S), max_size=50))
def test_a_clock_that_is_looked_at_goes_like_the_monotonic_one(waits: list[float]) -> None:
    host = Host()
    for seconds in waits:
        host.pass_(seconds)
        assert host.clock() == pytest.approx(host.passed_s)
    assert host.clock.breaks == 0


@pytest.mark.parametrize("stopped_s", [1.0, 60.0, MONTH_S])
def test_time_in_which_a_process_was_stopped_takes_nothing_of_its_patience(stopped_s: float) -> None:
    host = Host()
    give_up_at = host.clock() + 0.3
    host.pass_(0.1)
    host.clock()
    host.pass_(stopped_s)
    assert host.clock.left_s(give_up_at) > 0
    assert give_up_at - host.clock() > 0.15
    assert host.clock.breaks == 1


def test_time_in_which_a_process_computes_counts() -> None:
    host = Host()
    host.pass_(40.0, computing=40.0)
    assert host.clock() == pytest.approx(40.0)
    stopped_while_computing = Host()
    stopped_while_computing.pass_(100.0, computing=40.0)
    assert stopped_while_computing.clock() == pytest.approx(40.0, abs=0.1)


def test_others_may_be_let_go_on_later_before_anybody_loses_patience() -> None:
    host = Host()
    give_up_at = host.clock() + 0.1
    host.pass_(60.0)
    host.clock()
    going_on_at = host.passed_s
    while host.clock.left_s(give_up_at) > 0:
        host.pass_(LONGEST_WAIT_S / 2)
    assert host.passed_s - going_on_at > 1.0


def test_waiting_ends_after_the_time_asked_for_and_not_before() -> None:
    host = Host()
    host.wait(10.0)
    assert host.passed_s == pytest.approx(10.0, abs=0.01)
    host.pass_(60.0)
    host.clock()
    went_on_at, looks = host.passed_s, 0
    give_up_at = host.clock() + 1.0
    while (left_s := host.clock.left_s(give_up_at)) > 0:
        host.pass_(max(left_s, 0.001))
        looks += 1
    assert host.passed_s == pytest.approx(went_on_at + 3.0, abs=0.1)
    assert looks < 30, "while the clock stands still nobody looks at it in a hurry"


@given(st.floats(0.6, 10.0))
def test_patience_ends_even_where_the_host_is_always_too_busy(step_s: float) -> None:
    host = Host()
    give_up_at = host.clock() + 5.0
    for _ in range(2000):
        host.pass_(step_s)
        if host.clock.left_s(give_up_at) == 0:
            return
    pytest.fail("it waits for ever")


@given(st.lists(st.tuples(st.floats(0.0, 100.0), st.floats(0.0, 1.0)), max_size=60))
def test_it_never_goes_back_and_never_faster_than_time(steps: list[tuple[float, float]]) -> None:
    host, before = Host(), 0.0
    for seconds, busy in steps:
        host.pass_(seconds, computing=seconds * busy)
        now = host.clock()
        assert before <= now <= before + seconds + 1e-6
        before = now


_LOOKS = """
import sys, time
from broker.own_clock import LONGEST_WAIT_S, OwnClock
clock = OwnClock()
began_at, began = time.monotonic(), clock()
print("begun", flush=True)
looked_at = began_at
while time.monotonic() < looked_at + 0.9:
    looked_at = time.monotonic()
    now = clock()
    time.sleep(LONGEST_WAIT_S)
now = clock()
print(time.monotonic() - began_at, now - began, flush=True)
"""


@pytest.mark.processes
def test_a_real_process_that_is_stopped_does_not_count_it() -> None:
    with subprocess.Popen([sys.executable, "-c", _LOOKS], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            os.kill(process.pid, signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            stopped_at = time.monotonic()
            while time.monotonic() < stopped_at + 1.0:
                time.sleep(0.1)
            os.kill(process.pid, signal.SIGCONT)
            passed_s, lived_s = map(float, process.communicate(timeout=LIMIT_S)[0].split())
        finally:
            process.kill()
    assert passed_s - lived_s > 0.5
