"""The border to PettingZoo: opening a foreign environment, and what its agents do and see.

What cannot be served is refused here, when a scenario is loaded, with the path of the setting to change.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Protocol

import numpy as np
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete
from gymnasium.spaces.utils import flatdim, flatten
from numpy.typing import ArrayLike

from broker.errors import ScenarioError
from env_service.config import PettingZooConfig
from env_service.environments.task import Float

Observations = dict[str, ArrayLike]

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


def open_environment(config: PettingZooConfig) -> ForeignEnvironment:
    """Import the module and call its `parallel_env` with the options.

    Raises:
        ScenarioError: It cannot be imported, or it is not a PettingZoo parallel environment, or it refuses the options.
    """
    try:
        module = import_module(config.env)
    except Exception as error:
        package = (getattr(error, "name", None) or config.env).partition(".")[0]  # often a dependency of the module
        problem = f"cannot import {config.env} ({error}). Correct the name, or install it: `pip install {package}`"
        raise ScenarioError("environment.env", problem) from error
    build = getattr(module, "parallel_env", None)
    if not callable(build):
        problem = f"expected a module with a function `parallel_env`, found none in {config.env}"
        raise ScenarioError("environment.env", problem)
    try:
        environment: ForeignEnvironment = build(**config.options)
    except Exception as error:
        path = "environment.options" if config.options else "environment.env"
        problem = f"{config.env}.parallel_env refused {config.options}: {type(error).__name__}: {error}"
        raise ScenarioError(path, problem) from error
    if not getattr(environment, "possible_agents", None):
        raise ScenarioError("environment.env", f"expected possible_agents to name the agents, {config.env} has none")
    return environment


def discrete_actions(config: PettingZooConfig, environment: ForeignEnvironment) -> list[tuple[int, int]]:
    """First action and number of actions of each agent, in agent order.

    Raises:
        ScenarioError: An action space is not discrete.
    """
    actions = []
    for agent in environment.possible_agents:
        space = environment.action_space(agent)
        if not isinstance(space, Discrete):
            problem = f"expected Discrete actions, found {space} for {agent} of {config.env}"
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
        self._env = config.env
        first = environments[0]
        first.reset(seed=0)  # many environments have no state before their first episode
        self.size = self._state(first).size
        self.seen: Float = np.zeros((len(environments), self.size), np.float32)

    def look(self, copy: int, environment: ForeignEnvironment, _observations: Observations) -> None:
        """Take what is to be seen now in `copy`."""
        state = self._state(environment)
        if state.size != self.size:
            problem = f"state() of {self._env} must keep its size, found {self.size} numbers, then {state.size}"
            raise ScenarioError("environment.observation", problem)
        self.seen[copy] = state

    def _state(self, environment: ForeignEnvironment) -> Float:
        try:
            return np.asarray(environment.state(), np.float32).ravel()
        except (NotImplementedError, AttributeError, TypeError, ValueError) as error:
            problem = f'{self._env} has no state() of numbers ({error}). Set environment.observation = "own"'
            raise ScenarioError("environment.observation", problem) from error


class OwnView:
    """Every agent sees its own observation, flattened (a discrete one as one-hot).

    Attributes:
        size: S.
        seen: (E, N, S) float32, the last observation of each agent in each copy; zeros before its first.

    Raises:
        ScenarioError: An observation is not a flat array, or they differ in size.
    """

    def __init__(self, config: PettingZooConfig, environments: Sequence[ForeignEnvironment]) -> None:
        agents = environments[0].possible_agents
        self._spaces = {agent: environments[0].observation_space(agent) for agent in agents}
        sizes = [self._flat_size(config, agent) for agent in agents]
        for agent, size in zip(agents, sizes, strict=True):
            if size != sizes[0]:
                problem = (
                    f"all agents must see the same number of values, but in {config.env} {agents[0]} sees {sizes[0]} "
                    f'and {agent} sees {size}. Set environment.observation = "state"'
                )
                raise ScenarioError("environment.observation", problem)
        self.size = sizes[0]
        self.seen: Float = np.zeros((len(environments), len(agents), self.size), np.float32)

    def look(self, copy: int, _environment: ForeignEnvironment, observations: Observations) -> None:
        """Take what is to be seen now in `copy`."""
        for index, (agent, space) in enumerate(self._spaces.items()):
            if agent in observations:
                self.seen[copy, index] = flatten(space, observations[agent])

    def _flat_size(self, config: PettingZooConfig, agent: str) -> int:
        space = self._spaces[agent]
        if not isinstance(space, _FLAT_SPACES):
            problem = f"expected a flat observation (Box, Discrete), found {space} for {agent} of {config.env}"
            raise ScenarioError("environment.observation", problem)
        return int(flatdim(space))
