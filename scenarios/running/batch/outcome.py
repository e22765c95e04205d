"""What is kept of a cell's run. Pure: no I/O, no clock."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenarios.results.run_result import EdgeTraffic, RunResult
from scenarios.running.batch.cell import Cell

_POINTS = 100
START = 2
"""Training episodes that are the start: no more, as what learns fast is done within the first tenth."""
RETURNS = f"""\
Returns are team returns: the undiscounted return of an episode summed over all agents, mean over parallel copies,
of the policies as they act in training. *Final* is the mean over the last tenth of the training episodes, *start*
over the first {START} of them, parallel copies included."""
"""What `first` and `last` of an outcome are, for pages."""


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
        weights_digest=run.summary.weights_digest or "",
    )
