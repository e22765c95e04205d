"""Who is in range of whom, against the sentence that defines it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from env_service.proximity import in_range

# Quarters of a unit: squares and sums of them are exact in float32, so the boundary is sharp.
quarters = st.integers(-60, 60).map(lambda number: number / 4)


class Placed:
    """As much of a task as proximity looks at."""

    def __init__(self, positions):
        self._positions = positions
        self.action_counts = (5,) * (3 if positions is None else positions.shape[1])

    def positions(self):
        return self._positions


@st.composite
def places(draw):
    copies, agents, dimensions = draw(st.integers(1, 4)), draw(st.integers(1, 6)), draw(st.integers(1, 3))
    size = copies * agents * dimensions
    numbers = draw(st.lists(quarters, min_size=size, max_size=size))
    return np.array(numbers, np.float32).reshape(copies, agents, dimensions)


def slowly(positions, distance):
    copies, agents, _ = positions.shape
    flags = np.zeros((agents, copies, agents - 1), np.uint8)
    for agent in range(agents):
        for copy in range(copies):
            others = [other for other in range(agents) if other != agent]
            for place, other in enumerate(others):
                gaps = [
                    float(a) - float(b) for a, b in zip(positions[copy, agent], positions[copy, other], strict=True)
                ]
                flags[agent, copy, place] = sum(gap * gap for gap in gaps) <= distance * distance
    return flags


@given(positions=places(), distance=st.integers(1, 80).map(lambda number: number / 4))
@settings(deadline=None)
def test_it_agrees_with_the_plain_loop(positions, distance):
    flags = in_range(Placed(positions), distance)
    assert flags.dtype == np.uint8
    np.testing.assert_array_equal(flags, slowly(positions, distance))


@given(places(), st.floats(0.01, 30))
@settings(deadline=None)
def test_it_is_symmetric(positions, distance):
    copies, agents, _ = positions.shape
    flags = in_range(Placed(positions), distance)
    near = np.zeros((agents, agents, copies), np.uint8)
    for agent in range(agents):
        others = [other for other in range(agents) if other != agent]
        near[agent, others] = flags[agent].T
    np.testing.assert_array_equal(near, near.transpose(1, 0, 2))


@pytest.mark.parametrize(("apart", "near"), [(2.75, 1), (3.0, 1), (3.25, 0)])
def test_exactly_the_distance_is_in_range(apart, near):
    positions = np.array([[[1.0], [1.0 + apart]]], np.float32)
    assert in_range(Placed(positions), 3.0).tolist() == [[[near]], [[near]]]


@pytest.mark.parametrize("distance", [0.1, 0.3, 0.7, 1.1])
def test_exactly_the_distance_is_in_range_where_it_has_no_exact_float(distance):
    positions = np.array([[[0.0], [distance]]], np.float32)
    assert in_range(Placed(positions), distance).all()


def test_the_square_root_of_two_reaches_the_diagonal_cell():
    positions = np.array([[[0, 0], [1, 1]]], np.float32)
    assert in_range(Placed(positions), 2**0.5).all()


def test_one_and_a_half_has_the_diagonals_and_nothing_two_cells_away():
    cells = [[row, column] for row in range(3) for column in range(3)]
    flags = in_range(Placed(np.array([cells], np.float32)), 1.5)
    assert flags.sum(axis=-1)[:, 0].tolist() == [3, 5, 3, 5, 8, 5, 3, 5, 3]


def test_agents_in_one_place_are_in_range():
    assert in_range(Placed(np.zeros((2, 3, 2), np.float32)), 0.01).tolist() == [[[1, 1]] * 2] * 3


def test_a_fixed_graph_gets_no_flags():
    assert in_range(Placed(np.zeros((4, 3, 2), np.float32)), None) is None


def test_a_task_without_positions_gets_no_flags():
    assert in_range(Placed(None), 1.5) is None
