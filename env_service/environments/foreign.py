"""The border to PettingZoo: opening a foreign environment, and what its agents do and see.

What cannot be served is refused here, when a scenario is loaded, with the path of the setting to change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete
from gymnasium.spaces.utils import flatdim, flatten
from numpy.typing import ArrayLike

from broker.errors import ScenarioError, UserCodeFailed
from broker.user_code import UserCode, is_failure, on_one_line
from broker.wire.messages import ENVIRONMENT
from env_service.config import PettingZooConfig
from env_service.environments.action_masks import SeenSpace
from env_service.environments.given import by_agent, name_of, numbers_of, observation_of, refused, shown
from env_service.environments.task import Float

Observations = Mapping[str, Any]

_FLAT_SPACES = (Box, Discrete, MultiBinary, MultiDiscrete)


class ForeignEnvironment(Protocol):
    """The part of PettingZoo's `ParallelEnv` that is used here."""

    agents: list[str]
    possible_agents: list[str]

    def reset(self, seed: int | None = None) -> tuple[Observations, object]:
        """Start an episode: observations and infos."""

    def step(
        self, actions: dict[str, int]
    ) -> tuple[Observations, dict[str, float], dict[str, bool], dict[str, bool], object]:
        """Advance: observations, rewards, terminations, truncations and infos."""

    def state(self) -> ArrayLike:
        """The global state."""

    def action_space(self, agent: str) -> object:
        """What `agent` can do."""

    def observation_space(self, agent: str) -> object:
        """What `agent` can see."""

    def close(self) -> None:
        """Release what it holds."""


Build = Callable[..., ForeignEnvironment]


def calling(config: PettingZooConfig, call: str) -> AbstractContextManager[None]:
    """Call a foreign environment; what it raises becomes a sentence."""
    return UserCode(ENVIRONMENT, config.env, config.env).calling(call)


def find_builder(config: PettingZooConfig) -> Build:
    """Import the module and find its `parallel_env`.

    Raises:
        ScenarioError: It cannot be imported, or it has none.
    """
    try:
        module = import_module(config.env)
    except (Exception, SystemExit) as error:
        if not is_failure(error):
            raise
        package = (getattr(error, "name", None) or config.env).partition(".")[0]  # often a dependency of the module
        problem = f"cannot import {config.env} ({error}). Correct the name, or install it: `pip install {package}`"
        raise ScenarioError("environment.env", problem) from error
    build: Build | None = getattr(module, "parallel_env", None)
    if not callable(build):
        problem = f"expected a module with a function `parallel_env`, found none in {config.env}"
        raise ScenarioError("environment.env", problem)
    return build


def open_environment(config: PettingZooConfig, build: Build) -> ForeignEnvironment:
    """Call `build` with the options.

    Raises:
        ScenarioError: It is not a PettingZoo parallel environment, or it refuses the options.
    """
    try:
        environment = build(**config.options)
    except (Exception, SystemExit) as error:
        if not is_failure(error):
            raise
        path = "environment.options" if config.options else "environment.env"
        problem = f"{config.env}.parallel_env refused {config.options}: {type(error).__name__}: {error}"
        raise ScenarioError(path, problem) from error
    with calling(config, "possible_agents"):
        agents = list(getattr(environment, "possible_agents", None) or ())
        different = len(set(agents))
    if not agents:
        raise ScenarioError("environment.env", f"expected possible_agents to name the agents, {config.env} has none")
    if different < len(agents):
        named = ", ".join(map(name_of, agents))
        raise ScenarioError("environment.env", f"expected possible_agents to name each agent once, found {named}")
    return environment


def discrete_actions(config: PettingZooConfig, environment: ForeignEnvironment) -> list[tuple[int, int]]:
    """First action and number of actions of each agent, in agent order.

    Raises:
        ScenarioError: An action space is not discrete.
    """
    actions = []
    for agent in environment.possible_agents:
        with calling(config, "action_space()"):
            space = environment.action_space(agent)
        if not isinstance(space, Discrete):
            problem = f"expected Discrete actions, found {space} for {name_of(agent)} of {config.env}"
            raise ScenarioError("environment.env", problem)
        actions.append((int(space.start), int(space.n)))
    return actions


