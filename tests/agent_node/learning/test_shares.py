from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from agent_node.learning.fields import Field, Kind
from agent_node.learning.shares import check_share, count_bits
from broker.errors import ProtocolViolation

Arrays = dict[str, np.ndarray]
FIELDS = (
    Field("policy", Kind.DISTRIBUTION, (2, 3)),
    Field("actions", Kind.ACTIONS, (2,), 3),
    Field("advantage", Kind.REAL, (2,)),
    Field("samples", Kind.BITS, (2,), 10),
)
BITS = FIELDS[-1]


def good() -> Arrays:
    return {
        "policy": np.array([[0.2, 0.3, 0.5], [1, 0, 0]], np.float32),
        "actions": np.array([0, 2], np.int32),
        "advantage": np.array([-1e30, 7], np.float32),
        "samples": np.array([0x81, 0x40], np.uint8),  # positions 0, 7 and 9
    }


def put(name: str, place: tuple[int, ...], value: float) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        arrays[name][place] = value

    return change


def replace(name: str, array: np.ndarray) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        arrays[name] = array

    return change


def test_what_is_described_is_accepted() -> None:
    check_share(good(), FIELDS)


def test_rounding_of_a_thousand_actions_is_accepted() -> None:
    row = np.random.default_rng(0).dirichlet(np.ones(1000), 50).astype(np.float32)
    check_share({"policy": row}, (Field("policy", Kind.DISTRIBUTION, (50, 1000)),))


def test_a_share_about_no_sample_is_accepted() -> None:
    check_share({"policy": np.zeros((0, 3), np.float32)}, (Field("policy", Kind.DISTRIBUTION, (0, 3)),))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda arrays: arrays.pop("policy"), "policy"),
        (replace("reward", np.zeros(2, np.float32)), "reward"),
        (replace("policy", np.full((2, 4), 0.25, np.float32)), r"\(2, 3\)"),
        (replace("policy", np.full((3, 3), 1 / 3, np.float32)), r"\(2, 3\)"),
        (replace("policy", np.full((2, 3), 1 / 3, np.float64)), "float32"),
        (replace("actions", np.zeros((2, 1), np.int32)), r"\(2,\)"),
        (replace("actions", np.zeros(2, np.int64)), "int32"),
        (replace("actions", np.zeros(2, np.float32)), "int32"),
        (replace("advantage", np.zeros(2, np.float64)), "float32"),
        (put("policy", (0, 0), -0.01), "non-negative"),
        (put("policy", (1, 1), -1e-6), "non-negative"),
        (put("policy", (0, 0), 0.21), "sum to 1"),
        (put("policy", (1, 0), 0.99), "sum to 1"),
        (replace("policy", np.zeros((2, 3), np.float32)), "sum to 1"),
        (put("policy", (0, 1), np.nan), "policy"),
        (put("policy", (0, 1), np.inf), "policy"),
        (put("actions", (0,), -1), "0 to 2"),
        (put("actions", (1,), 3), "0 to 2"),
        (put("advantage", (0,), np.nan), "finite"),
        (put("advantage", (1,), -np.inf), "finite"),
        (lambda arrays: arrays.pop("samples"), "samples"),
        (replace("samples", np.zeros(1, np.uint8)), r"samples: expected \(2,\)"),
        (replace("samples", np.zeros(3, np.uint8)), r"samples: expected \(2,\)"),
        (replace("samples", np.zeros(2, np.int8)), "samples: .*uint8"),
        (replace("samples", np.zeros(10, np.bool_)), "samples: .*uint8"),
    ],
)
def test_what_no_correct_neighbor_sends_is_refused_and_named(change: Callable[[Arrays], None], says: str) -> None:
    arrays = good()
    change(arrays)
    with pytest.raises(ProtocolViolation, match=says):
        check_share(arrays, FIELDS)


@pytest.mark.parametrize(
    ("found", "count"), [([0, 0], 0), ([0x81, 0x40], 3), ([0xFF, 0xC0], 10), ([0, 0x40], 1), ([0x80, 0], 1)]
)
def test_bits_are_counted(found: list[int], count: int) -> None:
    assert count_bits(np.array(found, np.uint8), BITS) == count


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (None, "expected an array samples"),
        (np.zeros(1, np.uint8), r"samples: expected \(2,\)"),
        (np.zeros(3, np.uint8), r"samples: expected \(2,\)"),
        (np.zeros((2, 1), np.uint8), r"samples: expected \(2,\)"),
        (np.zeros((), np.uint8), r"samples: expected \(2,\)"),
        (np.zeros(2, np.int32), "samples: expected .* uint8"),
        (np.array([0xFF, 0xE0], np.uint8), "samples: expected at most 10 bits"),
        (np.array([0, 0x01], np.uint8), "samples: expected at most 10 bits"),
    ],
)
def test_bits_that_are_not_those_of_the_grid_are_refused_before_they_are_counted(
    found: np.ndarray | None, says: str
) -> None:
    with pytest.raises(ProtocolViolation, match=says):
        count_bits(found, BITS)
