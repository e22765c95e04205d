"""Faults carried out at the receiver: exact times, and a ledger that adds up."""

from __future__ import annotations

from broker_toys import Stage, Toy, envelope, make_codec, noticed, property_test, share
from fault_cases import Judge
from hypothesis import given
from hypothesis import strategies as st
from message_cases import action_of

from broker.driving.virtual_time import VirtualTime
from broker.faults.config import DelayConfig, DropConfig, DuplicateConfig, RateLimitConfig
from broker.faults.delays import Constant, Exponential, Uniform
from broker.participants.participant import Send
from broker.transports.faulty import FaultyTransport
from broker.transports.memory import MemoryNetwork, MemoryTransport
from broker.wire.messages import Hello, MessageName, Stop
from broker.wire.records import EdgeRecord, FateCount, FaultCount, FaultRecord

HALF_LOST = DropConfig(kind="drop", probability=0.5)
ALL_LOST = DropConfig(kind="drop", probability=1.0)
LATE = DelayConfig(kind="delay", delay_s=Constant(distribution="constant", value_s=0.25))


def pair(*faults, seed=0):
    network = MemoryNetwork()
    a = MemoryTransport("a", network, make_codec("a", ["b"]))
    b = FaultyTransport(MemoryTransport("b", network, make_codec("b", ["a"])), Judge(faults, seed))
    return a, b


def say(transport, *numbers):
    for number in numbers:
        transport.send(envelope(transport.name, "b" if transport.name == "a" else "a", share(number)))


def numbers(envelopes):
    return [one.message.round for one in envelopes]


def test_a_delayed_message_is_held_until_its_time_and_due_tells_when():
    a, b = pair(LATE)
    say(a, 1)
    assert b.due is None
    assert b.poll(10.0) == []
    assert b.due == 10.25
    assert b.poll(10.249) == []
    assert numbers(b.poll(10.25)) == [1]
    assert b.due is None
    assert b.poll(99.0) == []


def test_all_that_has_come_is_taken_at_once_but_only_one_message_is_waited_for():
    (_, transport), asked = pair(LATE), []
    transport._inner.wait = lambda timeout_s, awaited=1: asked.append((timeout_s, awaited))
    for timeout_s in (0.0, 1.0, None):
        transport.wait(timeout_s, 256)
    assert asked == [(0.0, 256), (1.0, 1), (None, 1)]


def test_a_slow_links_queue_stays_when_other_faults_change():
    size_bytes = len(share(1).data)
    slow = RateLimitConfig(kind="rate-limit", bytes_per_s=size_bytes, queue_bytes=10 * size_bytes)  # one a second
    a, b = pair(slow)
    say(a, 1, 2)
    assert b.poll(0.0) == []
    b.refit(Judge((slow, DropConfig(kind="drop", probability=0.0)), 0))
    say(a, 3)
    assert b.poll(0.0) == []
    assert [numbers(b.poll(at_s)) for at_s in (1.0, 2.0, 2.9, 3.0)] == [[1], [2], [], [3]]


def test_messages_of_one_due_time_keep_their_order():
    a, b = pair(LATE)
    say(a, 1, 2, 3)
    b.poll(0.0)
    assert numbers(b.poll(0.25)) == [1, 2, 3]


def test_what_was_held_back_comes_before_what_arrives_at_that_instant_untouched():
    early = DropConfig(kind="drop", probability=0.0)
    a, b = pair(early, LATE)
    say(a, 1)
    b.poll(0.0)
    a.send(envelope("a", "b", Stop("untouched")))
    arrived = b.poll(0.25)
    assert [type(one.message).__name__ for one in arrived] == ["Share", "Stop"]


def test_a_copy_that_is_not_later_comes_in_its_place_and_nothing_overtakes():
    a, b = pair(DuplicateConfig(kind="duplicate", probability=1.0, rounds=(2, 3)))
    say(a, 1, 2, 3)
    assert numbers(b.poll(10.0)) == [1, 2, 2, 3]
    assert b.due is None


def test_the_first_copy_comes_in_its_place_and_the_second_when_it_is_due():
    late = Constant(distribution="constant", value_s=0.5)
    a, b = pair(DuplicateConfig(kind="duplicate", probability=1.0, extra_s=late, rounds=(2, 3)))
    say(a, 1, 2, 3)
    assert numbers(b.poll(10.0)) == [1, 2, 3]
    assert b.due == 10.5
    assert numbers(b.poll(10.5)) == [2]


def test_a_lost_message_never_arrives_and_is_in_the_ledger():
    a, b = pair(ALL_LOST)
    a.send(envelope("a", "b", share(3, episode=2)))
    assert b.poll(0.0) == b.poll(1e9) == []
    assert b.due is None
    assert noticed(b) == [FaultRecord("drop", "a", "b", "share", 2, 3, 0, (), "dropped")]
    assert b.totals() == [
        FaultCount("drop", "a", "b", examined=1, applied=1, chances=1, hits=1),
        FateCount("a", "b", "share", dropped=1),
    ]
    assert a.totals()[0].sent == 1


