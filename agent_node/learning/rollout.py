"""What an agent saw, did and got in one episode of E parallel copies, and the samples made of it.

T is the number of steps played, S the observation size, n the number of potential neighbors, B the number of
samples: the steps at which a copy was running and the agent saw, acted and learned its reward.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from agent_node.learning.advantage import generalized_advantages, monte_carlo_returns

_RUNNING = 0
_TRUNCATED = 2


@dataclass(frozen=True)
class Batch:
    """The samples of an episode.

    Attributes:
        observations: (B + b, S) float32: of the samples, then of the b states that follow a cut-off trajectory.
        actions: (B,) int64, own actions.
        returns: (B,) float32, Monte-Carlo returns.
        in_range: (n, B) bool, whether each potential neighbor was in range; None where the graph is fixed.
        index: (B,) positions of the samples in the flattened (T, E) grid.
        boundary: (b,) positions of the samples whose successors stand at the end of `observations`.
        rewards: (T, E) float32.
        continues: (T, E) float32, 1 where the next step belongs to the same trajectory.
    """

    observations: Tensor
    actions: Tensor
    returns: Tensor
    in_range: np.ndarray | None
    index: np.ndarray
    boundary: np.ndarray
    rewards: np.ndarray
    continues: np.ndarray

    @property
    def samples(self) -> int:
        """B."""
        return len(self.index)

    def advantages(self, values: np.ndarray, gamma: float, gae_lambda: float) -> np.ndarray:
        """Advantages (B,) of the samples, from `values` (B + b,) of all observations (Eq. 16)."""
        grid = np.zeros(self.rewards.shape, np.float32)
        grid.reshape(-1)[self.index] = values[: self.samples]
        following = np.zeros_like(grid)
        following[:-1] = grid[1:] * self.continues[:-1]
        following.reshape(-1)[self.boundary] = values[self.samples :]
        advantages = generalized_advantages(
            self.rewards, grid, following, self.continues, gamma=gamma, gae_lambda=gae_lambda
        )
        samples: np.ndarray = advantages.reshape(-1)[self.index]
        return samples


class Rollout:
    """Room for one episode, filled step by step.

    Args:
        steps: Time limit of an episode.
        copies: E.
        observation_size: S.
        neighbors: n where neighbors change from step to step, 0 where the graph is fixed.
    """

    def __init__(self, steps: int, copies: int, observation_size: int, neighbors: int) -> None:
        self._observations = torch.zeros(steps + 1, copies, observation_size)
        self._observed = self._observations.numpy()
        self._rewards = np.zeros((steps, copies), np.float32)
        self._ended = np.zeros((steps + 1, copies), np.uint8)
        self._in_range = np.zeros((steps, neighbors, copies), np.bool_)
        self._actions = np.zeros((steps, copies), np.int64)
        self._seen = np.zeros(steps + 1, np.bool_)
        self._acted = np.zeros(steps, np.bool_)
        self._played = 0

    def begin(self) -> None:
        """Forget the last episode."""
        self._seen[:] = False
        self._acted[:] = False
        self._played = 0

    def see(
        self, step: int, observation: np.ndarray, reward: np.ndarray, ended: np.ndarray, neighbors: np.ndarray | None
    ) -> np.ndarray:
        """Note what timestep `step` says (shapes as in `broker.messages.Timestep`); returns the observation (E, S)."""
        self._observed[step] = observation
        self._ended[step] = ended
        self._seen[step] = True
        self._played = max(self._played, step)
        if step > 0:
            self._rewards[step - 1] = reward
        if neighbors is not None and step < len(self._in_range):
            self._in_range[step] = neighbors.T != 0
        seen: np.ndarray = self._observed[step]
        return seen

    def act(self, step: int, actions: np.ndarray) -> None:
        """Note the own actions (E,) at `step`."""
        self._actions[step] = actions
        self._acted[step] = True

    def close(self, gamma: float, bootstrap: bool) -> Batch:
        """The samples of the episode.

        Args:
            gamma: Discount of the Monte-Carlo returns.
            bootstrap: Whether a trajectory that the time limit cut off goes on in value; else it ends there.
        """
        played = self._played
        running = self._ended[: played + 1] == _RUNNING
        known = self._seen[:played] & self._acted[:played] & self._seen[1 : played + 1]
        valid = running[:-1] & known[:, None]
        continues = np.zeros_like(valid)
        continues[:-1] = valid[:-1] & valid[1:]
        cut = valid & ~continues & (running[1:] | (self._ended[1 : played + 1] == _TRUNCATED))
        index = np.flatnonzero(valid)
        boundary = np.flatnonzero(cut) if bootstrap else np.zeros(0, np.int64)
        rewards, weights = np.where(valid, self._rewards[:played], np.float32(0)), continues.astype(np.float32)
        rows = torch.from_numpy(np.concatenate([index, boundary + valid.shape[1]]))
        returns = monte_carlo_returns(rewards, weights, gamma).reshape(-1)[index]
        return Batch(
            observations=self._observations.view(-1, self._observations.shape[2])[rows],
            actions=torch.from_numpy(self._actions[:played].reshape(-1)[index]),
            returns=torch.from_numpy(returns),
            in_range=self._samples_in_range(played, index),
            index=index,
            boundary=boundary,
            rewards=rewards,
            continues=weights,
        )

    def _samples_in_range(self, played: int, index: np.ndarray) -> np.ndarray | None:
        neighbors = self._in_range.shape[1]
        if not neighbors:
            return None
        return self._in_range[:played].transpose(1, 0, 2).reshape(neighbors, -1)[:, index]
