from __future__ import annotations

import numpy as np
import pytest
from agent_cases import positions_of
from hypothesis import given
from hypothesis import strategies as st

from agent_node.experience.samples import common_rows, pack, packed_bytes, unpack

grids = st.integers(1, 70)


@st.composite
def holdings(draw: st.DrawFn, holders: int) -> tuple[int, list[set[int]]]:
    """The number of positions of a grid, and which of them each holder has: from none to all."""
    positions = draw(grids)
    anything = st.sets(st.integers(0, positions - 1))
    return positions, [draw(st.one_of(anything, st.just(set(range(positions))))) for _ in range(holders)]


def rows(held: set[int]) -> np.ndarray:
    return np.array(sorted(held), np.int64)


@given(holdings(1))
def test_what_is_unpacked_is_what_was_packed_in_order(drawn: tuple[int, list[set[int]]]) -> None:
    positions, (held,) = drawn
    bits = pack(rows(held), positions)
    assert bits.dtype == np.uint8
    assert unpack(bits, positions).tolist() == sorted(held)


@given(holdings(1))
def test_position_p_is_bit_p_of_the_bytes_counted_from_the_highest(drawn: tuple[int, list[set[int]]]) -> None:
    """The wire format, read without numpy; the bits that fill up the last byte are 0."""
    positions, (held,) = drawn
    assert positions_of(pack(rows(held), positions)) == sorted(held)


@pytest.mark.parametrize(
    ("held", "positions", "expected"),
    [((0,), 8, [0x80]), ((7,), 8, [0x01]), ((1, 3, 8), 10, [0x50, 0x80]), ((), 9, [0, 0])],
)
def test_bits_of_a_few_positions(held: tuple[int, ...], positions: int, expected: list[int]) -> None:
    assert pack(rows(set(held)), positions).tolist() == expected


@given(holdings(2))
def test_common_rows_are_those_of_the_intersection(drawn: tuple[int, list[set[int]]]) -> None:
    _, (ours, theirs) = drawn
    our_rows, their_rows = common_rows(rows(ours), rows(theirs))
    common = sorted(ours & theirs)
    assert [sorted(ours)[row] for row in our_rows] == common
    assert [sorted(theirs)[row] for row in their_rows] == common


@given(st.integers(1, 40), st.integers(1, 40))
def test_the_bits_cost_an_eighth_of_a_byte_for_each_step_and_copy(steps: int, copies: int) -> None:
    positions = steps * copies
    for index in (np.arange(positions), np.zeros(0, np.int64), np.array([positions - 1])):
        assert pack(index, positions).nbytes == packed_bytes(positions) <= (steps * copies + 7) // 8


def test_reading_bits_leaves_them_as_they_are() -> None:
    bits = pack(np.array([1, 4]), 10)
    before = bits.copy()
    bits.setflags(write=False)  # as the codec hands them over
    unpack(bits, 10)
    np.testing.assert_array_equal(bits, before)
