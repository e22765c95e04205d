"""What an agent saw, did and got in one episode of E parallel copies, and the samples made of it.

T is the number of steps played, S the observation size, n the number of potential neighbors, A the number of own
actions, B the number of samples: the steps at which a copy was running and the agent saw, acted and learned its reward.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent_node.experience.advantage import generalized_advantages, monte_carlo_returns, n_step_returns
from broker.wire.arrays import layouts, views
from broker.wire.messages import Ended, timestep_layout

_ALIGNED_BYTES = 64
_RUNNING, _TRUNCATED = int(Ended.RUNNING), int(Ended.TRUNCATED)  # numpy takes microseconds to read an IntEnum


@dataclass(frozen=True)
class Batch:
    """The samples of an episode.

    Attributes:
        observations: (B + b, S) float32: of the samples, then of the b states that follow a cut-off trajectory.
        actions: (B,) int64, own actions.
        returns: (B,) float32, Monte-Carlo returns.
        in_range: (n, B) bool, whether each potential neighbor was in range; None where the graph is fixed.
        possible: (B, A) bool, which own actions were possible; None where the environment masks none.
        index: (B,) positions of the samples in the flattened (T, E) grid.
        boundary: (b,) positions of the samples whose successors stand at the end of `observations`.
        rewards: (T, E) float32.
        continues: (T, E) float32, 1 where the next step belongs to the same trajectory.
        transitions: (B, 2 S) float32, the observation of each sample and the one after it, the last of a trajectory
            included; None unless somebody asked for them.
    """

    observations: np.ndarray
    actions: np.ndarray
    returns: np.ndarray
    in_range: np.ndarray | None
    possible: np.ndarray | None
    index: np.ndarray
    boundary: np.ndarray
    rewards: np.ndarray
    continues: np.ndarray
    transitions: np.ndarray | None = None

    @property
    def samples(self) -> int:
        """B."""
        return len(self.index)

    @property
    def own_rewards(self) -> np.ndarray:
        """Rewards (B,) of the samples."""
        return self._of_samples(self.rewards)

    def advantages(
        self, values: np.ndarray, gamma: float, gae_lambda: float, rewards: np.ndarray | None = None
    ) -> np.ndarray:
        """Advantages (B,) of the samples, from `values` (B + b,) of all observations (Eq. 16).

        Args:
            values: By the critic.
            gamma: Discount.
            gae_lambda: Weight of longer sums.
            rewards: (B,), in place of the agent's own.
        """
        grid = self._on_grid(values[: self.samples])
        following = self._beyond(values)
        following[:-1] += grid[1:] * self.continues[:-1]
        paid = self.rewards if rewards is None else self._on_grid(rewards)
        advantages = generalized_advantages(paid, grid, following, self.continues, gamma=gamma, gae_lambda=gae_lambda)
        return self._of_samples(advantages)

    def returns_of(self, rewards: np.ndarray, gamma: float) -> np.ndarray:
        """Discounted returns (B,) as in `returns`, of `rewards` (B,) in place of the agent's own."""
        return self._of_samples(monte_carlo_returns(self._on_grid(rewards), self.continues, gamma))

    def n_step_returns(self, values: np.ndarray, gamma: float, steps: int) -> np.ndarray:
        """Discounted own rewards of so many steps, and from there on `values` (B + b,) of all observations: (B,)."""
        grid, beyond = self._on_grid(values[: self.samples]), self._beyond(values)
        returns = n_step_returns(self.rewards, grid, beyond, self.continues, gamma=gamma, steps=steps)
        return self._of_samples(returns)

    def _beyond(self, values: np.ndarray) -> np.ndarray:
        """(T, E) of `values` (B + b,): those of the b states behind cut-off trajectories, where these end; else 0."""
        grid = np.zeros(self.rewards.shape, np.float32)
        grid.reshape(-1)[self.boundary] = values[self.samples :]
        return grid

    def _on_grid(self, of_samples: np.ndarray) -> np.ndarray:
        grid = np.zeros(self.rewards.shape, np.float32)
        grid.reshape(-1)[self.index] = of_samples
        return grid

    def _of_samples(self, grid: np.ndarray) -> np.ndarray:
        samples: np.ndarray = grid.reshape(-1)[self.index]
        return samples


