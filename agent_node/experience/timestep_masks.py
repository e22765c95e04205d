"""The masks in an agent's timesteps: what they must be, and whether an action is among what they allow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from broker.wire.arrays import layouts

if TYPE_CHECKING:
    from agent_node.config import AgentConfig


class TimestepMasks:
    """Where a mask lies in the data of a timestep, for E copies and the A actions of an agent.

    Args:
        config: The agent's slice of the scenario.
        layout: Of its timesteps, with a mask.
    """

    def __init__(self, config: AgentConfig, layout: str) -> None:
        (self._copies, self._width), _, self._offset = layouts[layout].arrays["mask"]
        self._own = config.action_counts[config.link.name]

    def problem(self, data: memoryview) -> str:
        """What is wrong with the mask in a timestep, as a clause; empty where all is well."""
        mask = self._mask(data)
        if mask.max() > 1:
            return f"mask with a {mask.max()}, expected 1 or 0 for each action"
        possible = mask[:, : self._own].any(axis=1)
        return "" if possible.all() else f"mask that leaves no action in copy {possible.argmin()}"

    def allows(self, data: memoryview, actions: memoryview) -> bool:
        """Whether the mask in a timestep allows actions (E,) int32."""
        chosen = np.frombuffer(actions, np.int32)
        return bool(np.take_along_axis(self._mask(data), chosen[:, None], axis=1).all())

    def _mask(self, data: memoryview) -> np.ndarray:
        return np.ndarray((self._copies, self._width), np.uint8, data, self._offset)
