"""A scenario of VMAS as a task: one game holds all parallel copies.

Shapes use E for parallel copies, N for agents, S for the size of an observation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from broker.arithmetic.draws import integers
from broker.counting import counted
from broker.wire.messages import Ended
from env_service.config import VmasConfig
from env_service.environments.given import numbers_of, of_many_sizes, refused, require_few_actions
from env_service.environments.task import Flags, Float, Integer, Outcome, Task
from env_service.environments.vmas.opening import calling, open_game

REMEMBERING = ("road_traffic", "wind_flocking")
"""Scenarios that keep something from one episode to the next: each episode gets a game of its own."""

_RUNNING, _TERMINATED, _TRUNCATED = map(int, Ended)  # numpy takes microseconds to read an IntEnum


class VmasTask(Task):
    """E copies of one scenario of VMAS, stepped together, with discrete actions.

    An action is one of all combinations of what VMAS allows in each dimension: of two dimensions, nothing or the most
    to either side in each, 9. A copy is over when VMAS says so (terminated), or after `steps` steps (truncated); VMAS
    plays it on, and nobody hears of it. All agents of a copy end together. What is drawn at random follows from the
    seed.

    Args:
        config: Which scenario, its options, and how to look at it.
        copies: E.
        seed: Of what is drawn while the game is made.

    Raises:
        ScenarioError: It cannot be had or cannot be served.
        UserCodeFailed: It raised.
    """

    def __init__(self, config: VmasConfig, copies: int, seed: int) -> None:
        self._config = config
        self._game, self._streams = open_game(config, copies, seed)
        self._resetting, self._stepping = calling(config, "reset()"), calling(config, "step()")
        self.agent_names = tuple(str(agent.name) for agent in self._game.agents)
        self.action_counts = tuple(int(space.n) for space in self._game.action_space)
        self.steps = config.steps
        self.noop_action: int | None = None
        self._check_actions()
        self._time = 0
        sizes = [self._flat(given, index, copies).shape[1] for index, given in enumerate(self._restarted(0))]
        self._seen = self._room(copies, sizes)
        self.observation_size = self._seen.shape[-1]
        self._parts = _parts_of(self._seen, sizes)
        self._positions: Float = np.zeros((copies, len(sizes), 2), np.float32)
        self._time = config.steps  # before the first reset every copy stands ended
        self._ended: Flags = np.full((copies, len(sizes)), _TRUNCATED, np.uint8)

    def reset(self, generator: Generator) -> None:
        """Start an episode in every copy, all with one seed drawn from `generator`.

        Raises:
            UserCodeFailed: VMAS raised, or gave what nobody can use; `step` raises the same.
        """
        self._time = 0
        self._ended = np.zeros_like(self._ended)
        seed = int(integers(generator, 2**31, (1,))[0])
        if self._config.env in REMEMBERING:
            self._game, self._streams = open_game(self._config, len(self._ended), seed)
        observations = self._restarted(seed)
        self._look(observations, np.ones(len(self._ended), np.bool_))

    def step(self, actions: Integer) -> Outcome:
        """Advance every copy; `actions` is (E, N) int64, of which only those of running copies count."""
        rewards: Float = np.zeros(self._ended.shape, np.float32)
        running = self._ended[:, 0] == _RUNNING
        self._time += 1
        if not running.any():
            return Outcome(rewards, self._ended)
        chosen = np.where(running[:, None], actions, 0)
        with self._streams.lent(), self._stepping:
            observations, gained, terminated, *_ = self._game.step(list(chosen.T))
            over = np.asarray(terminated.numpy(), np.bool_).reshape(len(running))
            given = [each.numpy() for each in gained]
        for index, numbers in enumerate(given):
            what = f'reward of "{self.agent_names[index]}" at step {self._time}'
            rewards[running, index] = numbers_of(what, numbers.reshape(len(running))[running])
        self._look(observations, running)
        ended = self._ended.copy()
        ended[over] = _TERMINATED
        if self._time >= self.steps:
            ended[ended == _RUNNING] = _TRUNCATED
        self._ended = ended
        return Outcome(rewards, ended)

    def observations(self) -> Float:
        """What agents see now: (E, S) float32 with "state", (E, N, S) with "own"."""
        return self._seen.copy()

    def positions(self) -> Float:
        """Place of each agent, (E, N, 2) float32."""
        return self._positions.copy()

    def close(self) -> None:
        """Nothing to release: no window was opened."""

    def _restarted(self, seed: int) -> Sequence[object]:
        """Begin an episode and give what the agents see."""
        with self._streams.lent(), self._resetting:
            return self._game.reset(seed=seed)

    def _look(self, observations: Sequence[object], copies: NDArray[np.bool_]) -> None:
        """Take in what is to be seen in the `copies` (E,) that are played, and where their agents are."""
        for index, (given, part) in enumerate(zip(observations, self._parts, strict=True)):
            numbers = self._flat(given, index, len(copies))
            what = f'observation of "{self.agent_names[index]}" at step {self._time}'
            if numbers.shape[1] != part.shape[1]:
                raise refused(f"{what} has {counted(numbers.shape[1], 'number')}, expected {part.shape[1]} as at first")
            part[copies] = numbers_of(what, numbers[copies])
        for index, agent in enumerate(self._game.agents):
            self._positions[copies, index] = agent.state.pos.numpy()[copies]

    def _flat(self, given: object, index: int, copies: int) -> Float:
        """What an agent sees of all copies, (E, numbers); the parts of a dict one behind the other."""
        if isinstance(given, Mapping):
            return np.concatenate([self._flat(part, index, copies) for part in given.values()], axis=1)
        numbers = getattr(given, "numpy", lambda: None)()
        if numbers is None or numbers.ndim < 1 or len(numbers) != copies:
            what = f'observation of "{self.agent_names[index]}" at step {self._time}'
            raise refused(f"{what} is {type(given).__name__}, expected a tensor with a row for each copy")
        return np.asarray(numbers, np.float32).reshape(copies, -1)

    def _room(self, copies: int, sizes: list[int]) -> Float:
        """Where is written what agents see.

        Raises:
            ScenarioError: They see different numbers of values, which are not to be padded.
        """
        config = self._config
        if config.observation == "state":
            return np.zeros((copies, _total(sizes)), np.float32)
        if config.observation == "own" and min(sizes) < max(sizes):
            raise of_many_sizes(config.env, self.agent_names, sizes, ' or "state" (all see what all see)')
        return np.zeros((copies, len(sizes), max(sizes)), np.float32)

    def _check_actions(self) -> None:
        for name, count in zip(self.agent_names, self.action_counts, strict=True):
            require_few_actions(count, f"for {name} of {self._config.env}")


def _parts_of(seen: Float, sizes: list[int]) -> list[Float]:
    """The part of what is seen (E, S) or (E, N, S) that is of each agent, (E, size); views."""
    if seen.ndim > 2:
        return [seen[:, index, :size] for index, size in enumerate(sizes)]
    starts = [_total(sizes[:index]) for index in range(len(sizes))]
    return [seen[:, start : start + size] for start, size in zip(starts, sizes, strict=True)]


def _total(sizes: list[int]) -> int:
    together = 0
    for size in sizes:
        together += size
    return together
