"""From what a task is told and gives to frames: one episode of its first copy."""

from __future__ import annotations

import numpy as np

from broker.wire.messages import Ended
from env_service.environments.task import Integer, Outcome, Task
from scenarios.play.frame import AgentMoment, Frame

_RUNNING = int(Ended.RUNNING)


class Moments:
    """Frames of an episode, as it goes on.

    Args:
        task: Has just been reset.
        names: What people are told of its agents, in agent order.
        episode: Which one, from 0.
    """

    def __init__(self, task: Task, names: tuple[str, ...], episode: int) -> None:
        self._task, self._names, self._episode = task, names, episode
        self._step = 0
        self._running = np.full(len(names), fill_value=True)
        self._gained = np.zeros(len(names))

    def first(self) -> Frame:
        """Before anybody has done anything."""
        return self._frame([None] * len(self._names), np.zeros(len(self._names)))

    def after(self, actions: Integer, outcome: Outcome) -> Frame:
        """After a step.

        Args:
            actions: What all did, (E, N).
            outcome: What that gave.
        """
        acted, rewards = self._running, outcome.rewards[0]
        done = [int(action) if there else None for action, there in zip(actions[0], acted, strict=True)]
        self._step += 1
        self._running = outcome.ended[0] == _RUNNING
        self._gained = self._gained + rewards
        return self._frame(done, rewards)

    def _frame(self, done: list[int | None], rewards: np.ndarray) -> Frame:
        task, gained = self._task, self._gained.tolist()
        each = zip(self._names, map(self._called, done), rewards.tolist(), gained, strict=True)
        agents = tuple(AgentMoment(*about) for about in each)
        return Frame(self._episode, self._step, task.steps, not self._running.any(), agents, task.scene())

    def _called(self, action: int | None) -> str | None:
        names = self._task.action_names
        return None if action is None else names[action] if names else str(action)