def test_messages_that_no_fault_touches_pass_at_once():
    a, b = pair(ALL_LOST)
    for message in (Hello(0, wants_reply=True), Stop(""), action_of(0, 0, 0, share().arrays["x"])):
        a.send(envelope("a", "b", message))
    assert len(b.poll(0.0)) == 3
    assert noticed(b) == b.totals() == []


def test_what_a_participant_sends_meets_no_fault_on_its_own_side():
    a, b = pair(ALL_LOST)
    say(b, 1)
    assert numbers(a.poll(0.0)) == [1]
    assert [(one.source, one.destination, one.sent) for one in b.totals()] == [("b", "a", 1)]


@property_test
@given(st.integers(0, 99), st.integers(0, 60))
def test_the_ledger_agrees_with_the_judge_and_with_what_arrived(seed, count):
    a, b = pair(HALF_LOST, seed=seed)
    say(a, *range(count))
    judge = Judge([HALF_LOST], seed)
    lost = [n for n in range(count) if judge.judge("a", "b", MessageName("share", 0, n, 0))[0] == ()]
    assert numbers(b.poll(0.0)) == [n for n in range(count) if n not in lost]
    assert [record.number for record in noticed(b)] == lost
    counts = [record for record in b.totals() if isinstance(record, FaultCount)]
    assert counts == ([FaultCount("drop", "a", "b", count, len(lost), count, len(lost))] if count else [])


def test_every_fault_that_looks_is_counted_on_every_edge_it_looks_at():
    other = DropConfig(kind="drop", name="never", probability=0.0)
    a, b = pair(ALL_LOST, other)
    say(a, 1, 2)
    b.poll(0.0)
    counts = [record for record in b.totals() if isinstance(record, FaultCount)]
    assert counts == [FaultCount("drop", "a", "b", 2, 2, 2, 2), FaultCount("never", "a", "b", 2, 0, 0, 0)]


def counts_of(transport):
    return [record for record in transport.totals() if isinstance(record, FaultCount)]


def test_a_message_that_comes_again_under_its_name_is_examined_again_and_is_no_chance_of_its_own():
    a, b = pair(HALF_LOST, seed=3)
    say(a, *range(20))
    b.poll(0.0)
    (once,) = counts_of(b)
    say(a, *range(20), *range(20))
    b.poll(0.0)
    (again,) = counts_of(b)
    assert (once.chances, once.examined) == (20, 20)
    assert (again.chances, again.hits) == (once.chances, once.hits)
    assert (again.examined, again.applied) == (3 * once.examined, 3 * once.applied)


def test_a_message_is_a_chance_for_each_fault_that_it_meets_and_again_in_the_next_episode():
    a, b = pair(HALF_LOST, DropConfig(kind="drop", name="other", probability=0.0))
    for episode in range(5):
        a.send(envelope("a", "b", share(0, episode=episode)))
        a.send(envelope("a", "b", share(0, episode=episode)))
    b.poll(0.0)
    one, other = counts_of(b)
    assert (one.chances, other.chances) == (5, 5 - one.hits)


def test_rejects_of_both_layers_are_counted_and_told_together():
    inner = MemoryTransport("b", MemoryNetwork(), make_codec("b", ["a"]))
    b = FaultyTransport(inner, Judge([LATE], 0))
    b.reject("a", "said by the driver")
    inner.reject("a", "said by the codec")
    assert {event.text for event in noticed(b)} == {"said by the driver", "said by the codec"}
    assert b.totals() == [EdgeRecord("a", "b", rejected=2)]


SLOW = DelayConfig(kind="delay", name="slow", source="a*", delay_s=Exponential(distribution="exponential", mean_s=1.0))
JITTER = DelayConfig(kind="delay", name="jitter", delay_s=Uniform(distribution="uniform", low_s=0.0, high_s=0.5))


@property_test
@given(st.integers(0, 99), st.integers(1, 15), st.permutations([HALF_LOST, SLOW, JITTER]))
def test_in_virtual_time_each_message_arrives_exactly_when_its_verdict_says(seed, count, faults):
    judge = Judge(faults, seed)
    names = ["a-0", "b-0", "a-1"]
    fates = [
        (delay, position, name, number)
        for position, (name, number) in enumerate((name, number) for name in names for number in range(count))
        for delay in judge.judge(name, "ear", MessageName("share", 0, number, 0))[0]
    ]
    ear = Toy("ear", enough=len(fates))
    senders = [Toy(name, says=[Send("ear", share(number)) for number in range(count)]) for name in names]
    stage = Stage(ear, *senders, faults=faults, seed=seed)
    VirtualTime(stage.drivers, stage.network).run()
    heard = [(now, source, message.round) for now, source, message in ear.heard]
    assert heard == [(delay, name, number) for delay, _, name, number in sorted(fates)]
    stage.finish()
    assert sum(count.examined for count in stage.of(FaultCount) if count.fault == "drop") == count * len(names)
