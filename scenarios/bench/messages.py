"""`foretell bench messages`: the step barrier of our driver over ZeroMQ against a bare blocking loop.

Both send the same number of bytes to N processes and wait for the same number from each. Blocks of the two alternate,
so that whatever else the machine does meets both; the ratio of each pair of blocks is what counts.
"""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zmq
from numpy.random import Generator

from agent_node.config import AgentConfig
from agent_node.protocol import AgentProtocol
from broker.driving.connect import connect, make_codec
from broker.driving.driver import Driver
from broker.driving.process import serve
from broker.threads import schedule
from broker.wire.arrays import Arrays, layouts
from broker.wire.messages import ENVIRONMENT, Action, Envelope, Timestep, action_layout, timestep_layout
from env_service.environments.task import Float, Integer, Outcome, Task
from env_service.protocol import EnvironmentProtocol
from scenarios.bench.workers import end, fork
from scenarios.document.loading import parse_scenario
from scenarios.document.plan import Plan
from scenarios.document.planning import make_plan
from scenarios.document.wiring import Wiring
from scenarios.results.temporary import temporary_folder
from scenarios.running.meeting.addresses import make_addresses
from scenarios.running.processes.child import end_with_parent

AGENTS = (3, 6, 12, 20)
_STEPS = 1_000_000
_JOIN_WITHIN_S = 60.0
DOCUMENT = f"""
name = "barrier"
seed = 1
episodes = 1
parallel_episodes = 4
environment = {{ kind = "exchange", agents = 3, grid = 7, steps = {_STEPS} }}
topology = {{ kind = "complete" }}
algorithm = {{ name = "independent" }}
"""


@dataclass(frozen=True)
class Barrier:
    """Barriers per second for one number of agents.

    Attributes:
        agents: N.
        timestep_bytes: Frame to an agent.
        action_bytes: Frame from an agent.
        bare: Of the bare loop, median over blocks.
        ours: Of our driver, median over blocks.
        ratio: Median over the pairs of blocks.
    """

    agents: int
    timestep_bytes: int
    action_bytes: int
    bare: float
    ours: float
    ratio: float


def measure_barriers(agents: int, blocks: int, block_s: float) -> Barrier:
    """Barriers per second of both loops with `agents` processes each, in alternating blocks of `block_s` seconds."""
    plan = make_plan(parse_scenario(DOCUMENT, {"environment.agents": agents}))
    with temporary_folder() as folder:
        addresses = make_addresses(plan.participants, plan.scenario.transport.zeromq, Path(folder))
        ours = Ours(plan, Wiring("barrier", addresses))
        sizes = ours.frame_bytes()
        bare = _Bare(agents, *sizes, f"ipc://{folder}/bare")
        try:
            pairs = [(bare.rate(block_s), ours.rate(block_s)) for _ in range(blocks + 1)][1:]
        finally:
            bare.close()
            ours.close()
    return Barrier(
        agents,
        *sizes,
        bare=statistics.median(pair[0] for pair in pairs),
        ours=statistics.median(pair[1] for pair in pairs),
        ratio=statistics.median(pair[1] / pair[0] for pair in pairs),
    )


class Ours:
    """Our environment in this process, our agents with learners that do nothing in processes of their own."""

    def __init__(self, plan: Plan, wiring: Wiring) -> None:
        self._plan = plan
        self._run = wiring.run
        configs = [plan.agent(agent, wiring) for agent in plan.agents]
        self._processes = fork(_serve_agent, [(config.model_dump_json(),) for config in configs])
        service = self._service = plan.environment(wiring)
        self._task = _NoTask(len(plan.agents), plan.observation_size, plan.scenario.parallel_episodes)
        with self._scheduled():
            self._transport = connect(service.link)
        self._driver = Driver(wiring.run, EnvironmentProtocol(service, self._task), self._transport, lambda _: None)
        self._driver.start(time.monotonic())
        give_up_at = time.monotonic() + _JOIN_WITHIN_S
        while not self._task.taken and time.monotonic() < give_up_at:
            self.rate(0.01)

    def frame_bytes(self) -> tuple[int, int]:
        """Sizes of a timestep's and an action's frame."""
        copies, agent = self._plan.scenario.parallel_episodes, self._plan.agents[0]
        seeing, acting = timestep_layout(copies, self._plan.observation_size, None, None), action_layout(copies)
        timestep = Timestep(0, 1, 0, False, seeing, _zeros(seeing))
        action = Action(0, 1, 0, acting, _zeros(acting))
        codec = make_codec(self._service.link)
        down = codec.encode(Envelope(self._run, ENVIRONMENT, agent, 1, timestep))
        return len(down), len(codec.encode(Envelope(self._run, agent, ENVIRONMENT, 1, action)))

    def rate(self, block_s: float) -> float:
        """Barriers per second over a block."""
        before, began_at = self._task.taken, time.monotonic()
        with self._scheduled():
            while (now := time.monotonic()) < began_at + block_s:
                self._transport.wait(0.1, self._driver.participant.awaited)
                self._driver.wake(now)
        return (self._task.taken - before) / (now - began_at)

    @contextmanager
    def _scheduled(self) -> Iterator[None]:
        """As an environment is in a process of its own; the bare loop, in the same process, is not."""
        schedule(self._service.link.transport.scheduling)
        try:
            yield
        finally:
            schedule("normal")

    def close(self) -> None:
        """End the agents."""
        end(self._processes)
        self._transport.close(0.0)