class Rollout:
    """Room for one episode, filled step by step: the timesteps as they came, and views of the arrays in them.

    Attributes:
        observed: (steps + 1, E, S) float32, observations; a view.
        possible: (steps + 1, E, A) bool, which own actions are possible; a view. None where the environment masks none.
        actions: (steps, E) int64, own actions; written by whoever acts.

    Args:
        steps: Time limit of an episode.
        copies: E.
        observation_size: S.
        neighbors: n where neighbors change from step to step, None where the graph is fixed.
        actions: A, and the most that any agent has, where the environment masks actions; else None.
        follows: Whether a batch also holds transitions.
    """

    def __init__(
        self,
        steps: int,
        copies: int,
        observation_size: int,
        neighbors: int | None,
        actions: tuple[int, int] | None,
        *,
        follows: bool = False,
    ) -> None:
        layout = timestep_layout(copies, observation_size, neighbors, actions[1] if actions else None)
        self._size = layouts[layout].size_bytes
        self._page = -(-self._size // _ALIGNED_BYTES) * _ALIGNED_BYTES
        pages = np.zeros((steps + 1, self._page), np.uint8)
        self._bytes = pages.reshape(-1).data
        arrays = views(layout, pages)
        self.observed = arrays["observation"]
        self._rewards = arrays["reward"][1:]
        self._ended = arrays["ended"]
        self._in_range = arrays.get("neighbors")
        self.possible = arrays["mask"][..., : actions[0]].view(np.bool_) if actions else None
        self.actions = np.zeros((steps, copies), np.int64)
        self._seen = bytearray(steps + 1)
        self._acted = bytearray(steps)
        self._played = 0
        self._follows = follows

    def begin(self) -> None:
        """Forget the last episode."""
        self._seen[:] = bytes(len(self._seen))
        self._acted[:] = bytes(len(self._acted))
        self._played = 0

    def see(self, step: int, data: memoryview) -> None:
        """Note timestep `step`, laid out as `timestep_layout` says."""
        start = step * self._page
        self._bytes[start : start + self._size] = data
        self._seen[step] = 1
        self._played = max(self._played, step)

    def acted(self, step: int) -> None:
        """Note that the own actions at `step` stand in `actions`."""
        self._acted[step] = 1

    def close(self, gamma: float, bootstrap: bool) -> Batch:
        """The samples of the episode.

        Args:
            gamma: Discount of the Monte-Carlo returns.
            bootstrap: Whether a trajectory that the time limit cut off goes on in value; else it ends there.
        """
        played = self._played
        running = self._ended[: played + 1] == _RUNNING
        seen, acted = np.frombuffer(self._seen, np.bool_), np.frombuffer(self._acted, np.bool_)
        known = seen[:played] & acted[:played] & seen[1 : played + 1]
        valid = running[:-1] & known[:, None]
        continues = np.zeros_like(valid)
        continues[:-1] = valid[:-1] & valid[1:]
        cut = valid & ~continues & (running[1:] | (self._ended[1 : played + 1] == _TRUNCATED))
        index = np.flatnonzero(valid)
        boundary = np.flatnonzero(cut) if bootstrap else np.zeros(0, np.int64)
        rewards, weights = np.where(valid, self._rewards[:played], np.float32(0)), continues.astype(np.float32)
        copies = valid.shape[1]
        steps, copy = np.divmod(np.concatenate([index, boundary + copies]), copies)
        returns = monte_carlo_returns(rewards, weights, gamma).reshape(-1)[index]
        return Batch(
            observations=self.observed[steps, copy],
            actions=self.actions[:played].reshape(-1)[index],
            returns=returns,
            in_range=self._samples_in_range(played, index),
            possible=self._possible_at(index),
            index=index,
            boundary=boundary,
            rewards=rewards,
            continues=weights,
            transitions=self._transitions_at(index),
        )

    def _transitions_at(self, index: np.ndarray) -> np.ndarray | None:
        if not self._follows:
            return None
        steps, copy = np.divmod(index, self.observed.shape[1])
        return np.concatenate([self.observed[steps, copy], self.observed[steps + 1, copy]], axis=1)

    def _possible_at(self, index: np.ndarray) -> np.ndarray | None:
        if self.possible is None:
            return None
        possible: np.ndarray = self.possible[np.divmod(index, self.possible.shape[1])]
        return possible

    def _samples_in_range(self, played: int, index: np.ndarray) -> np.ndarray | None:
        if self._in_range is None:
            return None
        near = self._in_range[:played] != 0
        flags: np.ndarray = near.transpose(2, 0, 1).reshape(near.shape[2], -1)[:, index]
        return flags
