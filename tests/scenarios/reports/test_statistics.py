"""Statistics of few runs, against plain oracles and their own meaning."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import trim_mean, ttest_ind, ttest_rel

from scenarios.reports.statistics import (
    RESAMPLED,
    RESAMPLED_EPISODES,
    Estimate,
    band,
    difference,
    estimate,
    iqm,
    mean_of,
    paired,
    stratified,
)

numbers = st.floats(-1e6, 1e6, allow_subnormal=False)
samples = st.lists(numbers, min_size=1, max_size=12)
pairs = st.lists(numbers, min_size=2, max_size=8)


@settings(deadline=None)
@given(samples)
def test_the_iqm_lies_between_least_and_greatest(sample):
    assert min(sample) <= iqm(sample) <= max(sample)


@settings(deadline=None)
@given(samples, st.randoms(use_true_random=False))
def test_the_iqm_does_not_depend_on_the_order(sample, random):
    shuffled = random.sample(sample, len(sample))
    assert iqm(shuffled) == iqm(sample)


@settings(deadline=None)
@given(samples)
def test_the_iqm_is_the_mean_without_the_outer_quarters(sample):
    assert iqm(sample) == pytest.approx(trim_mean(sample, 0.25), rel=1e-9, abs=1e-6)


def test_the_iqm_of_up_to_three_values_is_their_mean_and_of_four_leaves_two_out():
    assert iqm([1.0, 2.0, 9.0]) == 4.0
    assert iqm([1.0, 2.0, 4.0, 99.0]) == 3.0


@settings(deadline=None, max_examples=30)
@given(pairs)
@example([2.219743623369902e-296] * 7)
def test_an_interval_holds_its_estimate_and_stays_within_the_sample(sample):
    found = estimate(sample, "test")
    assert found.value == iqm(sample)
    if found.equal:
        assert (found.low, found.high) == (None, None)
    else:
        assert min(sample) <= found.low <= found.value <= found.high <= max(sample)


@settings(deadline=None, max_examples=5)
@given(pairs)
def test_the_interval_of_a_mean_holds_it_and_stays_within_the_sample(sample):
    sample = sample * RESAMPLED_EPISODES
    found = mean_of(sample, "test")
    assert found.value == np.mean(sample)
    assert found.equal or min(sample) - 1e-6 <= found.low <= found.value <= found.high <= max(sample) + 1e-6
    assert found == mean_of(sample, "test")
    assert mean_of(sample[:1], "test") == Estimate(sample[0], None, None)


@pytest.mark.parametrize("episodes", [2, 3, 5, 9, 10, 30])
def test_nine_intervals_of_ten_hold_the_mean_however_few_the_episodes(episodes):
    drawn = np.random.default_rng(2).normal(3.0, 2.0, (300, episodes))
    found = [mean_of(sample.tolist(), "test") for sample in drawn]
    assert 0.88 <= np.mean([each.low <= 3.0 <= each.high for each in found]) <= 0.98


def test_the_interval_of_a_mean_is_as_wide_as_its_standard_error_says():
    sample = np.random.default_rng(1).normal(3.0, 2.0, 400)
    found = mean_of(sample.tolist(), "test")
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * sample.std() / 20, rel=0.1)


@settings(deadline=None, max_examples=20)
@given(pairs, pairs)
def test_a_difference_and_its_interval_change_sign_with_the_order(one, other):
    forth, back = difference(one, other, "test"), difference(other, one, "test")
    assert forth.value == -back.value
    assert forth.equal == back.equal
    assert forth.equal or forth.low <= forth.value <= forth.high


def test_equal_names_give_equal_intervals_and_other_names_others():
    sample = [1.0, 4.0, 9.0, 16.0, 25.0]
    assert estimate(sample, "a") == estimate(sample, "a")
    wide = list(np.random.default_rng(0).normal(size=30))
    assert estimate(wide, "a") != estimate(wide, "b")


def test_one_run_has_no_interval():
    assert estimate([3.0], "test") == Estimate(3.0, None, None)
    assert difference([3.0], [1.0, 2.0], "test") == Estimate(1.5, None, None)


def test_runs_of_one_group_never_stand_in_for_those_of_another():
    found = stratified([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0 + 1e-5]], "test")
    assert (found.low, found.value, found.high) == pytest.approx((0.5, 0.5, 0.5), abs=1e-5)


@pytest.mark.parametrize(("runs", "one_in"), [(2, 20), (3, 20), (4, 8), (5, 10)])
def test_runs_that_have_not_changed_are_called_changed_as_often_as_the_page_says(runs, one_in):
    draws = np.random.default_rng(1).normal(size=(1000, 2, runs))
    found = [paired(after.tolist(), before.tolist(), "coverage") for after, before in draws]
    assert np.mean([each.low > 0 or each.high < 0 for each in found]) == pytest.approx(1 / one_in, rel=0.25)


@pytest.mark.parametrize("count", [2, 3, 5, 10, 30])
def test_numbers_that_are_all_equal_have_no_interval_however_many_they_are(count):
    equal, told = [4.4] * count, f"all {count} equal"
    assert mean_of(equal, "test") == Estimate(pytest.approx(4.4), None, None, told)
    assert paired(equal, [1.4] * count, "test") == Estimate(pytest.approx(3.0), None, None, told)
    assert difference(equal, [1.4, 1.4], "test") == Estimate(pytest.approx(3.0), None, None, "all equal in both groups")
    assert stratified([equal, equal], "test") == Estimate(4.4, None, None, "all equal in each")
    if count >= RESAMPLED:
        assert estimate(equal, "test") == Estimate(4.4, None, None, told)


def test_what_rounding_tells_apart_is_equal():
    sums = [9.399999096989632, 9.399999326094985, 9.399999555200338]  # of float32 rewards, in another order each
    assert mean_of(sums, "test").equal == "all 3 equal"
    assert paired(sums, sums[::-1], "test").equal == "all 3 equal"
    assert not mean_of([9.4, 9.401], "test").equal


def test_one_group_that_varies_is_enough_for_an_interval_of_a_difference():
    found = difference([1.0, 1.0], [2.0, 2.5], "test")
    half = 12.7062 * 0.25  # Student's t of one degree of freedom
    assert (found.low, found.high) == (pytest.approx(-1.25 - half, abs=1e-3), pytest.approx(-1.25 + half, abs=1e-3))


def test_nineteen_of_twenty_intervals_of_normal_samples_hold_the_true_mean():
    """With 20 values; 200 samples. Percentile intervals cover a little less: 0.88 to 0.99 is accepted."""
    draws = np.random.default_rng(1).normal(5.0, 2.0, size=(200, 20))
    found = [estimate(list(sample), "coverage") for sample in draws]
    covered = np.mean([each.low <= 5.0 <= each.high for each in found])
    assert 0.88 <= covered <= 0.99


whole = st.integers(-1000, 1000).map(float)
few = st.lists(whole, min_size=2, max_size=3)
some = st.lists(whole, min_size=2, max_size=6)


@settings(deadline=None, max_examples=50)
@given(few)
def test_two_and_three_runs_have_their_range(sample):
    found = estimate(sample, "a")
    assert (found.value, found.low, found.high) == (pytest.approx(np.mean(sample)), min(sample), max(sample))
    assert estimate(sample, "a") == estimate(sample, "b")


@settings(deadline=None, max_examples=50)
@given(few, some)
def test_the_difference_of_a_group_of_few_runs_has_welch_s_interval(sample, other):
    for one, two in ((sample, other), (other, sample)):
        found = difference(one, two, "test")
        assert found.value == pytest.approx(np.mean(one) - np.mean(two), abs=1e-9)
        if found.equal:
            assert not np.std(one)
            assert not np.std(two)
        elif np.std(one) and np.std(two):
            low, high = ttest_ind(one, two, equal_var=False).confidence_interval(0.95)
            assert (found.low, found.high) == (pytest.approx(low, rel=1e-6), pytest.approx(high, rel=1e-6))


@settings(deadline=None, max_examples=50)
@given(few, st.data())
def test_differences_of_few_runs_to_themselves_have_student_s_interval(after, data):
    before = data.draw(st.lists(whole, min_size=len(after), max_size=len(after)))
    found = paired(after, before, "test")
    if np.std(np.subtract(after, before)):
        low, high = ttest_rel(after, before).confidence_interval(0.95)
        assert (found.low, found.high) == (pytest.approx(low, rel=1e-6), pytest.approx(high, rel=1e-6))


@pytest.mark.parametrize("runs", [2, 3])
def test_equal_groups_of_few_runs_are_seldom_called_different(runs):
    """A bootstrap calls one in three (2 runs) or one in five (3) different; 95% intervals should do so once in 20."""
    draws = np.random.default_rng(1).normal(size=(400, 2, runs))
    found = [difference(one.tolist(), two.tolist(), "coverage") for one, two in draws]
    assert np.mean([each.low > 0 or each.high < 0 for each in found]) < 0.07


def test_a_band_goes_around_the_mean_and_is_the_curve_itself_for_one_run():
    curves = np.random.default_rng(2).normal(size=(3, 7)).cumsum(axis=1)
    mean, low, high = band(curves, "test")
    assert np.allclose(mean, curves.mean(axis=0))
    assert (low <= mean).all()
    assert (mean <= high).all()
    assert (low >= curves.min(axis=0) - 1e-12).all()
    assert (high <= curves.max(axis=0) + 1e-12).all()
    for ends in band(curves[:1], "test"):
        assert np.array_equal(ends, curves[0])


@pytest.mark.processes
def test_agents_and_the_commands_that_run_them_never_import_scipy():
    code = """
import sys
import agent_node.node, env_service.service, scenarios.commands.main
import scenarios.running.launched.launch, scenarios.running.simulated.simulate, scenarios.reports.statistics
assert not {"scipy"} & set(sys.modules), "scipy was imported"
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
