"""What an agent learns from has to be finite: a loss or gradient that is not ends it, before it spoils its networks."""

from __future__ import annotations

import math
from collections.abc import Mapping

from agent_node.learning.round import Draws
from broker.errors import UserCodeRefused

_ADVICE = (
    "try lower learning rates (learning.actor_learning_rate, learning.critic_learning_rate), smaller weights (such as "
    "algorithm.anticipation_sharing.rho or learning.entropy_bonus) or smaller rewards"
)


def require_finite(now: Draws, algorithm: str, losses: Mapping[str, float]) -> None:
    """See that an update can be made.

    Args:
        now: Whose, and in which round of which episode.
        algorithm: Its name.
        losses: By name.

    Raises:
        UserCodeRefused: A loss is NaN or infinite.
    """
    found = {name: value for name, value in losses.items() if not math.isfinite(value)}
    if found:
        raise _refused(now, algorithm, ", ".join(f"{name} is {value}" for name, value in found.items()))


def require_finite_gradient(now: Draws, algorithm: str, finite: bool) -> None:
    """The same of a gradient, once `Stack.descend` has said whether it was finite and, if not, has moved nothing."""
    if not finite:
        raise _refused(now, algorithm, "the gradient is not finite")


def _refused(now: Draws, algorithm: str, what: str) -> UserCodeRefused:
    where = f"round {now.round} of episode {now.episode}"
    return UserCodeRefused(now.agent, f"{what} with {algorithm} in {where}: {_ADVICE}")
