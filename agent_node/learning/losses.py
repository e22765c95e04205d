"""The terms of the policy loss, one function each. B samples, m neighbors, A actions; float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def clipped_gain(own_ratio: Tensor, neighbor_ratio: Tensor | None, advantages: Tensor, clip: float) -> Tensor:
    """The dual clipped objective per sample (Step 1 of section 4.3).

    Args:
        own_ratio: xi_i (B,).
        neighbor_ratio: xi_N (B,), or None where nobody was heard: the plain clipped objective of PPO.
        advantages: A_i (B,).
        clip: epsilon.
    """
    scaled = advantages if neighbor_ratio is None else neighbor_ratio * advantages
    return (own_ratio * scaled).minimum(own_ratio.clamp(1 - clip, 1 + clip) * scaled)


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

    Args:
        log_ratio: (m, B), log of the own over the other's probability of the action taken.
        advantages: A_i (B,).
    """
    return (log_ratio.detach() * advantages > 0).to(advantages.dtype)


def squared_distance(left: Tensor, right: Tensor) -> Tensor:
    """||left - right||^2 over the actions: (..., A) and (..., A) give (...)."""
    return (left - right).square().sum(dim=-1)


def entropy(log_probabilities: Tensor) -> Tensor:
    """Entropy in nats of distributions over the last axis."""
    return -(log_probabilities.exp() * log_probabilities).sum(dim=-1)
