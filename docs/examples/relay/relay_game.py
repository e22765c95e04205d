"""Relay: who passes the parcel on pays a little, and the next one in the circle gains."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv

COST, GAIN = 0.2, 1.0
KEEP, PASS = 0, 1


class parallel_env(ParallelEnv):  # noqa: N801 - PettingZoo's name for it
    """Three agents in a circle; each sees who passed in the step before.

    An agent earns `GAIN` when the one before it passes, and pays `COST` when it passes itself: for itself alone, nobody
    would.
    """

    metadata = {"name": "relay_v0"}
    possible_agents = ["ann", "bob", "cem"]

    def observation_space(self, agent: str) -> Box:
        """Who passed, (3,) of 0 and 1."""
        return Box(0, 1, (3,))

    def action_space(self, agent: str) -> Discrete:
        """Keep or pass."""
        return Discrete(2)

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict, dict]:
        """Begin with passes that are drawn."""
        self.agents = list(self.possible_agents)
        self.passed = np.random.default_rng(seed).integers(2, size=3)
        return self._seen(), {}

    def step(self, actions: dict[str, int]) -> tuple[dict, dict, dict, dict, dict]:
        """Everybody keeps or passes at once."""
        self.passed = np.array([actions[agent] == PASS for agent in self.agents], np.int64)
        earned = GAIN * np.roll(self.passed, 1) - COST * self.passed
        return self._seen(), dict(zip(self.agents, earned.tolist(), strict=True)), {}, {}, {}

    def _seen(self) -> dict[str, np.ndarray]:
        return {agent: self.passed.astype(np.float32) for agent in self.agents}
