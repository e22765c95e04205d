"""What an algorithm gives is looked at where it is taken: what nobody can use ends the agent.

A share that is not what the algorithm says would be refused by all who hear it, and the agent would learn as one alone.
What an agent learns from has to be finite: a loss or gradient that is not would spoil its networks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from agent_node.learning.round import Draws
from broker.errors import ProtocolViolation, UserCodeRefused

_ADVICE = (
    "try lower learning rates (learning.actor_learning_rate, learning.critic_learning_rate), smaller weights (such as "
    "algorithm.anticipation_sharing.rho or learning.entropy_bonus) or smaller rewards"
)


class Taking:
    """Take what an algorithm gives, within a `with`; what is not what it has to be is `UserCodeRefused`.

    Args:
        now: Whose, and in which round of which episode.
        call: Which part of which algorithm gives it, such as `mix() of value-sharing`.
    """

    __slots__ = ("_call", "_now")

    def __init__(self, now: Draws, call: str) -> None:
        self._now, self._call = now, call

    def __enter__(self) -> None: ...

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, ProtocolViolation):
            raise UserCodeRefused(self._now.agent, f"{self._call} in {_where(self._now)}: {error}") from None


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
    return UserCodeRefused(now.agent, f"{what} with {algorithm} in {_where(now)}: {_ADVICE}")


def _where(now: Draws) -> str:
    return f"round {now.round} of episode {now.episode}"
