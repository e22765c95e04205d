"""Action masks as PettingZoo environments give them: beside what an agent sees in its observation, or in its info.

observations[agent] = {"observation": ..., "action_mask": mask}     or     infos[agent] = {"action_mask": mask}

A mask is a 1 or 0 for each action; where an action has parts, for each combination, or one mask for each part, as
gymnasium's `sample(mask)` takes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TypeGuard

import numpy as np
from gymnasium.spaces import Dict, Discrete, MultiDiscrete, Tuple
from numpy.typing import NDArray

from env_service.environments.actions import NumberedActions, number_actions
from env_service.environments.given import mask_of, name_of, numbers_of, refused, shown
from env_service.environments.task import Flags, all_possible

MASK = "action_mask"


@dataclass(frozen=True)
class SeenSpace:
    """What an agent sees of its observations: all of them, but for a mask.

    Attributes:
        space: Of what it sees.
        names: Of the parts of an observation that it sees; empty where there is no mask to leave out.
    """

    space: object
    names: tuple[str, ...]

    @classmethod
    def of(cls, space: object) -> SeenSpace:
        """What an agent sees whose observations are of `space`."""
        if not isinstance(space, Dict) or MASK not in space.spaces:
            return cls(space, ())
        seen = {name: part for name, part in space.spaces.items() if name != MASK}
        return cls(next(iter(seen.values())) if len(seen) == 1 else Dict(seen), tuple(seen))

    def part(self, what: str, given: object) -> object:
        """What is seen of the observation `given`.

        Raises:
            UserCodeRefused: It lacks a part, the mask among them.
        """
        if not self.names:
            return given
        expected = (*self.names, MASK)
        if not isinstance(given, Mapping) or any(name not in given for name in expected):
            raise refused(f"{what} is {shown(given)}, expected a dict with {', '.join(expected)}")
        seen = {name: given[name] for name in self.names}
        return seen if len(seen) > 1 else next(iter(seen.values()))


class ActionMasks:
    """What the agents of E copies may do now.

    Attributes:
        possible: (E, N, A) uint8. A live agent of which nothing is said at a step may do anything; so may one that is
            not there, for it has no choice to make.

    Args:
        agents: N names.
        actions: Of each.
        copies: E.
        turns: Whether an agent that can do nothing waits; else that is refused.
    """

    def __init__(
        self, agents: tuple[str, ...], actions: Sequence[NumberedActions], copies: int, *, turns: bool
    ) -> None:
        self._agents, self._actions, self._turns = agents, tuple(actions), turns
        self._all = all_possible(tuple(each.count for each in actions))
        self.possible: Flags = np.repeat(self._all[None], copies, axis=0)

    def look(self, copy: int, live: Sequence[bool], observations: object, infos: object, step: int) -> None:
        """Take what the environment says at a step of those of its N agents that are `live`.

        Raises:
            UserCodeRefused: It is no mask, or two that differ.
        """
        self.possible[copy] = self._all
        for index in (index for index, lives in enumerate(live) if lives):
            agent, actions = self._agents[index], self._actions[index]
            what, count = f'action mask of "{name_of(agent)}" at step {step}', actions.count
            given = [_of_combinations(what, actions.space, each) for each in masks_in(agent, observations, infos)]
            masks = [mask_of(what, each, count, waits=self._turns) for each in given]
            if masks and not np.array_equal(masks[0], masks[-1]):
                raise refused(
                    f'action masks of "{name_of(agent)}" at step {step} differ in its observation and its info'
                )
            if masks:
                self.possible[copy, index, :count] = masks[0]


def _of_combinations(what: str, space: object, given: object) -> object:
    """A mask of every combination, the last part changing fastest, where one for each part is `given`."""
    parts: list[tuple[object, object]] = []
    if isinstance(space, Dict) and isinstance(given, Mapping):
        parts = [(part, given.get(name)) for name, part in space.spaces.items()]
    elif isinstance(space, Tuple) and isinstance(given, tuple):
        parts = list(zip(space.spaces, given, strict=False))
    elif isinstance(space, MultiDiscrete) and isinstance(given, tuple):
        inner = _inner_masks(what, given, space.nvec.ndim)
        parts = list(zip(map(Discrete, space.nvec.ravel()), inner, strict=False))
    if not parts:
        return given
    return reduce(np.multiply.outer, (_of_part(what, inner, part) for inner, part in parts)).ravel()


def _inner_masks(what: str, given: object, depth: int) -> list[object]:
    """The masks of a MultiDiscrete space of so many dimensions, one behind the other."""
    if not depth:
        return [given]
    if not isinstance(given, tuple | list | np.ndarray):
        raise refused(f"{what} has {shown(given)} in it, expected a mask for each part of the action")
    return [mask for each in given for mask in _inner_masks(what, each, depth - 1)]


def _of_part(what: str, space: object, given: object) -> NDArray[np.floating]:
    """A mask of each choice in a part of an action."""
    numbers, actions = numbers_of(what, _of_combinations(what, space, given)), number_actions(space)
    if actions is not None and numbers.shape != (actions.count,):
        raise refused(f"{what} has a part of shape {numbers.shape}, expected ({actions.count},) for {space}")
    return numbers


def masks_in(agent: str, observations: object, infos: object) -> list[object]:
    """The masks that are given of an agent: none, or that in its observation, in its info, or both."""
    found = []
    for part in (observations, infos):
        given = part.get(agent) if _is_dict(part) else None
        if type(given) is not np.ndarray and _is_dict(given) and MASK in given:
            found.append(given[MASK])
    return found


def _is_dict(given: object) -> TypeGuard[Mapping[str, object]]:
    return type(given) is dict or (given is not None and isinstance(given, Mapping))


def refuse_masks(agents: Sequence[str], observations: object, infos: object, step: int) -> None:
    """Refuse masks that come although there was none after the first reset: nobody is ready to hear of them.

    Raises:
        UserCodeRefused: Says what to set.
    """
    for agent in agents:
        if masks_in(agent, observations, infos):
            raise refused(
                f'action mask of "{name_of(agent)}" at step {step}, although no agent had one after the first reset. '
                f'Set environment.action_masks = "on"'
            )
