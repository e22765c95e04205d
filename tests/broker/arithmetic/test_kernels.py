"""Every set of kernels that this processor can use gives the bits of the reference."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import kernel_oracles as oracle
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kernel_cases import (
    acting_results,
    different,
    network_results,
    numbers,
    row_results,
    same_bits,
)

from broker.arithmetic import chosen
from broker.arithmetic.adam import Adam
from broker.arithmetic.kernels import Acting, Kernels, Pass
from broker.arithmetic.native import Native, Unusable
from broker.arithmetic.reference import Reference
from broker.arithmetic.sizes import Sizes
from broker.errors import FlushToZero

SEEDS = st.integers(0, 2**32)
SIZES = st.builds(
    Sizes,
    st.integers(1, 40),
    st.one_of(st.just((128, 64)), st.lists(st.integers(1, 40), max_size=3).map(tuple)),
    st.integers(1, 13),
)
SAMPLES = st.one_of(st.integers(0, 9), st.integers(0, 70), st.just(600))


try:
    USABLE, WHY_NOT_FAST = chosen.possible(), ""
except Unusable as why:
    USABLE, WHY_NOT_FAST = {"reference": Reference()}, str(why)
LIBRARIES = [kernels for kernels in USABLE.values() if isinstance(kernels, Native)]


@pytest.fixture(params=USABLE)
def kernels(request: pytest.FixtureRequest) -> Kernels:
    return USABLE[request.param]


@pytest.fixture
def library() -> Native:
    return LIBRARIES[0]


def test_there_are_libraries_for_this_processor() -> None:
    assert LIBRARIES, f"{WHY_NOT_FAST}: python -m broker.arithmetic.building"


def require_equal(results: Callable[[Kernels], dict[str, object]]) -> None:
    for kernels in LIBRARIES:
        found = different(results, Reference(), kernels)
        assert not found, f"{kernels.name}: {found}"


@pytest.mark.long
@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, sizes=SIZES, samples=SAMPLES, networks=st.integers(1, 4))
@example(seed=3, sizes=Sizes(20, (128, 64), 5), samples=50, networks=3)
@example(seed=4, sizes=Sizes(7, (), 1), samples=5, networks=1)
def test_libraries_evaluate_and_descend_with_the_bits_of_the_reference(
    seed: int, sizes: Sizes, samples: int, networks: int
) -> None:
    require_equal(lambda kernels: network_results(kernels, seed, sizes, samples, networks))


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, rows=st.integers(0, 70), width=st.integers(1, 40))
def test_libraries_treat_rows_with_the_bits_of_the_reference(seed: int, rows: int, width: int) -> None:
    require_equal(lambda kernels: row_results(kernels, seed, rows, width))


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, sizes=SIZES, copies=st.integers(0, 40), masked=st.booleans())
def test_libraries_draw_what_the_reference_draws(seed: int, sizes: Sizes, copies: int, *, masked: bool) -> None:
    require_equal(lambda kernels: acting_results(kernels, seed, sizes, copies, masked=masked))


@pytest.mark.long
def test_exp_and_log_have_the_bits_of_the_reference_whatever_the_number() -> None:
    generator = np.random.Generator(np.random.Philox(1))
    anything = generator.integers(0, 2**32, 1_000_000, np.uint32).view(np.float32)
    near = generator.uniform(-110, 95, 300_000).astype(np.float32)
    for x in (anything, near):
        for kernels in LIBRARIES:
            assert same_bits(kernels.exponentials(x), Reference().exponentials(x)), kernels.name
            assert same_bits(kernels.logarithms(x), Reference().logarithms(x)), kernels.name


# The reference, against loops by hand and against other mathematics


def test_a_network_is_what_loops_over_plain_numbers_give(kernels: Kernels) -> None:
    some, sizes = numbers(1), Sizes(3, (5, 2), 2)
    parameters, inputs, gradient = some.array(1, sizes.size), some.array(4, 3), some.array(1, 4, 2)
    weights = [(w.tolist(), b.tolist()) for w, b in sizes.layers_of(parameters[0])]
    given = [inputs.tolist()]
    for number, (weight, bias) in enumerate(weights):
        given.append(oracle.product(given[-1], weight, [bias] * 4))
        if number < 2:
            given[-1] = [[0.0 if x < 0 else x for x in row] for row in given[-1]]
    by_outputs, expected = gradient[0].tolist(), []
    for number in (2, 1, 0):
        weight, columns = weights[number][0], len(by_outputs[0])
        by_weight = oracle.product(oracle.turned(given[number]), by_outputs, [[0.0] * columns] * len(weight))
        by_bias = oracle.product([[1.0] * 4], by_outputs, [[0.0] * columns])
        expected = [*(x for row in by_weight for x in row), *by_bias[0], *expected]
        through = oracle.product(by_outputs, oracle.turned(weight), [[0.0] * len(weight)] * 4)
        by_outputs = [
            [d if x > 0 else 0.0 for d, x in zip(*rows, strict=True)]
            for rows in zip(through, given[number], strict=True)
        ]
    passed = kernels.evaluate(sizes, parameters, (0,), inputs)
    assert same_bits(passed.outputs[0], np.array(given[-1], np.float32))
    assert same_bits(passed.hidden_of(0, 1), np.array(given[2], np.float32))
    found = kernels.gradient(passed, parameters, (0,), gradient)
    assert same_bits(found[0], np.array(expected, np.float32))


@pytest.mark.parametrize(("steps", "gradient"), [(0, 0.3), (7, -2e-3), (2999, 1e-20), (40, 0.0)])
def test_a_step_of_adam_is_what_plain_numbers_give(kernels: Kernels, steps: int, gradient: float) -> None:
    start = [oracle.single(x) for x in (0.7, 2e-31 if gradient == 0 else 1e-3, 1e-5)]
    adam = Adam(
        *(np.full((1, 3), x, np.float32) for x in start),
        np.array([steps]),
        learning_rate=1e-3,
        epsilon=1e-5,
    )
    kernels.move(adam, (0,), np.full((1, 3), gradient, np.float32))
    expected = oracle.adam(*start, oracle.single(gradient), steps + 1, learning_rate=1e-3, epsilon=1e-5)
    found = np.concatenate([adam.parameters, adam.first, adam.second]).T
    assert [tuple(one) for one in found.tolist()] == [expected] * 3
    assert adam.steps.tolist() == [steps + 1]


def test_a_moment_that_shrinks_ends_at_zero_and_not_among_numbers_that_are_slow(kernels: Kernels) -> None:
    adam = Adam(
        np.ones((1, 2), np.float32),
        np.array([[8e-31, -8e-31]], np.float32),
        np.full((1, 2), 7.8e-31, np.float32),
        np.array([5]),
        learning_rate=1e-3,
        epsilon=1e-5,
    )
    kernels.move(adam, (0,), np.zeros((1, 2), np.float32))
    assert not adam.first.any()
    assert not adam.second.any()


def network(sizes: Sizes, parameters: np.ndarray) -> torch.nn.Sequential:
    layers: list[torch.nn.Module] = []
    for weight, bias in sizes.layers_of(parameters):
        linear = torch.nn.Linear(*weight.shape, dtype=torch.float64)
        linear.weight.data = torch.from_numpy(weight.T.astype(np.float64))
        linear.bias.data = torch.from_numpy(bias.astype(np.float64))
        layers += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


@pytest.mark.long
def test_a_descent_is_that_of_torch_in_higher_precision(kernels: Kernels) -> None:
    sizes, generator = Sizes(7, (33, 18), 5), np.random.Generator(np.random.Philox(5))
    parameters = generator.uniform(-0.3, 0.3, (1, sizes.size)).astype(np.float32)
    inputs = generator.standard_normal((29, 7)).astype(np.float32)
    by_outputs = generator.standard_normal((1, 29, 5)).astype(np.float32)
    model = network(sizes, parameters[0])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-5)
    moments = np.zeros_like(parameters), np.zeros_like(parameters)
    adam = Adam(parameters.copy(), *moments, np.zeros(1, np.int64), learning_rate=1e-3, epsilon=1e-5)
    for _ in range(3):
        outputs = model(torch.from_numpy(inputs.astype(np.float64)))
        optimizer.zero_grad()
        (outputs * torch.from_numpy(by_outputs[0].astype(np.float64))).sum().backward()
        optimizer.step()
        passed = kernels.evaluate(sizes, adam.parameters, (0,), inputs)
        assert np.allclose(passed.outputs[0], outputs.detach().numpy(), atol=2e-6)
        assert kernels.descend(passed, adam, (0,), by_outputs)
    moved = [tensor.detach().numpy() for tensor in model.parameters()]
    for (weight, bias), expected, expected_bias in zip(
        sizes.layers_of(adam.parameters[0]), moved[::2], moved[1::2], strict=True
    ):
        assert np.allclose(weight, expected.T, atol=2e-6)
        assert np.allclose(bias, expected_bias, atol=2e-6)


def test_log_softmax_and_its_gradient_are_those_of_torch_in_higher_precision(kernels: Kernels) -> None:
    generator = np.random.Generator(np.random.Philox(6))
    x, gradient = (generator.standard_normal((3, 20, 5)).astype(np.float32) * 4 for _ in range(2))
    exact = torch.from_numpy(x.astype(np.float64)).requires_grad_()
    expected = torch.log_softmax(exact, -1)
    (expected * torch.from_numpy(gradient.astype(np.float64))).sum().backward()
    found = kernels.log_softmax(x)
    assert np.allclose(found, expected.detach().numpy(), atol=2e-6)
    assert exact.grad is not None
    assert np.allclose(kernels.log_softmax_gradient(found, gradient), exact.grad.numpy(), atol=2e-5)


def test_exp_and_log_round_to_the_next_number(kernels: Kernels) -> None:
    generator = np.random.Generator(np.random.Philox(7))
    x = generator.uniform(-87, 88, 20_000).astype(np.float32)
    exact = np.exp(x.astype(np.float64))
    assert (np.abs(kernels.exponentials(x) - exact) <= 0.5000001 * np.spacing(exact.astype(np.float32))).all()
    y = np.exp(generator.uniform(-87, 88, 20_000)).astype(np.float32)
    exact = np.log(y.astype(np.float64))
    spacing = np.abs(np.spacing(exact.astype(np.float32)))
    assert (np.abs(kernels.logarithms(y) - exact) <= 0.5000001 * spacing).all()
    edges = np.array([0, -0.0, np.inf, -np.inf, np.nan, -1, 1, 200, -200], np.float32)
    assert kernels.exponentials(edges).tolist()[:4] == [1, 1, np.inf, 0]
    assert kernels.exponentials(edges).tolist()[7:] == [np.inf, 0]
    found = kernels.logarithms(edges)
    assert found[[0, 1, 2, 6]].tolist() == [-np.inf, -np.inf, np.inf, 0]
    assert np.isnan(found[[3, 4, 5]]).all()


def test_sums_are_taken_in_order(kernels: Kernels) -> None:
    x = np.array([[2**24, 1, 1, 1], [1, 1, 1, 2**24]], np.float32)
    assert kernels.summed_last(x).tolist() == [2**24, 2**24 + 4]
    assert kernels.summed_first(x.T.copy()).tolist() == [2**24, 2**24 + 4]
    assert kernels.total(x) == 2**25 + 6
    assert kernels.discounted(x.T.copy(), np.ones((4, 2), np.float32))[0].tolist() == [2**24 + 4, 2**24]


def test_a_total_in_double_precision_is_taken_in_order_too(kernels: Kernels) -> None:
    """From the first on, each 1 is lost beside 2^53; from the last on, both would count."""
    assert kernels.total(np.array([2.0**53, 1, 1, -(2.0**53)], np.float32)) == 0
    assert kernels.total(np.array([-(2.0**53), 2.0**53, 1, 1], np.float32)) == 2


def test_actions_are_drawn_in_proportion_to_their_weights(kernels: Kernels) -> None:
    """With weights 1 : 1/2 : 1/4 an action changes at uniforms of 4/7 and 6/7; behind the own ones nobody draws."""
    sizes = Sizes(1, (), 4)
    parameters = np.array([0, 0, 0, 0, *np.log([1, 0.5, 0.25]), 9], np.float32)
    uniforms = np.array([[0, 0.57, 0.572, 0.857, 0.858, 0.999]], np.float32)
    actions = np.zeros((1, 6), np.int64)
    acting = Acting(sizes, parameters, np.zeros((2, 6, 1), np.float32), None, uniforms, actions, 3)
    drawn = kernels.act(acting, 0)
    assert drawn.dtype == np.int32
    assert drawn.tolist() == actions[0].tolist() == [0, 0, 1, 1, 2, 2]
    possible = np.ones((2, 6, 3), np.bool_)
    possible[0, :, 1] = False
    kernels.act(Acting(sizes, parameters, np.zeros((2, 6, 1), np.float32), possible, uniforms, actions, 3), 0)
    assert actions[0].tolist() == [0, 0, 0, 2, 2, 2]


def test_a_gradient_that_is_not_finite_moves_nothing(kernels: Kernels) -> None:
    sizes, some = Sizes(2, (3,), 2), numbers(2)
    parameters = np.ones((2, sizes.size), np.float32)
    adam = Adam(parameters, parameters * 0, parameters * 0, np.zeros(2, np.int64), learning_rate=1, epsilon=1e-5)
    passed = kernels.evaluate(sizes, parameters, (0, 1), np.ones((2, 2), np.float32))
    gradient = np.ones((2, 2, 2), np.float32)
    gradient[1, 0, 0] = some.generator.choice([np.nan, np.inf])
    assert not kernels.descend(passed, adam, (0, 1), gradient)
    assert (parameters == 1).all()
    assert not adam.steps.any()
    assert kernels.descend(passed, adam, (0,), gradient)
    assert adam.steps.tolist() == [1, 0]


@pytest.mark.parametrize("steep", [2.0**64, -(2.0**64), 3e38])
def test_a_gradient_whose_square_is_infinite_moves_nothing_wherever_it_stands(kernels: Kernels, steep: float) -> None:
    for place in range(40):
        adam, descend = line_of_40(kernels, place)
        assert not descend(steep), place
        for array in (adam.parameters, adam.first, adam.second, adam.steps):
            assert not array.any(), place


@pytest.mark.parametrize("steep", [1.0, -1.0])
def test_a_parameter_moves_on_after_the_steepest_gradient_that_is_taken(kernels: Kernels, steep: float) -> None:
    adam, descend = line_of_40(kernels, 7)
    assert descend(np.nextafter(np.float32(steep * 2.0**64), np.float32(0)))
    assert np.isfinite(adam.second).all()
    before = adam.parameters[0, 7]
    assert descend(steep)
    assert adam.parameters[0, 7] != before


def line_of_40(kernels: Kernels, place: int) -> tuple[Adam, Callable[[float], bool]]:
    """A network without hidden layers, and what descends along its weight at `place` alone."""
    sizes, inputs = Sizes(40, (), 1), np.zeros((2, 40), np.float32)
    inputs[0, place] = 1
    none = np.zeros((1, sizes.size), np.float32)
    adam = Adam(none, none.copy(), none.copy(), np.zeros(1, np.int64), learning_rate=1e-3, epsilon=1e-8)
    passed = kernels.evaluate(sizes, none, (0,), inputs)

    def descend(gradient: float) -> bool:
        return kernels.descend(passed, adam, (0,), np.array([[[gradient], [-gradient]]], np.float32))

    return adam, descend


# What a library refuses


def wrong_arguments(good: Pass, adam: Adam) -> Iterator[tuple[str, Callable[[Native], object]]]:
    sizes, parameters, inputs = good.sizes, adam.parameters, good.inputs
    gradient = np.zeros_like(good.outputs)
    twice, turned = parameters.astype(np.float64), np.asfortranarray(parameters)
    yield "parameters", lambda kernels: kernels.evaluate(sizes, twice, (0,), inputs)
    yield "parameters", lambda kernels: kernels.evaluate(sizes, turned, (0,), inputs)
    yield "parameters", lambda kernels: kernels.evaluate(sizes, parameters.tolist(), (0,), inputs)
    yield "parameters", lambda kernels: kernels.evaluate(sizes, torch.from_numpy(parameters), (0,), inputs)
    yield "parameters", lambda kernels: kernels.evaluate(sizes, parameters[:, 1:].copy(), (0,), inputs)
    yield "inputs", lambda kernels: kernels.evaluate(sizes, parameters, (0,), inputs[:, :1])
    yield "rows", lambda kernels: kernels.evaluate(sizes, parameters, (2,), inputs)
    yield "rows", lambda kernels: kernels.evaluate(sizes, parameters, (-1,), inputs)
    yield "positions", lambda kernels: kernels.gradient(good, parameters, (2,), gradient)
    yield "output_gradient", lambda kernels: kernels.gradient(good, parameters, (0,), gradient[:1])
    yield "output_gradient", lambda kernels: kernels.descend(good, adam, (0,), gradient[:, ::2])
    yield "gradient", lambda kernels: kernels.move(adam, (0, 1), parameters[:1])
    yield "x", lambda kernels: kernels.log_softmax(parameters[:, ::2])
    yield "x", lambda kernels: kernels.exponentials(parameters.astype(">f4"))
    yield "discounts", lambda kernels: kernels.discounted(parameters, parameters[:1])
    yield "possible", lambda kernels: kernels.weights(parameters, np.ones(parameters.shape, np.int8))


def test_a_library_refuses_arrays_that_it_would_misread(library: Native) -> None:
    sizes = Sizes(2, (3,), 4)
    parameters = np.ones((2, sizes.size), np.float32)
    adam = Adam(parameters, parameters * 0, parameters * 0, np.zeros(2, np.int64), learning_rate=1, epsilon=1e-5)
    good = library.evaluate(sizes, parameters, (0, 1), np.ones((6, 2), np.float32))
    for name, call in wrong_arguments(good, adam):
        with pytest.raises(TypeError, match=f"expected {name}:"):
            call(library)
    frozen = parameters.copy()
    frozen.flags.writeable = False
    stopped = Adam(frozen, parameters * 0, parameters * 0, adam.steps, learning_rate=1, epsilon=1e-5)
    with pytest.raises(TypeError, match=r"parameters: .* writable"):
        library.move(stopped, (0, 1), parameters)


def test_kernels_refuse_to_compute_where_small_numbers_count_as_zero(kernels: Kernels) -> None:
    sizes = Sizes(1, (), 1)
    parameters = np.ones((1, 2), np.float32)
    assert torch.set_flush_denormal(True)
    try:
        with pytest.raises(FlushToZero, match="flush-to-zero is switched on in this process"):
            kernels.evaluate(sizes, parameters, (0,), np.ones((1, 1), np.float32))
    finally:
        torch.set_flush_denormal(False)
    assert kernels.evaluate(sizes, parameters, (0,), np.ones((1, 1), np.float32)).outputs.item() == 2


def test_numbers_below_the_normal_ones_are_kept(kernels: Kernels) -> None:
    tiny = np.array([[2.0**-140, 1]], np.float32)
    assert kernels.summed_first(tiny).tolist() == [2.0**-140, 1]
    assert kernels.exponentials(np.array([-100], np.float32)).item() == pytest.approx(math.exp(-100), rel=1e-2)
