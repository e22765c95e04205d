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
from env_service.environments.scene import Scene, Thing, marks_of, text_of
from env_service.environments.task import Flags, Float, Integer, Outcome, Task
from env_service.environments.timed import timed

if TYPE_CHECKING:
    from env_service.environments.parallel import TaskParallelEnv

OPEN = 4
STAY = 5

_RUNNING, _TERMINATED, _TRUNCATED = map(int, Ended)  # numpy takes microseconds to read an IntEnum
_SET = b"\1"
"""A flag that is set, among the bytes of flags; for few of them a tenth of what `any` takes."""


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
        self.action_names = ("up", "down", "left", "right", "open", "stay")
        self._open_cost = np.float32(config.open_cost)
        self._food_reward = np.float32(config.food_reward)
        self._time_cost = np.float32(config.time_cost)
        nothing = np.bool_(False)
        self._unpaid = self._food_reward * nothing - self._open_cost * nothing - self._time_cost
        self._grid = Grid(config.grid)
        self._transitions = self._grid.transitions(6)
        self._not_own = ~np.eye(config.agents, dtype=np.bool_)  # (agents, boxes)
        self._numbers = np.arange(config.agents)[:, None]  # (agents, 1)
        shape = (copies, config.agents)
        self._time = config.steps  # before the first reset every copy stands ended
        self._agents: Integer = np.zeros(shape, np.int64)  # cells
        self._boxes: Integer = np.zeros(shape, np.int64)  # cells
        self._closed = np.ones(shape, np.bool_)
        self._seen: Float = np.zeros((copies, self.observation_size), np.float32)
        self._look_around()

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
        self._look_around()

    def step(self, actions: Integer) -> Outcome:
        """Open, move and pay in every running copy; `actions` is (E, N) int64."""
        if self._some_over:
            actions = np.where(self._running, actions, STAY)
        could, rewards = self._could_open(actions), self._unopened
        self._agents = self._grid.moved(self._transitions, actions, self._agents)
        self._time += 1
        if _SET in could.tobytes():
            rewards = self._open(could)
            self._look_around()
        elif self._time >= self.steps:
            self._look_around()
        else:  # as in most steps: all that has changed is where the agents are
            self._see_agents()
        return Outcome(rewards, self._ended)

    def observations(self) -> Float:
        """What all agents see, (E, 5N) float32."""
        return self._seen.copy()

    def positions(self) -> Float:
        """Row and column of each agent in cells, (E, N, 2) float32."""
        return self._grid.places_of(self._agents)

    def render(self) -> str:
        """The first copy as text: agents as numbers, boxes as [owner] while closed and (owner) once open."""
        return text_of(self.scene())

    def scene(self) -> Scene:
        """Agents and boxes of the first copy."""
        agents, boxes = (self._grid.places_of(cells[:1])[0].tolist() for cells in (self._agents, self._boxes))
        states = [Thing.CLOSED_BOX if closed else Thing.OPEN_BOX for closed in self._closed[0].tolist()]
        return Scene("grid", self._grid.side, marks_of(Thing.AGENT, agents) + marks_of(states, boxes))

    def close(self) -> None:
        """Nothing to release."""

    def _could_open(self, actions: Integer) -> NDArray[np.bool_]:
        """Who could open what by these actions, (E, agents, boxes)."""
        open_: NDArray[np.bool_] = self._agents[:, :, None] == self._boxes[:, None, :]
        open_ &= (actions == OPEN)[:, :, None]
        open_ &= self._openable
        return open_

    def _open(self, could: NDArray[np.bool_]) -> Float:
        """Open boxes, and give what that pays, (E, N); of all who could open a box, the lowest index does."""
        lowest = could.argmax(axis=1, keepdims=True)  # (E, 1, boxes)
        opens = could & (lowest == self._numbers)
        opened, pays = opens.any(axis=1), opens.any(axis=2)
        rewards = self._food_reward * opened - self._open_cost * pays - self._time_cost
        self._closed &= ~opened
        return np.where(self._running, rewards, np.float32(0))

    def _look_around(self) -> None:
        """Take in which boxes are closed, and so how the copies stand, (E, N): all that seldom changes.

        A frozen copy keeps its boxes, so how it stands never changes once it has ended.
        """
        cut = _TRUNCATED if self._time >= self.steps else _RUNNING
        ended: Flags = np.full(self._closed.shape, cut, np.uint8)
        ended[~self._closed.any(axis=1)] = _TERMINATED
        self._ended = ended
        self._running = ended == _RUNNING
        self._some_over = not self._running.all()
        self._unopened: Float = np.where(self._running, self._unpaid, np.float32(0))
        self._openable = self._closed[:, None, :] & self._not_own  # (E, agents, boxes)
        agents = self._agents.shape[1]
        self._see_agents()
        self._seen[:, 2 * agents : 4 * agents] = self._grid.scaled_places(self._boxes)
        self._seen[:, 4 * agents :] = self._closed

    def _see_agents(self) -> None:
        """Take in where the agents are."""
        self._seen[:, : 2 * self._agents.shape[1]] = self._grid.scaled_places(self._agents)


def parallel_env(**settings: object) -> TaskParallelEnv:
    """Exchange as a PettingZoo parallel environment; `settings` are the fields of `ExchangeTaskConfig`."""
    from env_service.environments.parallel import TaskParallelEnv  # noqa: PLC0415 - only PettingZoo users need gymnasium

    config = ExchangeTaskConfig.model_validate(settings)
    return TaskParallelEnv(timed(ExchangeTask(config, 1), observed=config.observe_time), "exchange_v0")
