"""Virtual time: jumps to the next thing due, in one order, and says so when there is none."""

from __future__ import annotations

from collections import Counter

import pytest
from broker_toys import Pong, Stage, Toy, property_test, quick_joining, share
from hypothesis import given
from hypothesis import strategies as st

from broker.config import JoiningConfig
from broker.driving.virtual_time import VirtualTime
from broker.errors import Deadlock, PeerLost, ProtocolViolation
from broker.faults.config import DelayConfig, DropConfig
from broker.faults.delays import Constant, Uniform
from broker.participants.participant import Send
from broker.wire.messages import Stop
from broker.wire.records import EdgeRecord


def late(value_s, **where):
    return DelayConfig(kind="delay", delay_s=Constant(distribution="constant", value_s=value_s), **where)


def play(stage, **settings):
    time = VirtualTime(stage.drivers, stage.network)
    time.run(**settings)
    return time


def test_messages_without_delay_arrive_in_order_and_take_no_time():
    ear = Toy("ear", enough=6)
    says = [Send("ear", share(number)) for number in range(3)]
    stage = Stage(Toy("a", says=says), ear, Toy("b", says=says))
    assert play(stage).now == 0.0
    assert [(source, message.round) for _, source, message in ear.heard] == [(s, n) for s in "ab" for n in range(3)]


def test_the_clock_stands_at_the_exact_delay_when_a_message_arrives():
    ear = Toy("ear", enough=1)
    time = play(Stage(Toy("a", says=[Send("ear", share())]), ear, faults=[late(0.1)]))
    assert [now for now, _, _ in ear.heard] == [0.1] == [time.now]


def test_deadlines_expire_in_order_at_their_very_time_and_time_never_goes_back():
    first, second = Toy("a", enough=1, deadlines=[0.25, 3.0, 1000.0]), Toy("b", enough=1, deadlines=[1.0, 3.0])
    log = []
    for toy in (first, second):
        toy.expire = lambda now, toy=toy, expire=toy.expire: (log.append((now, toy.name)), expire(now))[1]
    with pytest.raises(Deadlock):
        play(Stage(first, second))
    assert log == [(0.25, "a"), (1.0, "b"), (3.0, "a"), (3.0, "b"), (1000.0, "a")]


def test_a_message_arrives_before_a_deadline_of_that_instant_expires():
    ear = Toy("ear", enough=1, deadlines=[0.5])
    seen = []
    ear.receive = lambda source, message, now, receive=ear.receive: (
        seen.append(list(ear.expired)),
        receive(source, message, now),
    )[1]
    play(Stage(ear, Toy("a", says=[Send("ear", share())]), faults=[late(0.5)]))
    assert seen == [[]]


def test_a_message_sent_on_at_an_instant_arrives_before_a_deadline_of_that_instant_expires():
    ear = Toy("ear", enough=1, deadlines=[0.5])
    seen = []
    ear.receive = lambda source, message, now, receive=ear.receive: (
        seen.append((now, list(ear.expired))),
        receive(source, message, now),
    )[1]
    relay = Toy("relay", enough=1, answer=lambda *_: [Send("ear", Stop("sent on"))])
    play(Stage(ear, relay, Toy("a", says=[Send("relay", share())]), faults=[late(0.5)]))
    assert seen == [(0.5, [])]


def test_a_deadlock_names_everybody_who_waits_and_for_what():
    stage = Stage(Toy("a", enough=1), Toy("b", enough=2), Toy("done"))
    with pytest.raises(Deadlock) as caught:
        play(stage)
    assert caught.value.waits == ["a waits for 1 more", "b waits for 2 more"]
    assert "a waits for 1 more; b waits for 2 more" in str(caught.value)


def test_a_lost_message_leads_to_a_deadlock_and_not_to_an_endless_loop():
    lost = DropConfig(kind="drop", probability=1.0)
    with pytest.raises(Deadlock, match="ear waits for 1 more"):
        play(Stage(Toy("ear", enough=1), Toy("a", says=[Send("ear", share())]), faults=[lost]))


