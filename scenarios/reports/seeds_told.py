"""How many seeds there are and what can be said with so many, for pages and pictures alike. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from broker.counting import counted
from scenarios.reports.statistics import RESAMPLED


@dataclass(frozen=True)
class SeedsTold:
    """What so many seeds show.

    Attributes:
        intervals: Of the numbers on a page, and how far they can be trusted.
        curves: What the curves of a picture are.
        finals: What its final returns are.
    """

    intervals: str
    curves: str
    finals: str


_ONE = SeedsTold(
    intervals="With one seed there is no interval: the numbers are those of this one.",
    curves="Curves: of this seed, without a band.",
    finals="Final: last tenth of training, without an interval.",
)
_FEW = SeedsTold(
    intervals="""\
Numbers are means over seeds, with the range of the runs. The intervals of differences are 95% t intervals: Welch's, and
Student's of a group to its own start. They are wide, as so few seeds say little.""",
    curves="Curves: mean and range over seeds.",
    finals="Final: last tenth of training, mean and range over seeds.",
)
_ONE_TO_FEW = replace(
    _FEW, intervals=f"{_FEW.intervals} Groups have different numbers of runs; one run has no interval."
)
_MANY = SeedsTold(
    intervals="""\
Numbers are interquartile means over seeds with 95% percentile bootstrap intervals, resampled within each group;
for a difference both groups are resampled independently, but that of a group to its own start is taken run by run.""",
    curves="Curves: mean and 95% bootstrap band over seeds.",
    finals="Final: last tenth of training, interquartile mean and 95% bootstrap interval over seeds.",
)
_DIFFERENT = """\
Groups have different numbers of runs. One has no interval. Two and three have their mean and their range, and the
interval of a difference to such a group is Welch's t interval of the means."""
_FEW_TO_MANY = replace(
    _MANY,
    intervals=f"{_MANY.intervals} {_DIFFERENT}",
    finals=f"{_MANY.finals} Of up to three seeds it is the mean and the range.",
)


def seeds_told(least: int, most: int) -> SeedsTold:
    """What can be said where groups have at least and at most so many seeds."""
    if most < 2:
        return _ONE
    if most < RESAMPLED:
        return _FEW if least == most else _ONE_TO_FEW
    return _MANY if least >= RESAMPLED else _FEW_TO_MANY


def seed_count(least: int, most: int) -> str:
    """How many seeds groups have, at least and at most."""
    return counted(most, "seed") if least == most else f"{least} to {counted(most, 'seed')}"


def which_seeds(of_groups: Sequence[Sequence[int]]) -> str:
    """How many seeds the groups have, and which.

    Args:
        of_groups: The seeds of each, at least one.
    """
    least, most = (extreme(map(len, of_groups)) for extreme in (min, max))
    if least < most:
        return f"{seed_count(least, most)}, as the table of final returns says"
    if any(set(seeds) != set(of_groups[0]) for seeds in of_groups):
        seen = sorted({seed for seeds in of_groups for seed in seeds})
        return f"{seed_count(least, most)} a group, not the same in all ({', '.join(map(str, seen))})"
    return f"{seed_count(least, most)} ({', '.join(map(str, of_groups[0]))})"
