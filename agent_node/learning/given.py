"""What an algorithm gives is looked at where it is taken: what nobody can use ends the agent.

A share that is not what the algorithm says would be refused by all who hear it, and the agent would learn as one alone.
What an agent learns from has to be finite: a loss or gradient that is not would spoil its networks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from agent_node.learning.network_sizes import Networks
from agent_node.learning.round import Draws, Mixed
from agent_node.learning.shares import check_form, check_real
from broker.errors import ProtocolViolation, UserCodeRefused

_WIDEST_BYTES = 8
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


def require_kept(agent: str, algorithm: str, kept: object) -> None:
    """See that what an algorithm keeps can stand in a checkpoint.

    Args:
        agent: Whose.
        algorithm: Its name.
        kept: As it begins.

    Raises:
        UserCodeRefused: It is something else than arrays of numbers by name.
    """
    problem = "" if isinstance(kept, dict) else f"found {type(kept).__name__}"
    for name, array in kept.items() if isinstance(kept, dict) else ():
        if not isinstance(name, str):
            problem = f"found the name {name!r:.80}"
        elif not isinstance(array, np.ndarray):
            problem = f"found {type(array).__name__} as {name}"
        elif array.dtype.kind not in "biuf" or array.dtype.itemsize > _WIDEST_BYTES:
            problem = f"found {array.dtype} as {name}"
    if problem:
        raise UserCodeRefused(agent, f"keeps() of {algorithm}: expected arrays of numbers by name, {problem}")


def require_mixed(now: Draws, algorithm: str, mixed: Mixed, samples: int, networks: Networks) -> None:
    """See that what is mixed fits into the place of the agent's own.

    Args:
        now: Whose, and in which round of which episode.
        algorithm: Its name.
        mixed: What it gave.
        samples: B.
        networks: Those that the agent holds.

    Raises:
        UserCodeRefused: It is of another form, or parameters are not finite.
    """
    with Taking(now, f"mix() of {algorithm}"):
        for name, found in (("advantages", mixed.advantages), ("rewards", mixed.rewards)):
            if found is not None:
                check_form(name, found, (samples,))
        if mixed.critic is not None:
            check_real("critic", mixed.critic, (networks.critic.size,))
        if mixed.policies is not None:
            check_real("policies", mixed.policies, (len(networks.modeled), networks.actor.size))
        for name, found in mixed.estimators.items():
            if name not in networks.estimators:
                known = ", ".join(networks.estimators) or "none"
                raise ProtocolViolation(f"expected estimators among {known}, found {name!r}")
            check_real(f"estimator {name}", found, (networks.estimators[name].size,))


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
