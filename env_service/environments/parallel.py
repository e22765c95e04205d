"""Our tasks with the face that PettingZoo users know."""

from __future__ import annotations

import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from broker.errors import UserError
from broker.seeding import generator
from broker.wire.messages import Ended
from env_service.environments.action_masks import MASK
from env_service.environments.task import DrawableTask, Float

_Step = tuple[dict[str, Float], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, object]]]


class TaskParallelEnv(ParallelEnv):  # type: ignore[misc]  # PettingZoo has no types
    """One copy of a task as a PettingZoo parallel environment.

    `reset(seed=...)` names a stream of episodes; `reset()` goes on with the next episode of that stream, so a whole
    training run follows from one seed. Without any seed the stream is that of seed 0. Where the task masks actions, the
    info of an agent holds its `action_mask`.

    Args:
        task: The task, with one copy.
        name: Its PettingZoo name, such as `exchange_v0`.
    """

    def __init__(self, task: DrawableTask, name: str) -> None:
        self.metadata = {"name": name, "render_modes": ["ansi"], "is_parallelizable": True}
        self.render_mode = "ansi"
        self.possible_agents = [f"agent_{index}" for index in range(len(task.action_counts))]
        self.agents: list[str] = []
        self.state_space = _state_space(task)
        self._observation_spaces = {agent: _state_space(task) for agent in self.possible_agents}
        self._action_spaces = {
            agent: Discrete(count) for agent, count in zip(self.possible_agents, task.action_counts, strict=True)
        }
        self._task = task
        self._name = name
        self._generator = generator(0, name)

    def reset(
        self,
        seed: int | None = None,
        options: dict[str, object] | None = None,  # noqa: ARG002 - part of PettingZoo's face, no task has any
    ) -> tuple[dict[str, Float], dict[str, dict[str, object]]]:
        """Start an episode and return observations and infos, by agent."""
        if seed is not None:
            self._generator = generator(seed, self._name)
        self._task.reset(self._generator)
        self.agents = list(self.possible_agents)
        return self._observations(), self._infos(self.agents)

    def step(self, actions: dict[str, int]) -> _Step:
        """Advance by one step.

        Args:
            actions: The action of every agent in `agents`.

        Returns:
            Observations, rewards, terminations, truncations and infos of the agents that acted.

        Raises:
            UserError: An agent's action is missing, outside its action space or masked.
        """
        chosen = np.array([[self._action(agent, actions) for agent in self.possible_agents]], dtype=np.int64)
        acting, outcome = self.agents, self._task.step(chosen)
        rewards = dict(zip(self.possible_agents, outcome.rewards[0].tolist(), strict=True))
        ended = dict(zip(self.possible_agents, outcome.ended[0].tolist(), strict=True))
        result = (
            self._observations(),
            {agent: rewards[agent] for agent in acting},
            {agent: ended[agent] == Ended.TERMINATED for agent in acting},
            {agent: ended[agent] == Ended.TRUNCATED for agent in acting},
            self._infos(acting),
        )
        self.agents = [agent for agent in acting if ended[agent] == Ended.RUNNING]
        return result

    def state(self) -> Float:
        """The state that all agents see, (S,) float32."""
        state: Float = self._task.observations()[0]
        return state

    def render(self) -> str:
        """The state as text."""
        return self._task.render()

    def close(self) -> None:
        """Release what the task holds."""
        self._task.close()

    def observation_space(self, agent: str) -> Box:
        """The space of what `agent` sees."""
        return self._observation_spaces[agent]

    def action_space(self, agent: str) -> Discrete:
        """The space of what `agent` can do."""
        return self._action_spaces[agent]

    def _observations(self) -> dict[str, Float]:
        state = self.state()
        return {agent: state.copy() for agent in self.agents}

    def _action(self, agent: str, actions: dict[str, int]) -> int:
        if agent not in self.agents:
            return 0  # an ended agent is frozen: its action does nothing
        action, space = actions.get(agent), self._action_spaces[agent]
        if action is None or not space.contains(action):
            msg = f"{self._name}: expected an action of {agent} from 0 to {space.n - 1}, found {action!r}"
            raise UserError(msg)
        mask = self._mask(agent)
        if mask is not None and not mask[action]:
            raise UserError(f"{self._name}: action {action} of {agent} is masked")
        return int(action)

    def _mask(self, agent: str) -> NDArray[np.int8] | None:
        masks, index = self._task.action_masks(), self.possible_agents.index(agent)
        return None if masks is None else masks[0, index, : self._task.action_counts[index]].astype(np.int8)

    def _infos(self, agents: list[str]) -> dict[str, dict[str, object]]:
        """The mask of each agent, as gymnasium's `sample(mask)` takes it; empty where the task masks nothing."""
        masks = {agent: self._mask(agent) for agent in agents}
        return {agent: {} if mask is None else {MASK: mask} for agent, mask in masks.items()}


def _state_space(task: DrawableTask) -> Box:
    return Box(-1.0, 1.0, (task.observation_size,), np.float32)
