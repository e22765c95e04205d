"""The terms of the policy loss, one function each. B samples, m neighbors, A actions; float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def clipped_gain(xi_i: Tensor, xi_n: Tensor | None, advantages: Tensor, clip: float) -> Tensor:
    """The first term of Eq. 15 per sample: min(xi_i xi_N A_i, clip(xi_i, 1 - epsilon, 1 + epsilon) xi_N A_i).

    Args:
        xi_i: (B,), the own ratio.
        xi_n: (B,), the neighbors' ratio, or None where nobody was heard: the plain clipped objective of PPO.
        advantages: A_i (B,).
        clip: epsilon.
    """
    scaled = advantages if xi_n is None else xi_n * advantages
    return (xi_i * scaled).minimum(xi_i.clamp(1 - clip, 1 + clip) * scaled)


def neighbor_ratio(log_ratios: Tensor, cap: float) -> Tensor:
    """xi_N (B,), the product over neighbors of pi_ij(a_j|s) / pi_jj(a_j|s) (Eq. 12).

    Args:
        log_ratios: (m, B), 0 where a neighbor was out of range.
        cap: Largest |log xi_N|, so that it stays finite; 0 leaves it free.
    """
    total = log_ratios.sum(dim=0)
    return (total.clamp(-cap, cap) if cap else total).exp()


def pushes_apart(log_ratio: Tensor, advantages: Tensor) -> Tensor:
    """1 where the gain's gradient widens the gap of two policies, else 0; carries no gradient (Eqs. 13 and 14).

    A ratio times A_i is more than A_i exactly where its log and A_i have the same sign.

    Args:
        log_ratio: (m, B), log of pi_ij(a_j|s) / pi_jj(a_j|s), or of pi_ii(a_i|s) / pi_ji(a_i|s).
        advantages: A_i (B,).
    """
    return (log_ratio.detach() * advantages > 0).to(advantages.dtype)


def squared_distance(left: Tensor, right: Tensor) -> Tensor:
    """||left - right||^2 over the actions, as Eq. 15 has it twice: (..., A) and (..., A) give (...)."""
    return (left - right).square().sum(dim=-1)


def entropy(log_probabilities: Tensor) -> Tensor:
    """Entropy in nats of distributions over the last axis."""
    return -(log_probabilities.exp() * log_probabilities).sum(dim=-1)
