from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from agent_node.algorithms.anticipation_sharing import AnticipationSharing
from agent_node.config import AlgorithmConfig, LearningConfig
from agent_node.learning.fields import Field, Kind, ShareShape
from agent_node.learning.shares import ShareFormat, check_share, count_bits
from broker.errors import ProtocolViolation

Arrays = dict[str, np.ndarray]
FIELDS = (
    Field("policy", Kind.DISTRIBUTION, (2, 3)),
    Field("actions", Kind.ACTIONS, (2,), 3),
    Field("advantage", Kind.REAL, (2,)),
    Field("slope", Kind.BOUNDED, (1,), most=0.8, per_sample=False),
    Field("samples", Kind.BITS, (2,), 10),
)
BITS = FIELDS[-1]
LARGEST = 1e30


def good() -> Arrays:
    return {
        "policy": np.array([[0.2, 0.3, 0.5], [1, 0, 0]], np.float32),
        "actions": np.array([0, 2], np.int32),
        "advantage": np.array([-1e30, 7], np.float32),
        "slope": np.array([0.8], np.float32),  # above 0.8 itself
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
    check_share(good(), FIELDS, LARGEST)


def test_rounding_of_a_thousand_actions_is_accepted() -> None:
    row = np.random.default_rng(0).dirichlet(np.ones(1000), 50).astype(np.float32)
    check_share({"policy": row}, (Field("policy", Kind.DISTRIBUTION, (50, 1000)),), LARGEST)


def test_a_share_about_no_sample_is_accepted() -> None:
    check_share({"policy": np.zeros((0, 3), np.float32)}, (Field("policy", Kind.DISTRIBUTION, (0, 3)),), LARGEST)


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
        (
            put("advantage", (0,), -1.0001e30),
            r"advantage: expected numbers of a size up to 1e\+30 \(exchange.largest_number\), found 1.00009998e\+30",
        ),
        (put("advantage", (1,), 3e38), "advantage: expected numbers of a size up to .*, found 3.00000001e\\+38"),
        (put("slope", (0,), 0.8000001), "slope: expected numbers from 0 to 0.800000012, found 0.8000000"),
        (put("slope", (0,), -1e-45), "slope: expected numbers from 0 to 0.800000012, found -1.4"),
        (put("slope", (0,), np.nan), "slope: expected numbers from 0"),
        (put("slope", (0,), np.inf), "slope: expected numbers from 0"),
        (replace("slope", np.zeros(2, np.float32)), r"slope: expected \(1,\)"),
        (replace("slope", np.zeros(1, np.float64)), "slope: .*float32"),
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
        check_share(arrays, FIELDS, LARGEST)


@pytest.mark.parametrize("count", [1, 7, 5000])
@pytest.mark.parametrize("largest", [0.1, 1.0, 1e9, 1e19, 3e38])
def test_a_number_is_too_large_by_its_own_size_alone_whatever_the_others_are(largest: float, count: int) -> None:
    """The limit is rounded to float32, as the number was. Sums of squares, a short cut, must not say otherwise."""
    fields = (Field("critic", Kind.REAL, (count,)),)
    most = np.float32(largest)
    for others in (0, most, -most):
        for place in (0, count - 1):
            array = np.full(count, others, np.float32)
            array[place] = most
            check_share({"critic": array}, fields, largest)
            array[place] = np.nextafter(-most, np.float32(-np.inf))
            with pytest.raises(ProtocolViolation, match="critic: expected numbers of a size up to"):
                check_share({"critic": array}, fields, largest)


@pytest.mark.parametrize("actions", [2, 3])
@pytest.mark.parametrize("name", ["policy", "anticipation"])
@pytest.mark.parametrize(("value", "says"), [(-0.25, "non-negative"), (0.26, "sum to 1"), (np.nan, "non-negative")])
def test_of_several_distributions_the_wrong_one_is_named(name: str, actions: int, value: float, says: str) -> None:
    fields = (
        Field("policy", Kind.DISTRIBUTION, (2, 2)),
        Field("anticipation", Kind.DISTRIBUTION, (2, actions)),
    )
    arrays = {each.name: np.full(each.shape, 1 / each.shape[1], np.float32) for each in fields}
    check_share(arrays, fields, LARGEST)
    arrays[name][1, 0] = value
    with pytest.raises(ProtocolViolation, match=f"{name}: expected .*{says}"):
        check_share(arrays, fields, LARGEST)


def test_what_is_wrong_first_is_named_though_distributions_are_looked_at_together() -> None:
    fields = (*FIELDS[:2], Field("anticipation", Kind.DISTRIBUTION, (2, 3)))
    arrays = {each.name: good()[each.name] for each in FIELDS[:2]} | {"anticipation": np.zeros((2, 3), np.float32)}
    arrays["actions"][0] = 3
    with pytest.raises(ProtocolViolation, match="actions"):
        check_share(arrays, fields, LARGEST)


def test_probabilities_are_added_up_in_order_on_every_machine() -> None:
    rows = np.random.default_rng(1).dirichlet(np.ones(37), 400).astype(np.float32)
    in_order = [np.float32(0)] * len(rows)
    for column in rows.T:
        in_order = [total + each for total, each in zip(in_order, column, strict=True)]
    off = np.abs(np.array(in_order) - np.float32(1))
    limit = np.float32(1e-3)
    rows[:, 0] += limit - off  # at the limit, one rounding to this side of it or to that
    in_order = [np.float32(0)] * len(rows)
    for column in rows.T:
        in_order = [total + each for total, each in zip(in_order, column, strict=True)]
    expected = [bool(abs(total - np.float32(1)) <= limit) for total in in_order]
    assert {*expected} == {True, False}
    field = (Field("policy", Kind.DISTRIBUTION, (1, 37)),)
    assert [_accepted({"policy": row[None]}, field) for row in rows] == expected


def _accepted(arrays: Arrays, fields: tuple[Field, ...]) -> bool:
    try:
        check_share(arrays, fields, LARGEST)
    except ProtocolViolation:
        return False
    return True


class Asked(AnticipationSharing):
    """Counts how often it is asked what crosses an edge."""

    times = 0

    def fields(self, edge: ShareShape) -> tuple[Field, ...]:
        self.times += 1
        return super().fields(edge)


def test_an_algorithm_is_asked_once_for_each_shape_of_a_share_and_not_for_every_share() -> None:
    algorithm = Asked(LearningConfig(), AlgorithmConfig(name="anticipation-sharing"))
    format_ = ShareFormat(algorithm, 10, 2, masked=False, largest=LARGEST)
    for _ in range(3):
        for rows in (4, 7):
            edge = ShareShape(rows, 2, 3)
            own = {
                "policy": np.full((rows, 2), 0.5, np.float32),
                "actions": np.zeros(rows, np.int32),
                "anticipation": np.full((rows, 3), 1 / 3, np.float32),
            }
            share = format_.complete(own, edge, index=np.arange(rows), degree=1, possible=None)
            assert [*share] == ["policy", "actions", "anticipation", "samples"]
            format_.check(share, ShareShape(0, 2, 3))
            assert format_.names_of_rows(edge) == own.keys()
    assert algorithm.times == 3  # of 0 rows, before it is known how many a share has, of 4 and of 7
    assert algorithm.fields(ShareShape(1, 9, 3)) != format_.fields(ShareShape(1, 2, 3))


EDGE = ShareShape(2, 2, 3)


def own_of_edge() -> Arrays:
    return {
        "policy": np.full((2, 2), 0.5, np.float32),
        "actions": np.zeros(2, np.int32),
        "anticipation": np.full((2, 3), 1 / 3, np.float32),
    }


def completing(own: Arrays, *, times: int = 1) -> None:
    algorithm = AnticipationSharing(LearningConfig(), AlgorithmConfig(name="anticipation-sharing"))
    format_ = ShareFormat(algorithm, 10, 2, masked=False, largest=LARGEST)
    for arrays in [own_of_edge()] * (times - 1) + [own]:
        format_.complete(arrays, EDGE, index=np.arange(2), degree=1, possible=None)


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda arrays: arrays.pop("policy"), r"^expected arrays \['actions', 'anticipation', 'policy'\], found "),
        (replace("samples", np.zeros(2, np.uint8)), "^expected arrays .*, found .*'samples'"),
        (replace("policy", np.full((2, 2), 0.5, np.float64)), r"^policy: expected \(2, 2\) float32, found .* float64$"),
        (replace("policy", np.full((1, 2), 0.5, np.float32)), r"^policy: .* found \(1, 2\) float32$"),
        (lambda arrays: arrays.update(policy=[[0.5, 0.5]] * 2), "^policy: .* found list$"),
    ],
)
def test_a_sender_refuses_in_every_share_of_its_own_what_is_not_in_form_what_it_says(
    change: Callable[[Arrays], None], says: str, times: int
) -> None:
    own = own_of_edge()
    change(own)
    with pytest.raises(ProtocolViolation, match=says):
        completing(own, times=times)


def test_a_sender_refuses_what_is_no_arrays_at_all() -> None:
    with pytest.raises(ProtocolViolation, match=r"^expected arrays by name, found NoneType$"):
        completing(None)  # type: ignore[arg-type]


def test_a_sender_looks_at_the_numbers_of_the_first_share_on_an_edge() -> None:
    own = own_of_edge() | {"policy": np.ones((2, 2), np.float32)}
    with pytest.raises(ProtocolViolation, match=r"^policy: expected distributions that sum to 1"):
        completing(own)
    completing(own, times=2)


def test_shapes_that_come_and_go_fill_no_memory() -> None:
    algorithm = Asked(LearningConfig(), AlgorithmConfig(name="anticipation-sharing"))
    format_ = ShareFormat(algorithm, 1000, 2, masked=False, largest=LARGEST)
    for rows in range(1000):
        assert format_.fields(ShareShape(rows, 2, 3))[0].shape == (rows, 2)
    first = algorithm.times
    for rows in range(1000):
        format_.fields(ShareShape(rows, 2, 3))
    assert algorithm.times > first + 900


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
