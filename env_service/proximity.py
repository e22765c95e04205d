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
    agents = len(task.action_counts)
    squares = np.zeros((len(positions), agents, agents), np.float32)
    for places in np.moveaxis(positions, -1, 0):  # one dimension after the other: no sum of another order
        squares += np.square(places[:, :, None] - places[:, None, :])
    near = squares <= np.float32(distance * distance * _ROUNDING)
    others = ~np.eye(agents, dtype=np.bool_)
    flags: np.ndarray = near[:, others].reshape(len(near), agents, agents - 1).transpose(1, 0, 2)
    return flags.astype(np.uint8)
