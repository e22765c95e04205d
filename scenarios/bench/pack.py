"""An environment for as many agents as one likes: predators in a circle, each of whom sees its pack and no more.

Every predator has a place on its own line, and the prey one on the same; its pack is itself and the two next to it on
either side. Within a pack the payoffs are those of Predation. What an agent sees and what it is paid for has the same
size however many there are, so what grows with their number is Foretell's own.
"""

from __future__ import annotations

import numpy as np
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv

REACH = 2
"""Predators to either side that belong to a pack; so each has four neighbors."""
FEWEST = 2 * REACH + 1
"""Fewer agents would be several times in one pack."""
_LENGTH = 30.0
_ALL, _NONE, _SOME, _SHIRKS = -1.0, -3.0, -4.0, 0.0


class Pack(ParallelEnv):  # type: ignore[misc]  # PettingZoo has no types
    """The environment.

    Actions: left, right, by 1 unit. Observation, (5,) float32: how far the prey is from each of the pack, in [-1, 1].

    Args:
        agents: How many there are, at least 5.
    """

    def __init__(self, agents: int) -> None:
        self.metadata = {"name": "pack_v0"}
        self.possible_agents = [f"agent_{number}" for number in range(agents)]
        self.agents: list[str] = []
        self._sees = Box(-1.0, 1.0, (2 * REACH + 1,), np.float32)
        self._does = Discrete(2)
        self._places = np.zeros(agents)
        self._prey = 0.0

    def observation_space(self, agent: str) -> Box:  # noqa: ARG002 - the same for all
        """What an agent sees."""
        return self._sees

    def action_space(self, agent: str) -> Discrete:  # noqa: ARG002
        """What an agent does."""
        return self._does

    def reset(
        self,
        seed: int | None = None,
        options: dict[str, object] | None = None,  # noqa: ARG002 - part of PettingZoo's face
    ) -> tuple[dict[str, np.ndarray], dict[str, dict[str, object]]]:
        """Put everybody anywhere."""
        draws = np.random.Generator(np.random.Philox(seed or 0))
        self._prey = draws.uniform(0, _LENGTH)
        self._places = draws.uniform(0, _LENGTH, len(self.possible_agents))
        self.agents = list(self.possible_agents)
        return self._seen(), {}

    def step(
        self, actions: dict[str, int]
    ) -> tuple[dict[str, np.ndarray], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, object]]]:
        """Move, and pay each by who of its pack engages: moves toward the prey."""
        directions = 2 * np.array([actions[agent] for agent in self.agents]) - 1
        engaged = directions * (self._prey - self._places) >= 0
        self._places = np.minimum(np.maximum(self._places + directions, 0.0), _LENGTH)
        together = _packs(engaged)
        of_engaged = np.where(together.all(axis=1), _ALL, _SOME)
        of_shirking = np.where(together.any(axis=1), _SHIRKS, _NONE)
        rewards = np.where(engaged, of_engaged, of_shirking).tolist()
        return self._seen(), dict(zip(self.agents, rewards, strict=True)), {}, {}, {}

    def close(self) -> None:
        """Nothing to release."""

    def _seen(self) -> dict[str, np.ndarray]:
        seen = _packs((self._places - self._prey) / _LENGTH).astype(np.float32)
        return dict(zip(self.possible_agents, seen, strict=True))


def _packs(values: np.ndarray) -> np.ndarray:
    """The values (N,) of each agent's pack, (N, 5), the agent's own in the middle."""
    return np.stack([np.roll(values, -shift) for shift in range(-REACH, REACH + 1)], axis=1)


def parallel_env(agents: int) -> Pack:
    """The environment, as a scenario names it."""
    return Pack(agents)
