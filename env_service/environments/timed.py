"""A task whose agents also see how far its time has run (`environment.observe_time`).

Returns are cut at the time limit, so what a state is worth hangs on the steps that are left; without them in the
observation the first samples of an episode look better, and the last ones worse, whatever was done.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from env_service.environments.scene import Scene
from env_service.environments.task import DrawableTask, Flags, Float, Integer, Outcome


class TimedTask(DrawableTask):
    """A task of our own, with one more number at the end of every observation.

    It is 2 t / T - 1 at step t of T, the time limit: -1 as an episode begins, 1 where it is cut. A copy that has ended
    sees it go on.

    Args:
        task: What is played; all that its agents see is one state, (E, S).
    """

    def __init__(self, task: DrawableTask) -> None:
        self.agent_names = task.agent_names
        self.action_counts = task.action_counts
        self.observation_size = task.observation_size + 1
        self.steps = task.steps
        self.noop_action = task.noop_action
        self.action_names = task.action_names
        self._task = task
        self._step = 0

    def reset(self, generator: Generator) -> None:
        """Start an episode in every copy."""
        self._task.reset(generator)
        self._step = 0

    def step(self, actions: Integer) -> Outcome:
        """Advance every running copy by one step with `actions` (E, N) int64."""
        self._step = min(self._step + 1, self.steps)
        return self._task.step(actions)

    def observations(self) -> Float:
        """What all agents see, (E, S + 1) float32."""
        seen = self._task.observations()
        timed: Float = np.full((len(seen), self.observation_size), 2 * self._step / self.steps - 1, np.float32)
        timed[:, :-1] = seen
        return timed

    def positions(self) -> Float | None:
        """Where the agents are, as the task says."""
        return self._task.positions()

    def action_masks(self) -> Flags | None:
        """Which actions are possible, as the task says."""
        return self._task.action_masks()

    def render(self) -> str:
        """The first copy as text, and how far its time has run."""
        return f"{self._task.render()}\nstep {self._step} of {self.steps}"

    def scene(self) -> Scene:
        """What the first copy looks like."""
        return self._task.scene()

    def close(self) -> None:
        """Release what the task holds."""
        self._task.close()


def timed(task: DrawableTask, *, observed: bool) -> DrawableTask:
    """The task, with time in its observations if it is to be observed."""
    return TimedTask(task) if observed else task
