"""A task whose numbers can be told by hand, and the environment's protocol with it, led to where a test begins."""

from __future__ import annotations

import numpy as np
from message_cases import action_of

from broker.config import JoiningConfig, TransportConfig
from broker.participants.link import LifeConfig, LinkConfig
from broker.participants.participant import Report, Send
from broker.wire.messages import Ended, Hello
from env_service.config import BarrierConfig, ExchangeTaskConfig, ServiceConfig
from env_service.environments.task import Outcome, Task
from env_service.protocol import EnvironmentProtocol

AGENTS = ("agent-0", "agent-1", "agent-2")
NOBODY_CAME = BarrierConfig(action_patience_s=5, ready_patience_s=60, give_up_s=300)


class FakeTask(Task):
    """Agent n of copy e is out after `lengths[e][n]` steps; its reward tells its action, the step, copy and agent."""

    agent_names = ()
    action_counts = (3, 4, 5)
    observation_size = 4

    def __init__(self, lengths=((2, 2, 2), (2, 2, 2)), noop=None, own=False, places=None, masks=None):
        self.lengths = np.array(lengths)
        self.steps = int(self.lengths.max())
        self.noop_action, self.own, self.places, self.masks = noop, own, places, masks
        self.stepped, self.closed, self.resets = [], 0, 0

    def reset(self, generator):
        self.time, self.draw = 0, generator.random()
        self.resets += 1

    def step(self, actions):
        self.stepped.append(actions.tolist())
        running = self.lengths > self.time
        copies, agents = np.indices(self.lengths.shape)
        rewards = actions + 0.1 * self.time + 0.01 * copies + 0.001 * agents
        self.time += 1
        ended = np.where(self.lengths > self.time, Ended.RUNNING, Ended.TERMINATED)
        return Outcome(np.where(running, rewards, 0).astype(np.float32), ended.astype(np.uint8))

    def observations(self):
        copies, agents = np.indices(self.lengths.shape)
        seen = np.stack(np.broadcast_arrays(self.draw, self.time, copies, agents), axis=-1).astype(np.float32)
        return seen if self.own else seen[:, 0]

    def positions(self):
        return self.places

    def action_masks(self):
        return self.masks

    def close(self):
        self.closed += 1


def slice_(*, copies=2, episodes=2, seed=7, distance=None, masks=False, environment=None, life=None, **service):
    link = LinkConfig(
        run="r",
        name="environment",
        peers=AGENTS,
        seed=seed,
        transport=TransportConfig(),
        joining=JoiningConfig(hello_interval_s=0.1, give_up_s=60),
        life=life or LifeConfig(),
    )
    return ServiceConfig(
        link=link,
        environment=environment or ExchangeTaskConfig(),
        service=NOBODY_CAME.model_copy(update=service),
        neighbors={agent: tuple(other for other in AGENTS if other != agent) for agent in AGENTS},
        agent_names=AGENTS,
        action_counts=FakeTask.action_counts,
        observation_size=FakeTask.observation_size,
        proximity_distance=distance,
        masks=masks,
        episodes=episodes,
        parallel_episodes=copies,
    )


def joining(task=None, **settings):
    """A protocol that has said HELLO."""
    protocol = EnvironmentProtocol(slice_(**settings), task or FakeTask())
    protocol.start(0.0)
    return protocol


def stepping(task=None, now=0.0, **settings):
    """A protocol that has just sent the first timestep, and the commands that came with it."""
    protocol = joining(task, **settings)
    return protocol, all_answer(protocol, now)


def all_answer(protocol, now=0.0):
    """Every agent answers HELLO."""
    commands = []
    for agent in AGENTS:
        commands += protocol.receive(agent, Hello(0, wants_reply=False), now)
    return commands


def sends(commands, kind):
    return {command.destination: command.message for command in commands if carries(command, kind)}


def carries(command, kind):
    return isinstance(command, Send) and isinstance(command.message, kind)


def records(commands, kind):
    return [command.record for command in commands if isinstance(command, Report) and isinstance(command.record, kind)]


def act(protocol, agent, *actions, episode=0, step=0, attempt=0, now=1.0):
    return protocol.receive(agent, action_of(episode, step, attempt, np.array(actions, np.int32)), now)


def all_act(protocol, *, step, episode=0, action=1, now=1.0, copies=2):
    commands = []
    for agent in AGENTS:
        commands += act(protocol, agent, *[action] * copies, episode=episode, step=step, now=now)
    return commands


def all_ready(protocol, *, step=2, episode=0, now=1.0):
    commands = []
    for agent in AGENTS:
        commands += act(protocol, agent, episode=episode, step=step, now=now)
    return commands
