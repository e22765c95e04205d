"""Faults of content: what they make of arrays, and that all kinds do the same over sockets as in memory."""

from __future__ import annotations

import time
from functools import partial

import numpy as np
import pytest
from broker_toys import RUN, Ear, envelope, listen_until, noticed, quick_joining
from fault_cases import KINDS, Judge, fault, shares
from scipy import stats
from substrates import meet

from agent_node.learning.fields import Field, Kind
from agent_node.learning.shares import check_share
from broker.config import TransportConfig
from broker.driving.connect import connect
from broker.errors import ProtocolViolation
from broker.faults.content import corrupted, refusal
from broker.participants.link import LinkConfig
from broker.seeding import uniform
from broker.transports.memory import MemoryNetwork
from broker.wire.messages import MessageName, Share
from broker.wire.records import DelayRecord, EventRecord, FateCount, FaultCount, FaultRecord

ROWS = np.array([[0.7, 0.2, 0.1], [0.25, 0.25, 0.5]], np.float32)
FIELDS = (Field("anticipation", Kind.DISTRIBUTION, (2, 3)), Field("critic", Kind.REAL, (4,)))
N, SEED, LARGEST = 200, 7, 1e9


def told(number=0, episode=0, value=1.0):
    return Share.of(episode, number, {"anticipation": ROWS, "critic": np.full(4, value, np.float32)})


def struck(kind, message=None, earlier=None, **settings):
    return corrupted(fault(kind, **settings), message or told(), earlier, lambda place: (place + 0.5) / 10)


@pytest.mark.parametrize(
    ("lie", "expected"),
    [
        ("uniform", np.full((2, 3), 1 / 3)),
        ("inverted", (1 - ROWS) / 2),
        ("adversarial", [[0, 0, 1], [1, 0, 0]]),
    ],
)
def test_a_lie_is_a_valid_distribution_and_leaves_the_other_arrays_alone(lie, expected):
    changed = struck("byzantine", lie=lie, arrays=["anticipation"]).arrays
    assert np.allclose(changed["anticipation"], expected)
    assert (changed["critic"] == 1).all()
    check_share(changed, FIELDS, LARGEST)


def test_scaled_numbers_are_valid_and_wrong_by_the_factor():
    changed = struck("scaled", factor=-2.5, arrays=["critic"])
    assert (changed.arrays["critic"] == -2.5).all()
    assert (changed.arrays["anticipation"] == ROWS).all()
    check_share(changed.arrays, FIELDS, LARGEST)


def test_nan_is_refused_and_a_wrong_shape_is_refused_by_the_learner():
    assert np.isnan(struck("nan", numbers=3).arrays["anticipation"]).sum() == 3
    assert "NaN" in refusal(struck("nan"))
    wrong = struck("wrong-shape")
    assert refusal(wrong) == refusal(told()) == ""
    with pytest.raises(ProtocolViolation, match=r"expected \(2, 3\) float32, found \(1, 2, 3\)"):
        check_share(wrong.arrays, FIELDS, LARGEST)


@pytest.mark.parametrize("bits", [1, 3])
def test_as_many_bits_are_flipped_as_asked_and_the_message_that_came_is_left_alone(bits):
    message = told()
    before = bytes(message.data)
    flips = np.unpackbits(np.frombuffer(struck("bit-flip", message, bits=bits).data, np.uint8))
    assert (flips != np.unpackbits(np.frombuffer(before, np.uint8))).sum() == bits
    assert bytes(message.data) == before


SMALL = Share.of(0, 0, {"x": np.ones(2, np.float32)})  # 64 bits


@pytest.mark.parametrize(("bits", "flipped"), [(1, 1), (2, 2), (17, 17), (63, 63), (64, 64), (1024, 64)])
def test_no_place_is_drawn_twice_so_no_flip_undoes_another(bits, flipped):
    config, before = fault("bit-flip", bits=bits), np.unpackbits(np.frombuffer(SMALL.data, np.uint8))
    for seed in range(100):
        changed = corrupted(config, SMALL, None, partial(uniform, seed))
        assert (np.unpackbits(np.frombuffer(changed.data, np.uint8)) != before).sum() == flipped


@pytest.mark.parametrize(("numbers", "spoiled"), [(1, 1), (2, 2), (10, 10), (1024, 10)])
def test_as_many_numbers_are_spoiled_as_asked_or_all_there_are(numbers, spoiled):
    for seed in range(100):
        changed = corrupted(fault("nan", numbers=numbers), told(), None, partial(uniform, seed)).arrays.values()
        assert sum(int(np.isnan(array).sum()) for array in changed) == spoiled


