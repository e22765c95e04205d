"""Fates of messages: as likely as asked for, and nobody else's business."""

from __future__ import annotations

import numpy as np
import pytest
from broker_toys import property_test
from fault_cases import Applied, Judge
from hypothesis import given
from hypothesis import strategies as st
from message_cases import action_of, timestep_of
from pydantic import TypeAdapter, ValidationError
from scipy import stats

from broker.errors import ScenarioError
from broker.faults.config import DelayConfig, DropConfig, FaultConfig
from broker.faults.delays import Constant, Exponential, Uniform
from broker.faults.distributions import quantile
from broker.faults.verdicts import UNTOUCHED, delay, drop
from broker.wire.messages import Hello, MessageName, Metrics, Share, Stop, name_of

N = 4000
TEN_MS = Constant(distribution="constant", value_s=0.01)


def dropping(probability, **where):
    return DropConfig(kind="drop", probability=probability, **where)


def delaying(distribution=TEN_MS, **where):
    return DelayConfig(kind="delay", delay_s=distribution, **where)


def shares(count=N, attempt=0):
    return [MessageName("share", number // 50, number % 50, attempt) for number in range(count)]


def verdicts(judge, messages, source="agent-0", destination="agent-1"):
    return [judge.judge(source, destination, message)[0] for message in messages]


@pytest.mark.parametrize("probability", [0.01, 0.1, 0.5, 0.97])
def test_as_many_messages_are_lost_as_the_probability_says(probability):
    lost = verdicts(Judge([dropping(probability)], seed=1), shares()).count(())
    assert stats.binomtest(lost, N, probability).pvalue > 0.01


@pytest.mark.parametrize(("probability", "verdict"), [(0.0, UNTOUCHED), (1.0, ())])
def test_probability_zero_never_and_probability_one_always_loses(probability, verdict):
    assert set(verdicts(Judge([dropping(probability)], seed=1), shares())) == {verdict}


@pytest.mark.parametrize(
    ("distribution", "expected"),
    [
        (Uniform(distribution="uniform", low_s=0.1, high_s=0.5), stats.uniform(0.1, 0.4)),
        (Exponential(distribution="exponential", mean_s=0.05), stats.expon(scale=0.05)),
    ],
    ids=["uniform", "exponential"],
)
def test_delays_follow_their_distribution(distribution, expected):
    drawn = np.array([verdict[0] for verdict in verdicts(Judge([delaying(distribution)], seed=2), shares())])
    assert stats.kstest(drawn, expected.cdf).pvalue > 0.01
    assert drawn.mean() == pytest.approx(expected.mean(), abs=4 * expected.std() / N**0.5)
    assert np.allclose(np.quantile(drawn, [0.1, 0.5, 0.9]), expected.ppf([0.1, 0.5, 0.9]), rtol=0.1)
    for probability in (0.0, 0.25, 0.999):
        assert quantile(distribution, probability) == pytest.approx(expected.ppf(probability))


def test_a_constant_delay_is_exact():
    assert set(verdicts(Judge([delaying()], seed=2), shares(50))) == {(0.01,)}


def test_the_largest_draw_still_gives_a_finite_delay():
    assert quantile(Exponential(distribution="exponential", mean_s=1.0), 1 - 2**-53) < 40


def test_fates_differ_between_seeds_faults_edges_and_directions():
    base = verdicts(Judge([dropping(0.5)], seed=1), shares(200))
    others = [
        verdicts(Judge([dropping(0.5)], seed=2), shares(200)),
        verdicts(Judge([dropping(0.5, name="other")], seed=1), shares(200)),
        verdicts(Judge([dropping(0.5)], seed=1), shares(200), "agent-1", "agent-0"),
        verdicts(Judge([dropping(0.5)], seed=1), shares(200), "agent-0", "agent-2"),
        verdicts(Judge([dropping(0.5)], seed=1), shares(200, attempt=1)),
    ]
    for other in others:
        assert 60 < sum(one != two for one, two in zip(base, other, strict=True)) < 140


def test_two_faults_strike_independently():
    judge = Judge([dropping(0.3, name="one"), delaying(Uniform(distribution="uniform", low_s=0, high_s=1))], seed=3)
    kept = [verdict[0] for verdict in verdicts(judge, shares()) if verdict]
    assert stats.kstest(kept, "uniform").pvalue > 0.01
    both = Judge([dropping(0.4, name="one"), dropping(0.5, name="two")], seed=3)
    assert stats.binomtest(verdicts(both, shares()).count(UNTOUCHED), N, 0.6 * 0.5).pvalue > 0.01


@pytest.mark.parametrize(
    ("where", "source", "destination", "kind", "struck"),
    [
        ({}, "agent-0", "agent-1", "share", True),
        ({}, "agent-0", "environment", "action", False),
        ({"messages": ("action", "timestep")}, "agent-0", "environment", "action", True),
        ({"messages": ("action", "timestep")}, "environment", "agent-0", "timestep", True),
        ({"messages": ("action", "timestep")}, "agent-0", "agent-1", "share", False),
        ({"source": "agent-1"}, "agent-1", "agent-0", "share", True),
        ({"source": "agent-1"}, "agent-10", "agent-0", "share", False),
        ({"source": "agent-1*"}, "agent-10", "agent-0", "share", True),
        ({"source": "agent-[0-2]"}, "agent-2", "agent-0", "share", True),
        ({"source": "agent-[0-2]"}, "agent-3", "agent-0", "share", False),
        ({"source": "AGENT-*"}, "agent-0", "agent-1", "share", False),
        ({"destination": "agent-?"}, "agent-0", "agent-5", "share", True),
        ({"destination": "agent-?"}, "agent-0", "agent-15", "share", False),
        ({"source": "agent-0", "destination": "agent-1"}, "agent-0", "agent-1", "share", True),
        ({"source": "agent-0", "destination": "agent-1"}, "agent-1", "agent-0", "share", False),
        ({"source": "agent-0", "destination": "agent-1"}, "agent-0", "agent-2", "share", False),
    ],
)
def test_a_fault_strikes_where_its_patterns_say_and_nowhere_else(where, source, destination, kind, struck):
    judge = Judge([dropping(1.0, **where)], seed=0)
    assert judge.judge(source, destination, MessageName(kind, 0, 0, 0))[0] == (() if struck else UNTOUCHED)
    assert bool(judge.examining(source, destination, kind)) == struck


def test_faults_apply_in_the_order_of_the_document():
    message = MessageName("share", 0, 0, 0)
    verdict, applied = Judge([delaying(), dropping(1.0)], seed=0).judge("a", "b", message)
    assert (verdict, applied) == ((), [Applied("delay", (0.01,)), Applied("drop", ())])
    verdict, applied = Judge([dropping(1.0), delaying()], seed=0).judge("a", "b", message)
    assert (verdict, applied) == ((), [Applied("drop", ())])


def test_delays_add_up():
    verdict, applied = Judge([delaying(name="one"), delaying(name="two")], seed=0).judge("a", "b", shares(1)[0])
    assert verdict == (0.02,)
    assert applied == [Applied("one", (0.01,)), Applied("two", (0.02,))]


def test_a_fault_that_changes_nothing_is_not_in_the_ledger():
    judge = Judge([dropping(0.0), delaying(Constant(distribution="constant", value_s=0.0))], seed=0)
    assert judge.judge("a", "b", shares(1)[0]) == (UNTOUCHED, [])


def test_each_copy_of_a_message_has_a_fate_of_its_own():
    draws = [0.9, 0.1, 0.9].__getitem__
    assert drop((0.0, 0.3, 0.5), dropping(0.5), draws) == (0.0, 0.5)
    spread = delaying(Uniform(distribution="uniform", low_s=0, high_s=10))
    assert delay((0.0, 0.5), spread, draws) == (9.0, 1.5)
    assert drop((), dropping(0.5), draws) == delay((), spread, draws) == ()


def test_what_a_drop_keeps_it_keeps_unchanged_and_at_the_very_probability():
    assert drop((0.25,), dropping(0.5), lambda _: 0.5) == (0.25,)
    assert drop((0.25,), dropping(0.5), lambda _: 0.49999) == ()


@pytest.mark.parametrize(
    ("faults", "path"),
    [
        ([dropping(0.1), dropping(0.2)], "faults[1].name"),
        ([dropping(0.1), delaying(), delaying()], "faults[2].name"),
        ([dropping(0.1), delaying(name="drop")], "faults[1].name"),
        ([dropping(0.1, name="x"), delaying(), dropping(0.1, name="x")], "faults[2].name"),
    ],
)
def test_two_faults_of_one_name_are_refused_with_their_place(faults, path):
    with pytest.raises(ScenarioError, match="give each its own name") as caught:
        Judge(faults, seed=0)
    assert caught.value.path == path


some_messages = st.lists(
    st.tuples(
        st.sampled_from(["agent-0", "agent-1", "agent-2"]),
        st.sampled_from(["agent-0", "agent-1", "agent-2"]),
        st.builds(MessageName, st.just("share"), st.integers(0, 3), st.integers(0, 3), st.integers(0, 1)),
    ),
    min_size=1,
    max_size=20,
)
WATCHED = dropping(0.5, name="watched")
OTHERS = [
    delaying(Exponential(distribution="exponential", mean_s=1.0), name="slow"),
    dropping(0.3, name="elsewhere", source="agent-2"),
    delaying(name="late"),
]


@property_test
@given(some_messages, some_messages, st.randoms(use_true_random=False), st.integers(0, 9))
def test_a_fate_depends_on_no_other_message_and_on_no_order_of_judging(messages, others, random, seed):
    alone = [Judge([WATCHED], seed).judge(*message) for message in messages]
    judge, everything = Judge([WATCHED], seed), messages + others
    random.shuffle(everything)
    crowded = {message: judge.judge(*message) for message in everything}
    assert [crowded[message] for message in messages] == alone


@property_test
@given(some_messages, st.permutations(OTHERS), st.integers(0, 3), st.integers(0, 9))
def test_a_fault_strikes_the_same_messages_whatever_other_faults_there_are(messages, others, position, seed):
    judge = Judge([*others[:position], WATCHED, *others[position:]], seed)
    for message in messages:
        alone = Judge([WATCHED], seed).judge(*message)[1] != []
        verdict, applied = judge.judge(*message)
        lost_before = any(line.verdict == () for line in applied if line.fault == "elsewhere")
        struck = any(line.fault == "watched" for line in applied)
        assert struck == alone or (lost_before and not struck)
        assert not (alone and verdict)


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (timestep_of(3, 4, 5, False, *[np.zeros(1)] * 4), ("timestep", 3, 4, 5)),
        (action_of(3, 4, 5, np.zeros(1)), ("action", 3, 4, 5)),
        (Share.of(3, 4, {}), ("share", 3, 4, 0)),
        (Hello(1, wants_reply=True), None),
        (Stop("x"), None),
        (Metrics(b""), None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_timesteps_actions_and_shares_have_names_and_nothing_else_meets_faults(message, name):
    assert name_of(message) == name


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"kind": "drop", "probability": 1.1}, "probability"),
        ({"kind": "drop", "probability": -0.1}, "probability"),
        ({"kind": "drop", "probability": float("nan")}, "probability"),
        ({"kind": "drop", "probability": 0.1, "messages": ()}, "messages"),
        ({"kind": "drop", "probability": 0.1, "messages": ("stop",)}, "messages"),
        ({"kind": "drop", "probability": 0.1, "odds": 2}, "odds"),
        ({"kind": "delay", "delay_s": {"distribution": "uniform", "low_s": 0.2, "high_s": 0.1}}, "delay_s"),
        ({"kind": "delay", "delay_s": {"distribution": "constant", "value_s": -1}}, "delay_s"),
        ({"kind": "delay", "delay_s": {"distribution": "constant", "value_s": float("inf")}}, "delay_s"),
        ({"kind": "delay", "delay_s": {"distribution": "exponential", "mean_s": 0}}, "delay_s"),
        ({"kind": "delay", "delay_s": {"distribution": "pareto"}}, "delay_s"),
        ({"kind": "vanish"}, "kind"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused_by_its_field(wrong, where):
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(FaultConfig).validate_python(wrong)
    assert where in str(caught.value)