class _Bare:
    """The least that can be done: one ROUTER, N blocking DEALERs in processes of their own, ready-made bytes."""

    def __init__(self, agents: int, timestep_bytes: int, action_bytes: int, address: str) -> None:
        arguments = [(address, f"agent-{index}", action_bytes) for index in range(agents)]
        self._processes = fork(_serve_bare, arguments)
        self._context = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.bind(address)
        self._names = [self._router.recv_multipart()[0] for _ in range(agents)]
        self._payload = bytes(timestep_bytes)

    def rate(self, block_s: float) -> float:
        """Barriers per second over a block."""
        barriers, began_at = 0, time.monotonic()
        while (now := time.monotonic()) < began_at + block_s:
            for name in self._names:
                self._router.send_multipart((name, self._payload))
            for _ in self._names:
                self._router.recv_multipart()
            barriers += 1
        return barriers / (now - began_at)

    def close(self) -> None:
        """End the workers."""
        end(self._processes)
        self._router.close(linger=0)
        self._context.term()


def _serve_bare(address: str, name: str, action_bytes: int) -> None:
    end_with_parent()
    socket = zmq.Context().socket(zmq.DEALER)
    socket.setsockopt(zmq.IDENTITY, name.encode())
    socket.connect(address)
    payload = bytes(action_bytes)
    socket.send(payload)
    while True:
        socket.recv()
        socket.send(payload)


def _serve_agent(slice_json: str) -> None:
    end_with_parent()
    logging.disable()  # a worker still being born when the benchmark is interrupted finds its folder gone
    config = AgentConfig.model_validate_json(slice_json)
    serve(lambda _: AgentProtocol(config, _NoLearner(config.parallel_episodes)), config.link)


class _NoTask(Task):
    """A task that does nothing, and counts its steps."""

    agent_names: tuple[str, ...] = ()
    noop_action: int | None = None

    def __init__(self, agents: int, observation_size: int, copies: int) -> None:
        self.action_counts = (6,) * agents
        self.observation_size = observation_size
        self.steps = _STEPS
        self.taken = 0
        self._observations = np.zeros((copies, observation_size), np.float32)
        self._outcome = Outcome(np.zeros((copies, agents), np.float32), np.zeros((copies, agents), np.uint8))

    def reset(self, generator: Generator) -> None: ...

    def step(self, actions: Integer) -> Outcome:  # noqa: ARG002
        self.taken += 1
        return self._outcome

    def observations(self) -> Float:
        return self._observations

    def positions(self) -> Float | None:
        return None

    def close(self) -> None: ...


class _NothingToShare:
    """A round in which nobody hears anything."""

    outgoing: Mapping[str, Arrays] = {}


class _NoLearner:
    """A learner that always acts the same and learns nothing."""

    def __init__(self, copies: int) -> None:
        self._actions = np.zeros(copies, np.int32)

    def begin_episode(self, episode: int) -> None: ...

    def act(self, *_: object) -> np.ndarray:
        return self._actions

    def see(self, *_: object) -> None: ...

    def end_episode(self) -> None: ...

    def open_round(self, episode: None, number: int, partners: tuple[str, ...]) -> _NothingToShare:  # noqa: ARG002
        return _NothingToShare()

    def check(self, source: str, arrays: Mapping[str, np.ndarray]) -> None: ...

    def close_round(self, *_: object) -> dict[str, float]:
        return {}

    def weights_digest(self) -> str:
        return ""

    def state(self) -> Arrays:
        return {}

    def restore(self, state: Arrays) -> None: ...


def _zeros(layout: str) -> memoryview:
    return memoryview(bytes(layouts[layout].size_bytes))
