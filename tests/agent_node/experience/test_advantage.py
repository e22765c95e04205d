from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from agent_cases import scalar_advantages, scalar_returns
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_node.experience.advantage import generalized_advantages, monte_carlo_returns, n_step_returns, normalized

unit = st.sampled_from([0.0, 0.5, 0.9, 0.98, 0.99, 1.0])
numbers = st.floats(-10, 10, width=32)


@dataclass
class Case:
    rewards: np.ndarray
    values: np.ndarray
    next_values: np.ndarray
    continues: np.ndarray


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any numbers on any grid; where a trajectory ends is drawn cell by cell."""
    steps, copies = draw(st.integers(1, 12)), draw(st.integers(1, 4))

    def grid(cells: st.SearchStrategy[float]) -> np.ndarray:
        flat = draw(st.lists(cells, min_size=steps * copies, max_size=steps * copies))
        return np.array(flat, np.float32).reshape(steps, copies)

    return Case(grid(numbers), grid(numbers), grid(numbers), grid(st.sampled_from([0.0, 1.0])))


@settings(deadline=None)
@given(cases(), unit, unit)
def test_advantages_are_the_sums_of_equation_16(case: Case, gamma: float, gae_lambda: float) -> None:
    found = generalized_advantages(
        case.rewards, case.values, case.next_values, case.continues, gamma=gamma, gae_lambda=gae_lambda
    )
    expected = scalar_advantages(
        case.rewards.tolist(),
        case.values.tolist(),
        case.next_values.tolist(),
        case.continues.tolist(),
        gamma,
        gae_lambda,
    )
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


@settings(deadline=None)
@given(cases(), unit)
def test_returns_are_the_sums_of_equation_17(case: Case, gamma: float) -> None:
    found = monte_carlo_returns(case.rewards, case.continues, gamma)
    assert found.dtype == np.float32
    expected = scalar_returns(case.rewards.tolist(), case.continues.tolist(), gamma)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


@settings(deadline=None)
@given(cases(), unit, st.integers(1, 20))
def test_n_step_returns_are_rewards_as_far_as_n_or_the_trajectory_reaches_and_then_value(
    case: Case, gamma: float, n: int
) -> None:
    """`next_values` stand for the states behind trajectories that were cut off."""
    beyond = np.where(case.continues == 0, case.next_values, np.float32(0))
    found = n_step_returns(case.rewards, case.values, beyond, case.continues, gamma=gamma, steps=n)
    assert found.dtype == np.float32
    last = len(case.rewards) - 1
    for (t, e), total in np.ndenumerate(found):
        expected, k = 0.0, 0
        while k < n:
            expected += gamma**k * float(case.rewards[t + k, e])
            k += 1
            if not case.continues[t + k - 1, e] or t + k > last:
                expected += gamma**k * float(beyond[t + k - 1, e])
                break
        else:
            expected += gamma**n * float(case.values[t + n, e])
        assert total == pytest.approx(expected, rel=1e-4, abs=1e-3)


def test_n_step_returns_of_three_steps_by_hand() -> None:
    # by halves: r = 1, 2, 4; V = 8, 16, 32; behind the last step 64
    column = [np.array(each, np.float32)[:, None] for each in ([1, 2, 4], [8, 16, 32], [0, 0, 64], [1, 1, 0])]
    found = {n: n_step_returns(*column, gamma=0.5, steps=n)[:, 0].tolist() for n in (1, 2, 3, 1000)}
    assert found == {1: [9, 18, 36], 2: [10, 20, 36], 3: [11, 20, 36], 1000: [11, 20, 36]}


def test_advantages_of_two_steps_by_hand() -> None:
    # delta_1 = 2 + .5*0 - 3 = -1; delta_0 = 1 + .5*3 - 2 = .5; A_0 = .5 + .5*.8*(-1) = .1
    column = [np.array(pair, np.float32)[:, None] for pair in ([1, 2], [2, 3], [3, 0], [1, 0])]
    found = generalized_advantages(*column, gamma=0.5, gae_lambda=0.8)
    np.testing.assert_allclose(found[:, 0], [0.1, -1.0], rtol=1e-6)


@settings(deadline=None)
@given(cases())
def test_arguments_stay_as_they_were(case: Case) -> None:
    before = [array.copy() for array in (case.rewards, case.values, case.next_values, case.continues)]
    generalized_advantages(case.rewards, case.values, case.next_values, case.continues, gamma=0.9, gae_lambda=0.9)
    monte_carlo_returns(case.rewards, case.continues, 0.9)
    n_step_returns(case.rewards, case.values, case.next_values, case.continues, gamma=0.9, steps=3)
    for was, array in zip(before, (case.rewards, case.values, case.next_values, case.continues), strict=True):
        np.testing.assert_array_equal(was, array)


@settings(deadline=None)
@given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=50).filter(lambda drawn: len(set(drawn)) > 1))
def test_normalized_advantages_have_mean_0_and_deviation_1(drawn: list[int]) -> None:
    advantages = np.array(drawn, np.float32) / 8
    found = normalized(advantages)
    assert found.dtype == np.float32
    mean = sum(drawn) / len(drawn) / 8
    deviation = (sum((x / 8 - mean) ** 2 for x in drawn) / len(drawn)) ** 0.5
    np.testing.assert_allclose(found, [(x / 8 - mean) / deviation for x in drawn], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("drawn", [[], [0.0], [3.5], [-1e-30]])
def test_one_advantage_alone_has_no_spread_and_stays_as_it_is(drawn: list[float]) -> None:
    assert normalized(np.array(drawn, np.float32)).tolist() == np.array(drawn, np.float32).tolist()


@pytest.mark.parametrize(("value", "count"), [(0.1, 7), (12.34567, 50), (1000.1, 3)])
def test_equal_advantages_become_0(value: float, count: int) -> None:
    assert np.abs(normalized(np.full(count, value, np.float32))).max() < 1e-3
