"""How tests begin and step a task."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from env_service.environments.task import Task


def cells(places: Sequence[tuple[int, int]], grid: int) -> np.ndarray:
    """The numbers of cells in (row, column) on a grid of `grid` by `grid`, for one copy."""
    return np.array([[row * grid + column for row, column in places]])


def step(task: Task, *actions: int) -> tuple[list[float], list[int]]:
    """Step every copy with the same actions; rewards and ends of the first."""
    outcome = task.step(np.array([actions] * len(task.observations())))
    return outcome.rewards[0].tolist(), outcome.ended[0].tolist()
