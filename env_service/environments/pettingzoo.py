"""Any PettingZoo parallel environment with discrete actions, as a task.

Shapes use E for parallel copies, N for possible agents, S for the size of an observation.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from broker.wire.messages import Ended
from env_service.config import PettingZooConfig
from env_service.environments.foreign import OwnView, StateView, discrete_actions, open_environment
from env_service.environments.task import Flags, Float, Integer, Outcome


class PettingZooTask:
    """E instances of one PettingZoo environment, stepped one after the other.

    An agent may end before the others: it gets no reward and takes no action from then on, and it keeps what it saw
    last. A copy is over when no agent is left in it, or after `steps` steps (truncated). Agents that are in no dict
    the environment returns, because they have not come yet, run with zero reward.

    Args:
        config: What to import and how to look at it.
        copies: E.

    Raises:
        ScenarioError: The environment cannot be had or cannot be served.
    """

    def __init__(self, config: PettingZooConfig, copies: int) -> None:
        self._environments = [open_environment(config) for _ in range(copies)]
        self._agents = tuple(self._environments[0].possible_agents)
        actions = discrete_actions(config, self._environments[0])
        self._first_actions = tuple(first for first, _ in actions)
        self.action_counts = tuple(count for _, count in actions)
        view = StateView if config.observation == "state" else OwnView
        self._view: StateView | OwnView = view(config, self._environments)
        self.observation_size = self._view.size
        self.steps = config.steps
        self.noop_action: int | None = None
        self._time = config.steps  # before the first reset every copy stands ended
        self._ended: Flags = np.full((copies, len(self._agents)), Ended.TRUNCATED, np.uint8)

    def reset(self, generator: Generator) -> None:
        """Start an episode in every copy, each with a seed of its own drawn from `generator`."""
        seeds = generator.integers(2**31, size=len(self._environments)).tolist()
        self._view.seen.fill(0)
        for copy, (environment, seed) in enumerate(zip(self._environments, seeds, strict=True)):
            observations, _ = environment.reset(seed=seed)
            self._view.look(copy, environment, observations)
        self._time = 0
        self._ended = np.zeros_like(self._ended)

    def step(self, actions: Integer) -> Outcome:
        """Advance every running copy; `actions` is (E, N) int64, of which only those of live agents count."""
        rewards: Float = np.zeros(self._ended.shape, np.float32)
        ended = self._ended.copy()
        self._time += 1
        for copy in np.flatnonzero((ended == Ended.RUNNING).any(axis=1)).tolist():
            self._advance(copy, actions[copy].tolist(), rewards[copy], ended[copy])
        if self._time >= self.steps:
            ended[ended == Ended.RUNNING] = Ended.TRUNCATED
        self._ended = ended
        return Outcome(rewards, ended)

    def observations(self) -> Float:
        """What agents see now: (E, S) float32 with "state", (E, N, S) with "own"."""
        return self._view.seen.copy()

    def positions(self) -> None:
        """A foreign environment does not tell where its agents are."""

    def close(self) -> None:
        """Close all copies."""
        for environment in self._environments:
            environment.close()

    def _advance(self, copy: int, actions: list[int], rewards: Float, ended: Flags) -> None:
        """Step one copy with `actions` of its N agents and write its row of `rewards` and `ended`, each (N,)."""
        environment = self._environments[copy]
        chosen = {
            agent: first + action
            for agent, first, action in zip(self._agents, self._first_actions, actions, strict=True)
            if agent in environment.agents
        }
        observations, gained, terminated, truncated, _ = environment.step(chosen)
        for index, agent in enumerate(self._agents):
            if ended[index] == Ended.RUNNING:
                rewards[index] = gained.get(agent, 0.0)
                ended[index] = _standing(terminated.get(agent, False), truncated.get(agent, False))
        if not environment.agents:
            ended[ended == Ended.RUNNING] = Ended.TERMINATED
        self._view.look(copy, environment, observations)


def _standing(terminated: bool, truncated: bool) -> Ended:
    if terminated:
        return Ended.TERMINATED
    return Ended.TRUNCATED if truncated else Ended.RUNNING