def test_all_places_are_as_likely():
    config, counts = fault("bit-flip", bits=32), np.zeros(64)
    for seed in range(400):
        changed = corrupted(config, SMALL, None, partial(uniform, seed))
        counts += np.unpackbits(np.frombuffer(changed.data, np.uint8) ^ np.frombuffer(SMALL.data, np.uint8))
    assert counts.sum() == 400 * 32
    assert stats.chisquare(counts).pvalue > 1e-4


class Pair:
    """`a` speaks to `b`, whose transport has the faults; everything is heard at second 0 of its clock."""

    def __init__(self, folder, network, *faults):
        links = {
            name: LinkConfig(
                run=RUN,
                name=name,
                peers=(peer,),
                seed=SEED,
                transport=TransportConfig(queue_messages=10 * N),
                joining=quick_joining(),
                faults=faults if name == "b" else (),
                addresses={each: f"ipc://{folder}/{each}" for each in "ab"},
            )
            for name, peer in ("ab", "ba")
        }
        self.a, self.b = (Ear(connect(links[name], network)) for name in "ab")
        meet(self.a, self.b)

    def say(self, *messages):
        for message in messages:
            self.a.transport.send(envelope("a", "b", message))

    def of(self, kind):
        return [record for record in self.b.transport.totals() if isinstance(record, kind)]

    def shares(self):
        return [one for one in self.b.heard if isinstance(one.message, Share)]

    def judged(self):
        return sum(count.examined for count in self.of(FaultCount))

    def close(self):
        for ear in (self.a, self.b):
            ear.transport.close(0.0)


@pytest.fixture
def pair(tmp_path_factory):
    """Makes pairs, on memory or over ipc."""
    made = []

    def make(way, *faults):
        folder = tmp_path_factory.mktemp("s") if way == "ipc" else None
        made.append(Pair(folder, MemoryNetwork() if way == "memory" else None, *faults))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_does_the_same_over_sockets_as_in_memory_as_often_as_asked(pair, kind):
    settings = {"agents": ["b" if kind == "clock-offset" else "a"]} if "agents" in KINDS[kind] else {}
    settings |= {"groups": [["a"]]} if kind == "partition" else {}
    found = {}
    for way in ("memory", "ipc"):
        each = pair(way, fault(kind, **settings))
        each.say(*(told(name.number, name.episode, float(name.number)) for name in shares(N)))
        listen_until(lambda each=each: each.judged() == N, each.b)
        heard = [(one.message.round, one.message.layout, bytes(one.message.data)) for one in each.shares()]
        ledger = [record for record in noticed(each.b.transport) if isinstance(record, FaultRecord)]
        found[way] = ([*each.of(FaultCount), *each.of(FateCount)], sorted(heard), ledger)
        [count], [fates] = each.of(FaultCount), each.of(FateCount)
        assert sum(getattr(fates, name) for name in FateCount.__struct_fields__[3:]) == N
        if kind not in ("rate-limit", "gilbert-elliott"):
            rate = KINDS[kind].get("probability", 1.0)
            assert stats.binomtest(count.hits, count.chances, rate).pvalue > 1e-4
        assert count.chances == N - (kind == "stale")
    assert found["memory"] == found["ipc"]


def test_what_is_no_message_any_more_is_rejected_with_its_cause(pair):
    each = pair("memory", fault("nan", probability=1.0))
    each.say(told(3, episode=2))
    listen_until(lambda: each.judged() == 1, each.b)
    assert each.shares() == []
    records = noticed(each.b.transport)
    assert [record.fate for record in records if isinstance(record, FaultRecord)] == ["corrupted"]
    [event] = [record for record in records if isinstance(record, EventRecord)]
    assert event.text == "share 3 of episode 2, changed by a fault: an array holds NaN or infinity"
    assert each.of(FateCount) == [FateCount("a", "b", "share", rejected=1)]


@pytest.mark.parametrize(("of", "expected"), [("round", [0.0, 0.0, 1.0, 10.0]), ("episode", [0.0, 1.0, 0.0, 1.0])])
def test_a_stale_share_says_what_the_round_or_the_episode_before_said_under_its_own_name(pair, of, expected):
    each = pair("memory", fault("stale", of=of, probability=1.0))
    each.say(*(told(round_, episode, 10.0 * episode + round_) for episode in (0, 1) for round_ in (0, 1)))
    listen_until(lambda: len(each.shares()) == 4, each.b)
    assert [one.message.arrays["critic"][0] for one in each.shares()] == expected
    assert [(one.message.episode, one.message.round) for one in each.shares()] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def critics(each):
    return [float(one.message.arrays["critic"][0]) for one in each.shares()]


