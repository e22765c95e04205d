"""The border to PettingZoo: opening a foreign environment, and what its agents do and see.

What cannot be served is refused here, when a scenario is loaded, with the path of the setting to change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from broker.counting import counted
from broker.errors import ScenarioError, UserCodeFailed
from broker.user_code import UserCode
from broker.wire.messages import ENVIRONMENT
from env_service.config import PettingZooConfig
from env_service.environments.action_masks import SeenSpace
from env_service.environments.actions import NumberedActions, number_actions
from env_service.environments.given import (
    by_agent,
    name_of,
    numbers_of,
    observation_of,
    of_many_sizes,
    refused,
    require_few_actions,
)
from env_service.environments.observed import flat, is_row, size_of
from env_service.environments.task import Float

Observations = Mapping[str, Any]

_CONTINUOUS = ("continuous_actions", "continuous")
"""What environments call the option that decides it."""


class ForeignEnvironment(Protocol):
    """The part of PettingZoo's `ParallelEnv` that is used here."""

    agents: list[str]
    possible_agents: list[str]

    def reset(self, seed: int | None = None) -> tuple[Observations, object]:
        """Start an episode: observations and infos."""

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[Observations, dict[str, float], dict[str, bool], dict[str, bool], object]:
        """Advance: observations, rewards, terminations, truncations and infos."""

    def state(self) -> ArrayLike:
        """The global state."""

    def action_space(self, agent: str) -> object:
        """What `agent` can do."""

    def observation_space(self, agent: str) -> object:
        """What `agent` can see."""

    def render(self) -> object:
        """What it shows of itself, by its render mode."""

    def close(self) -> None:
        """Release what it holds."""


def calling(config: PettingZooConfig, call: str) -> AbstractContextManager[None]:
    """Call a foreign environment; what it raises becomes a sentence."""
    return UserCode(ENVIRONMENT, config.env, config.env).calling(call)


def numbered_actions(config: PettingZooConfig, environment: ForeignEnvironment) -> list[NumberedActions]:
    """What each agent can do, in agent order.

    Raises:
        ScenarioError: Its actions cannot be numbered, or are too many.
    """
    actions = []
    for agent in environment.possible_agents:
        with calling(config, "action_space()"):
            space = environment.action_space(agent)
        numbered = number_actions(space)
        if numbered is None:
            path, hint = _instead_of_continuous(config)
            problem = (
                f"expected Discrete actions or combinations of such, found {space} for {name_of(agent)} of "
                f"{config.env}. {hint}"
            )
            raise ScenarioError(path, problem)
        whose = f"in {space} for {name_of(agent)} of {config.env}"
        require_few_actions(numbered.count, f"{whose}. Let it choose among fewer")
        actions.append(numbered)
    return actions


def _instead_of_continuous(config: PettingZooConfig) -> tuple[str, str]:
    """What to do about continuous actions, and where in the document."""
    for name in _CONTINUOUS:
        if config.options.get(name) is True:
            return f"environment.options.{name}", f"Set {name} = false"
    hint = "Make them discrete, each a choice among some of them: docs/environments.md shows how"
    return "environment.env", f"{hint}; some environments have an option for it, such as {' or '.join(_CONTINUOUS)}"


class StateView:
    """Every agent sees the global state.

    Attributes:
        size: S.
        seen: (E, S) float32, the last state of each copy.

    Raises:
        ScenarioError: The environment has no state, or one that is not an array of numbers.
    """

    def __init__(self, config: PettingZooConfig, environments: Sequence[ForeignEnvironment]) -> None:
        self._config, self._environments = config, environments
        first = environments[0]
        with calling(config, "reset(seed=...)"):
            first.reset(seed=0)  # many environments have no state before their first episode
        self.size = self._first_state(first).size
        if not self.size:
            raise ScenarioError("environment.observation", f"expected a state of at least one number in {config.env}")
        self.seen: Float = np.zeros((len(environments), self.size), np.float32)
        self._asking = calling(config, "state()")

    def look(self, copy: int, _known: Sequence[bool], _observations: Observations, step: int) -> None:
        """Take what is to be seen now in `copy`."""
        with self._asking:
            state = self._environments[copy].state()
        numbers = numbers_of(f"state at step {step}", state)
        if numbers.size != self.size:
            found = counted(numbers.size, "number")
            raise refused(f"state at step {step} has {found}, expected {self.size} as at first")
        self.seen[copy] = numbers.ravel()

    def _first_state(self, environment: ForeignEnvironment) -> Float:
        try:
            with calling(self._config, "state()"):
                return np.asarray(environment.state(), np.float32).ravel()
        except UserCodeFailed as failure:
            error = failure.__cause__
            if not isinstance(error, NotImplementedError | AttributeError | TypeError | ValueError):
                raise
            hint = _instead_of_state(self._config, environment)
            problem = f"{self._config.env} has no state() of numbers ({error}). {hint}"
            raise ScenarioError("environment.observation", problem) from error