def test_who_is_done_still_hears_while_others_work_on():
    early = Toy("early")
    last = Toy("last", enough=1, answer=lambda *_: [Send("early", Stop("after you were done"))])
    play(Stage(early, last, Toy("a", says=[Send("last", share())]), faults=[late(1.0)]))
    assert [message.reason for _, _, message in early.heard] == ["after you were done"]


def test_an_interrupt_stops_it_between_messages_and_between_jumps():
    chatter = [Toy(name, enough=10**9, says=[Send(other, share())]) for name, other in ("ab", "ba")]
    asked = iter([False] * 100 + [True])
    for toy in chatter:  # so that it ends even if nobody asks
        toy.answer = lambda s, m, _, toy=toy: [Send(s, m)] if len(toy.heard) < 1000 else []
    play(Stage(*chatter), interrupted=lambda: next(asked))
    assert 50 < sum(len(toy.heard) for toy in chatter) < 250
    sleeper = Toy("sleeper", enough=1, deadlines=list(range(1, 1000)))
    asked = iter([False] * 10 + [True])
    assert 0 < play(Stage(sleeper), interrupted=lambda: next(asked)).now <= 10
    assert 0 < len(sleeper.expired) <= 10


def test_interrupted_at_once_it_has_only_started():
    ear = Toy("ear", enough=1)
    play(Stage(ear, Toy("a", says=[Send("ear", share())])), interrupted=lambda: True)
    assert ear.heard == []


def test_a_violation_is_counted_and_the_run_goes_on():
    def refuse_odd(_source, message, _now):
        if message.round % 2:
            raise ProtocolViolation(f"odd round {message.round}")
        return []

    ear = Toy("ear", enough=2, answer=refuse_odd)
    stage = Stage(ear, Toy("a", says=[Send("ear", share(number)) for number in range(4)]))
    play(stage)
    assert [message.round for _, _, message in ear.heard] == [0, 2]
    assert EdgeRecord("a", "ear", rejected=2) in stage.finish()


JITTER = DelayConfig(kind="delay", delay_s=Uniform(distribution="uniform", low_s=0.0, high_s=0.2))


def test_equal_seeds_give_equal_runs_and_other_seeds_others():
    def run(seed):
        toys = [
            Toy(name, enough=30, says=[Send(o, share(n)) for o in "abc" if o != name for n in range(15)])
            for name in "abc"
        ]
        stage = Stage(*toys, faults=[JITTER], seed=seed)
        play(stage)
        return [[(now, source, m.round) for now, source, m in toy.heard] for toy in toys], stage.finish()

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_joining_and_a_conversation_complete_in_virtual_time_under_delays():
    pongs = [Pong("a", "b", 10, JoiningConfig()), Pong("b", "a", 10, JoiningConfig())]
    time = play(Stage(*pongs, faults=[late(0.5)]))
    assert [pong.numbers for pong in pongs] == [list(range(10))] * 2
    assert time.now == 5.0


def test_a_peer_that_never_comes_ends_the_run_at_the_limit():
    pong = Pong("a", "b", 1, quick_joining(give_up_s=2.0))
    stage = Stage(pong)
    time = VirtualTime(stage.drivers, stage.network)
    with pytest.raises(PeerLost, match="a in JOINING waits for HELLO from b"):
        time.run()
    assert 2.0 <= time.now <= 2.03


@pytest.mark.parametrize("call", ["start", "receive", "expire"])
def test_whoever_raises_is_the_one_who_was_called_last(call):
    ear, other = Toy("ear", enough=1, deadlines=[1.0]), Toy("other", enough=1, deadlines=[1.0, 2.0])
    stage = Stage(Toy("a", says=[Send("ear", share())] if call == "receive" else []), ear, other)

    def give_up(*_):
        raise PeerLost("nobody is there")

    setattr(ear, call, give_up)
    time = VirtualTime(stage.drivers, stage.network)
    with pytest.raises(PeerLost):
        time.run()
    assert time.turn_of == "ear"


