"""Exchange: my food lies in a box that only you can open, and opening costs you.

Source: the paper's appendix B; SPEC section 4 marks what is ours (grid, time limit, ties, the end of an episode).
Shapes use E for parallel copies, N for agents (and boxes), cells for grid * grid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from broker.wire.messages import Ended
from env_service.config import ExchangeTaskConfig
from env_service.environments.grid import Grid
from env_service.environments.task import Flags, Float, Integer, Outcome, Task

if TYPE_CHECKING:
    from env_service.environments.parallel import TaskParallelEnv

OPEN = 4
STAY = 5

_RUNNING, _TERMINATED, _TRUNCATED = map(int, Ended)  # numpy takes microseconds to read an IntEnum


class ExchangeTask(Task):
    """E copies of Exchange.

    Actions: up, down, left, right, open, stay. A box is opened by an agent that stands on it and does not own it;
    of several the lowest index opens and pays. All act at once: who opens does not move in that step. A copy is
    over when all its boxes are open. Agents may share a cell.

    Observation, (E, 5N) float32, the same for all agents: row and column of each agent, then of each box, scaled to
    [-1, 1], then for each box 1 while it is closed and 0 once it is open. Positions are (row, column) in cells.

    Args:
        config: Size and payoffs.
        copies: E.
    """

    def __init__(self, config: ExchangeTaskConfig, copies: int) -> None:
        self.agent_names: tuple[str, ...] = ()
        self.action_counts = (6,) * config.agents
        self.observation_size = 5 * config.agents
        self.steps = config.steps
        self.noop_action: int | None = STAY
        self._open_cost = np.float32(config.open_cost)
        self._food_reward = np.float32(config.food_reward)
        self._time_cost = np.float32(config.time_cost)
        self._grid = Grid(config.grid)
        self._transitions = self._grid.transitions(6)
        self._not_own = ~np.eye(config.agents, dtype=np.bool_)  # (agents, boxes)
        self._numbers = np.arange(config.agents)[:, None]  # (agents, 1)
        shape = (copies, config.agents)
        self._time = config.steps  # before the first reset every copy stands ended
        self._agents: Integer = np.zeros(shape, np.int64)  # cells
        self._boxes: Integer = np.zeros(shape, np.int64)  # cells
        self._closed = np.ones(shape, np.bool_)
        self._ended = self._standing()

    def reset(self, generator: Generator) -> None:
        """Put agents and boxes on distinct random cells and close all boxes."""
        copies, agents = self._agents.shape
        cells = self._grid.places(generator, copies, 2 * agents)
        self.place(cells[:, :agents], cells[:, agents:])

    def place(self, agents: Integer, boxes: Integer) -> None:
        """Start an episode with agents and closed boxes on the given cells, each (E, N) int64; cells may be shared."""
        self._agents, self._boxes = agents, boxes
        self._closed = np.ones(self._agents.shape, np.bool_)
        self._time = 0
        self._ended = self._standing()

    def step(self, actions: Integer) -> Outcome:
        """Open, move and pay in every running copy; `actions` is (E, N) int64."""
        running = self._ended == _RUNNING
        actions = np.where(running, actions, STAY)
        openings = self._openings(actions)
        opened, opens = openings.any(axis=1), openings.any(axis=2)
        rewards = self._food_reward * opened - self._open_cost * opens - self._time_cost
        self._closed &= ~opened
        self._agents = self._transitions[actions, self._agents]
        self._time += 1
        self._ended = self._standing()
        return Outcome(np.where(running, rewards, np.float32(0)), self._ended)

    def observations(self) -> Float:
        """What all agents see, (E, 5N) float32."""
        cells = np.concatenate((self._agents, self._boxes), axis=1)
        places = self._grid.scaled[cells].reshape(len(cells), -1)
        return np.concatenate((places, self._closed), axis=1, dtype=np.float32)

    def positions(self) -> Float:
        """Row and column of each agent in cells, (E, N, 2) float32."""
        return self._grid.coordinates[self._agents].astype(np.float32)

    def render(self) -> str:
        """The first copy as text: agents as numbers, boxes as [owner] while closed and (owner) once open."""
        agents, boxes, closed = (rows[0].tolist() for rows in (self._agents, self._boxes, self._closed))
        marks = [(cell, str(agent)) for agent, cell in enumerate(agents)]
        marks += [(cell, f"[{box}]" if closed[box] else f"({box})") for box, cell in enumerate(boxes)]
        return self._grid.drawing(marks)

    def close(self) -> None:
        """Nothing to release."""

    def _openings(self, actions: Integer) -> NDArray[np.bool_]:
        """Who opens what, (E, agents, boxes): of all who could open a box, the lowest index."""
        stands_on = self._agents[:, :, None] == self._boxes[:, None, :]
        could = stands_on & (actions == OPEN)[:, :, None] & self._closed[:, None, :] & self._not_own
        lowest = could.argmax(axis=1, keepdims=True)  # (E, 1, boxes)
        opens: NDArray[np.bool_] = could & (lowest == self._numbers)
        return opens

    def _standing(self) -> Flags:
        """How the copies stand, (E, N). A frozen copy keeps its boxes, so this never changes once it has ended."""
        cut = _TRUNCATED if self._time >= self.steps else _RUNNING
        ended: Flags = np.full(self._closed.shape, cut, np.uint8)
        ended[~self._closed.any(axis=1)] = _TERMINATED
        return ended


def parallel_env(**settings: object) -> TaskParallelEnv:
    """Exchange as a PettingZoo parallel environment; `settings` are the fields of `ExchangeTaskConfig`."""
    from env_service.environments.parallel import TaskParallelEnv  # noqa: PLC0415 - only PettingZoo users need gymnasium

    return TaskParallelEnv(ExchangeTask(ExchangeTaskConfig.model_validate(settings), 1), "exchange_v0")
