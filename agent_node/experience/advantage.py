"""Advantages and returns on the grid of an episode: T steps, E parallel copies, float32."""

from __future__ import annotations

import numpy as np

from broker.arithmetic.chosen import kernels

Grid = np.ndarray
_OVERFLOW = np.errstate(over="ignore", invalid="ignore")
"""What is beyond float32 becomes infinite, without a warning: a loss of it is refused (`finite` beside this page)."""


@_OVERFLOW
def generalized_advantages(
    rewards: Grid, values: Grid, next_values: Grid, continues: Grid, *, gamma: float, gae_lambda: float
) -> Grid:
    """Advantages (T, E) by the generalized advantage estimator (Eq. 16).

    Args:
        rewards: (T, E), of the action taken at each step.
        values: (T, E), of the state at each step.
        next_values: (T, E), of the state after it; 0 where nothing comes after.
        continues: (T, E), 1 where the next step belongs to the same trajectory, else 0.
        gamma: Discount.
        gae_lambda: Weight of longer sums.
    """
    deltas = rewards + np.float32(gamma) * next_values - values
    return kernels.discounted(deltas, np.float32(gamma * gae_lambda) * continues)


@_OVERFLOW
def monte_carlo_returns(rewards: Grid, continues: Grid, gamma: float) -> Grid:
    """Discounted returns (T, E) to the end of each trajectory, with no bootstrap (Eq. 17)."""
    return kernels.discounted(rewards, np.float32(gamma) * continues)


def normalized(advantages: np.ndarray) -> np.ndarray:
    """The advantages (B,) shifted and scaled to mean 0 and standard deviation 1; all equal ones become 0."""
    return kernels.normalized(advantages, 1e-8)
