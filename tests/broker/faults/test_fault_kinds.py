"""Each kind of fault strikes as often and as strongly as it is asked to."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from broker_toys import property_test
from fault_cases import CORRELATED, DELAYS, VERDICTS, Judge, fault, shares
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats

from broker.faults import chains
from broker.faults.verdicts import LOST, UNTOUCHED
from broker.seeding import uniform
from broker.wire.messages import MessageName

N = 4000
MOST = 100
"""Attempts of one message, which no burst of these tests outlasts."""
SHAPES = {
    "constant": None,
    "uniform": stats.uniform(0.1, 0.4),
    "normal": stats.truncnorm(-1.0, np.inf, loc=0.1, scale=0.1),
    "lognormal": stats.lognorm(0.7, scale=0.2),
    "exponential": stats.expon(scale=0.05),
    "pareto": stats.pareto(3.0, scale=0.1),
}


def verdicts(config, messages, edge=("agent-0", "agent-1"), seed=5):
    judge = Judge([config], seed)
    return [judge.judge(*edge, message)[0] for message in messages]


def delays(config, count=N, per_episode=50):
    return np.array([verdict[0] for verdict in verdicts(config, shares(count, per_episode))])


@pytest.mark.parametrize("name", DELAYS)
@pytest.mark.parametrize("kind", ["delay", "slow-node"])
def test_delays_and_slow_nodes_follow_the_distribution_they_are_given(kind, name):
    drawn = delays(fault(kind, **{"delay_s" if kind == "delay" else "compute_s": DELAYS[name]}))
    if SHAPES[name] is None:
        assert set(drawn) == {0.3}
    else:
        assert drawn.min() >= 0
        assert stats.kstest(drawn, SHAPES[name].cdf).pvalue > 0.01


def test_correlated_delays_keep_their_distribution_and_follow_on_each_other_within_an_episode():
    drawn = delays(fault("delay", delay_s=CORRELATED), per_episode=N)
    scores = stats.norm.ppf(stats.expon(scale=0.05).cdf(drawn))
    assert np.corrcoef(scores[1:], scores[:-1])[0, 1] == pytest.approx(0.8, abs=0.04)
    firsts = delays(fault("delay", delay_s=CORRELATED), per_episode=2)
    assert stats.kstest(firsts[::2], stats.expon(scale=0.05).cdf).pvalue > 0.01
    assert stats.kstest(firsts[1::2], stats.expon(scale=0.05).cdf).pvalue > 0.01
    across = stats.norm.ppf(stats.expon(scale=0.05).cdf(firsts))
    assert abs(np.corrcoef(across[1:-1:2], across[2::2])[0, 1]) < 0.1


def test_a_trace_is_drawn_from_taken_by_number_or_walked_along_from_a_place_of_the_episode():
    values = [float(value) for value in range(10)]
    trace = {"distribution": "trace", "values_s": values}
    drawn = delays(fault("delay", delay_s=trace))
    assert stats.chisquare(np.bincount(drawn.astype(int))).pvalue > 0.01
    assert delays(fault("delay", delay_s=trace | {"order": "index"}), 24, 12).tolist() == [*values, 0.0, 1.0] * 2
    walked = delays(fault("delay", delay_s=trace | {"order": "walk"}), 300, 3).reshape(100, 3)
    assert (np.diff(walked, axis=1) % 10 == 1).all()
    assert set(walked[:, 0]) == set(values)


def test_bursts_lose_as_many_and_last_as_long_as_asked():
    lost = np.array([verdict == LOST for verdict in verdicts(fault("gilbert-elliott"), shares(4 * N, 4 * N))])
    edges = np.diff(lost.astype(int))
    assert stats.binomtest(int((edges == 1).sum()), int((~lost[:-1]).sum()), 0.1).pvalue > 0.01
    assert stats.binomtest(int((edges == -1).sum()), int(lost[:-1].sum()), 0.4).pvalue > 0.01
    first = verdicts(fault("gilbert-elliott"), shares(N, 1))
    assert stats.binomtest(first.count(LOST), N, 0.2).pvalue > 0.01


def repeats_lost(judge, names):
    """How many attempts of each message were lost in a row."""
    for episode, number in names:
        attempts = (MessageName("timestep", episode, number, attempt) for attempt in range(MOST))
        yield next((n for n, name in enumerate(attempts) if judge.judge("environment", "a", name)[0] != LOST), MOST)


def test_a_burst_goes_on_with_each_repeat_of_a_message_and_ends_as_between_two_messages():
    judge = Judge([fault("gilbert-elliott", messages=["timestep"])], 5)
    lost = Counter(repeats_lost(judge, ((episode, number) for episode in range(N // 10) for number in range(40))))
    assert lost.total() == 4 * N
    last_s = [sum(lost[n] for n in lost if n >= at_least) for at_least in range(1, 6)]
    for still, before in zip(last_s[1:], last_s[:-1], strict=True):
        assert stats.binomtest(still, before, 0.6).pvalue > 0.01


def test_the_first_attempts_of_messages_meet_the_link_as_if_none_was_repeated():
    firsts = [MessageName("timestep", 0, number, 0) for number in range(200)]
    link = fault("gilbert-elliott", messages=["timestep"])
    alone, repeated = Judge([link], 5), Judge([link], 5)
    found = []
    for name in firsts:
        list(repeats_lost(repeated, [(0, name.number)]))
        found.append(repeated.judge("environment", "a", name))
    assert found == [alone.judge("environment", "a", name) for name in firsts]


def test_correlated_delays_go_on_with_each_repeat_of_a_message():
    judge = Judge([fault("delay", delay_s=CORRELATED, messages=["action"])], 5)
    drawn = [judge.judge("a", "environment", MessageName("action", 0, 3, attempt))[0][0] for attempt in range(900)]
    scores = stats.norm.ppf(stats.expon(scale=0.05).cdf(drawn))
    assert np.corrcoef(scores[1:], scores[:-1])[0, 1] == pytest.approx(0.8, abs=0.08)


def test_each_state_of_a_link_loses_with_its_own_probability():
    link = fault("gilbert-elliott", to_bad=0.0, drop_in_good=0.25)
    assert stats.binomtest(verdicts(link, shares(N)).count(LOST), N, 0.25).pvalue > 0.01
    link = fault("gilbert-elliott", to_bad=1.0, to_good=1e-9, drop_in_bad=0.75)
    assert stats.binomtest(verdicts(link, shares(N)).count(LOST), N, 0.75).pvalue > 0.01


def test_second_copies_are_as_many_and_as_late_as_asked_and_the_first_is_untouched():
    found = verdicts(fault("duplicate"), shares(N))
    later = [verdict[1] for verdict in found if len(verdict) == 2]
    assert {verdict[0] for verdict in found} == {0.0}
    assert stats.binomtest(len(later), N, 0.3).pvalue > 0.01
    assert stats.kstest(later, stats.uniform(0.1, 0.1).cdf).pvalue > 0.01


def test_as_many_messages_are_held_back_as_asked_and_for_as_long():
    found = verdicts(fault("reorder"), shares(N))
    later = [verdict[0] for verdict in found if verdict != UNTOUCHED]
    assert stats.binomtest(len(later), N, 0.3).pvalue > 0.01
    assert stats.kstest(later, stats.uniform(0.1, 0.1).cdf).pvalue > 0.01


def test_a_slow_link_carries_its_bytes_a_second_and_loses_what_the_queue_does_not_hold():
    judge = Judge([fault("rate-limit")], 0)
    found = [judge.judge("a", "b", name, 0.0, 200)[0] for name in shares(8)]
    assert found == [(2.0,), (4.0,), (6.0,), (8.0,), (10.0,), LOST, LOST, LOST]
    assert judge.judge("c", "b", shares(1)[0], 0.0, 200)[0] == (2.0,)
    assert judge.judge("a", "b", shares(1)[0], 9.0, 200)[0] == (3.0,)
    assert judge.judge("a", "b", shares(1)[0], 60.0, 5000)[0] == (50.0,)


@pytest.mark.parametrize("queued", [2, 3, 10])
def test_a_queue_of_so_many_messages_holds_as_many_whenever_they_come(queued):
    link = fault("rate-limit", bytes_per_s=1000.0, queue_bytes=100 * queued)
    for moment in range(300):
        judge = Judge([link], 1)
        found = [judge.judge("a", "b", name, moment / 100, 100)[0] for name in shares(queued + 3)]
        assert sum(verdict != LOST for verdict in found) == queued, moment


@pytest.mark.parametrize(
    ("at_s", "waits_s"), [(0.0, 5.0), (4.5, 0.5), (5.0, 0.0), (5.9, 0.0), (6.0, 9.0), (15.5, 0.0), (17.0, 8.0)]
)
def test_a_radio_lets_through_in_its_slots_and_makes_the_others_wait_for_the_next(at_s, waits_s):
    (found,), _ = Judge([fault("duty-cycle")], 0).judge("a", "b", shares(1)[0], at_s)
    assert found == pytest.approx(waits_s)


@pytest.mark.parametrize("periods", [1, 2, 1000])
@pytest.mark.parametrize("at_s", [0.0, 4.5, 5.5, 17.0, 24.0, 25.5, 31.0])
def test_a_radio_has_its_slots_whole_periods_before_its_offset_as_well_as_behind_it(at_s, periods):
    within, beyond = fault("duty-cycle", offset_s=5.0), fault("duty-cycle", offset_s=5.0 + 10.0 * periods)
    found = [Judge([radio], 0).judge("a", "b", shares(1)[0], at_s) for radio in (within, beyond)]
    assert found[0] == found[1]


def test_what_comes_to_a_slow_link_later_keeps_nobody_waiting_before():
    five = {"distribution": "constant", "value_s": 5.0}
    faults = [
        fault("reorder", probability=0.05, by_s=five),
        fault("rate-limit", bytes_per_s=1e6, queue_bytes=100_000),
    ]
    judge, found = Judge(faults, 1), []
    for number, message in enumerate(shares(400)):
        *_, last = judge.looks("agent-0", "agent-1", message, at_s=0.1 * number, size_bytes=1000)
        found.append(last.after)
    assert LOST not in found
    waits = {round(verdict[0], 3) for verdict in found}
    assert {0.001, 5.001} <= waits <= {0.001, 0.002, 5.001, 5.002}  # one that was held may meet another there


RATE = 100.0
"""Bytes a second of the links below."""


def carried(coming, queue_bytes):
    """When each message comes to a slow link and when it is through, None if it was lost.

    Args:
        coming: For how long after the one before it is sent, how long it is held back, and its bytes.
        queue_bytes: Of the link.
    """
    trace = {"distribution": "trace", "order": "index", "values_s": [held_s for _, held_s, _ in coming]}
    link = fault("rate-limit", bytes_per_s=RATE, queue_bytes=queue_bytes)
    judge, found, sent_s = Judge([fault("delay", delay_s=trace), link], 1), [], 0.0
    for name, (pause_s, held_s, size_bytes) in zip(shares(len(coming)), coming, strict=True):
        sent_s += pause_s
        verdict, _ = judge.judge("a", "b", name, sent_s, size_bytes)
        found.append((sent_s + held_s, sent_s + verdict[0] if verdict else None))
    return found


@pytest.mark.parametrize("queue_bytes", [0, 100, 1000])
def test_what_comes_to_an_idle_link_enters_it_and_pauses_while_one_sent_before_it_goes_through(queue_bytes):
    assert carried([(0.0, 0.5, 100), (0.0, 0.0, 100)], queue_bytes) == [(0.5, 1.5), (0.0, 2.0)]


def test_seconds_that_are_rounded_off_make_no_gap_between_two_and_let_nobody_pause():
    assert 0.7 + 0.1 < 0.8
    assert 0.2 + 0.1 > 0.3
    held_s = [0.7, 0.8, 0.3, 0.2, 0.75]
    found = carried([(0.0, seconds, 10) for seconds in held_s], queue_bytes=20)
    *ends_s, last_s = (ends_s for _, ends_s in found)
    assert ends_s == pytest.approx([0.8, 0.9, 0.4, 0.3])
    assert last_s is None, "two are in front of it"


COMING = st.lists(
    st.tuples(st.integers(0, 8).map(lambda n: n / 8), st.integers(0, 24).map(lambda n: n / 8), st.integers(1, 120)),
    min_size=1,
    max_size=20,
)


@property_test
@given(COMING, st.integers(0, 400))
def test_a_slow_link_loses_nobody_who_comes_when_it_is_idle_and_never_carries_more_than_it_can(coming, queue_bytes):
    found = carried(coming, queue_bytes)
    through = [(comes_s, ends_s, size / RATE) for (comes_s, ends_s), (*_, size) in zip(found, coming, strict=True)]
    kept = [each for each in through if each[1] is not None]
    for place, (comes_s, ends_s, _) in enumerate(through):
        before = [each for each in through[:place] if each[1] is not None]
        if not any(came_s < comes_s + 0.01 and done_s > comes_s - 0.01 for came_s, done_s, _ in before):
            assert ends_s is not None, place
    for from_s, _, _ in kept:
        for _, until_s, _ in kept:
            work_s = sum(takes_s for came_s, done_s, takes_s in kept if came_s >= from_s and done_s <= until_s)
            assert work_s <= max(until_s - from_s, 0.0) + 0.01 * len(kept)


def test_a_radio_that_is_always_on_changes_nothing():
    always = fault("duty-cycle", period_s=1.0, on_s=1.0)
    judge = Judge([fault("delay", delay_s={"distribution": "constant", "value_s": 0.1}), always], 1)
    for number, message in enumerate(shares(100)):
        *_, last = judge.looks("agent-0", "agent-1", message, at_s=0.37 * number + 0.01, size_bytes=0)
        assert (last.hits, last.after) == (0, last.before)


def test_what_is_held_comes_when_the_window_ends():
    judge = Judge([fault("hold", seconds=[2.0, 5.0])], 0)
    found = [judge.judge("a", "b", shares(1)[0], at_s)[0] for at_s in (1.9, 2.0, 4.0, 5.0)]
    assert found == [UNTOUCHED, (3.0,), (1.0,), UNTOUCHED]


@pytest.mark.parametrize(
    ("settings", "cut"),
    [
        ({"groups": [["a*"], ["b*"]]}, {"a1b1", "b1a1", "a1c1", "c1a1", "b1c1", "c1b1"}),
        ({"groups": [["a*"], ["b*"]], "one_way": True}, {"a1b1", "a1c1", "b1c1"}),
        ({"groups": [["b1"]]}, {"a1b1", "b1a1", "b1c1", "c1b1"}),
    ],
)
def test_a_partition_cuts_between_its_groups_and_nowhere_else(settings, cut):
    judge = Judge([fault("partition", **settings)], 0)
    names = ["a1", "a2", "b1", "c1"]
    pairs = [(one, two) for one in names for two in names if one != two]
    found = {one + two for one, two in pairs if judge.judge(one, two, shares(1)[0])[0] == LOST}
    assert {pair for pair in found if "a2" not in pair} == cut
    assert not found & {"a1a2", "a2a1"}


@pytest.mark.parametrize(
    ("direction", "cut"), [("both", {"ab", "ba", "ac", "ca"}), ("in", {"ba", "ca"}), ("out", {"ab", "ac"})]
)
def test_an_isolated_agent_hears_nothing_says_nothing_or_both(direction, cut):
    judge = Judge([fault("isolate", agents=["a"], direction=direction)], 0)
    pairs = [("a", "b"), ("b", "a"), ("a", "c"), ("c", "a"), ("b", "c"), ("c", "b")]
    assert {one + two for one, two in pairs if judge.judge(one, two, shares(1)[0])[0] == LOST} == cut


def test_a_slow_node_is_late_in_what_it_sends_alone():
    judge = Judge([fault("slow-node", agents=["a"])], 0)
    assert judge.judge("a", "b", shares(1)[0])[0] != UNTOUCHED
    assert judge.judge("b", "a", shares(1)[0])[0] == UNTOUCHED


@pytest.mark.parametrize(("offset_s", "waits_s"), [(2.0, 3.0), (-2.0, 7.0), (5.5, 0.0), (0.0, 5.0)])
def test_a_wrong_clock_meets_the_slots_of_its_radio_by_its_own_time(offset_s, waits_s):
    judge = Judge([fault("clock-offset", agents=["a"], offset_s=offset_s), fault("duty-cycle")], 0)
    looks = judge.looks("b", "a", shares(1)[0], 0.0, 0)
    assert looks[-1].after[0] == pytest.approx(waits_s)
    assert next(look.hits for look in looks) == (offset_s != 0)
    assert judge.judge("a", "b", shares(1)[0], 0.0)[0] == pytest.approx((5.0,)), "b's clock is right"


def test_a_wrong_clock_meets_windows_in_seconds_and_the_end_of_a_hold_by_its_own_time():
    clock = fault("clock-offset", agents=["a"], offset_s=10.0)
    late = Judge([clock, fault("hold", seconds=[12.0, 15.0])], 0)
    assert [late.judge("b", "a", shares(1)[0], at_s)[0] for at_s in (1.9, 2.0, 4.0, 5.0, 12.0)] == [
        UNTOUCHED,
        (3.0,),
        (1.0,),
        UNTOUCHED,
        UNTOUCHED,
    ]
    before_it = Judge([fault("drop", probability=1.0, seconds=[0.0, 1.0]), clock], 0)
    assert before_it.judge("b", "a", shares(1)[0], 0.5)[0] == LOST, "a fault in front of it goes by the true clock"


def test_a_wrong_clock_does_not_make_a_slow_link_slower():
    for offset_s in (-100.0, 100.0):
        clock = fault("clock-offset", agents=["b"], offset_s=offset_s)
        assert Judge([clock, fault("rate-limit")], 0).judge("a", "b", shares(1)[0], 0.0, 200)[0] == (2.0,)


NAMED = [kind for kind in VERDICTS if kind != "rate-limit"]


@property_test
@given(
    st.lists(st.sampled_from(NAMED), min_size=1, max_size=4, unique=True),
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 8), st.sampled_from([0, 0, 1, 2, 7]), st.booleans()),
        min_size=1,
        max_size=20,
        unique=True,
    ),
    st.randoms(use_true_random=False),
    st.integers(0, 9),
)
def test_the_same_messages_have_the_same_fates_in_whatever_order_they_come(kinds, names, random, seed):
    faults = [fault(kind) for kind in kinds if kind != "delay"] + [fault("delay", delay_s=CORRELATED)]
    one, other = Judge(faults, seed), Judge(faults, seed)
    messages = [(f"agent-{back:d}", f"agent-{1 - back:d}", MessageName("share", *numbers)) for *numbers, back in names]
    fates = {message: one.judge(*message) for message in messages}
    random.shuffle(messages)
    assert {message: other.judge(*message) for message in messages} == fates


@pytest.mark.parametrize(
    "config", [fault("delay", delay_s=CORRELATED), fault("gilbert-elliott")], ids=["correlated", "bursts"]
)
def test_a_forged_number_does_not_make_anybody_count_beyond_the_longest_episode(monkeypatch, config):
    drawn = []
    monkeypatch.setattr(chains, "uniform", lambda *name: drawn.append(name) or 0.5)
    judge = Judge([config], 1, longest_episode=20)
    for episode in range(3):
        for number in (2**40, -3, 20, 19):
            judge.judge("a", "b", MessageName("share", episode, number, 0))
    assert len(drawn) == 3 * 20


@pytest.mark.parametrize(
    "config", [fault("delay", delay_s=CORRELATED), fault("gilbert-elliott")], ids=["correlated", "bursts"]
)
def test_a_forged_attempt_does_not_make_anybody_count_for_long_and_the_chain_still_goes_on_behind_it(
    monkeypatch, config
):
    drawn = []
    monkeypatch.setattr(chains, "uniform", lambda *name: drawn.append(name) or uniform(*name))
    judge = Judge([config], 1)
    for attempt in (-3, 2**40, 2**40 + 1, 2**47):
        judge.judge("a", "b", MessageName("share", 0, 4, attempt))
    assert len(drawn) <= 5 + 2 * chains.REPEATS
    far = [judge.judge("a", "b", MessageName("share", 0, 4, 2**40 + n))[0] for n in range(2000)]
    assert len(set(far)) > 1


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        ("drop", {"episodes": [3, 3]}, r"expected \[from, to\)"),
        ("drop", {"seconds": [-1.0, 3.0]}, r"expected \[from, to\)"),
        ("drop", {"steps": [0, 3]}, "shares have no steps"),
        ("drop", {"rounds": [0, 3], "messages": ["share", "action"]}, "only shares have rounds"),
        ("duty-cycle", {"on_s": 11.0}, "on_s must not exceed period_s"),
        ("delay", {"delay_s": {"distribution": "trace"}}, "expected a file or values_s"),
        ("delay", {"delay_s": CORRELATED | {"marginal": CORRELATED}}, "marginal"),
        ("hold", {"seconds": None}, "seconds"),
        ("isolate", {"agents": []}, "agents"),
        ("stale", {"messages": ["action"]}, "messages"),
        ("slow-node", {"direction": "in"}, "direction"),
        ("clock-offset", {"direction": "out"}, "direction"),
        ("clock-offset", {"agents": []}, "agents"),
    ],
)
def test_settings_that_make_no_sense_are_refused(kind, settings, said):
    with pytest.raises(ValidationError, match=said):
        fault(kind, **settings)
