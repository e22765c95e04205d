from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from agent_cases import ScalarAdam, scalar_network
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest
from torch import Tensor

from agent_node.learning.networks import Evaluation, Policy, Sizes, Stack, initial_parameters, widened
from broker.seeding import generator

LAYOUT = Sizes(3, (5, 4), 2)
RATE, EPSILON = 0.01, 1e-3


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def stack(networks: int, layout: Sizes = LAYOUT) -> Stack:
    return Stack(layout, list(random(networks, layout.size)), RATE, EPSILON)


@settings(deadline=None)
@given(
    st.integers(1, 4),
    st.integers(1, 5),
    st.lists(st.integers(1, 6), min_size=1, max_size=3),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
)
def test_each_network_of_a_stack_computes_what_it_computes_alone(
    networks: int, samples: int, hidden: list[int], ends: tuple[int, int]
) -> None:
    layout = Sizes(ends[0], tuple(hidden), ends[1])
    parameters, inputs = random(networks, layout.size), random(samples, ends[0], seed=1)
    found = Evaluation(layout, parameters, inputs).outputs
    assert found.shape == (networks, samples, ends[1])
    for row in range(networks):
        expected = [
            scalar_network(parameters[row].tolist(), (ends[0], *hidden, ends[1]), seen) for seen in inputs.tolist()
        ]
        np.testing.assert_allclose(found[row], expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(
            found[row], Evaluation(layout, parameters[row : row + 1], inputs).outputs[0], atol=1e-5
        )


@settings(deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 5),
    st.lists(st.integers(1, 6), min_size=1, max_size=3),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
)
def test_the_gradient_of_a_stack_is_the_one_that_autograd_finds(
    networks: int, samples: int, hidden: list[int], ends: tuple[int, int]
) -> None:
    """Of the weighted sum of all outputs, computed here one network and one layer at a time."""
    layout = Sizes(ends[0], tuple(hidden), ends[1])
    parameters, inputs = random(networks, layout.size), random(samples, ends[0], seed=1)
    weights = random(networks, samples, ends[1], seed=2)
    leaf = parameters.clone().requires_grad_()
    total = torch.zeros(())
    for row in range(networks):
        x, pieces = inputs, list(torch.split(leaf[row], layout.pieces))
        while pieces:
            weight, bias, *pieces = pieces
            x = x @ weight.view(x.shape[1], len(bias)) + bias
            x = torch.relu(x) if pieces else x
        total = total + (x * weights[row]).sum()
    total.backward()  # type: ignore[no-untyped-call]
    assert leaf.grad is not None
    found = Evaluation(layout, parameters, inputs).gradient(weights)
    torch.testing.assert_close(found, leaf.grad, rtol=1e-4, atol=1e-4)


def test_evaluating_changes_neither_parameters_nor_inputs() -> None:
    networks, inputs = stack(2), random(4, 3)
    before = networks.parameters.clone(), inputs.clone()
    Evaluation(LAYOUT, networks.parameters, inputs).gradient(random(2, 4, 2, seed=2))
    Policy(networks)(inputs.numpy())
    assert torch.equal(networks.parameters, before[0])
    assert torch.equal(inputs, before[1])


@pytest.mark.parametrize("row", [0, 2])
def test_a_policy_is_its_row_of_the_stack_and_sees_every_update(row: int) -> None:
    networks, inputs = stack(3), random(4, 3)
    policy = Policy(networks, row)
    seen = inputs.numpy()
    for rows in ([0, 1, 2], [row], [0, 2]):
        before = policy(seen).copy()
        networks.step(rows, random(len(rows), LAYOUT.size, seed=len(rows)))
        assert policy(seen).dtype == np.float32
        expected = Evaluation(LAYOUT, networks.parameters, inputs).outputs[row]
        np.testing.assert_allclose(policy(seen), expected, rtol=1e-5, atol=1e-5)
        assert not np.allclose(policy(seen), before, atol=1e-4)


def test_a_stack_updates_like_adam_one_network_at_a_time() -> None:
    """Three networks take part in different updates; each must go its own way, in its own step count."""
    networks = stack(3)
    rows = [[0, 1, 2], [0], [0, 2], [1, 2], [0, 1, 2], [2], [0, 1, 2]]
    scalar = [ScalarAdam(RATE, EPSILON) for _ in range(3)]
    plain = [row.tolist() for row in networks.parameters]
    leaves = [row.clone().requires_grad_() for row in networks.parameters]
    optimizers = [torch.optim.Adam([leaf], lr=RATE, eps=EPSILON) for leaf in leaves]
    for number, taking_part in enumerate(rows):
        gradient = random(len(taking_part), LAYOUT.size, seed=number + 10) * 10.0 ** (number - 3)
        networks.step(taking_part, gradient)
        for position, row in enumerate(taking_part):
            plain[row] = scalar[row].step(plain[row], gradient[position].tolist())
            leaves[row].grad = gradient[position].clone()
            optimizers[row].step()
        np.testing.assert_allclose(networks.parameters, plain, rtol=1e-4, atol=2e-6)
        torch.testing.assert_close(networks.parameters, torch.stack([leaf.detach() for leaf in leaves]))


