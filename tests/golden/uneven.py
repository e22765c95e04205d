"""An environment of three agents with 3, 5 and 2 actions, some of them masked, and observations of 2, 4 and 3 numbers.

It computes with whole numbers alone, so that what parts in it parted in Foretell.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary
from pettingzoo import ParallelEnv

ACTIONS = {"short": 3, "long": 5, "plain": 2}
WIDTHS = {"short": 2, "long": 4, "plain": 3}
LASTS = {"short": 6, "long": 4, "plain": 6}
"""After how many steps each agent has ended."""


class parallel_env(ParallelEnv):  # type: ignore[misc]  # noqa: N801 - PettingZoo's name
    """A wheel of 64 notches: actions turn it, and where it stands says what is seen, paid and possible."""

    metadata: ClassVar[dict[str, Any]] = {"name": "uneven_v0"}
    possible_agents: ClassVar[list[str]] = list(ACTIONS)

    def __init__(self) -> None:
        self.agents: list[str] = []
        self.notch = self.time = 0

    def observation_space(self, agent: str) -> Dict:
        seen = Box(-1, 1, (WIDTHS[agent],), np.float32)
        return Dict({"observation": seen, "action_mask": MultiBinary(ACTIONS[agent])})

    def action_space(self, agent: str) -> Discrete:
        return Discrete(ACTIONS[agent])

    def reset(self, seed: int | None = None, options: object = None) -> tuple[dict[str, Any], dict[str, Any]]:
        self.agents, self.notch, self.time = list(ACTIONS), (seed or 0) % 64, 0
        return self.seen(self.agents), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, int]) -> Any:
        acted = self.agents
        for number, agent in enumerate(acted):
            self.notch = (self.notch * 5 + (number + 1) * int(actions[agent]) + 7) % 64
        self.time += 1
        rewards = {agent: ((self.notch >> number) % 8) / 4 - 1 for number, agent in enumerate(acted)}
        over = {agent: self.time >= LASTS[agent] for agent in acted}
        self.agents = [agent for agent in acted if not over[agent]]
        return self.seen(acted), rewards, over, dict.fromkeys(acted, False), {agent: {} for agent in acted}

    def seen(self, agents: list[str]) -> dict[str, Any]:
        return {
            agent: {
                "observation": np.array(
                    [((self.notch * (place + 3) + 11 * place) % 64) / 32 - 1 for place in range(WIDTHS[agent])],
                    np.float32,
                ),
                "action_mask": np.array(
                    [(self.notch + action) % 3 > 0 or action == self.notch % 2 for action in range(ACTIONS[agent])],
                    np.int8,
                ),
            }
            for agent in agents
        }