class OwnView:
    """Every agent sees its own observation, flattened; a mask in it is not seen.

    Attributes:
        size: S; with "padded", that of the longest.
        seen: (E, N, S) float32, the last observation of each agent in each copy; zeros before its first, and behind the
            end of a shorter one.

    Raises:
        ScenarioError: An observation is no array of a fixed size, or they differ in size and are not to be padded.
    """

    def __init__(self, config: PettingZooConfig, environments: Sequence[ForeignEnvironment]) -> None:
        first = environments[0]
        self._spaces = _spaces(config, first)
        self._sizes = [_flat_size(config, agent, seen.space) for agent, seen in self._spaces.items()]
        self.size = max(self._sizes)
        if min(self._sizes) < self.size and config.observation != "padded":
            instead = ' or "state", which all see' if _has_state(config, first) else ""
            raise of_many_sizes(config.env, list(map(name_of, first.possible_agents)), self._sizes, instead)
        self.seen: Float = np.zeros((len(environments), len(self._sizes), self.size), np.float32)
        self._rows = tuple(self._spaces)
        self._are_rows = all(is_row(seen.space) and not seen.names for seen in self._spaces.values())

    def look(self, copy: int, known: Sequence[bool], observations: Observations, step: int) -> None:
        """Take what is to be seen now in `copy`, at least by those of its N agents that are `known`."""
        observations = by_agent(observations, "observations", step)
        if not (self._are_rows and self._take_rows(self.seen[copy], observations)):
            self._take_all(self.seen[copy], known, observations, step)

    def _take_rows(self, seen: Float, observations: Observations) -> bool:
        """Take into `seen` (N, S) what is flat as it is; False, and nothing taken for good, where anything is not."""
        for index, agent in enumerate(self._rows):
            given = observations.get(agent)
            if type(given) is not np.ndarray or given.dtype != np.float32 or given.shape != (self._sizes[index],):
                return False
            seen[index, : len(given)] = given
        return bool(np.isfinite(seen).all())

    def _take_all(self, seen: Float, known: Sequence[bool], observations: Observations, step: int) -> None:
        """Take what agents see into `seen` (N, S), each flattened as its space says."""
        for index, (agent, its) in enumerate(self._spaces.items()):
            what = f'observation of "{name_of(agent)}" at step {step}'
            if agent in observations:
                size = self._sizes[index]
                numbers = flat(what, its.space, its.part(what, observations[agent]))
                seen[index, :size] = observation_of(what, numbers, size)
            elif known[index]:
                raise refused(f"{what} is missing, although the agent is there")


def _spaces(config: PettingZooConfig, environment: ForeignEnvironment) -> dict[str, SeenSpace]:
    with calling(config, "observation_space()"):
        return {agent: SeenSpace.of(environment.observation_space(agent)) for agent in environment.possible_agents}


def _flat_size(config: PettingZooConfig, agent: str, space: object) -> int:
    size, name = size_of(space), name_of(agent)
    if size is None:
        problem = (
            f"expected an observation that has a fixed size when it is flat, found {space} for {name} of {config.env}"
        )
        raise ScenarioError("environment.observation", problem)
    if not size:
        problem = f"expected an observation of at least one number, found {space} for {name} of {config.env}"
        raise ScenarioError("environment.observation", problem)
    return size


def _has_state(config: PettingZooConfig, environment: ForeignEnvironment) -> bool:
    """Whether `state()` gives numbers, after a reset."""
    try:
        with calling(config, "reset(seed=...)"):
            environment.reset(seed=0)
        with calling(config, "state()"):
            return np.asarray(environment.state(), np.float32).size > 0
    except UserCodeFailed:
        return False


def _instead_of_state(config: PettingZooConfig, environment: ForeignEnvironment) -> str:
    """What goes without a state."""
    sizes = {size_of(seen.space) for seen in _spaces(config, environment).values()}
    if None in sizes:
        return "Give it one: what its agents see themselves is no array of a fixed size"
    return f'Set environment.observation = "{"own" if len(sizes) == 1 else "padded"}"'