def test_the_first_step_of_adam_is_the_learning_rate_against_the_gradients_sign() -> None:
    networks = Stack(LAYOUT, [torch.zeros(LAYOUT.size)], 0.5, 1e-8)
    gradient = torch.linspace(-3, 4, LAYOUT.size)[None]
    networks.step([0], gradient)
    torch.testing.assert_close(networks.parameters, -0.5 * gradient.sign())


def test_networks_without_part_in_an_update_keep_parameters_moments_and_step_count() -> None:
    networks = stack(4)
    networks.step([0, 1, 2, 3], random(4, LAYOUT.size, seed=5))
    before = {name: array.copy() for name, array in networks.state().items()}
    networks.step([1, 3], random(2, LAYOUT.size, seed=6))
    after = networks.state()
    assert (after.pop("steps") - before.pop("steps")).tolist() == [0, 1, 0, 1]
    assert after.keys() == {"parameters", "first", "second"}
    for name, array in after.items():
        np.testing.assert_array_equal(array[[0, 2]], before[name][[0, 2]])
        assert (array[[1, 3]] != before[name][[1, 3]]).all()


@pytest.mark.parametrize("rows", [[0, 1, 2], [2], [2, 0]])
def test_what_is_picked_is_a_copy_of_the_networks_asked_for(rows: list[int]) -> None:
    networks = stack(3)
    before = networks.parameters.clone()
    picked = networks.pick(rows)
    assert torch.equal(picked, before[rows])
    picked.mul_(2)
    assert torch.equal(networks.parameters, before)


def test_all_networks_are_picked_in_the_order_asked_for() -> None:
    networks = stack(3)
    assert torch.equal(networks.pick([2, 0, 1]), networks.parameters[[2, 0, 1]])


def test_a_step_of_all_networks_in_another_order_is_the_same_step() -> None:
    one, other = stack(3), stack(3)
    gradient = random(3, LAYOUT.size, seed=9)
    one.step([0, 1, 2], gradient)
    other.step([2, 0, 1], gradient[[2, 0, 1]])
    assert torch.equal(one.parameters, other.parameters)


def test_initial_parameters_are_uniform_within_one_over_the_root_of_the_inputs() -> None:
    layout = Sizes(100, (64, 25), 60)
    drawn = initial_parameters(layout, generator(1, "agent-0"))
    assert drawn.dtype == torch.float32
    assert len(drawn) == layout.size == 100 * 64 + 64 + 64 * 25 + 25 + 25 * 60 + 60
    for bound, pieces in zip((0.1, 0.125, 0.2), np.split(drawn.numpy(), [6464, 6464 + 1625]), strict=True):
        assert np.abs(pieces).max() <= bound
        assert kstest(pieces, "uniform", (-bound, 2 * bound)).pvalue > 1e-4


def test_initial_parameters_depend_on_the_name_alone() -> None:
    again = [initial_parameters(LAYOUT, generator(1, name)) for name in ("a", "b", "a")]
    assert torch.equal(again[0], again[2])
    assert not torch.equal(again[0], again[1])


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=3),
    st.tuples(st.integers(1, 4), st.integers(1, 5)),
    st.integers(0, 4),
)
def test_a_widened_network_computes_the_same_outputs_and_0_for_the_new_ones(
    hidden: list[int], ends: tuple[int, int], more: int
) -> None:
    narrow, wide = Sizes(ends[0], tuple(hidden), ends[1]), Sizes(ends[0], tuple(hidden), ends[1] + more)
    parameters, inputs = random(narrow.size), random(6, ends[0], seed=1)
    before = parameters.clone()
    found = widened(narrow, parameters, wide.outputs)
    assert (found.shape, found.dtype) == ((wide.size,), torch.float32)
    outputs = Evaluation(wide, found[None], inputs).outputs[0]
    expected = Evaluation(narrow, parameters[None], inputs).outputs[0]
    torch.testing.assert_close(outputs[:, : narrow.outputs], expected)
    assert not outputs[:, narrow.outputs :].any()
    assert torch.equal(parameters, before)


def test_a_network_widened_by_nothing_is_the_same_network() -> None:
    parameters = random(LAYOUT.size)
    assert torch.equal(widened(LAYOUT, parameters, LAYOUT.outputs), parameters)


def test_a_layout_counts_its_parameters() -> None:
    assert Sizes(3, (5, 4), 2).pieces == [15, 5, 20, 4, 8, 2]
    assert LAYOUT.size == 54
    assert math.isclose(sum(LAYOUT.pieces), LAYOUT.size)
