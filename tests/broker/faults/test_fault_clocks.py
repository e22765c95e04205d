"""Faults that go by a clock, over real sockets and in real time; for all others see test_fault_content."""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass, field

import numpy as np
import pytest
from broker_toys import envelope, noticed, number_anew
from fault_cases import fault
from substrates import Substrate

from broker.wire.messages import Hello, Share
from broker.wire.records import DelayRecord, FateCount, FaultCount

MESSAGES = 200
SIZE = np.dtype(np.float32).itemsize * 6
A, B = "agent-0", "agent-1"
GIVE_UP_S = 60.0


@dataclass
class Outcome:
    """What came of the messages; times are seconds since the receiver began."""

    handed_over_s: list = field(default_factory=list)
    records: list = field(default_factory=list)

    def of(self, kind):
        return [record for record in self.records if isinstance(record, kind)]


@pytest.fixture
def play():
    """Send all messages over ZeroMQ to somebody who meets faults, and listen until the fate of each is known."""
    folder = tempfile.mkdtemp(dir="/tmp", prefix="ft-")
    run = Substrate("ipc", "bare", folder, {A: (B,), B: (A,)}, queue_messages=10_000)

    def play_with(*faults):
        number_anew()
        run.faults = faults
        a, b = run.open(A, B), run.open(B, A)
        found, ear = Outcome(), b.transport
        began_at = ear.began_s = time.monotonic()
        while not ear.poll(time.monotonic()):  # the way is open
            a.transport.send(envelope(A, B, Hello(0, wants_reply=False)))
            ear.wait(0.01)
        for number in range(MESSAGES):
            a.transport.send(envelope(A, B, Share.of(0, number, {"x": np.zeros(6, np.float32)})))
        while not settled(ear):
            assert time.monotonic() < began_at + GIVE_UP_S, "the fate of some messages stays open"
            ear.wait(0.01)
            now = time.monotonic()
            found.handed_over_s += [now - began_at for one in ear.poll(now) if isinstance(one.message, Share)]
        found.records = [*noticed(ear), *ear.totals()]
        return found

    yield play_with
    run.close()
    shutil.rmtree(folder)


def settled(ear):
    fates = [record for record in ear.totals() if isinstance(record, FateCount)]
    ended = sum(sum(getattr(one, name) for name in FateCount.__struct_fields__[3:]) for one in fates)
    return ended == MESSAGES and not any(one.expired for one in fates) and ear.due is None


def test_a_hold_lets_nothing_through_before_its_window_ends(play):
    found = play(fault("hold", seconds=[0.0, 0.5]))
    assert len(found.handed_over_s) == MESSAGES
    assert min(found.handed_over_s) >= 0.5
    assert all(one.achieved_s >= one.asked_s - 1e-6 for one in found.of(DelayRecord))


def test_a_slow_link_takes_its_time_for_all_bytes(play):
    found = play(fault("rate-limit", bytes_per_s=20_000.0, queue_bytes=1 << 20))
    assert len(found.handed_over_s) == MESSAGES
    assert max(found.handed_over_s) >= MESSAGES * SIZE / 20_000.0


def test_a_slow_link_loses_what_its_queue_does_not_hold(play):
    found = play(fault("rate-limit", bytes_per_s=200.0, queue_bytes=5 * SIZE))
    (fates,) = found.of(FateCount)
    assert fates.dropped > 0
    assert fates.dropped + fates.delayed == MESSAGES
    assert len(found.handed_over_s) == fates.delayed


def test_a_radio_behind_a_wrong_clock_hands_over_in_the_slots_of_that_clock_alone(play):
    slots = {"period_s": 0.2, "on_s": 0.02, "offset_s": 0.1}
    found = play(fault("clock-offset", offset_s=0.05, agents=[B]), fault("duty-cycle", **slots))
    shifted, radio = found.of(FaultCount)
    assert (shifted.fault, shifted.examined, shifted.hits) == ("clock-offset", MESSAGES, MESSAGES)
    assert radio.examined == len(found.handed_over_s) == MESSAGES
    assert all(0 < one.asked_s <= 0.18 and one.achieved_s >= one.asked_s - 1e-6 for one in found.of(DelayRecord))
