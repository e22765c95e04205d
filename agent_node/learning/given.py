"""What an algorithm gives is looked at where it is taken: what nobody can use ends the agent.

A share that is not what the algorithm says would be refused by all who hear it, and the agent would learn as one alone.
What an agent learns from has to be finite: a loss or gradient that is not would spoil its networks. Where it has seen
numbers that no network learns from, or heard some far larger than its own, these are the likely cause, and not how it
learns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from agent_node.experience.rollout import Batch
from agent_node.learning.fields import Arrays, ShareShape
from agent_node.learning.network_sizes import Networks
from agent_node.learning.round import TAKEN_NAMES, Draws, Loss, Mixed
from agent_node.learning.shares import ShareFormat, check_form, largest_size
from broker.errors import ProtocolViolation, UserCodeRefused
from broker.wire.arrays import all_finite, all_within

_WIDEST_BYTES = 8
_FAR_LARGER = 1000
"""Times the agent's own, or 1 if these are smaller: neighbors that learn alike do not come to be so far apart."""
_MOST_LEARNED = 1e9
"""No network comes to terms with observations or rewards beyond it: squares of their products leave float32."""
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


def require_parts(loss: Loss) -> None:
    """See that the parts of a loss have names of their own in the record of a round.

    Raises:
        ProtocolViolation: Says which has not.
    """
    if taken := TAKEN_NAMES & loss.parts.keys():
        known = ", ".join(sorted(TAKEN_NAMES))
        raise ProtocolViolation(f"parts: expected other names than {known}, found {min(taken)!r}")


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


class _Heard(NamedTuple):
    """Numbers far larger than the agent's own.

    Attributes:
        size: Of the largest.
        own: Of the largest of the agent's own in that round.
        name: Of the array.
        source: Whose share it was in.
        where: In which round of which episode.
    """

    size: float
    own: float
    name: str
    source: str
    where: str


class _Seen(NamedTuple):
    """Numbers of the environment beyond all that networks learn from.

    Attributes:
        size: Of the largest.
        name: Of the array.
        episode: In which it was.
    """

    size: float
    name: str
    episode: int


class Finite:
    """See that what one agent learns from is finite, and where it is not, say what to do.

    Args:
        share_format: What it hears.
    """

    def __init__(self, share_format: ShareFormat) -> None:
        self._format, self._algorithm = share_format, share_format.algorithm.name
        self._heard: _Heard | None = None
        self._seen: _Seen | None = None

    def see(self, episode: int, batch: Batch) -> None:
        """Remember the largest numbers of the environment so far, if no network could learn from them.

        Args:
            episode: From 0.
            batch: What was seen in it.
        """
        for name, array in (("rewards", batch.own_rewards), ("observations", batch.observations)):
            if not all_within(array.reshape(-1), _MOST_LEARNED):
                size = largest_size(array)
                if self._seen is None or size > self._seen.size:
                    self._seen = _Seen(size, name, episode)

    def hear(
        self, now: Draws, shares: Mapping[str, Arrays], own: Mapping[str, Arrays], edges: Mapping[str, ShareShape]
    ) -> None:
        """Remember whose share had the largest numbers so far, if any were far larger than the own ones.

        Args:
            now: Whose ears, and in which round of which episode.
            shares: By partner, those that are about to be mixed.
            own: By partner, what the agent itself shares in the round.
            edges: What both ends know of a share, by partner.
        """
        for source, arrays in shares.items():
            for name, size in self._format.beyond(_FAR_LARGER, arrays, edges[source]).items():
                largest = max((largest_size(each[name]) for each in own.values() if name in each), default=0.0)
                if size > max(_FAR_LARGER * max(largest, 1), self._heard.size if self._heard else 0):
                    self._heard = _Heard(size, largest, name, source, _where(now))

    def require_mixed(self, now: Draws, mixed: Mixed, samples: int, networks: Networks) -> None:
        """See that what is mixed fits into the place of the agent's own.

        Args:
            now: Whose, and in which round of which episode.
            mixed: What the algorithm gave.
            samples: B.
            networks: Those that the agent holds.

        Raises:
            UserCodeRefused: It is of another form, or parameters are not finite.
        """
        call, parameters = f"mix() of {self._algorithm}", dict[str, np.ndarray]()
        with Taking(now, call):
            for name, found in (("advantages", mixed.advantages), ("rewards", mixed.rewards)):
                if found is not None:
                    check_form(name, found, (samples,))
            if mixed.critic is not None:
                check_form("critic", mixed.critic, (networks.critic.size,))
                parameters["critic"] = mixed.critic
            if mixed.policies is not None:
                check_form("policies", mixed.policies, (len(networks.modeled), networks.actor.size))
                parameters["policies"] = mixed.policies
            for name, found in mixed.estimators.items():
                if name not in networks.estimators:
                    known = ", ".join(networks.estimators) or "none"
                    raise ProtocolViolation(f"expected estimators among {known}, found {name!r}")
                check_form(f"estimator {name}", found, (networks.estimators[name].size,))
                parameters[f"estimator {name}"] = found
        for name, found in parameters.items():
            if not all_finite(found.reshape(-1)):
                problem = f"{name}: expected finite numbers, found NaN or infinity"
                raise UserCodeRefused(now.agent, f"{call} in {_where(now)}: {problem}{self._after()}")

    def require_losses(self, now: Draws, losses: Mapping[str, float]) -> None:
        """See that an update can be made.

        Args:
            now: Whose, and in which round of which episode.
            losses: By name.

        Raises:
            UserCodeRefused: A loss is NaN or infinite.
        """
        found = {name: value for name, value in losses.items() if not math.isfinite(value)}
        if found:
            raise self._refused(now, ", ".join(f"{name} is {value}" for name, value in found.items()))

    def require_moved(self, now: Draws, moved: bool) -> None:
        """The same of a gradient, once `Stack.descend` has said whether it could take a step down it."""
        if not moved:
            raise self._refused(now, "the gradient or its square is not finite")

    def _refused(self, now: Draws, what: str) -> UserCodeRefused:
        problem = f"{what} with {self._algorithm} in {_where(now)}"
        return UserCodeRefused(now.agent, problem + (self._after() or f": {_ADVICE}"))

    def _after(self) -> str:
        """What was seen or heard before, and what to do about it; empty where nothing of it was far too large."""
        if self._seen is not None:
            size, name, episode = self._seen
            return (
                f", after {name} with numbers of a size up to {size:.3g} came from the environment in episode "
                f"{episode}: see what is wrong with the environment or on the way from there, or let it give numbers "
                f"far below {_MOST_LEARNED:.0e}"
            )
        if self._heard is None:
            return ""
        size, own, name, source, where = self._heard
        return (
            f", after {name} with numbers of a size up to {size:.3g} came from {source} in {where} (own ones: up to "
            f"{own:.3g}): see what is wrong with {source} or on the way from there, or set exchange.largest_number "
            f"(now {self._format.largest:.3g}) lower, so that such a share is rejected"
        )


def _where(now: Draws) -> str:
    return f"round {now.round} of episode {now.episode}"
