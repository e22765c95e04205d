"""The timesteps that reach an agent: which it plays, which wait until it acts again, and which it answers again.

A timestep is taken, which changes nothing but what waits; one that no environment sends is refused. What is played has
an answer once the agent has acted or, after the last of an episode, once it is ready.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import TYPE_CHECKING

from msgspec.structs import replace

from agent_node.experience.timestep_masks import TimestepMasks
from broker.counting import counted
from broker.errors import ProtocolViolation
from broker.wire.messages import Action, Timestep, action_layout, timestep_layout

if TYPE_CHECKING:
    from agent_node.config import AgentConfig


class Seen(Enum):
    """What is to be done with a timestep that came."""

    PLAY = "play"
    """It is newer than the latest."""
    ANEW = "anew"
    """It is the latest again, and its mask rules out the answer: the mask seen first was damaged on its way."""
    AGAIN = "again"
    """It is the latest again, and gets the same answer."""
    KEPT = "kept"
    """It waits until the agent acts again."""
    PAST = "past"
    """It is older than one that is known, or the latest, which has no answer yet."""


class Timesteps:
    """The timesteps of one agent.

    Attributes:
        episode: Of the latest that was played; -1 before the first.
        step: The number of that in its episode; -1 before the first.
        held: Those that wait, each newer than the one before.

    Args:
        config: The agent's slice of the scenario.
    """

    def __init__(self, config: AgentConfig) -> None:
        self.episode = self.step = -1
        self.held: deque[Timestep] = deque()
        copies, neighbors = config.parallel_episodes, config.neighbors[config.link.name]
        near = len(neighbors) if config.proximity else None
        actions = max(config.action_counts.values()) if config.masks else None
        self._layout = timestep_layout(copies, config.observation_size, near, actions)
        self._masks = TimestepMasks(config, self._layout) if config.masks else None
        self._acting, self._ready = action_layout(copies), action_layout(0)
        self._steps, self._episodes = config.steps, config.episodes
        self._answer: Action | None = None
        self._ended = False

    @property
    def newest_episode(self) -> int:
        """The episode of the newest that is known; -1 before the first."""
        return self.held[-1].episode if self.held else self.episode

    def go_on_after(self, episode: int) -> None:
        """Begin behind an episode that an earlier life has played."""
        self.episode, self.step = episode, self._steps

    def take(self, message: Timestep, *, acts: bool) -> Seen:
        """Say what is to be done with a timestep; it is kept, if it has to wait.

        Args:
            message: As it came.
            acts: Whether the agent can act on it now.

        Raises:
            ProtocolViolation: No environment sends it; nothing was changed.
        """
        self._check(message)
        episode, step = message.episode, message.step
        if episode < self.episode or (episode == self.episode and step < self.step):
            return Seen.PAST
        if episode == self.episode and step == self.step:
            return self._seen_again(message, acts=acts)
        if acts:
            return Seen.PLAY
        if self.held and (episode, step) <= (self.held[-1].episode, self.held[-1].step):
            return Seen.PAST
        self.held.append(message)
        return Seen.KEPT

    def acted(self, message: Timestep, actions: memoryview) -> Action:
        """Note what the agent does at a timestep that it plays; returns the answer."""
        self.episode, self.step, self._ended = message.episode, message.step, False
        self._answer = Action(message.episode, message.step, message.attempt, self._acting, actions)
        return self._answer

    def end(self, message: Timestep) -> None:
        """Note that an episode has ended with a timestep; it has no answer until the agent is ready."""
        self.episode, self.step, self._answer, self._ended = message.episode, message.step, None, True

    def ready(self) -> Action:
        """The answer to the last timestep of an episode."""
        self._answer = Action(self.episode, self.step, 0, self._ready, memoryview(b""))
        return self._answer

    def again(self, attempt: int) -> Action:
        """The answer to the latest, which has one, asked for by that attempt."""
        assert self._answer is not None  # noqa: S101 - `Seen.AGAIN` says so
        return replace(self._answer, attempt=attempt)

    def _seen_again(self, message: Timestep, *, acts: bool) -> Seen:
        answer, masks = self._answer, self._masks
        if answer is None:
            return Seen.PAST
        chosen = acts and answer.layout == self._acting
        return Seen.ANEW if chosen and masks and not masks.allows(message.data, answer.data) else Seen.AGAIN

    def _check(self, message: Timestep) -> None:
        episode, step = message.episode, message.step
        last = self._steps if message.last else self._steps - 1
        if message.layout != self._layout:
            raise ProtocolViolation(f"timestep with {message.layout!r}, expected {self._layout!r}")
        if not (0 <= step <= last and 0 <= episode < self._episodes):
            most = f"{counted(self._steps, 'step')} and {counted(self._episodes, 'episode')}"
            raise ProtocolViolation(f"timestep {step} of episode {episode}, expected at most {most}")
        if self._masks is not None and (problem := self._masks.problem(message.data)):
            raise ProtocolViolation(f"timestep {step} of episode {episode} with a {problem}")
        if (end := self._end_of(episode)) is not None and step > end:
            raise ProtocolViolation(f"timestep {step} of episode {episode}, which ended at {end}")

    def _end_of(self, episode: int) -> int | None:
        """The timestep at which an episode has ended, as far as the newest timesteps say so."""
        if self.held and self.held[-1].last and self.held[-1].episode == episode:
            return self.held[-1].step
        return self.step if self._ended and self.episode == episode else None
