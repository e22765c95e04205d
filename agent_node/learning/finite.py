"""What an agent learns from has to be finite: a loss or gradient that is not ends it, before it spoils its networks."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from agent_node.learning.round import Draws
from broker.errors import UserCodeRefused

_ADVICE = "try lower learning rates (learning.actor_learning_rate, learning.critic_learning_rate) or smaller rewards"


def require_finite(now: Draws, algorithm: str, losses: Mapping[str, float], gradient: Tensor) -> None:
    """See that an update can be made.

    Args:
        now: Whose, and in which round of which episode.
        algorithm: Its name.
        losses: By name.
        gradient: (networks, parameters) float32.

    Raises:
        UserCodeRefused: A loss, or a number of the gradient, is NaN or infinite.
    """
    found = {name: value for name, value in losses.items() if not math.isfinite(value)}
    whole = bool(torch.isfinite(gradient).all())
    if found or not whole:
        what = ", ".join(f"{name} is {value}" for name, value in found.items()) or "the gradient is not finite"
        where = f"round {now.round} of episode {now.episode}"
        raise UserCodeRefused(now.agent, f"{what} with {algorithm} in {where}: {_ADVICE}")
