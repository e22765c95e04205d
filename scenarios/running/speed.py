"""How long an agent computes on this host: it plays an episode with everybody else made up.

Its observations are zeros, and what it tells a neighbor is what it hears from that one: the sizes are those of a run,
and nobody keeps it waiting.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from agent_node.build import make_agent
from agent_node.config import AgentConfig
from broker.participants.participant import Command, Send
from broker.wire.arrays import pack
from broker.wire.messages import ENVIRONMENT, Action, Ended, Hello, Message, Share, Timestep

_MEASURED, _EPISODES = 1, 2


class Speed(NamedTuple):
    """What an agent takes, in seconds.

    Attributes:
        action_s: From a timestep to its action.
        share_s: From what it hears in a round to what it says in the next.
    """

    action_s: float
    share_s: float


def measure_speed(slice_json: str) -> Speed:
    """Let an agent play two episodes, and measure the second.

    Args:
        slice_json: What it would be told in a run.

    Raises:
        UserError: It cannot be made.
        UserCodeFailed: Its algorithm has failed.
    """
    config = AgentConfig.model_validate_json(slice_json).model_copy(update={"episodes": _EPISODES + 1})
    return _World(config).play()


class _World:
    """All that an agent hears."""

    def __init__(self, config: AgentConfig) -> None:
        self._config, self._agent = config, make_agent(config)
        self._heard: deque[tuple[str, Message]] = deque()
        self._now = 0.0
        self._episode = 0
        self._acting_s = self._sharing_s = 0.0

    def play(self) -> Speed:
        """Until it is ready for one episode more."""
        agent = self._agent
        self._answer(agent.start(self._now))
        self._heard.append((ENVIRONMENT, self._timestep(0)))
        while self._episode < _EPISODES:
            began = time.perf_counter()
            if self._heard:
                source, message = self._heard.popleft()
                commands = agent.receive(source, message, self._now)
            else:
                message, self._now = None, agent.deadline or self._now
                commands = agent.expire(self._now)
            took_s = time.perf_counter() - began
            if isinstance(message, Timestep) and not message.last:
                self._acting_s += took_s * (self._episode == _MEASURED)
            else:
                self._sharing_s += took_s * (self._episode == _MEASURED)
            self._answer(commands)
        return Speed(self._acting_s / self._config.steps, self._sharing_s / max(1, self._config.rounds))

    def _answer(self, commands: Sequence[Command]) -> None:
        for command in commands:
            match command:
                case Send(peer, Hello(wants_reply=True)):
                    self._heard.append((peer, Hello(0, False, self._config.link.identity)))
                case Send(peer, Share() as share):
                    self._heard.append((peer, share))
                case Send(_, Action() as action):
                    self._go_on(action)

    def _go_on(self, action: Action) -> None:
        """The next timestep, of the next episode where this one is over."""
        is_over = action.step == self._config.steps
        self._episode += is_over
        self._heard.append((ENVIRONMENT, self._timestep(0 if is_over else action.step + 1)))

    def _timestep(self, step: int) -> Timestep:
        config, last = self._config, step == self._config.steps
        copies = config.parallel_episodes
        seen: dict[str, np.ndarray] = {
            "observation": np.zeros((copies, config.observation_size), np.float32),
            "reward": np.zeros(copies, np.float32),
            "ended": np.full(copies, Ended.TRUNCATED if last else Ended.RUNNING, np.uint8),
        }
        if config.proximity:
            seen["neighbors"] = np.ones((copies, len(config.neighbors[config.link.name])), np.uint8)
        if config.masks:
            seen["mask"] = np.ones((copies, max(config.action_counts.values())), np.uint8)
        return Timestep(self._episode, step, 0, last, *pack(seen))
