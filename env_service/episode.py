"""What belongs to one episode and ends with it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from broker.arithmetic.sums import mean
from broker.wire.records import EpisodeRecord
from env_service.environments.task import Flags, Float, Outcome


@dataclass(slots=True)
class EpisodeUnderWay:
    """Where an episode of E copies with N agents stands, and what has come of it so far.

    Attributes:
        number: Training episode, from 0.
        outcome: What the last step gave; zeros before the first.
        running: Copies in which at least one agent has not ended.
        masks: Which actions are possible now, (E, N, A) uint8; None where the task masks none.
        step: Steps taken.
        attempt: How often the timestep after them has been sent again.
        step_began_at: When it was sent first.
        rewards: (E, N) float32 of each step taken.
        copy_steps: Steps taken by running copies.
        missing_actions: Actions that the environment filled in.
    """

    number: int
    outcome: Outcome
    running: int
    masks: Flags | None = None
    step: int = 0
    attempt: int = 0
    step_began_at: float = 0.0
    rewards: list[Float] = field(default_factory=list)
    copy_steps: int = 0
    missing_actions: int = 0

    @classmethod
    def begin(cls, number: int, copies: int, agents: int) -> EpisodeUnderWay:
        """Episode `number` before its first step."""
        nothing_yet = Outcome(np.zeros((copies, agents), np.float32), np.zeros((copies, agents), np.uint8))
        return cls(number, nothing_yet, copies)

    @property
    def last(self) -> bool:
        """Whether every agent of every copy has ended: the timestep that comes now is the episode's last."""
        return not self.running

    def advance(self, outcome: Outcome) -> None:
        """Take in what a step gave."""
        self.copy_steps += self.running
        self.outcome = outcome
        self.rewards.append(outcome.rewards)
        self.running = _running(outcome.ended)
        self.step += 1

    def record(self) -> EpisodeRecord:
        """What came of it: returns are means over the copies, in agent order."""
        returns = np.zeros(self.outcome.rewards.shape, np.float64)
        for rewards in self.rewards:
            returns += rewards
        return EpisodeRecord(self.number, tuple(mean(returns).tolist()), self.copy_steps, self.missing_actions)


def _running(ended: np.ndarray) -> int:
    """Number of copies in which at least one agent has not ended (`Ended.RUNNING` is 0), of (E, N)."""
    if not np.count_nonzero(ended):
        return len(ended)
    return len(ended) - int(np.count_nonzero(ended.all(axis=1)))