class StateView:
    """Every agent sees the global state.

    Attributes:
        size: S.
        seen: (E, S) float32, the last state of each copy.

    Raises:
        ScenarioError: The environment has no state, or one that is not an array of numbers.
    """

    def __init__(self, config: PettingZooConfig, environments: Sequence[ForeignEnvironment]) -> None:
        self._config = config
        first = environments[0]
        with calling(config, "reset(seed=...)"):
            first.reset(seed=0)  # many environments have no state before their first episode
        self.size = self._first_state(first).size
        if not self.size:
            raise ScenarioError("environment.observation", f"expected a state of at least one number in {config.env}")
        self.seen: Float = np.zeros((len(environments), self.size), np.float32)

    def look(self, copy: int, environment: ForeignEnvironment, _observations: Observations, step: int) -> None:
        """Take what is to be seen now in `copy`."""
        with calling(self._config, "state()"):
            state = environment.state()
        numbers = numbers_of(f"state at step {step}", state)
        if numbers.size != self.size:
            problem = (
                f"state() of {self._config.env} must keep its size, found {self.size} numbers, then {numbers.size}"
            )
            raise ScenarioError("environment.observation", problem)
        self.seen[copy] = numbers.ravel()

    def _first_state(self, environment: ForeignEnvironment) -> Float:
        try:
            with calling(self._config, "state()"):
                return np.asarray(environment.state(), np.float32).ravel()
        except UserCodeFailed as failure:
            error = failure.__cause__
            if not isinstance(error, NotImplementedError | AttributeError | TypeError | ValueError):
                raise
            problem = f'{self._config.env} has no state() of numbers ({error}). Set environment.observation = "own"'
            raise ScenarioError("environment.observation", problem) from error


class OwnView:
    """Every agent sees its own observation, flattened (a discrete one as one-hot); a mask in it is not seen.

    Attributes:
        size: S.
        seen: (E, N, S) float32, the last observation of each agent in each copy; zeros before its first.

    Raises:
        ScenarioError: An observation is not a flat array, or they differ in size.
    """

    def __init__(self, config: PettingZooConfig, environments: Sequence[ForeignEnvironment]) -> None:
        agents = environments[0].possible_agents
        with calling(config, "observation_space()"):
            self._spaces = {agent: SeenSpace.of(environments[0].observation_space(agent)) for agent in agents}
        self._names = {agent: name_of(agent) for agent in agents}
        sizes = [self._flat_size(config, agent) for agent in agents]
        for agent, size in zip(agents, sizes, strict=True):
            if size != sizes[0]:
                problem = (
                    f"all agents must see the same number of values, but in {config.env} {self._names[agents[0]]} sees "
                    f'{sizes[0]} and {self._names[agent]} sees {size}. Set environment.observation = "state"'
                )
                raise ScenarioError("environment.observation", problem)
        self.size = sizes[0]
        self.seen: Float = np.zeros((len(environments), len(agents), self.size), np.float32)

    def look(self, copy: int, environment: ForeignEnvironment, observations: Observations, step: int) -> None:
        """Take what is to be seen now in `copy`."""
        observations = by_agent(observations, "observations", step)
        for index, (agent, seen) in enumerate(self._spaces.items()):
            what = f'observation of "{self._names[agent]}" at step {step}'
            if agent in observations:
                flat = _flat(what, seen.space, seen.part(what, observations[agent]))
                self.seen[copy, index] = observation_of(what, flat, self.size)
            elif step == 0 and agent in environment.agents:
                raise refused(f"{what} is missing, although the agent is there")

    def _flat_size(self, config: PettingZooConfig, agent: str) -> int:
        space, name = self._spaces[agent].space, self._names[agent]
        if not isinstance(space, _FLAT_SPACES):
            problem = f"expected a flat observation (Box, Discrete), found {space} for {name} of {config.env}"
            raise ScenarioError("environment.observation", problem)
        size = int(flatdim(space))
        if not size:
            problem = f"expected an observation of at least one number, found {space} for {name} of {config.env}"
            raise ScenarioError("environment.observation", problem)
        return size


def _flat(what: str, space: object, given: object) -> Float:
    """An observation as its space flattens it: a discrete one as one-hot."""
    if isinstance(space, Box):
        numbers_of(what, given)  # as it is given: a cast to whole numbers would hide what is none
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            flat = flatten(space, given)
    except (IndexError, TypeError, ValueError) as error:
        raise refused(f"{what} is {shown(given)}, which does not fit {space}: {on_one_line(str(error))}") from error
    return np.asarray(numbers_of(what, flat), np.float32)
