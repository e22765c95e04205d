"""What a study of the theorems found: every case with both sides of every claim, and counts over them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from scenarios.studies.theory.bounds import TOLERANCE, Bound, BoundKind, Instance, Reading, Sides, terms
from scenarios.studies.theory.cases import Recipe, Shape, recipe_of, shape_of


@dataclass(frozen=True)
class Checked:
    """One case, every claim.

    Attributes:
        index: Its number in the study.
        sides: By a claim's key.
        return_old: eta(pi_old) from the MMDP's own start.
    """

    index: int
    sides: dict[str, Sides]
    return_old: float

    @property
    def shape(self) -> Shape:
        """Sizes of its MMDP."""
        return shape_of(self.index)

    @property
    def recipe(self) -> Recipe:
        """How its policies were drawn."""
        return recipe_of(self.index)


@dataclass(frozen=True)
class BoundTally:
    """One claim over some cases.

    Attributes:
        instances: Number of cases.
        violations: Where the claim is false beyond rounding.
        smallest_slack: Over the cases whose old and new policies differ, or None if there are none.
        median_slack: Over all.
        largest_share: Of the allowance that was needed, or None where it was always 0 or infinite.
        silent: Where the allowance is infinite and the claim says nothing.
        promises: Where the smaller side is above eta(pi_old): a lower bound of Theorem 1 or 3 promises improvement.
    """

    instances: int
    violations: int
    smallest_slack: float | None
    median_slack: float
    largest_share: float | None
    silent: int
    promises: int


@dataclass(frozen=True)
class TheoryFindings:
    """The outcome of a study.

    Attributes:
        seed: Of all draws.
        claims: That were checked.
        checked: The cases, by index.
    """

    seed: int
    claims: tuple[Bound, ...]
    checked: tuple[Checked, ...]

    @property
    def violations(self) -> int:
        """How often one of the theorems themselves was violated."""
        return sum(len(self.violated(claim)) for claim in self.of_kind(BoundKind.THEOREM))

    def of_kind(self, kind: BoundKind) -> tuple[Bound, ...]:
        """The claims of one kind."""
        return tuple(claim for claim in self.claims if claim.kind is kind)

    def violated(self, claim: Bound) -> tuple[Checked, ...]:
        """Cases that violate a claim: smallest MMDP first, among equals the deepest violation."""
        found = [each for each in self.checked if each.sides[claim.key].violated]
        return tuple(sorted(found, key=lambda each: (each.shape.entries, each.sides[claim.key].slack)))


def check(index: int, case: Instance, claims: tuple[Bound, ...]) -> Checked:
    """Both sides of every claim for one case."""
    by_reading = {reading: terms(case, reading) for reading in Reading}
    sides = {claim.key: claim.sides(by_reading[claim.reading]) for claim in claims}
    return Checked(index, sides, by_reading[Reading.VISITS].eta_old)


def tally(claim: Bound, cases: Iterable[Checked]) -> BoundTally:
    """Count one claim over some cases, at least one."""
    counted = [(each, each.sides[claim.key]) for each in cases]
    slacks = [side.slack for _, side in counted]
    moving = [side.slack for each, side in counted if each.recipe.new != "same"]
    shares = [side.share for _, side in counted if side.share is not None]
    return BoundTally(
        instances=len(counted),
        violations=sum(side.violated for _, side in counted),
        smallest_slack=min(moving, default=None),
        median_slack=float(np.median(slacks)),
        largest_share=max(shares, default=None),
        silent=sum(math.isinf(side.allowance) for _, side in counted),
        promises=sum(side.smaller > each.return_old + TOLERANCE for each, side in counted),
    )
