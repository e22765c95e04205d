"""What each agent is told at a step, written for all agents in one go."""

from __future__ import annotations

import numpy as np

from broker.wire.arrays import layouts, views
from broker.wire.messages import timestep_layout


class Pages:
    """The arrays of every agent's timestep, one page an agent.

    Args:
        agents: N.
        copies: E.
        observation_size: S.
        proximity: Whether agents are told who of the others is in range.
        actions: A, the most that any agent has, if agents are told which are possible; else None.
    """

    def __init__(
        self, agents: int, copies: int, observation_size: int, *, proximity: bool, actions: int | None
    ) -> None:
        self.layout = timestep_layout(copies, observation_size, agents - 1 if proximity else None, actions)
        self._size = layouts[self.layout].size_bytes
        self._bytes = np.zeros((agents, self._size), np.uint8)
        arrays = views(self.layout, self._bytes)
        self._observed, self._rewards, self._ended = (arrays[name] for name in ("observation", "reward", "ended"))
        self._neighbors, self._masks = arrays.get("neighbors"), arrays.get("mask")

    def write(
        self,
        observations: np.ndarray,
        rewards: np.ndarray,
        ended: np.ndarray,
        in_range: np.ndarray | None,
        masks: np.ndarray | None,
    ) -> list[memoryview]:
        """The data of each agent's timestep, in agent order.

        Args:
            observations: (E, S) if all see the same, else (E, N, S).
            rewards: (E, N).
            ended: (E, N).
            in_range: (N, E, N - 1), or None where the graph is fixed.
            masks: (E, N, A), or None where the task masks no action.
        """
        self._observed[:] = observations if observations.ndim == 2 else observations.swapaxes(0, 1)
        self._rewards[:] = rewards.T
        self._ended[:] = ended.T
        if self._neighbors is not None:
            self._neighbors[:] = in_range
        if self._masks is not None and masks is not None:
            self._masks[:] = masks.swapaxes(0, 1)
        data, size = memoryview(self._bytes.tobytes()), self._size
        return [data[start : start + size] for start in range(0, len(data), size)]
