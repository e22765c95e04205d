"""What a share holds beside the algorithm's own arrays, and how it is checked before any of it is used."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from agent_node.experience import masks, samples
from agent_node.learning import consensus
from agent_node.learning.algorithm import Algorithm
from agent_node.learning.fields import Arrays, Field, Kind, ShareShape
from broker.errors import FrameRejected, ProtocolViolation, ScenarioError
from broker.wire.arrays import all_within, describe

SUM_TOLERANCE = 1e-3
"""How far a distribution's sum may be from 1: ten times what float32 rounding gives for 1000 actions."""

_FLOAT = np.dtype(np.float32)
_DTYPES = {
    kind: np.dtype(number)
    for kind, number in (
        (Kind.DISTRIBUTION, np.float32),
        (Kind.ACTIONS, np.int32),
        (Kind.REAL, np.float32),
        (Kind.BOUNDED, np.float32),
        (Kind.BITS, np.uint8),
        (Kind.COUNT, np.int32),
        (Kind.MASK, np.uint8),
    )
}
TAKEN = (samples.NAME, consensus.NAME, masks.NAME)
"""Names of what may stand in a share beside the algorithm's own arrays."""
HEAD_BYTES = 1024
"""What stands around the arrays in a frame, reckoned generously."""
_REMEMBERED_SHAPES = 64


def holds_floats(field: Field) -> bool:
    """Whether the numbers of a shared array are floating-point ones."""
    return _DTYPES[field.kind].kind == "f"


@dataclass(frozen=True)
class _Known:
    """What shares of one shape hold; an algorithm is asked once, and not for every share.

    Attributes:
        fields: All of them, the algorithm's own first.
        own_names: Names of the algorithm's own.
        names: Of all.
        names_of_rows: Of those that have a row per sample.
        described: Name, shape and dtype of each.
        distributions: Names of those that are looked at as one; none unless all have equally many actions.
        others: All fields but these, as far as their numbers are to be looked at.
        reals: Names of the arrays of real numbers.
    """

    fields: tuple[Field, ...]
    own_names: frozenset[str]
    names: frozenset[str]
    names_of_rows: frozenset[str]
    described: tuple[tuple[str, tuple[int, ...], np.dtype[Any]], ...]
    distributions: tuple[str, ...]
    others: tuple[Field, ...]
    reals: tuple[str, ...]

    @classmethod
    def of(cls, own: tuple[Field, ...], added: tuple[Field, ...] = ()) -> _Known:
        """What an algorithm's `own` fields say, and those that are `added` to them."""
        fields = own + added
        distributions = [each for each in fields if each.kind is Kind.DISTRIBUTION and 0 not in each.shape]
        alike = len({each.shape[-1] for each in distributions}) == 1 and all(len(f.shape) == 2 for f in distributions)
        together = {each.name for each in distributions} if alike else set()
        return cls(
            fields,
            frozenset(each.name for each in own),
            frozenset(each.name for each in fields),
            frozenset(each.name for each in fields if each.per_sample),
            tuple((each.name, each.shape, _DTYPES[each.kind]) for each in fields),
            tuple(sorted(together)),
            tuple(each for each in fields if each.name not in together and each.kind is not Kind.BITS),
            tuple(each.name for each in fields if each.kind is Kind.REAL),
        )

    def check(self, arrays: Mapping[str, np.ndarray], largest: float) -> None:
        """Refuse arrays that are not exactly the fields; see `check_share`."""
        _check_names(arrays, self.names)
        # Where nothing is wrong with the distributions the others are left to look at; where anything is, a look at
        # each in turn finds what it is.
        for each in self.others if self._distributions_are_sound(arrays) else self.fields:
            _check(arrays[each.name], each, largest)

    def check_form(self, own: object) -> None:
        """Refuse what is not in form the algorithm's own arrays, whatever numbers are in it."""
        if not isinstance(own, Mapping):
            raise ProtocolViolation(f"expected arrays by name, found {type(own).__name__}")
        _check_names(own, self.own_names)
        for name, shape, dtype in self.described[: len(self.own_names)]:
            check_form(name, own[name], shape, dtype)

    def _distributions_are_sound(self, arrays: Mapping[str, np.ndarray]) -> bool:
        """Whether all arrays are as described, and a look at all distributions as one finds nothing wrong.

        Small arrays cost what calls cost, whatever they hold.
        """
        for name, shape, dtype in self.described:
            array = arrays[name]
            if array.shape != shape or array.dtype != dtype:
                return False
        if not self.distributions:
            return True
        together = np.concatenate([arrays[name] for name in self.distributions])
        return _every(together >= 0) and _every(_off_by(together) <= SUM_TOLERANCE)


