"""A task: many copies of one multi-agent environment, stepped together.

Shapes use E for parallel copies, N for agents, S for the size of an observation, A for the most actions any agent has.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from broker.errors import UserCodeFailed
from env_service.environments.scene import Rendering, Scene

Float = NDArray[np.float32]
Integer = NDArray[np.int64]
Flags = NDArray[np.uint8]

MOST_ACTIONS = 4096
"""Combinations that one agent may choose from: a network has an output for each, and a share numbers for each."""


@dataclass(frozen=True)
class Outcome:
    """What one step of all copies gives.

    Attributes:
        rewards: (E, N) float32; zero for a copy that had ended before the step.
        ended: (E, N) uint8 of `broker.wire.messages.Ended`; once a copy has ended it stays ended with the same value.
        notes: What a user should know of the step, a sentence each.
    """

    rewards: Float
    ended: Flags
    notes: tuple[str, ...] = ()


class Task(Protocol):
    """Parallel copies of an environment with N agents, discrete actions and private rewards.

    Attributes:
        agent_names: What the task calls its agents, in agent order; empty where it has no names for them.
        action_counts: Number of actions of each agent, in agent order.
        observation_size: S.
        steps: Time limit of an episode.
        noop_action: The action that does nothing, or None where the task has none.
        action_names: What the actions of every agent are called, in order; empty where they have numbers alone.
    """

    agent_names: tuple[str, ...]
    action_counts: tuple[int, ...]
    observation_size: int
    steps: int
    noop_action: int | None
    action_names: tuple[str, ...] = ()

    def reset(self, generator: Generator) -> None:
        """Start an episode in every copy; all its randomness comes from `generator`."""

    def step(self, actions: Integer) -> Outcome:
        """Advance every running copy by one step with `actions` (E, N) int64."""

    def observations(self) -> Float:
        """What agents see now: (E, S) when all see the same state, else (E, N, S); float32."""

    def positions(self) -> Float | None:
        """Where the agents are, (E, N, dimensions) float32 in task units, or None where space means nothing."""

    def action_masks(self) -> Flags | None:
        """Which actions are possible now, (E, N, A) uint8, 1 or 0; each agent that has not ended has at least one.

        None, always, where every action is always possible; that is so unless a task says otherwise.
        """
        return None

    def scene(self) -> Scene | Rendering | None:
        """What the first copy looks like now; None where the task shows nothing of itself."""
        return None

    def render_modes(self) -> tuple[str, ...]:
        """The ways in which a foreign environment says that it can show itself."""
        return ()

    def close(self) -> None:
        """Release what the copies hold (windows, files)."""


@contextmanager
def closing_task(task: Task) -> Iterator[None]:
    """Close a task at the end, however that comes: an error that is under way is heard, not one of its closing.

    Args:
        task: What is closed.

    Raises:
        UserCodeFailed: All went well, and it raised as it was closed.
    """
    with closed_on_failure(task):
        yield
    task.close()


@contextmanager
def closed_on_failure(task: Task) -> Iterator[None]:
    """Close a task where what is done meanwhile fails; of that a user hears, not of the closing.

    Args:
        task: What is closed.
    """
    try:
        yield
    except BaseException:
        with suppress(UserCodeFailed):
            task.close()
        raise


class DrawableTask(Task, Protocol):
    """A task whose agents all see the same state, scaled to [-1, 1], and that can be drawn."""

    def scene(self) -> Scene:
        """What the first copy looks like now."""

    def render(self) -> str:
        """The first copy as text."""


def all_possible(action_counts: tuple[int, ...]) -> Flags:
    """(N, A) uint8: 1 for each action that an agent has, 0 behind them."""
    has: Flags = (np.arange(max(action_counts)) < np.array(action_counts)[:, None]).astype(np.uint8)
    return has
