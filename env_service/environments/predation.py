"""Cooperative predation: a social dilemma on a line. If all engage the prey all fare well; each fares better shirking.

Source: the paper's appendix B for line and payoffs; when an agent engages (`engagement`) and the time limit are ours,
see SPEC section 4. For N > 4 the team fares best with one volunteer (-4 a step), not with full cooperation (-N).
Shapes use E for parallel copies, N for agents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from broker.arithmetic.draws import uniforms
from broker.wire.messages import Ended
from env_service.config import PredationConfig
from env_service.environments.scene import Mark, Scene, Thing, marks_of, text_of
from env_service.environments.task import Float, Integer, Outcome, Task
from env_service.environments.timed import timed

if TYPE_CHECKING:
    from env_service.environments.parallel import TaskParallelEnv

ALL_ENGAGE = np.float32(-1)
NONE_ENGAGES = np.float32(-3)
ENGAGES_AMONG_SOME = np.float32(-4)
SHIRKS_AMONG_SOME = np.float32(0)

_RUNNING, _TRUNCATED = int(Ended.RUNNING), int(Ended.TRUNCATED)  # numpy takes microseconds to read an IntEnum


class PredationTask(Task):
    """E copies of cooperative predation.

    Actions: left, right, by 1 unit, stopped by the ends of the line. An agent engages when it moves toward the prey
    ("approach"; one that stands on the prey engages either way), or when it is within `capture_radius` of the prey
    after the move ("capture"). Each pays according to who engages; only the time limit ends an episode.

    Observation, (E, N) float32, the same for all agents: (x_i - x_prey) / line_length, in [-1, 1]. Positions are x_i
    in units of the line.

    Args:
        config: Line, engagement and time limit.
        copies: E.
    """

    def __init__(self, config: PredationConfig, copies: int) -> None:
        self.agent_names: tuple[str, ...] = ()
        self.action_counts = (2,) * config.agents
        self.observation_size = config.agents
        self.steps = config.steps
        self.noop_action: int | None = None
        self.action_names = ("left", "right")
        self._engagement = config.engagement
        self._capture_radius = config.capture_radius
        self._line_length = config.line_length
        self._time = config.steps  # before the first reset every copy stands ended
        self._agents: NDArray[np.float64] = np.zeros((copies, config.agents))
        self._prey: NDArray[np.float64] = np.zeros((copies, 1))

    def reset(self, generator: Generator) -> None:
        """Put prey and agents anywhere on the line, uniformly."""
        prey = self._line_length * uniforms(generator, self._prey.shape)
        self.place(self._line_length * uniforms(generator, self._agents.shape), prey)

    def place(self, agents: NDArray[np.float64], prey: NDArray[np.float64]) -> None:
        """Start an episode with agents (E, N) and prey (E, 1) at the given places of the line, float64."""
        self._agents, self._prey = agents, prey
        self._time = 0

    def step(self, actions: Integer) -> Outcome:
        """Move and pay in every copy; `actions` is (E, N) int64."""
        rewards: Float = np.zeros(self._agents.shape, np.float32)
        if self._time < self.steps:
            self._time += 1
            rewards = _payoffs(self._move(2 * actions - 1))
        ended = _RUNNING if self._time < self.steps else _TRUNCATED
        return Outcome(rewards, np.full(rewards.shape, ended, np.uint8))

    def observations(self) -> Float:
        """What all agents see, (E, N) float32."""
        return ((self._agents - self._prey) / self._line_length).astype(np.float32)

    def positions(self) -> Float:
        """Place of each agent on the line, (E, N, 1) float32."""
        return self._agents[:, :, None].astype(np.float32)

    def render(self) -> str:
        """The first copy as text, a column a unit: the prey as *, an agent as its number's last digit, several as +."""
        return text_of(self.scene())

    def scene(self) -> Scene:
        """Agents and prey of the first copy."""
        agents = marks_of(Thing.AGENT, self._agents[0, :, None].tolist())
        return Scene("line", self._line_length, (*agents, Mark(Thing.PREY, None, (float(self._prey[0, 0]),))))

    def close(self) -> None:
        """Nothing to release."""

    def _move(self, directions: Integer) -> NDArray[np.bool_]:
        """Move agents by `directions` (E, N), -1 or 1, and tell who engages, (E, N)."""
        before = self._agents
        self._agents = np.minimum(np.maximum(before + directions, 0.0), self._line_length)
        if self._engagement == "approach":
            return directions * (self._prey - before) >= 0
        return np.abs(self._agents - self._prey) <= self._capture_radius


def _payoffs(engaged: NDArray[np.bool_]) -> Float:
    """Reward of each agent, (E, N), given who engages, (E, N)."""
    everyone = np.logical_and.reduce(engaged, axis=1, keepdims=True)
    anyone = np.logical_or.reduce(engaged, axis=1, keepdims=True)
    of_engaged = np.where(everyone, ALL_ENGAGE, ENGAGES_AMONG_SOME)
    of_shirking = np.where(anyone, SHIRKS_AMONG_SOME, NONE_ENGAGES)
    return np.where(engaged, of_engaged, of_shirking)


def parallel_env(**settings: object) -> TaskParallelEnv:
    """Cooperative predation as a PettingZoo parallel environment; `settings` are the fields of `PredationConfig`."""
    from env_service.environments.parallel import TaskParallelEnv  # noqa: PLC0415 - only PettingZoo users need gymnasium

    config = PredationConfig.model_validate(settings)
    return TaskParallelEnv(timed(PredationTask(config, 1), observed=config.observe_time), "predation_v0")
