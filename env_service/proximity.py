"""Which agents are neighbors at a step, where neighborhood is a matter of distance."""

from __future__ import annotations

import numpy as np

from env_service.environments.task import Task

_ROUNDING = 1 + 1e-6  # so that an agent exactly at the distance is in range in float32 too


def in_range(task: Task, distance: float | None) -> np.ndarray | None:
    """For each agent (N), each copy (E) and each other agent in order (N - 1), whether it is within `distance`.

    Returns:
        (N, E, N - 1) uint8; None where the graph is fixed (`distance` is None).
    """
    positions = None if distance is None else task.positions()
    if distance is None or positions is None:
        return None
    copies, agents, dimensions = positions.shape
    squares = np.zeros((copies, agents, agents), np.float32)
    for axis in range(dimensions):  # one dimension after the other: no sum of another order
        places = positions[:, :, axis]
        squares += np.square(places[:, :, None] - places[:, None, :])
    near = squares <= np.float32(distance * distance * _ROUNDING)
    return _without_diagonal(near).swapaxes(0, 1).view(np.uint8)


def _without_diagonal(flags: np.ndarray) -> np.ndarray:
    """Of (E, N, N) what is not of an agent and itself, (E, N, N - 1).

    Behind the first of them, the N * N numbers of a copy are N - 1 times N others and one of an agent and itself.
    """
    copies, agents, _ = flags.shape
    others = flags.reshape(copies, -1)[:, 1:].reshape(copies, agents - 1, agents + 1)[:, :, :-1]
    return others.reshape(copies, agents, agents - 1)
