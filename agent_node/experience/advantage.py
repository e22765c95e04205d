"""Advantages and returns on the grid of an episode: T steps, E parallel copies, float32."""

from __future__ import annotations

import numpy as np

from broker.arithmetic.chosen import kernels

MAY_OVERFLOW = np.errstate(over="ignore", invalid="ignore")
"""What is beyond float32 becomes infinite, without a warning: whoever learns from it refuses it by name
(`agent_node/learning/given.py`)."""


@MAY_OVERFLOW
def generalized_advantages(
    rewards: np.ndarray,
    values: np.ndarray,
    next_values: np.ndarray,
    continues: np.ndarray,
    *,
    gamma: float,
    gae_lambda: float,
) -> np.ndarray:
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


@MAY_OVERFLOW
def monte_carlo_returns(rewards: np.ndarray, continues: np.ndarray, gamma: float) -> np.ndarray:
    """Discounted returns (T, E) to the end of each trajectory, with no bootstrap (Eq. 17)."""
    return kernels.discounted(rewards, np.float32(gamma) * continues)


@MAY_OVERFLOW
def n_step_returns(
    rewards: np.ndarray, values: np.ndarray, beyond: np.ndarray, continues: np.ndarray, *, gamma: float, steps: int
) -> np.ndarray:
    """Discounted rewards (T, E) of so many steps and, where the trajectory still lasts, the value of where they lead.

    Args:
        rewards: (T, E), of the action taken at each step.
        values: (T, E), of the state at each step.
        beyond: (T, E), of the state after a trajectory that was cut off, at its last step; else 0.
        continues: (T, E), 1 where the next step belongs to the same trajectory, else 0.
        gamma: Discount.
        steps: n, at least 1.
    """
    returns = values
    for _ in range(min(steps, len(rewards))):
        following = beyond.copy()
        following[:-1] += continues[:-1] * returns[1:]
        returns = rewards + np.float32(gamma) * following
    return returns


def normalized(advantages: np.ndarray) -> np.ndarray:
    """The advantages (B,) shifted and scaled to mean 0 and standard deviation 1; all equal ones become 0.

    One alone has no spread to be scaled by, and would always be 0: it stays as it is.
    """
    return kernels.normalized(advantages, 1e-8) if len(advantages) > 1 else advantages
