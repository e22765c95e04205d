"""The terms of the policy loss, one function each, with their slopes: derivatives by log-probabilities.

B samples, m neighbors, A actions; float32.
"""

from __future__ import annotations

import numpy as np

from broker.arithmetic.chosen import kernels

Term = tuple[np.ndarray, np.ndarray]
"""Values of a term, and its slopes."""


def clipped_gain(xi_i: np.ndarray, xi_n: np.ndarray | None, advantages: np.ndarray, clip: float) -> Term:
    """The first term of Eq. 15 per sample: min(xi_i xi_N A_i, clip(xi_i, 1 - epsilon, 1 + epsilon) xi_N A_i).

    Args:
        xi_i: (B,), the own ratio.
        xi_n: (B,), the neighbors' ratio, or None where nobody was heard: the plain clipped objective of PPO.
        advantages: A_i (B,).
        clip: epsilon.

    Returns:
        Values (B,), which are their own slopes by log xi_N, and slopes by log xi_i (B,): 0 where the clip has bitten.
    """
    scaled = advantages if xi_n is None else xi_n * advantages
    clipped = np.minimum(np.maximum(xi_i, np.float32(1 - clip)), np.float32(1 + clip))
    free, bound = xi_i * scaled, clipped * scaled
    return np.minimum(free, bound), np.where((xi_i == clipped) | (free < bound), free, np.float32(0))


def neighbor_ratio(log_ratios: np.ndarray, cap: float) -> Term:
    """xi_N (B,), the product over neighbors of pi_ij(a_j|s) / pi_jj(a_j|s) (Eq. 12).

    Args:
        log_ratios: (m, B), 0 where a neighbor was out of range.
        cap: Largest |log xi_N|, so that it stays finite; 0 leaves it free.

    Returns:
        xi_N (B,), and by how much its log follows that of any of its factors (B,): 1, or 0 beyond the cap.
    """
    return bounded_ratio(kernels.summed_first(log_ratios), cap)


def bounded_ratio(log_ratio: np.ndarray, cap: float) -> Term:
    """A ratio of any shape from its log, which is held within -cap and cap, or left free with a cap of 0.

    Returns:
        The ratio, and by how much its log follows `log_ratio`: 1, or 0 beyond the cap.
    """
    if not cap:
        return kernels.exponentials(log_ratio), np.ones_like(log_ratio)
    within = np.minimum(np.maximum(log_ratio, np.float32(-cap)), np.float32(cap))
    return kernels.exponentials(within), (within == log_ratio).astype(np.float32)


def pushes_apart(log_ratio: np.ndarray, advantages: np.ndarray) -> np.ndarray:
    """1 where the gain's gradient widens the gap of two policies, else 0; has no slope (Eqs. 13 and 14).

    A ratio times A_i is more than A_i exactly where its log and A_i have the same sign.

    Args:
        log_ratio: (m, B), log of pi_ij(a_j|s) / pi_jj(a_j|s), or of pi_ii(a_i|s) / pi_ji(a_i|s).
        advantages: A_i (B,).
    """
    apart: np.ndarray = (log_ratio * advantages > 0).astype(np.float32)
    return apart


def squared_distance(left: np.ndarray, right: np.ndarray) -> Term:
    """||left - right||^2 over the actions, as Eq. 15 has it twice: (..., A) and (..., A).

    Returns:
        Values (...), and slopes by log left (..., A).
    """
    gap = left - right
    return kernels.summed_last(gap * gap), gap * left * np.float32(2)


def entropy(log_probabilities: np.ndarray) -> Term:
    """Entropy in nats of distributions over the last axis: values (...), and slopes (..., A)."""
    probabilities = kernels.exponentials(log_probabilities)
    weighted = probabilities * log_probabilities
    return -kernels.summed_last(weighted), -(weighted + probabilities)
