"""What came out of the cells of a study, and the numbers made of it. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenarios.reports.references import References
from scenarios.reports.statistics import Estimate, difference, estimate, paired
from scenarios.results.run_result import EdgeTraffic, RunResult
from scenarios.running.batch.cell import Cell, Group
from scenarios.studies.claims import Claim, Comparison, Decided, MapComparison, decide
from scenarios.studies.study import Study

_POINTS = 100
START = 2
"""Training episodes that are the start: no more, as what learns fast is done within the first tenth."""


@dataclass(frozen=True)
class RunOutcome:
    """What is kept of one cell's run.

    Attributes:
        cell: Which.
        first: Team return, mean over the first `START` training episodes: the start.
        last: The same over the last tenth of them: the final return.
        played: (points,) float64, episodes played, parallel copies counted, in the middle of each point's episodes.
        curve: (points,) float64, mean team return of successive blocks of episodes.
        env_steps: Environment steps of the whole run, all copies.
        traffic: What crossed the edges between agents.
        curve_digest: Of the whole curve.
        weights_digest: Of all final weights.
    """

    cell: Cell
    first: float
    last: float
    played: NDArray[np.float64]
    curve: NDArray[np.float64]
    env_steps: int
    traffic: EdgeTraffic
    curve_digest: str
    weights_digest: str


def outcome(cell: Cell, run: RunResult) -> RunOutcome:
    """Keep of a run what a study needs."""
    team = run.team
    blocks = np.array_split(np.arange(len(team)), min(_POINTS, len(team)))
    copies = run.scenario.parallel_episodes
    tenth = max(1, len(team) // 10)
    return RunOutcome(
        cell,
        first=float(team[:START].mean()),
        last=float(team[-tenth:].mean()),
        played=np.array([(block.mean() + 0.5) * copies for block in blocks]),
        curve=np.array([team[block].mean() for block in blocks]),
        env_steps=run.summary.env_steps,
        traffic=run.traffic,
        curve_digest=run.summary.curve_digest,
        weights_digest=run.summary.weights_digest,
    )


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

    def finals(self, group: Group) -> list[float]:
        """Final team return of each run."""
        return [each.last for each in self.outcomes[group]]

    def normalized(self, group: Group, *, start: bool = False) -> list[float]:
        """Final (or first) team return of each run, 0 to 1 between the task's references."""
        scale = self.references[group.task]
        return [scale.normalized(each.first if start else each.last) for each in self.outcomes[group]]

    def final(self, group: Group) -> Estimate:
        """Final team return of a group."""
        return estimate(self.finals(group), "final", *_name(group))

    def final_normalized(self, group: Group) -> Estimate:
        """Normalized final team return of a group."""
        return estimate(self.normalized(group), "final", *_name(group))

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
        before = self.normalized(other, start=comparison.from_start)
        apart = paired if group == other else difference  # start and end of a group are of the same runs
        return apart(self.normalized(group), before, "difference", *_name(group), *_name(other))

    def _map_estimate(self, comparison: MapComparison) -> Estimate | None:
        if any(group not in self.outcomes for row in comparison.rows for group in row):
            return None
        finals = np.array([[self.normalized(group) for group in row] for row in comparison.rows])
        apart = along_rows(finals) - along_rows(finals.swapaxes(0, 1))
        return estimate([float(each) for each in apart], "map", comparison.rows[0][0].task)


def along_rows(finals: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a map changes along its rows: the standard deviation in each row, mean over rows.

    Args:
        finals: (rows, columns, runs), at least two columns.

    Returns:
        (runs,).
    """
    spread: NDArray[np.float64] = finals.std(axis=1, ddof=1).mean(axis=0)
    return spread


def _name(group: Group) -> tuple[str, str, str]:
    return group.task, group.variant, group.contender