@dataclass(frozen=True)
class ShareFormat:
    """All that crosses an edge under an algorithm.

    Attributes:
        algorithm: Says what its own arrays are.
        positions: Samples that an episode can have: time limit * copies.
        agents: How many agents there are.
        masked: Whether the environment says which actions are possible. A share then says so of its sender, if agents
            hold policies for each other.
        largest: Size of the largest real number in a share (`exchange.largest_number`).
    """

    algorithm: Algorithm
    positions: int
    agents: int
    masked: bool
    largest: float
    _known: dict[ShareShape, _Known] = field(default_factory=dict, init=False, repr=False, compare=False)
    _begun: set[ShareShape] = field(default_factory=set, init=False, repr=False, compare=False)

    def fields(self, edge: ShareShape) -> tuple[Field, ...]:
        """The algorithm's own; the degree, with parameters; the mask; which samples they are about, if any has rows.

        Raises:
            ScenarioError: The algorithm's own have names that arrays of a share cannot have.
        """
        return self._of(edge).fields

    def _of(self, edge: ShareShape) -> _Known:
        known = self._known.get(edge)
        if known is None:
            own = tuple(self.algorithm.fields(edge))
            _require_names(self.algorithm.name, own)
            known = _Known.of(own, self._added(own, edge))
            if len(self._known) >= _REMEMBERED_SHAPES:
                self._known.clear()
            self._known[edge] = known
        return known

    def _added(self, own: tuple[Field, ...], edge: ShareShape) -> tuple[Field, ...]:
        """What stands in a share beside the algorithm's own fields."""
        added: tuple[Field, ...] = ()
        if own and self.algorithm.shares_parameters:
            added += (Field(consensus.NAME, Kind.COUNT, (1,), self.agents - 1, per_sample=False),)
        if own and self.masked and self.algorithm.models != "self":
            bits = (edge.rows, masks.packed_bytes(edge.source_actions))
            added += (Field(masks.NAME, Kind.MASK, bits, edge.source_actions),)
        if any(each.per_sample for each in own + added):
            grid = (samples.packed_bytes(self.positions),)
            added += (Field(samples.NAME, Kind.BITS, grid, self.positions, per_sample=False),)
        return added

    def complete(
        self, own: Arrays, edge: ShareShape, *, index: np.ndarray, degree: int, possible: np.ndarray | None
    ) -> Arrays:
        """A whole share on `edge`.

        The form of every share is looked at, and the numbers of the first on each edge: a look at all of them would
        take about what the receivers' takes.

        Args:
            own: The algorithm's arrays, as far as one may believe it.
            edge: Where it shall cross.
            index: Positions of the samples that it is about.
            degree: How many partners the sender has in the round.
            possible: (rows, actions) bool, what the sender could do at these samples; None where nothing is masked.

        Raises:
            ProtocolViolation: `own` is not what the algorithm says that it shares.
        """
        known = self._of(edge)
        known.check_form(own)
        names, whole = known.names, dict(own)
        if samples.NAME in names:
            whole[samples.NAME] = samples.pack(index, self.positions)
        if consensus.NAME in names:
            whole[consensus.NAME] = consensus.pack(degree)
        if possible is not None and masks.NAME in names:
            whole[masks.NAME] = masks.pack(possible)
        if (of_any_rows := edge.with_rows(0)) not in self._begun:
            self.check(whole, edge)
            self._begun.add(of_any_rows)
        return whole

    def names_of_rows(self, edge: ShareShape) -> frozenset[str]:
        """The arrays that have a row per sample."""
        return self._of(edge).names_of_rows

    def beyond(self, size: float, arrays: Mapping[str, np.ndarray], edge: ShareShape) -> dict[str, float]:
        """Size of the largest number in each array of real ones that holds any beyond `size`, by name."""
        reals = [name for name in self._of(edge).reals if name in arrays]
        return {name: largest_size(arrays[name]) for name in reals if not all_within(arrays[name].reshape(-1), size)}

    def check(self, arrays: Mapping[str, np.ndarray], edge: ShareShape) -> None:
        """Refuse arrays that are no share on `edge`, whose number of rows the share itself says.

        Raises:
            ProtocolViolation: Names the array, what was expected and what was found.
        """
        rows = 0
        for each in self.fields(edge):
            if each.kind is Kind.BITS:
                rows = count_bits(arrays.get(each.name), each)
                break
        known = self._of(edge.with_rows(rows))
        known.check(arrays, self.largest)
        if masks.NAME in arrays:
            possible = masks.unpack(arrays[masks.NAME], edge.source_actions)
            for each in known.fields:
                if each.own_choice:
                    _check_choice(arrays[each.name], each, possible)

    def size_bytes(self, edge: ShareShape) -> int:
        """What a share on `edge` is on the wire, its head reckoned generously."""
        return HEAD_BYTES + sum(math.prod(each.shape) * _DTYPES[each.kind].itemsize for each in self.fields(edge))


