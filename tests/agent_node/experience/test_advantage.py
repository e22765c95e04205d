from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from agent_cases import scalar_advantages, scalar_returns
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_node.experience.advantage import generalized_advantages, monte_carlo_returns, normalized

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


def test_one_advantage_alone_becomes_0() -> None:
    assert normalized(np.array([3.7], np.float32)).tolist() == [0.0]


@pytest.mark.parametrize(("value", "count"), [(0.1, 7), (12.34567, 50), (1000.1, 3)])
def test_equal_advantages_become_0(value: float, count: int) -> None:
    assert np.abs(normalized(np.full(count, value, np.float32))).max() < 1e-3
