"""Cooperative navigation: every agent walks to its own landmark and avoids the others.

Source: the paper's appendix B after Zhang et al. (2018b); SPEC section 4 marks what is ours (the grid, the discrete
moves, the scale of the distance, the time limit).
Shapes use E for parallel copies, N for agents (and landmarks).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator

from broker.wire.messages import Ended
from env_service.config import NavigationConfig
from env_service.environments.grid import Grid
from env_service.environments.scene import Scene, Thing, marks_of, text_of
from env_service.environments.task import Float, Integer, Outcome, Task
from env_service.environments.timed import timed

if TYPE_CHECKING:
    from env_service.environments.parallel import TaskParallelEnv

STAY = 4

_RUNNING, _TRUNCATED = int(Ended.RUNNING), int(Ended.TRUNCATED)  # numpy takes microseconds to read an IntEnum


class NavigationTask(Task):
    """E copies of cooperative navigation.

    Actions: up, down, left, right, stay. Reward after the move: minus the L1 distance to the own landmark divided by
    the grid size, minus 1 for each other agent in the same cell. Only the time limit ends an episode.

    Observation, (E, 4N) float32, the same for all agents: row and column of each agent, then of each landmark, scaled
    to [-1, 1]. Positions are (row, column) in cells.

    Args:
        config: Size.
        copies: E.
    """

    def __init__(self, config: NavigationConfig, copies: int) -> None:
        self.agent_names: tuple[str, ...] = ()
        self.action_counts = (5,) * config.agents
        self.observation_size = 4 * config.agents
        self.steps = config.steps
        self.noop_action: int | None = STAY
        self.action_names = ("up", "down", "left", "right", "stay")
        self._grid = Grid(config.grid)
        self._transitions = self._grid.transitions(5)
        self._time = config.steps  # before the first reset every copy stands ended
        self._agents: Integer = np.zeros((copies, config.agents), np.int64)  # cells
        self._landmarks: Integer = np.zeros((copies, config.agents), np.int64)  # cells

    def reset(self, generator: Generator) -> None:
        """Put agents on distinct random cells, and landmarks on distinct random cells."""
        agents = self._grid.places(generator, *self._agents.shape)
        self.place(agents, self._grid.places(generator, *self._landmarks.shape))

    def place(self, agents: Integer, landmarks: Integer) -> None:
        """Start an episode with agents and landmarks on the given cells, each (E, N) int64; cells may be shared."""
        self._agents, self._landmarks = agents, landmarks
        self._time = 0

    def step(self, actions: Integer) -> Outcome:
        """Move and pay in every copy; `actions` is (E, N) int64."""
        rewards: Float = np.zeros(self._agents.shape, np.float32)
        if self._time < self.steps:
            self._time += 1
            self._agents = self._grid.moved(self._transitions, actions, self._agents)
            rewards = self._rewards()
        ended = _RUNNING if self._time < self.steps else _TRUNCATED
        return Outcome(rewards, np.full(rewards.shape, ended, np.uint8))

    def observations(self) -> Float:
        """What all agents see, (E, 4N) float32."""
        return self._grid.scaled_places(np.concatenate((self._agents, self._landmarks), axis=1))

    def positions(self) -> Float:
        """Row and column of each agent in cells, (E, N, 2) float32."""
        return self._grid.places_of(self._agents)

    def render(self) -> str:
        """The first copy as text: agents as numbers, landmarks as <owner>."""
        return text_of(self.scene())

    def scene(self) -> Scene:
        """Agents and landmarks of the first copy."""
        agents, landmarks = (self._grid.places_of(cells[:1])[0].tolist() for cells in (self._agents, self._landmarks))
        return Scene("grid", self._grid.side, marks_of(Thing.AGENT, agents) + marks_of(Thing.LANDMARK, landmarks))

    def close(self) -> None:
        """Nothing to release."""

    def _rewards(self) -> Float:
        """Minus the scaled distance to the own landmark and minus the others in the own cell, (E, N) float32."""
        distances = self._grid.distances(self._agents, self._landmarks) / self._grid.side
        together = self._agents[:, :, None] == self._agents[:, None, :]
        collisions = together.sum(axis=2) - 1  # each agent meets itself
        rewards: Float = (-distances - collisions).astype(np.float32)
        return rewards


def parallel_env(**settings: object) -> TaskParallelEnv:
    """Cooperative navigation as a PettingZoo parallel environment; `settings` are the fields of `NavigationConfig`."""
    from env_service.environments.parallel import TaskParallelEnv  # noqa: PLC0415 - only PettingZoo users need gymnasium

    config = NavigationConfig.model_validate(settings)
    return TaskParallelEnv(timed(NavigationTask(config, 1), observed=config.observe_time), "navigation_v0")
