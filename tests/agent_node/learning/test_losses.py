from __future__ import annotations

import math

import pytest
import torch

from agent_node.learning.losses import clipped_gain, entropy, neighbor_ratio, pushes_apart, squared_distance


def t(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


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
    ratio = t(xi).requires_grad_()
    others = t(0.5).requires_grad_()
    gain = clipped_gain(ratio, others, t(advantage), 0.2)
    assert gain.item() == pytest.approx(expected)
    gain.sum().backward()
    assert ratio.grad is not None
    assert others.grad is not None
    assert ratio.grad.item() == pytest.approx(0.5 * advantage if moves else 0.0)
    assert others.grad.item() == pytest.approx(expected / 0.5)


def test_without_a_neighbors_ratio_the_gain_is_that_of_ppo() -> None:
    gain = clipped_gain(t(1.5, 0.5, 1.5, 0.5), None, t(1, 1, -1, -1), 0.2)
    assert gain.tolist() == pytest.approx([1.2, 0.5, -1.5, -0.8])


def test_the_neighbors_ratio_is_a_product() -> None:
    ratio = neighbor_ratio(torch.log(torch.tensor([[2.0, 0.5], [3.0, 0.25]])), 0.0)
    assert ratio.tolist() == pytest.approx([6.0, 0.125])


def test_a_cap_of_0_leaves_the_product_free() -> None:
    ratio = neighbor_ratio(torch.tensor([[9.0, -4.0], [3.0, -4.0]]), 0.0)
    assert ratio.tolist() == pytest.approx([math.exp(12), math.exp(-8)])


def test_the_cap_bounds_the_product_and_not_each_factor() -> None:
    logs = torch.tensor([[3.0, -3.0, 0.5], [-2.5, -3.0, 0.25]])
    assert neighbor_ratio(logs, 1.0).tolist() == pytest.approx([math.exp(0.5), math.exp(-1), math.exp(0.75)])
    assert neighbor_ratio(torch.tensor([[60.0], [60.0]]), 5.0).item() == pytest.approx(math.exp(5), rel=1e-5)


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected"),
    [(2.0, 1.0, 1.0), (0.5, 1.0, 0.0), (2.0, -1.0, 0.0), (0.5, -1.0, 1.0), (1.0, 1.0, 0.0), (2.0, 0.0, 0.0)],
)
def test_policies_are_pushed_apart_where_ratio_minus_1_times_advantage_is_positive(
    ratio: float, advantage: float, expected: float
) -> None:
    logs = torch.log(t(ratio))[None].requires_grad_()
    found = pushes_apart(logs, t(advantage))
    assert found.tolist() == [[expected]]
    assert not found.requires_grad


def test_distance_is_the_squared_euclidean_norm() -> None:
    left, right = torch.tensor([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]]), torch.tensor([[0.25, 0.5, 0.25], [0.0, 1.0, 0.0]])
    assert squared_distance(left, right).tolist() == pytest.approx([0.0025 + 0.04 + 0.0625, 2.0])


def test_entropy_is_in_nats_and_impossible_actions_add_nothing() -> None:
    logs = torch.log_softmax(torch.tensor([[0.0, 0.0, -1e9], [0.0, 0.0, 0.0]]), dim=-1)
    assert entropy(logs).tolist() == pytest.approx([math.log(2), math.log(3)])
