from __future__ import annotations

import numpy as np
import pytest
import torch
from agent_cases import ScalarAdam, scalar_network
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from agent_node.learning.networks import Stack, initial_parameters, widened
from broker.arithmetic.adam import Adam
from broker.arithmetic.chosen import kernels
from broker.arithmetic.sizes import Sizes
from broker.seeding import generator

LAYOUT = Sizes(3, (5, 4), 2)
RATE, EPSILON = 0.01, 1e-3


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def stack(networks: int, layout: Sizes = LAYOUT) -> Stack:
    return Stack(layout, list(random(networks, layout.size)), RATE, EPSILON)


def outputs_of(layout: Sizes, parameters: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """(R, B, O) of networks (R, P)."""
    return Stack(layout, list(parameters), RATE, EPSILON).evaluate(range(len(parameters)), inputs).outputs


@settings(deadline=None)
@given(
    st.integers(1, 4),
    st.integers(1, 5),
    st.lists(st.integers(1, 6), min_size=1, max_size=3),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
)
def test_each_network_of_a_stack_computes_what_it_computes_alone_to_the_bit(
    networks: int, samples: int, hidden: list[int], ends: tuple[int, int]
) -> None:
    layout = Sizes(ends[0], tuple(hidden), ends[1])
    parameters, inputs = random(networks, layout.size), random(samples, ends[0], seed=1)
    found = outputs_of(layout, parameters, inputs)
    assert found.shape == (networks, samples, ends[1])
    for row in range(networks):
        expected = [
            scalar_network(parameters[row].tolist(), (ends[0], *hidden, ends[1]), seen) for seen in inputs.tolist()
        ]
        np.testing.assert_allclose(found[row], expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(found[row], outputs_of(layout, parameters[row : row + 1], inputs)[0])


def test_a_network_says_the_same_of_a_state_in_batches_of_any_size_to_the_bit() -> None:
    networks, inputs = stack(2), random(40, 3, seed=1)
    whole = networks.evaluate([1], inputs).outputs[0]
    for size in (1, 2, 3, 7, 16, 33):
        np.testing.assert_array_equal(networks.evaluate([1], inputs[:size]).outputs[0], whole[:size])


def test_networks_are_evaluated_in_the_order_asked_for() -> None:
    networks, inputs = stack(3), random(4, 3, seed=1)
    found = networks.evaluate([2, 0], inputs)
    whole = networks.evaluate([0, 1, 2], inputs)
    np.testing.assert_array_equal(found.outputs, whole.outputs[[2, 0]])


def torch_outputs(layout: Sizes, row: torch.Tensor, inputs: np.ndarray) -> torch.Tensor:
    """(B, O) of one network (P,), one layer at a time, with gradient."""
    x, at = torch.from_numpy(inputs), 0
    for number, (rows, columns) in enumerate(layout.layers):
        weight, bias = row[at : at + rows * columns], row[at + rows * columns : at + rows * columns + columns]
        x = x @ weight.view(rows, columns) + bias
        x = torch.relu(x) if number < len(layout.hidden) else x
        at += rows * columns + columns
    return x


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
    leaf = torch.tensor(parameters, requires_grad=True)
    total = torch.zeros(())
    for row in range(networks):
        total = total + (torch_outputs(layout, leaf[row], inputs) * torch.from_numpy(weights[row])).sum()
    total.backward()  # type: ignore[no-untyped-call]
    assert leaf.grad is not None
    passed = kernels.evaluate(layout, parameters, range(networks), inputs)
    found = kernels.gradient(passed, parameters, range(networks), weights)
    np.testing.assert_allclose(found, leaf.grad, rtol=1e-4, atol=1e-4)


def test_evaluating_changes_neither_parameters_nor_inputs() -> None:
    networks, inputs = stack(2), random(4, 3)
    before = networks.parameters.copy(), inputs.copy()
    passed = networks.evaluate([0, 1], inputs)
    kernels.gradient(passed, networks.parameters, [0, 1], random(2, 4, 2, seed=2))
    np.testing.assert_array_equal(networks.parameters, before[0])
    np.testing.assert_array_equal(inputs, before[1])


@pytest.mark.parametrize("row", [0, 2])
def test_whoever_holds_a_row_of_a_stack_sees_every_update(row: int) -> None:
    """As an agent does that acts by it."""
    networks, inputs = stack(3), random(4, 3)
    held = networks.parameters[row]
    for rows in ([0, 1, 2], [row], [0, 2]):
        before = outputs_of(LAYOUT, held[None], inputs)
        passed = networks.evaluate(rows, inputs)
        assert networks.descend(passed, range(len(rows)), random(len(rows), 4, 2, seed=len(rows)))
        after = outputs_of(LAYOUT, held[None], inputs)
        np.testing.assert_array_equal(after[0], networks.evaluate([row], inputs).outputs[0])
        assert not np.allclose(after, before, atol=1e-4)
    networks.restore({name: np.zeros_like(array) for name, array in networks.state().items()})
    assert not held.any()


def test_adam_moves_each_network_by_itself_as_kingma_and_ba_and_as_torch_do() -> None:
    """Three networks take part in different updates; each must go its own way, in its own step count."""
    parameters = random(3, LAYOUT.size)
    adam = Adam(parameters.copy(), *np.zeros((2, *parameters.shape), np.float32), np.zeros(3, np.int64), RATE, EPSILON)
    rows = [[0, 1, 2], [0], [0, 2], [1, 2], [0, 1, 2], [2], [0, 1, 2]]
    scalar = [ScalarAdam(RATE, EPSILON) for _ in range(3)]
    plain = [row.tolist() for row in parameters]
    leaves = [torch.tensor(row, requires_grad=True) for row in parameters]
    optimizers = [torch.optim.Adam([leaf], lr=RATE, eps=EPSILON) for leaf in leaves]
    for number, taking_part in enumerate(rows):
        gradient = random(len(taking_part), LAYOUT.size, seed=number + 10) * np.float32(10.0 ** (number - 3))
        kernels.move(adam, taking_part, gradient)
        for position, row in enumerate(taking_part):
            plain[row] = scalar[row].step(plain[row], gradient[position].tolist())
            leaves[row].grad = torch.from_numpy(gradient[position].copy())
            optimizers[row].step()
        np.testing.assert_allclose(adam.parameters, plain, rtol=1e-4, atol=2e-6)
        expected = torch.stack([leaf.detach() for leaf in leaves])
        torch.testing.assert_close(torch.from_numpy(adam.parameters), expected)


def test_a_stack_descends_as_torch_does_with_autograd_and_its_own_adam() -> None:
    networks, inputs = stack(3), random(4, 3, seed=1)
    leaves = [torch.tensor(row, requires_grad=True) for row in networks.parameters]
    optimizers = [torch.optim.Adam([leaf], lr=RATE, eps=EPSILON) for leaf in leaves]
    for number, taking_part in enumerate([[0, 1, 2], [1], [2, 0], [0, 1, 2]]):
        weights = random(3, 4, 2, seed=number + 10) * np.float32(10.0 ** (number - 1))
        assert networks.descend(networks.evaluate([0, 1, 2], inputs), taking_part, weights)
        for row in taking_part:
            optimizers[row].zero_grad()
            total = (torch_outputs(LAYOUT, leaves[row], inputs) * torch.from_numpy(weights[row])).sum()
            total.backward()  # type: ignore[no-untyped-call]
            optimizers[row].step()
        expected = torch.stack([leaf.detach() for leaf in leaves])
        torch.testing.assert_close(torch.from_numpy(networks.parameters), expected)


def test_the_first_step_of_adam_is_the_learning_rate_against_the_gradients_sign() -> None:
    parameters, steps = np.zeros((1, LAYOUT.size), np.float32), np.zeros(1, np.int64)
    adam = Adam(parameters, np.zeros_like(parameters), np.zeros_like(parameters), steps, 0.5, 1e-8)
    gradient = np.linspace(-3, 4, LAYOUT.size, dtype=np.float32)[None]
    kernels.move(adam, [0], gradient)
    np.testing.assert_allclose(parameters, -0.5 * np.sign(gradient), rtol=1.3e-6, atol=1e-5)


def test_networks_without_part_in_an_update_keep_parameters_moments_and_step_count() -> None:
    networks, inputs = stack(4), random(4, 3, seed=1)
    networks.descend(networks.evaluate([0, 1, 2, 3], inputs), [0, 1, 2, 3], random(4, 4, 2, seed=5))
    before = {name: array.copy() for name, array in networks.state().items()}
    passed = networks.evaluate([3, 0, 1], inputs)
    networks.descend(passed, [0, 2], random(3, 4, 2, seed=6))
    after = networks.state()
    assert (after.pop("steps") - before.pop("steps")).tolist() == [0, 1, 0, 1]
    assert after.keys() == {"parameters", "first", "second"}
    for name, array in after.items():
        np.testing.assert_array_equal(array[[0, 2]], before[name][[0, 2]])
        assert all((array[row] != before[name][row]).any() for row in (1, 3))


def test_a_step_of_all_networks_in_another_order_is_the_same_step() -> None:
    one, other, third = stack(3), stack(3), stack(3)
    inputs, weights = random(4, 3, seed=1), random(3, 4, 2, seed=9)
    one.descend(one.evaluate([0, 1, 2], inputs), [0, 1, 2], weights)
    other.descend(other.evaluate([0, 1, 2], inputs), [2, 0, 1], weights)
    third.descend(third.evaluate([2, 0, 1], inputs), [0, 1, 2], weights[[2, 0, 1]])
    for stepped in (other, third):
        np.testing.assert_array_equal(stepped.parameters, one.parameters)


@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
def test_a_gradient_that_is_not_finite_moves_no_network_at_all(value: float) -> None:
    """Nor does one that is finite by the outputs, and overflows behind them."""
    networks, inputs = stack(3), random(4, 3, seed=1)
    weights = random(3, 4, 2, seed=9)
    networks.descend(networks.evaluate([0, 1, 2], inputs), [0, 1, 2], weights)
    before = {name: array.copy() for name, array in networks.state().items()}
    weights[1, :, 0] = value
    passed = networks.evaluate([0, 1, 2], inputs)
    assert not networks.descend(passed, [0, 1, 2], weights)
    for name, array in networks.state().items():
        np.testing.assert_array_equal(array, before[name])
    assert networks.descend(passed, [0, 2], weights)


def test_initial_parameters_are_uniform_within_one_over_the_root_of_the_inputs() -> None:
    layout = Sizes(100, (64, 25), 60)
    drawn = initial_parameters(layout, generator(1, "agent-0"))
    assert drawn.dtype == np.float32
    assert len(drawn) == layout.size == 100 * 64 + 64 + 64 * 25 + 25 + 25 * 60 + 60
    for bound, pieces in zip((0.1, 0.125, 0.2), np.split(drawn, [6464, 6464 + 1625]), strict=True):
        assert np.abs(pieces).max() <= bound
        assert kstest(pieces, "uniform", (-bound, 2 * bound)).pvalue > 1e-4


def test_initial_parameters_depend_on_the_name_alone() -> None:
    again = [initial_parameters(LAYOUT, generator(1, name)) for name in ("a", "b", "a")]
    assert np.array_equal(again[0], again[2])
    assert not np.array_equal(again[0], again[1])


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
    before = parameters.copy()
    found = widened(narrow, parameters, wide.outputs)
    assert (found.shape, found.dtype) == ((wide.size,), np.float32)
    outputs = outputs_of(wide, found[None], inputs)[0]
    np.testing.assert_array_equal(outputs[:, : narrow.outputs], outputs_of(narrow, parameters[None], inputs)[0])
    assert not outputs[:, narrow.outputs :].any()
    np.testing.assert_array_equal(parameters, before)


def test_a_network_widened_by_nothing_is_the_same_network() -> None:
    parameters = random(LAYOUT.size)
    np.testing.assert_array_equal(widened(LAYOUT, parameters, LAYOUT.outputs), parameters)


def test_a_layout_says_where_each_weight_and_bias_lies() -> None:
    assert LAYOUT.layers == [(3, 5), (5, 4), (4, 2)]
    assert LAYOUT.size == 54
    parameters = np.arange(54, dtype=np.float32)
    layers = LAYOUT.layers_of(parameters)
    assert [(weight.shape, bias.shape) for weight, bias in layers] == [((3, 5), (5,)), ((5, 4), (4,)), ((4, 2), (2,))]
    assert np.concatenate([part.ravel() for layer in layers for part in layer]).tolist() == parameters.tolist()
    layers[2][1][:] = -1
    assert parameters[-2:].tolist() == [-1, -1]  # views
