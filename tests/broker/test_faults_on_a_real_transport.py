"""Every kind of fault strikes over real sockets as it does in memory: as often, as strongly, and the same messages."""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass, field

import numpy as np
import pytest
from broker_toys import envelope, noticed, number_anew
from fault_cases import KINDS, fault
from substrates import Substrate

from broker.messages import Hello, Share
from broker.records import DelayRecord, FateCount, FaultCount, FaultRecord
from scenarios.ledger import check

MESSAGES, ROUNDS = 300, 50
A, B = "agent-0", "agent-1"
CLOCKED = {"rate-limit", "duty-cycle", "hold"}
SHORT = {
    "rate-limit": {"bytes_per_s": 20_000.0, "queue_bytes": 1 << 20},
    "duty-cycle": {"period_s": 0.2, "on_s": 0.02, "offset_s": 0.1},
    "hold": {"seconds": [0.0, 0.5]},
}
GIVE_UP_S = 30.0


@dataclass
class Outcome:
    """What came of the messages on one way."""

    heard: list = field(default_factory=list)
    records: list = field(default_factory=list)
    handed_over_s: list = field(default_factory=list)

    def of(self, kind):
        return [record for record in self.records if isinstance(record, kind)]

    @property
    def contents(self):
        return sorted(
            (one.message.episode, one.message.round, one.message.layout, bytes(one.message.data)) for one in self.heard
        )


def distribution(number):
    weights = np.random.default_rng(number).random((2, 3))
    return {"anticipation": (weights / weights.sum(axis=-1, keepdims=True)).astype(np.float32)}


def play(way, *faults):
    """Send all messages over one way, and listen until the fate of each is known."""
    folder = tempfile.mkdtemp(dir="/tmp", prefix="ft-")
    run = Substrate(way, "bare", folder, {A: (B,), B: (A,)}, queue_messages=10_000)
    try:
        number_anew()
        run.faults = faults
        a, b = run.open(A, B), run.open(B, A)
        clock = time.monotonic if way != "memory" else ticking_clock()
        found, ear = Outcome(), b.transport
        while not ear.poll(clock()):  # its clock begins to count; over sockets, the way is open
            a.transport.send(envelope(A, B, Hello(0, wants_reply=False)))
            ear.wait(0.01)
        for number in range(MESSAGES):
            a.transport.send(envelope(A, B, Share.of(number // ROUNDS, number % ROUNDS, distribution(number))))
        give_up_at = time.monotonic() + GIVE_UP_S
        while not settled(ear):
            assert time.monotonic() < give_up_at, "the fate of some messages stays open"
            if way != "memory":
                ear.wait(0.01)
            now = clock()
            arrived = [one for one in ear.poll(now) if not isinstance(one.message, Hello)]
            found.heard += arrived
            found.handed_over_s += [now] * len(arrived)
        found.records = [*noticed(ear), *ear.totals()]
        return found
    finally:
        run.close()
        shutil.rmtree(folder)


def ticking_clock(step_s=0.001):
    """A clock that moves on whenever it is asked."""
    ticks = iter(range(10**9))
    return lambda: next(ticks) * step_s


def settled(ear):
    fates = [record for record in ear.totals() if isinstance(record, FateCount)]
    ended = sum(sum(getattr(one, name) for name in FateCount.__struct_fields__[3:]) for one in fates)
    return ended == MESSAGES and not any(one.expired for one in fates) and ear.due is None


def lines(found, kind):
    """Records that do not depend on the clock, in the order of the messages."""
    return sorted(found.of(kind), key=lambda one: (one.episode, one.number, getattr(one, "delays_s", ())))


@pytest.mark.parametrize("kind", sorted(set(KINDS) - CLOCKED))
def test_a_fault_strikes_the_same_messages_as_hard_over_sockets_as_in_memory(kind):
    config = fault(kind)
    memory, sockets = play("memory", config), play("ipc", config)
    counts = sockets.of(FaultCount)
    assert counts == memory.of(FaultCount)
    assert sum(count.examined for count in counts) == MESSAGES
    assert counts[0].hits > 0
    assert check([config], counts) == []
    assert sockets.of(FateCount) == memory.of(FateCount)
    assert lines(sockets, FaultRecord) == lines(memory, FaultRecord)
    assert sockets.contents == memory.contents
    asked = [
        [(one.episode, one.number, one.asked_s) for one in lines(found, DelayRecord)] for found in (sockets, memory)
    ]
    assert sorted(asked[0]) == sorted(asked[1])
    assert all(one.achieved_s >= one.asked_s - 1e-6 for one in sockets.of(DelayRecord))


def test_a_hold_lets_nothing_through_over_sockets_before_its_window_ends():
    found = play("ipc", fault("hold", **SHORT["hold"]))
    assert len(found.heard) == MESSAGES
    delays = found.of(DelayRecord)
    assert len(delays) == MESSAGES
    assert max(found.handed_over_s) - min(found.handed_over_s) < 0.4, "all are released together"
    assert all(0 < one.asked_s <= 0.5 and one.achieved_s >= one.asked_s - 1e-6 for one in delays)


def test_a_slow_link_takes_its_time_for_all_bytes_over_sockets_and_loses_what_its_queue_does_not_hold():
    size = sum(array.nbytes for array in distribution(0).values())
    slow = SHORT["rate-limit"]
    found = play("ipc", fault("rate-limit", **slow))
    assert len(found.heard) == MESSAGES
    assert max(found.handed_over_s) - min(found.handed_over_s) >= (MESSAGES - 1) * size / slow["bytes_per_s"] - 0.05
    full = play("ipc", fault("rate-limit", **slow | {"queue_bytes": 10 * size}))
    (fates,) = full.of(FateCount)
    assert fates.dropped > 0
    assert fates.dropped + fates.delayed == MESSAGES
    assert len(full.heard) == fates.delayed


def test_a_radio_hands_over_in_its_slots_alone_over_sockets():
    slots = SHORT["duty-cycle"]
    found = play("ipc", fault("clock-offset", offset_s=0.05, agents=[B]), fault("duty-cycle", **slots))
    (shifted, radio) = found.of(FaultCount)
    assert (shifted.fault, shifted.hits, shifted.examined) == ("clock-offset", MESSAGES, MESSAGES)
    assert radio.examined == MESSAGES
    assert len(found.heard) == MESSAGES
    assert all(0 < one.asked_s <= slots["period_s"] - slots["on_s"] for one in found.of(DelayRecord))
