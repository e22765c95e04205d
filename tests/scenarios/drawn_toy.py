"""A toy that shows itself in the ways of PettingZoo, and draws from the generators of the process wherever it can."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.random import random
from pettingzoo import ParallelEnv

WRONG: dict[str, Any] = {
    "nothing": None,
    "floats": np.zeros((4, 4, 3)),
    "grey": np.zeros((4, 4), np.uint8),
    "empty": np.zeros((0, 4, 3), np.uint8),
}


class Drawn(ParallelEnv):  # type: ignore[misc]  # PettingZoo has no types
    """Two agents; what a step pays, and what a picture shows, is drawn. `wrong` says what `render` gives instead."""

    metadata: ClassVar[dict[str, Any]] = {"name": "drawn_v0", "render_modes": ["human", "ansi", "rgb_array"]}
    possible_agents: ClassVar[list[str]] = ["red", "blue"]

    def __init__(self, render_mode: str | None = None, wrong: str = "", steps: int = 4) -> None:
        self.render_mode, self.wrong, self.length, self.agents = render_mode, wrong, steps, []

    def observation_space(self, agent: str) -> Box:
        return Box(-np.inf, np.inf, (2,), np.float32)

    def action_space(self, agent: str) -> Discrete:
        return Discrete(3)

    def reset(self, seed: int | None = None, options: object = None) -> Any:
        self.time, self.agents = 0, list(self.possible_agents)
        return self._seen(), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, int]) -> Any:
        self.time += 1
        acted, over = self.agents, self.time >= self.length
        self.agents = [] if over else acted
        rewards = {agent: float(random()) + actions[agent] for agent in acted}  # noqa: NPY002 - that of the process: see above
        return self._seen(), rewards, dict.fromkeys(acted, over), dict.fromkeys(acted, False), {}

    def render(self) -> Any:
        random(7)  # noqa: NPY002
        if self.wrong:
            return WRONG[self.wrong]
        if self.render_mode == "ansi":
            return f"\x1b[31mtime\x1b[0m {self.time}"
        return np.full((40, 60, 4), [0, 128, 60 * self.time, 255], np.uint8)

    def _seen(self) -> dict[str, Any]:
        return {agent: random(2).astype(np.float32) for agent in self.possible_agents}  # noqa: NPY002


def parallel_env(**options: Any) -> Drawn:
    return Drawn(**options)
