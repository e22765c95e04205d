"""The numbers made of what came out of the cells of a study. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenarios.reports.references import References
from scenarios.reports.statistics import Estimate, difference, estimate, paired
from scenarios.running.batch.cell import Group
from scenarios.running.batch.outcome import RunOutcome
from scenarios.studies.claims import Claim, Comparison, Decided, MapComparison, decide
from scenarios.studies.study import Study


@dataclass(frozen=True)
class StudyFindings:
    """A study with the outcomes of all its cells.

    Attributes:
        study: What was asked.
        outcomes: By group, in the order of seeds.
        references: By key of the task; none of a task whose returns nothing is known about.
    """

    study: Study
    outcomes: Mapping[Group, tuple[RunOutcome, ...]]
    references: Mapping[str, References]

    @property
    def runs(self) -> tuple[int, int]:
        """How many runs a group has at least and at most."""
        counts = [len(found) for found in self.outcomes.values()]
        return min(counts), max(counts)

    @property
    def seeds(self) -> list[list[int]]:
        """Of each group."""
        return [[each.cell.seed for each in outcomes] for outcomes in self.outcomes.values()]

    def curves(self, group: Group) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Episodes played (points,), and the team return of each run by then (runs, points)."""
        outcomes = self.outcomes[group]
        return outcomes[0].played, np.array([each.curve for each in outcomes])

    def finals(self, group: Group) -> list[float]:
        """Final team return of each run."""
        return [each.last for each in self.outcomes[group]]

    def normalized(self, group: Group, *, start: bool = False, any_number: bool = False) -> list[float]:
        """Final (or first) team return of each run, 0 to 1 between the task's references (or those of any number)."""
        scale = self.references[group.task]
        returns = [each.first if start else each.last for each in self.outcomes[group]]
        return [scale.normalized(each, any_number=any_number) for each in returns]

    def common_seeds(self, groups: Iterable[Group]) -> set[int]:
        """Seeds that each of some groups has."""
        return set.intersection(*({each.cell.seed for each in self.outcomes[group]} for group in groups))

    def of_common_seeds(self, groups: Sequence[Group]) -> list[list[float]]:
        """Of each group normalized final returns of the seeds that all have, so that none counts for more."""
        seeds = self.common_seeds(groups)
        runs = [zip(self.outcomes[group], self.normalized(group), strict=True) for group in groups]
        return [[final for each, final in of_group if each.cell.seed in seeds] for of_group in runs]

    def final(self, group: Group) -> Estimate:
        """Final team return of a group."""
        return estimate(self.finals(group), "final", *group.names)

    def final_normalized(self, group: Group) -> Estimate:
        """Normalized final team return of a group."""
        return estimate(self.normalized(group), "final", *group.names)

    def decide(self, claim: Claim) -> tuple[Decided, ...]:
        """Every comparison of a claim with its outcome."""
        return tuple(self._decide(comparison) for comparison in claim.comparisons)

    def _decide(self, comparison: Comparison | MapComparison) -> Decided:
        found = self._map_estimate(comparison) if isinstance(comparison, MapComparison) else self._estimate(comparison)
        return Decided(comparison, found, decide(comparison.expectation, found, comparison.margin))

    def _estimate(self, comparison: Comparison) -> Estimate | None:
        group, other = comparison.group, comparison.other
        if group not in self.outcomes or other not in self.outcomes:
            return None
        after = self.normalized(group, any_number=comparison.any_number)
        before = self.normalized(other, start=comparison.from_start, any_number=comparison.any_number)
        apart = paired if group == other else difference  # start and end of a group are of the same runs
        return apart(after, before, "difference", *group.names, *other.names)

    def _map_estimate(self, comparison: MapComparison) -> Estimate | None:
        if any(group not in self.outcomes for row in comparison.rows for group in row):
            return None
        groups = [group for row in comparison.rows for group in row]
        if not self.common_seeds(groups):
            return None
        finals = np.array(self.of_common_seeds(groups)).reshape(len(comparison.rows), len(comparison.rows[0]), -1)
        along, across = (along_rows(each).tolist() for each in (finals, finals.swapaxes(0, 1)))
        return paired(along, across, "map", comparison.rows[0][0].task)


def along_rows(finals: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a map changes along its rows: the standard deviation in each row, mean over rows.

    Args:
        finals: (rows, columns, runs), at least two columns.

    Returns:
        (runs,).
    """
    spread: NDArray[np.float64] = finals.std(axis=1, ddof=1).mean(axis=0)
    return spread