def test_who_is_taken_away_hears_nothing_until_it_comes_back():
    ear = Toy("ear", enough=1)
    stage = Stage(Toy("a", says=[Send("ear", share())]), ear)
    time = VirtualTime(stage.drivers, stage.network)
    time.take_away("ear", 2.5)
    time.run()
    assert [now for now, _, _ in ear.heard] == [2.5] == [time.now]


def test_who_comes_late_says_its_first_word_then():
    ear = Toy("ear", enough=1)
    stage = Stage(Toy("a", says=[Send("ear", share())]), ear)
    time = VirtualTime(stage.drivers, stage.network)
    time.take_away("a", 1.5)
    time.run()
    assert [now for now, _, _ in ear.heard] == [1.5]


def test_nobody_waits_for_who_is_taken_away_for_good():
    ear, dead = Toy("ear", enough=1), Toy("dead", enough=1, deadlines=[0.5])
    stage = Stage(Toy("a", says=[Send("ear", share()), Send("dead", share())]), ear, dead)
    time = VirtualTime(stage.drivers, stage.network)
    time.take_away("dead")
    time.run()
    assert ear.done
    assert dead.heard == []
    assert dead.expired == []


def test_an_instant_costs_what_happens_in_it_however_many_wait():
    """Counted in questions to the drivers: asking all of them at every instant would square with their number."""

    def questions(count):
        toys = [Toy(f"toy-{number}", enough=1, deadlines=[1.0 + number]) for number in range(count)]
        stage, asked = Stage(*toys), Counter()
        for driver in stage.drivers:
            driver.timer = lambda timer=driver.timer: (asked.update(["timer"]), timer())[1]
        with pytest.raises(Deadlock):
            play(stage)
        assert [toy.expired for toy in toys] == [[1.0 + number] for number in range(count)]
        return asked["timer"]

    assert questions(200) == 10 * questions(20)


@property_test
@given(
    st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0, 7.0]), max_size=4).map(sorted), min_size=1, max_size=6),
    st.lists(st.sampled_from([0.0, 0.5, 3.0, 20.0]), max_size=6),
)
def test_deadlines_expire_by_time_and_then_in_the_order_of_the_participants(deadlines, away):
    toys = [Toy(f"toy-{number}", enough=1, deadlines=own) for number, own in enumerate(deadlines)]
    log = []
    for toy in toys:
        toy.expire = lambda now, toy=toy, expire=toy.expire: (log.append((now, toy.name)), expire(now))[1]
    stage = Stage(*toys)
    time = VirtualTime(stage.drivers, stage.network)
    gone = dict(zip((toy.name for toy in toys), away, strict=False))
    for name, for_s in gone.items():
        time.take_away(name, for_s)
    with pytest.raises(Deadlock):
        time.run()
    assert [now for now, _ in log] == sorted(now for now, _ in log)
    if not gone and all(len(set(own)) == len(own) for own in deadlines):
        assert log == sorted(log)
    for toy, own in zip(toys, deadlines, strict=True):
        assert [now for now, name in log if name == toy.name] == [max(at, gone.get(toy.name, 0.0)) for at in own]


def test_a_deadline_that_passes_while_one_is_away_expires_when_it_comes_back():
    stopped, other = Toy("stopped", enough=1, deadlines=[1.0, 2.0]), Toy("other", enough=1, deadlines=[1.5, 3.0])
    stage = Stage(stopped, other)
    time = VirtualTime(stage.drivers, stage.network)
    time.begin()
    while not stopped.expired:
        time.step()
    time.take_away("stopped", 5.0)
    while other.expired != [1.5, 3.0] or len(stopped.expired) < 2:
        time.step()
    assert (stopped.expired, other.expired) == ([1.0, 6.0], [1.5, 3.0])
