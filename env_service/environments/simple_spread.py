"""Simple spread: agents on a plane cover landmarks together, and each loses when it touches another.

Source: `simple_spread_v3` of MPE2 (Lowe et al. 2017; Mordatch and Abbeel 2018), whose rules these are, step by step;
here all copies are played at once. What is left out: noise, communication and MPE2's options that change the task.
Shapes use E for parallel copies, N for agents (and landmarks).
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from broker.arithmetic.draws import uniforms
from broker.arithmetic.reference import exponential, logarithm
from broker.arithmetic.sums import Exact, total
from broker.wire.messages import Ended
from env_service.config import SimpleSpreadConfig
from env_service.environments.task import Flags, Float, Integer, Outcome, Task

STAY = 0

_STEP_S, _KEPT_SPEED = 0.1, 0.75  # of each step, and what damping leaves of a speed after it
_TOUCH = 0.3  # distance of two agents' centers at which they touch, twice their radius
_FORCE, _MARGIN = 100.0, 1e-3  # of a contact: force per unit of overlap, and where it sets in
_REACH = _TOUCH + 37 * _MARGIN  # farther off, 1 + exp(-37) rounds to 1: no force at all
_CONTROLS = np.array([[0.0, 0.0], [-5.0, 0.0], [5.0, 0.0], [0.0, -5.0], [0.0, 5.0]])
_RUNNING, _TRUNCATED = int(Ended.RUNNING), int(Ended.TRUNCATED)  # numpy takes microseconds to read an IntEnum


class SimpleSpreadTask(Task):
    """E copies of simple spread.

    Actions: stay, left, right, down, up: what accelerates an agent, which keeps three quarters of its speed. Agents
    push each other off where they overlap; two that stand in exactly one place do not, for that has no direction.
    Reward after the move: `local_ratio` times minus 1 for each other agent that is touched, and the rest of the ratio
    times minus the distances of all landmarks from the agent nearest to each, which is everybody's. Only the time limit
    ends an episode.

    An agent's own observation, (6N,) float32: its velocity and place, where the landmarks are as seen from it, where
    the others are, and two zeros for each other, in which MPE2's agents would speak. All see those of all, agent after
    agent (E, 6N * N); with "own" each sees its own (E, N, 6N). Positions are (x, y) in units of the plane.

    Args:
        config: Size, ratio and what is seen.
        copies: E.
    """

    def __init__(self, config: SimpleSpreadConfig, copies: int) -> None:
        agents = config.agents
        self.agent_names: tuple[str, ...] = ()
        self.action_counts = (len(_CONTROLS),) * agents
        self.observation_size = 6 * agents * (1 if config.observation == "own" else agents)
        self.steps = config.steps
        self.noop_action: int | None = STAY
        self._own = config.observation == "own"
        self._ratios = 1 - config.local_ratio, config.local_ratio
        self._agents = agents
        self._self = np.arange(agents)[:, None]
        self._others: Integer = np.nonzero(~np.eye(agents, dtype=np.bool_))[1].reshape(agents, agents - 1)
        self._time = config.steps  # before the first reset every copy stands ended
        self._places: Exact = np.zeros((copies, 2 * agents, 2))  # agents, then landmarks
        self._speeds: Exact = np.zeros((copies, agents, 2))
        self._look_around()

    def reset(self, generator: Generator) -> None:
        """Put agents and landmarks anywhere on the square from -1 to 1, uniformly; agents stand still."""
        places = 2 * uniforms(generator, self._places.shape) - 1
        self.place(places[:, : self._agents], places[:, self._agents :])

    def place(self, agents: Exact, landmarks: Exact) -> None:
        """Start an episode with agents, at rest, and landmarks at the given places, each (E, N, 2) float64."""
        self._places = np.concatenate((agents, landmarks), axis=1)
        self._speeds = np.zeros_like(self._speeds)
        self._time = 0
        self._look_around()

    def step(self, actions: Integer) -> Outcome:
        """Push, move and pay in every copy; `actions` is (E, N) int64."""
        rewards: Float = np.zeros(self._speeds.shape[:2], np.float32)
        if self._time < self.steps:
            self._time += 1
            forces = self._pushed(_CONTROLS.take(actions, axis=0))
            self._places[:, : self._agents] += self._speeds * _STEP_S
            self._speeds = self._speeds * _KEPT_SPEED + forces * _STEP_S
            self._look_around()
            rewards = self._rewards()
        ended: Flags = np.full(rewards.shape, _RUNNING if self._time < self.steps else _TRUNCATED, np.uint8)
        return Outcome(rewards, ended)

    def observations(self) -> Float:
        """What agents see, (E, 6N * N) float32; (E, N, 6N) with "own"."""
        agents, copies = self._agents, len(self._places)
        seen: Float = np.zeros((copies, agents, 6 * agents), np.float32)
        seen[:, :, :2] = self._speeds
        seen[:, :, 2:4] = self._places[:, :agents]
        to_landmarks, to_others = self._relative[:, :, agents:], self._relative[:, self._self, self._others]
        seen[:, :, 4 : 4 + 2 * agents] = to_landmarks.reshape(copies, agents, -1)
        seen[:, :, 4 + 2 * agents : 2 + 4 * agents] = to_others.reshape(copies, agents, 2 * (agents - 1))
        return seen if self._own else seen.reshape(copies, -1)

    def positions(self) -> Float:
        """Place of each agent, (E, N, 2) float32."""
        return self._places[:, : self._agents].astype(np.float32)

    def close(self) -> None:
        """Nothing to release."""

    def _look_around(self) -> None:
        """Take in where everything is as seen from each agent, (E, N, 2N, 2), and how far off, (E, N, 2N)."""
        self._relative: Exact = self._places[:, None] - self._places[:, : self._agents, None]
        squares = self._relative * self._relative
        self._distances: Exact = np.sqrt(squares[..., 0] + squares[..., 1])

    def _pushed(self, forces: Exact) -> Exact:
        """`forces` (E, N, 2) and those of contacts, those of other agents added in their order."""
        distances = self._distances[:, :, : self._agents]
        near = (distances < _REACH) & (distances > 0)
        if not near.any():
            return forces
        apart, away = distances[near][:, None], -self._relative[:, :, : self._agents][near]
        pushes = np.zeros((*near.shape, 2))
        pushes[near] = _FORCE * away / apart * _overlap(apart)
        for other in range(self._agents):
            forces += pushes[:, :, other]
        return forces

    def _rewards(self) -> Float:
        """What each agent gets, (E, N) float32."""
        agents = self._agents
        covered = -total(np.minimum.reduce(self._distances[:, :, agents:], axis=1), axis=1)
        touches = np.count_nonzero(self._distances[:, :, :agents] < _TOUCH, axis=2) - 1  # each agent touches itself
        for_all, own = self._ratios
        rewards: Float = (covered[:, None] * for_all - touches * own).astype(np.float32)
        return rewards


def _overlap(apart: Exact) -> Exact:
    """How far two agents overlap whose centers are `apart`, smoothly: `_MARGIN` log(1 + exp(overlap / `_MARGIN`))."""
    margins = (_TOUCH - apart) / _MARGIN
    smooth: Exact = (np.maximum(margins, 0.0) + logarithm(1 + exponential(-np.abs(margins)))) * _MARGIN
    return smooth