def say_and_hear(each, *numbers):
    count = len(each.shares()) + len(numbers)
    each.say(*(told(round_, episode, 10.0 * episode + round_) for episode, round_ in numbers))
    listen_until(lambda: len(each.shares()) == count, each.b)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"of": "round", "episodes": [2, 3]}, [0, 1, 10, 11, 11, 20, 30]),
        ({"of": "episode", "episodes": [2, 3]}, [0, 1, 10, 11, 10, 11, 30]),
        ({"of": "round", "rounds": [1, 2]}, [0, 0, 10, 10, 20, 20, 30]),
        ({"of": "round", "from_episode": 2}, [0, 1, 10, 11, 20, 20, 21]),
        ({"of": "episode", "from_episode": 2}, [0, 1, 10, 11, 20, 21, 20]),
    ],
)
def test_a_stale_share_may_be_from_before_the_window_but_not_from_before_what_is_known(pair, settings, expected):
    each = pair("memory", fault("stale", probability=1.0, **settings))
    say_and_hear(each, *((episode, round_) for episode in (0, 1, 2) for round_ in (0, 1)), (3, 0))
    assert critics(each) == expected


@pytest.mark.parametrize(("of", "expected"), [("round", [1.0, 10.0, 11.0, 20.0]), ("episode", [0.0, 1.0, 10.0, 11.0])])
def test_a_share_of_a_far_episode_makes_nobody_forget_the_others(pair, of, expected):
    each = pair("memory", fault("stale", of=of, probability=1.0, episodes=[0, 100]))
    say_and_hear(each, (0, 0), (0, 1), (1 << 40, 0), (1, 0), (1, 1), (2, 0), (2, 1))
    assert critics(each)[3:] == expected


@pytest.mark.parametrize(("of", "expected"), [("round", 21.0), ("episode", 20.0)])
def test_forged_episodes_between_true_ones_make_nobody_forget_the_one_before(pair, of, expected):
    each = pair("memory", fault("stale", of=of, probability=1.0, episodes=[0, 100]))
    say_and_hear(each, (1, 0), (1 << 40, 0), (2, 0), (2, 1), (1 << 41, 0), (3, 0))
    assert critics(each)[-1] == expected


def test_shares_are_kept_where_a_fault_repeats_them_alone(pair):
    stale = fault("stale", probability=1.0, rounds=[5, 6])
    each = pair("memory", stale, fault("nan", probability=0.0), fault("stale", name="other", source="c"))
    say_and_hear(each, *((episode, 0) for episode in range(20)))
    assert [*each.b.transport._earlier._shares["a"]] == [17, 18, 19]
    say_and_hear(each, (19, 1 << 40), (19, -1))
    assert [*each.b.transport._earlier._shares["a"][19]] == [0]
    none = pair("memory", fault("nan", probability=0.0), fault("stale", source="c"))
    say_and_hear(none, (0, 0))
    assert none.b.transport._earlier._shares == {}


def test_over_sockets_a_delay_is_never_shorter_than_asked_and_both_are_written_down(pair):
    later = fault("delay", delay_s={"distribution": "uniform", "low_s": 0.0, "high_s": 0.05})
    each, judge = pair("ipc", later), Judge([later], SEED)
    each.say(*(told(number) for number in range(20)))
    heard, end = [], time.monotonic() + 20
    while len(heard) < 20:
        assert time.monotonic() < end
        each.b.transport.wait(0.01)
        heard += each.b.transport.poll(time.monotonic())
    records = [record for record in noticed(each.b.transport) if isinstance(record, DelayRecord)]
    asked = {record.number: record.asked_s for record in records}
    assert asked == {n: judge.judge("a", "b", MessageName("share", 0, n, 0))[0][0] for n in range(20)}
    assert all(record.achieved_s >= record.asked_s - 1e-6 for record in records)


def test_what_is_still_held_at_the_end_has_expired(pair):
    each = pair("memory", fault("delay"), fault("duplicate", probability=1.0))
    each.say(told())
    listen_until(lambda: each.judged() == 2, each.b)
    assert each.of(FateCount) == [FateCount("a", "b", "share", expired=1)]
    each.b.transport.poll(0.25)
    assert each.of(FateCount) == [FateCount("a", "b", "share", duplicated=1)]
