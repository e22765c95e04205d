"""The terms of the policy loss: their values, and their slopes by log-probabilities."""

from __future__ import annotations

import math

import numpy as np
import pytest

from agent_node.learning.losses import clipped_gain, entropy, neighbor_ratio, pushes_apart, squared_distance


def f(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)


@pytest.mark.parametrize(
    ("xi", "advantage", "expected", "moves"),
    [
        (1.5, 1.0, 1.2 * 0.5, False),  # above the range and better: clipped at 1.2, no gradient
        (1.5, -1.0, -1.5 * 0.5, True),  # above the range and worse: the lower bound is the ratio itself
        (0.5, 1.0, 0.5 * 0.5, True),  # below the range and worse for a good action
        (0.5, -1.0, -0.8 * 0.5, False),  # below the range for a bad action: clipped at 0.8
        (1.1, 2.0, 1.1 * 0.5 * 2, True),
        (0.9, -2.0, -0.9 * 0.5 * 2, True),
        (1.3, 0.0, 0.0, False),
    ],
)
def test_the_own_ratio_is_clipped_where_it_would_gain_and_the_neighbors_ratio_never(
    xi: float, advantage: float, expected: float, moves: bool
) -> None:
    """A slope by the log of a ratio is the slope by the ratio, times the ratio."""
    gain, by_own = clipped_gain(f(xi), f(0.5), f(advantage), 0.2)
    assert gain.item() == pytest.approx(expected)
    assert by_own.item() == pytest.approx(xi * 0.5 * advantage if moves else 0.0)
    more, _ = clipped_gain(f(xi), f(0.5 * math.exp(0.01)), f(advantage), 0.2)
    less, _ = clipped_gain(f(xi), f(0.5 * math.exp(-0.01)), f(advantage), 0.2)
    assert (more - less).item() / 0.02 == pytest.approx(expected, rel=1e-3)  # the gain by log xi_N is the gain


def test_without_a_neighbors_ratio_the_gain_is_that_of_ppo() -> None:
    gain, by_own = clipped_gain(f(1.5, 0.5, 1.5, 0.5), None, f(1, 1, -1, -1), 0.2)
    assert gain.tolist() == pytest.approx([1.2, 0.5, -1.5, -0.8])
    assert by_own.tolist() == pytest.approx([0, 0.5, -1.5, 0])


def test_the_neighbors_ratio_is_a_product() -> None:
    ratio, follows = neighbor_ratio(np.log(np.array([[2.0, 0.5], [3.0, 0.25]], np.float32)), 0.0)
    assert ratio.tolist() == pytest.approx([6.0, 0.125])
    assert follows.tolist() == [1, 1]


def test_a_cap_of_0_leaves_the_product_free() -> None:
    ratio, follows = neighbor_ratio(np.array([[9.0, -4.0], [3.0, -4.0]], np.float32), 0.0)
    assert ratio.tolist() == pytest.approx([math.exp(12), math.exp(-8)])
    assert follows.tolist() == [1, 1]


def test_the_cap_bounds_the_product_and_not_each_factor_and_what_is_beyond_it_follows_nobody() -> None:
    logs = np.array([[3.0, -3.0, 0.5, 3.0], [-2.5, -3.0, 0.25, -1.0]], np.float32)
    ratio, follows = neighbor_ratio(logs, 1.0)
    assert ratio.tolist() == pytest.approx([math.exp(0.5), math.exp(-1), math.exp(0.75), math.exp(1)])
    assert follows.tolist() == [1, 0, 1, 0]
    ratio, follows = neighbor_ratio(np.array([[60.0], [60.0]], np.float32), 5.0)
    assert ratio.item() == pytest.approx(math.exp(5), rel=1e-5)
    assert follows.tolist() == [0]


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected"),
    [(2.0, 1.0, 1.0), (0.5, 1.0, 0.0), (2.0, -1.0, 0.0), (0.5, -1.0, 1.0), (1.0, 1.0, 0.0), (2.0, 0.0, 0.0)],
)
def test_policies_are_pushed_apart_where_ratio_minus_1_times_advantage_is_positive(
    ratio: float, advantage: float, expected: float
) -> None:
    assert pushes_apart(f(math.log(ratio))[None], f(advantage)).tolist() == [[expected]]


def test_distance_is_the_squared_euclidean_norm() -> None:
    left, right = np.array([[f(0.2, 0.3, 0.5), f(1, 0, 0)], [f(0.25, 0.5, 0.25), f(0, 1, 0)]])
    distance, by_left = squared_distance(left, right)
    assert distance.tolist() == pytest.approx([0.0025 + 0.04 + 0.0625, 2.0])
    # by log left: 2 (left - right) left
    assert by_left.ravel().tolist() == pytest.approx([-0.02, -0.12, 0.25, 2, 0, 0], abs=1e-7)


def test_entropy_is_in_nats_and_impossible_actions_add_nothing() -> None:
    halves, thirds = [math.log(1 / 2), math.log(1 / 2), -1e9], [math.log(1 / 3)] * 3
    found, by_each = entropy(np.array([halves, thirds], np.float32))
    assert found.tolist() == pytest.approx([math.log(2), math.log(3)])
    # by log p: -p (log p + 1), and 0 for the impossible
    of_half, of_third = -(1 - math.log(2)) / 2, -(1 - math.log(3)) / 3
    assert by_each[0].tolist() == pytest.approx([of_half, of_half, 0], abs=1e-7)
    assert by_each[1].tolist() == pytest.approx([of_third] * 3, abs=1e-7)
