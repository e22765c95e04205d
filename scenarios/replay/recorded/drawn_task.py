"""A task that is drawn while its environment plays it."""

from __future__ import annotations

from numpy.random import Generator

from env_service.environments.scene import Rendering, Scene
from env_service.environments.task import Flags, Float, Integer, Outcome, Task
from scenarios.play.frame import Frame
from scenarios.play.moments import Moments


class EpisodeOver(Exception):
    """The episode that was to be drawn has been played."""


class DrawnTask(Task):
    """A task of which one episode is drawn.

    Attributes:
        frames: Of its first copy, until that has ended.

    Args:
        task: That is played.
        names: What people are told of its agents, in agent order.
        episode: Which one, from 0.
    """

    def __init__(self, task: Task, names: tuple[str, ...], episode: int) -> None:
        self.frames: list[Frame] = []
        self._task, self._names, self._episode = task, names, episode
        self._moments: Moments | None = None
        self.agent_names, self.action_counts = task.agent_names, task.action_counts
        self.observation_size, self.steps = task.observation_size, task.steps
        self.noop_action, self.action_names = task.noop_action, task.action_names

    def reset(self, generator: Generator) -> None:
        """Begin the episode.

        Raises:
            EpisodeOver: That was the one before.
        """
        if self._moments is not None:
            raise EpisodeOver
        self._task.reset(generator)
        self._moments = Moments(self._task, self._names, self._episode)
        self.frames.append(self._moments.first())

    def step(self, actions: Integer) -> Outcome:
        """Go on, and draw what came of it."""
        outcome = self._task.step(actions)
        if self._moments is not None and not self.frames[-1].last:
            self.frames.append(self._moments.after(actions, outcome))
        return outcome

    def observations(self) -> Float:
        """See `Task`."""
        return self._task.observations()

    def positions(self) -> Float | None:
        """See `Task`."""
        return self._task.positions()

    def action_masks(self) -> Flags | None:
        """See `Task`."""
        return self._task.action_masks()

    def scene(self) -> Scene | Rendering | None:
        """See `Task`."""
        return self._task.scene()

    def render_modes(self) -> tuple[str, ...]:
        """See `Task`."""
        return self._task.render_modes()

    def close(self) -> None:
        """See `Task`."""
        self._task.close()