def check_share(arrays: Mapping[str, np.ndarray], fields: tuple[Field, ...], largest: float) -> None:
    """Refuse arrays that are not exactly the `fields` an algorithm shares, with real numbers of a size up to `largest`.

    Raises:
        ProtocolViolation: Names the array, what was expected and what was found.
    """
    _Known.of(fields).check(arrays, largest)


def largest_size(array: np.ndarray) -> float:
    """Of the numbers in an array; 0 where there are none, NaN where one is."""
    return float(np.abs(array).max(initial=0))


def check_form(name: str, found: object, shape: tuple[int, ...], dtype: np.dtype[Any] = _FLOAT) -> None:
    """Refuse what is no array of this shape and dtype.

    Raises:
        ProtocolViolation: Names it, what was expected and what was found.
    """
    if isinstance(found, np.ndarray) and found.shape == shape and found.dtype == dtype:
        return
    form = f"{found.shape} {found.dtype}" if isinstance(found, np.ndarray) else type(found).__name__
    msg = f"{name}: expected {shape} {dtype}, found {form}"
    raise ProtocolViolation(msg)


def count_bits(array: np.ndarray | None, field: Field) -> int:
    """Number of bits set in an array that must be `field` (bits).

    Raises:
        ProtocolViolation: It is not there, or not what `field` says.
    """
    if array is None:
        msg = f"expected an array {field.name}"
        raise ProtocolViolation(msg)
    check_form(field.name, array, field.shape, _DTYPES[Kind.BITS])
    bits = int.from_bytes(array.tobytes(), "big")  # the first bit of the array is the highest
    behind = 8 * array.size - field.limit
    if bits & ((1 << behind) - 1):
        msg = f"{field.name}: expected at most {field.limit} bits, found one behind them"
        raise ProtocolViolation(msg)
    return bits.bit_count()


def _require_names(algorithm: str, own: tuple[Field, ...]) -> None:
    """Refuse fields of an algorithm that would stand in each other's place, or cannot be sent.

    Raises:
        ScenarioError: Says which and why.
    """
    problem, seen = "", set[str]()
    for each in own:
        if each.name in TAKEN:
            problem = f'an array "{each.name}", but {", ".join(TAKEN)} are taken: expected another name'
        elif each.name in seen:
            problem = f'two arrays "{each.name}": expected a name of its own for each'
        seen.add(each.name)
    if problem:
        raise ScenarioError("algorithm.name", f"fields() of {algorithm} names {problem}")
    try:
        describe({each.name: (_DTYPES[each.kind], each.shape) for each in own})
    except FrameRejected as error:
        raise ScenarioError("algorithm.name", f"fields() of {algorithm}: {error}") from None


