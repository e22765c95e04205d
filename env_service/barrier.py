"""The step barrier: nobody steps before all have answered, or somebody has acted for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from broker.wire.messages import Action, action_layout
from env_service.environments.task import Flags, Integer

_REMEMBERED_STEPS = 1024
"""An answer that comes after so many more were missing is not counted."""


class StepBarrier:
    """Who is waited for at a timestep, what the others answered, and for whom somebody else acted.

    What an agent did stays until its next action or the end of the episode, and is what it repeats. Before its first
    action of an episode that is to do nothing. Where somebody acts for an agent and that action is impossible now, it
    is the first possible one, at this timestep alone.

    Args:
        agents: In agent order.
        action_counts: Number of actions of each.
        copies: E.
        noop: The action that does nothing, or None where the task has none; action 0 then stands in.
        repeats: Whether a missing agent does again what it did last; else it does nothing.

    Attributes:
        rows: Number of each agent, in agent order.
        waiting: The same of those who have not answered.
    """

    def __init__(
        self, agents: Iterable[str], action_counts: tuple[int, ...], copies: int, *, noop: int | None, repeats: bool
    ) -> None:
        self.rows = {agent: row for row, agent in enumerate(agents)}
        self.waiting: dict[str, int] = {}
        self._action_counts = action_counts
        self._noop = noop or 0
        self._repeats = repeats
        self._acting, self._ready = action_layout(copies), action_layout(0)
        self._last = False
        self._masks: Flags | None = None
        self._done = np.zeros((len(self.rows), copies), np.int32)
        self._bytes = [row.data.cast("B") for row in self._done]
        self._acted_for: dict[int, NDArray[np.int32]] = {}
        self._overdue: dict[str, deque[tuple[int, int]]] = {
            agent: deque(maxlen=_REMEMBERED_STEPS) for agent in self.rows
        }

    def begin_episode(self) -> None:
        """Forget what the agents did last."""
        self._done[:] = self._noop

    def open(self, *, last: bool, masks: Flags | None) -> None:
        """Wait for all agents: for their actions, or after the `last` step for their readiness.

        Args:
            last: Whether the episode is over.
            masks: Which actions are possible now, (E, N, A), or None where the task masks none.
        """
        self.waiting = self.rows.copy()
        self._last, self._masks = last, masks
        self._acted_for = {}

    def hear(self, source: str, answer: Action) -> str:
        """Take the answer of an agent that is waited for to the timestep that is out.

        Returns:
            What is wrong with the answer, as a clause, and nothing was changed; empty where all is well.
        """
        row = self.waiting[source]
        data, expected = answer.data, self._ready if self._last else self._acting
        if answer.layout != expected:
            return f"acts with {answer.layout!r}, expected {expected!r}"
        if not self._last:
            count = self._action_counts[row]
            # Seen as unsigned, a negative action is a huge one: a single look finds both.
            if max(data.cast("I")) >= count:
                return f"acts outside 0 to {count - 1}"
            if self._masks is not None and (problem := _forbidden(self._masks[:, row], data)):
                return problem
            self._bytes[row][:] = data
        del self.waiting[source]
        return ""

    def leave_out(self, agent: str) -> None:
        """Wait no more for an agent, and act for it."""
        row = self.waiting.pop(agent)
        actions = self._done[row] if self._repeats else np.full_like(self._done[row], self._noop)
        if self._masks is not None:
            mask = self._masks[:, row]
            actions = np.where(_at(mask, actions), actions, mask.argmax(axis=1))
        self._acted_for[row] = actions

    def expect_late(self, agent: str, episode: int, step: int) -> None:
        """Remember that this answer was waited for in vain: it may still come."""
        self._overdue[agent].append((episode, step))

    def hear_late(self, source: str, answer: Action) -> bool:
        """Whether this answer was waited for in vain; it comes late once, and then again as a copy."""
        overdue, name = self._overdue[source], (answer.episode, answer.step)
        if name not in overdue:
            return False
        overdue.remove(name)
        return True

    def actions(self) -> Integer:
        """What all do, (E, N) int64."""
        actions = self._done.T.astype(np.int64)
        for row, instead in self._acted_for.items():
            actions[:, row] = instead
        return actions


def _forbidden(mask: Flags, data: memoryview) -> str:
    """What is wrong with actions (E,) int32 under a mask (E, A), as a clause; empty where all are possible."""
    actions = np.frombuffer(data, np.int32)
    possible = _at(mask, actions)
    copy = int(possible.argmin())
    return "" if possible[copy] else f"acts in copy {copy} with {actions[copy]}, which its mask forbids"


def _at(mask: Flags, actions: NDArray[np.int32]) -> Flags:
    """What a mask (E, A) says of actions (E,)."""
    said: Flags = np.take_along_axis(mask, actions[:, None], axis=1)[:, 0]
    return said
