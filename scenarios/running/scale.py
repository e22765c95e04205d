"""What a run takes of processes and networks, counted from its plan: connections, open files, messages, bytes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique

from agent_node.learning.shares import HEAD_BYTES, ShareFormat
from scenarios.document.plan import Plan
from scenarios.document.planning import make_algorithm

_FILES_OF_A_PROCESS = {"zeromq": 20, "forwarder": 26, "mqtt": 16}
"""Of a participant or the launcher, by the way that messages go: what is open beside connections, rounded up."""
_FILES_OF_A_CONNECTION = 2.5
"""ZeroMQ, direct: both ends of two connections come with one socket, and that with three files of its own."""
_PIPES = 2
"""That the launcher holds of each process."""
_FILES_OF_A_BROKER = 16
_ACTION_BYTES = 4
_AROUND_SHARE, _AROUND_TIMESTEP, _AROUND_ACTION = 122, 103, 62
"""Bytes of a frame that are no arrays, with names of usual length."""


@unique
class Role(StrEnum):
    """Whose process it is."""

    AGENT = "agent"
    ENVIRONMENT = "environment"
    LAUNCHER = "launcher"
    BROKER = "broker"


@dataclass(frozen=True)
class Scale:
    """What counts for how large a run is.

    Attributes:
        transport: `zeromq` from process to process, through a `forwarder`, or `mqtt`.
        agents: How many.
        edges: Directed ones between agents.
        degree: Neighbors of the agent that has most.
        rounds: Of an episode.
        steps: Of an episode.
        share_bytes: The largest share as it travels; 0 where agents tell each other nothing.
        timestep_bytes: A timestep as it travels.
        action_bytes: An action as it travels.
    """

    transport: str
    agents: int
    edges: int
    degree: int
    rounds: int
    steps: int
    share_bytes: int
    timestep_bytes: int
    action_bytes: int

    @property
    def roles(self) -> tuple[Role, ...]:
        """The kinds of processes that there are."""
        return tuple(role for role in Role if role is not Role.BROKER or self.transport != "zeromq")

    @property
    def connections(self) -> int:
        """All together; both ends of each are a process of the run."""
        if self.transport != "zeromq":
            return self.connections_of(Role.BROKER)
        return self.edges + 2 * self.agents + self.connections_of(Role.LAUNCHER)

    def connections_of(self, role: Role) -> int:
        """How many end in one process; of the agent with most neighbors."""
        everybody = self.agents + 2  # the environment, and the launcher that observes
        each = 1 if self.transport == "mqtt" else 2  # ZeroMQ has one for each direction
        if role is Role.BROKER:
            return each * everybody
        if self.transport != "zeromq":
            return each
        peers = {Role.AGENT: self.degree + 2, Role.ENVIRONMENT: self.agents + 1, Role.LAUNCHER: self.agents + 1}
        return each * peers[role]

    def files_of(self, role: Role) -> int:
        """How many files one process has open at most."""
        if role is Role.BROKER:
            return _FILES_OF_A_BROKER + self.connections_of(role)
        open_files = _FILES_OF_A_PROCESS[self.transport]
        if self.transport == "zeromq":
            open_files += round(_FILES_OF_A_CONNECTION * self.connections_of(role))
        return open_files + (_PIPES * (self.agents + 1) if role is Role.LAUNCHER else 0)

    @property
    def ports(self) -> int:
        """How many ports are listened on; a forwarder has one to publish at, and two to subscribe at."""
        return {"zeromq": self.agents + 2, "forwarder": 3, "mqtt": 1}[self.transport]

    @property
    def shares(self) -> int:
        """Sent in an episode."""
        return self.edges * self.rounds if self.share_bytes else 0

    @property
    def steps_sent(self) -> int:
        """Timesteps and actions that are sent in an episode."""
        return 2 * self.agents * (self.steps + 1)

    @property
    def records(self) -> int:
        """Told to the launcher in an episode: by each agent of each round, by the environment of the episode."""
        return self.agents * self.rounds + 1

    @property
    def messages(self) -> int:
        """Sent in an episode; all of them go through a broker where there is one."""
        return self.shares + self.steps_sent + self.records

    @property
    def round_bytes(self) -> int:
        """What all agents send each other in a round."""
        return self.edges * self.share_bytes

    @property
    def episode_bytes(self) -> int:
        """What agents and environment send in an episode."""
        each = self.timestep_bytes + self.action_bytes
        return self.rounds * self.round_bytes + self.agents * (self.steps + 1) * each


def scale_of(plan: Plan) -> Scale:
    """How large a run of a plan is."""
    scenario, neighbors = plan.scenario, plan.graph.neighbors
    transport = scenario.transport
    positions = plan.steps * scenario.parallel_episodes
    algorithm = make_algorithm(scenario)
    format_ = ShareFormat(algorithm, positions, len(plan.agents), plan.masks, scenario.exchange.largest_number)
    widest = max(plan.action_counts.values())
    framed = max(
        format_.size_bytes(plan.networks(agent, type(algorithm)).edge(positions, plan.action_counts[agent], widest))
        for agent in plan.agents
    )
    arrays_bytes = framed - HEAD_BYTES
    kind = "mqtt" if transport.kind == "mqtt" else "forwarder" if transport.zeromq.mode == "forwarder" else "zeromq"
    return Scale(
        transport=kind,
        agents=len(plan.agents),
        edges=len(plan.graph.edges),
        degree=max(map(len, neighbors.values())),
        rounds=scenario.rounds,
        steps=plan.steps,
        share_bytes=arrays_bytes + _AROUND_SHARE if arrays_bytes else 0,
        timestep_bytes=plan.timestep_bytes + _AROUND_TIMESTEP,
        action_bytes=_ACTION_BYTES * scenario.parallel_episodes + _AROUND_ACTION,
    )