def _check_names(arrays: Mapping[str, object], names: frozenset[str]) -> None:
    if arrays.keys() != names:
        msg = f"expected arrays {sorted(names)}, found {sorted(arrays)}"
        raise ProtocolViolation(msg)


def _check(array: np.ndarray, field: Field, largest: float) -> None:
    kind = field.kind
    check_form(field.name, array, field.shape, _DTYPES[kind])
    if kind is Kind.BITS or not array.size:
        return
    if kind is Kind.DISTRIBUTION:
        _check_distribution(array, field.name)
    # Seen as unsigned, a negative action is a huge one: a single look finds both.
    elif kind is Kind.ACTIONS and not _every(array.view(np.uint32) < field.limit):
        msg = f"{field.name}: expected actions from 0 to {field.limit - 1}, found {array.min()} to {array.max()}"
        raise ProtocolViolation(msg)
    elif kind is Kind.COUNT and (array.min() < 1 or array.max() > field.limit):
        msg = f"{field.name}: expected 1 to {field.limit}, found {array.min()}"
        raise ProtocolViolation(msg)
    elif kind is Kind.MASK:
        _check_mask(array, field)
    elif kind is Kind.BOUNDED:
        _check_bounds(array, field)
    elif kind is Kind.REAL:
        _check_real(field.name, array, largest)


def _check_real(name: str, array: np.ndarray, largest: float) -> None:
    if all_within(array.reshape(-1), largest):
        return
    found = largest_size(array)
    if not math.isfinite(found):
        raise ProtocolViolation(f"{name}: expected finite numbers, found NaN or infinity")
    msg = f"{name}: expected numbers of a size up to {largest:.9g} (exchange.largest_number), found {found:.9g}"
    raise ProtocolViolation(msg)


def _check_bounds(array: np.ndarray, field: Field) -> None:
    most = np.float32(field.most)
    if not (array.min() >= 0 and array.max() <= most):  # NaN is neither
        msg = f"{field.name}: expected numbers from 0 to {most:.9g}, found {array.min():.9g} to {array.max():.9g}"
        raise ProtocolViolation(msg)


def _check_mask(array: np.ndarray, field: Field) -> None:
    if masks.unpack(array, 8 * array.shape[-1])[:, field.limit :].any():
        msg = f"{field.name}: expected {field.limit} bits in a row, found one behind them"
        raise ProtocolViolation(msg)
    if not array.any(axis=-1).all():
        msg = f"{field.name}: expected a possible action in every row, found none in row {array.any(axis=-1).argmin()}"
        raise ProtocolViolation(msg)


def _check_choice(array: np.ndarray, field: Field, possible: np.ndarray) -> None:
    """Refuse actions (rows,), or distributions (rows, actions), that are not among the `possible` (rows, actions)."""
    wrong = ~np.take_along_axis(possible, array[:, None], 1) if field.kind is Kind.ACTIONS else (array > 0) & ~possible
    if wrong.any():
        row = int(wrong.any(axis=-1).argmax())
        msg = f"{field.name}: expected only actions that the sender's own mask allows, found another in row {row}"
        raise ProtocolViolation(msg)


def _off_by(distributions: np.ndarray) -> np.ndarray:
    """How far each sum along the last axis is from 1.

    They are added up in order, whatever the machine is: all are to refuse the same shares.
    """
    off: np.ndarray = np.abs(np.add.accumulate(distributions, axis=-1)[..., -1] - np.float32(1))
    return off


def _every(flags: np.ndarray) -> bool:
    """Whether all flags (bool) are set; for few of them a tenth of what `all` takes."""
    return b"\0" not in flags.tobytes()


def _check_distribution(array: np.ndarray, name: str) -> None:
    if not array.min() >= 0:
        msg = f"{name}: expected non-negative probabilities, found {array.min()}"
        raise ProtocolViolation(msg)
    off = _off_by(array).max()
    if not off <= SUM_TOLERANCE:
        msg = f"{name}: expected distributions that sum to 1, found one that is off by {off:.3g}"
        raise ProtocolViolation(msg)
