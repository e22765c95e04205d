"""From a scenario to what each participant is told: the graph, and a slice of the document for everyone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from agent_node.config import AgentConfig
from agent_node.learning.algorithm import Algorithm
from agent_node.learning.network_sizes import Networks, networks_of
from broker.arithmetic.version import ARITHMETIC
from broker.config import LONGEST_KEEPALIVE_S, TransportConfig
from broker.participants.link import LifeConfig, LinkConfig
from broker.release import FORETELL
from broker.wire.arrays import layouts
from broker.wire.identity import Identity
from broker.wire.messages import ENVIRONMENT, OBSERVER, timestep_layout
from env_service.config import ServiceConfig
from scenarios.document.agent_names import AgentNames
from scenarios.document.graph import Graph
from scenarios.document.process_faults import BROKER
from scenarios.document.scenario import Scenario
from scenarios.document.wiring import Wiring


def has_own_broker(scenario: Scenario) -> bool:
    """Whether a run of a scenario starts what stands between its participants, on this host."""
    transport = scenario.transport
    if transport.kind == "mqtt":
        return not transport.mqtt.addresses
    return transport.zeromq.mode == "forwarder" and not transport.zeromq.forwarder


def strikable(scenario: Scenario, agents: Iterable[str]) -> tuple[str, ...]:
    """Everybody whom a fault of processes can strike in a run of a scenario with these agents."""
    return (ENVIRONMENT, *agents, *((BROKER,) if has_own_broker(scenario) else ()))


@dataclass(frozen=True)
class Plan:
    """A scenario that can work: its graph is built and its task has been looked at.

    Attributes:
        scenario: The document.
        names: The agents' ids, and what the environment calls them.
        graph: Who may ever be whose neighbor.
        action_counts: Number of actions of each agent.
        observation_size: Length of an observation.
        steps: Time limit of an episode.
        masks: Whether the task says at every step which actions are possible.
        largest_bytes: What the largest of its messages may take.
    """

    scenario: Scenario
    names: AgentNames
    graph: Graph
    action_counts: dict[str, int]
    observation_size: int
    steps: int
    masks: bool
    largest_bytes: int = 0

    @cached_property
    def agents(self) -> tuple[str, ...]:
        """Their ids, in order."""
        return tuple(self.names.by_id)

    @cached_property
    def timestep_bytes(self) -> int:
        """Of the arrays that an agent is sent at each step."""
        near = len(self.agents) - 1 if self.graph.proximity_distance is not None else None
        actions = max(self.action_counts.values()) if self.masks else None
        copies = self.scenario.parallel_episodes
        return layouts[timestep_layout(copies, self.observation_size, near, actions)].size_bytes

    @property
    def has_own_broker(self) -> bool:
        """Whether a run of this starts what stands between its participants, on this host."""
        return has_own_broker(self.scenario)

    @property
    def strikable(self) -> tuple[str, ...]:
        """Everybody whom a fault of processes can strike."""
        return strikable(self.scenario, self.agents)

    @cached_property
    def participants(self) -> tuple[str, ...]:
        """The environment, then the agents."""
        return (ENVIRONMENT, *self.agents)

    def peers(self, name: str) -> tuple[str, ...]:
        """Whom participant `name` sends to and hears from, the observer aside."""
        return self.agents if name == ENVIRONMENT else (ENVIRONMENT, *self.graph.neighbors[name])

    def networks(self, agent: str, algorithm: type[Algorithm]) -> Networks:
        """What `agent` holds with an algorithm."""
        return networks_of(
            agent,
            algorithm,
            self.graph.neighbors[agent],
            action_counts=self.action_counts,
            observation_size=self.observation_size,
            hidden=self.scenario.learning.hidden,
        )

    def agent(self, name: str, wiring: Wiring) -> AgentConfig:
        """What agent `name` is told."""
        scenario, graph = self.scenario, self.graph.neighbors
        near = (name, *graph[name]) if scenario.exchange.mode == "random-partner" else (name,)
        return AgentConfig(
            link=self._link(name, self.peers(name), wiring),
            neighbors={agent: graph[agent] for agent in near},
            proximity=self.graph.proximity_distance is not None,
            masks=self.masks,
            episodes=scenario.episodes,
            parallel_episodes=scenario.parallel_episodes,
            steps=self.steps,
            observation_size=self.observation_size,
            action_counts=self.action_counts,
            give_up_s=scenario.service.give_up_s,
            environment_waits=scenario.service.missing_action == "wait",
            exchange=scenario.exchange,
            learning=scenario.learning,
            algorithm=scenario.algorithm,
            initial_policy=scenario.initial_policy,
            acts_only=scenario.acts_only,
        )

    def environment(self, wiring: Wiring) -> ServiceConfig:
        """What the environment is told."""
        scenario = self.scenario
        return ServiceConfig(
            link=self._link(ENVIRONMENT, self.peers(ENVIRONMENT), wiring),
            environment=scenario.environment,
            service=scenario.service,
            neighbors=self.graph.neighbors,
            agent_names=tuple(self.names.by_id.values()),
            action_counts=tuple(self.action_counts.values()),
            observation_size=self.observation_size,
            proximity_distance=self.graph.proximity_distance,
            masks=self.masks,
            episodes=scenario.episodes,
            parallel_episodes=scenario.parallel_episodes,
        )

    def observer(self, wiring: Wiring) -> LinkConfig:
        """What the observer is told."""
        return self._link(OBSERVER, self.participants, wiring)

    @cached_property
    def _shared_digest(self) -> str:
        return self.scenario.shared_digest

    @property
    def _transport(self) -> TransportConfig:
        """The transport's settings; an own broker takes nobody's silence for a lost connection.

        It stands on this host, where a connection ends with its process at once. Who is silent for long was stopped,
        perhaps with all others, and goes on later.
        """
        transport = self.scenario.transport
        if not self.has_own_broker:
            return transport
        mqtt = transport.mqtt.model_copy(update={"keepalive_s": LONGEST_KEEPALIVE_S})
        return transport.model_copy(update={"mqtt": mqtt})

    def _link(self, name: str, peers: tuple[str, ...], wiring: Wiring) -> LinkConfig:
        scenario = self.scenario
        known = (name, *peers, OBSERVER)
        return LinkConfig(
            run=wiring.run,
            identity=Identity(wiring.name, self._shared_digest, FORETELL, ARITHMETIC),
            name=name,
            peers=peers,
            seed=scenario.stream_seed,
            episodes_before=scenario.episodes_before,
            longest_episode=max(self.steps + 1, scenario.learning.rounds),
            transport=self._transport,
            joining=scenario.joining,
            faults=scenario.message_faults,
            observed=wiring.observed and name != OBSERVER,
            addresses={who: wiring.addresses[who] for who in known if who in wiring.addresses},
            listen=wiring.listens.get(name, ""),
            largest_bytes=self.largest_bytes,
            broker=self._broker_of(name, wiring),
            credentials=wiring.keys / name if wiring.keys else None,
            journal=wiring.journals / _journal(name, wiring.life) if wiring.journals else None,
            life=_life(name, wiring),
            trace=wiring.trace,
        )

    def _broker_of(self, name: str, wiring: Wiring) -> str:
        """Where a participant connects first: each broker of a cluster has its share of them."""
        brokers = self.scenario.transport.mqtt.addresses if self.scenario.transport.kind == "mqtt" else ()
        if name not in self.participants or wiring.broker not in brokers:
            return wiring.broker
        return brokers[self.participants.index(name) % len(brokers)]


def _life(name: str, wiring: Wiring) -> LifeConfig:
    folder = wiring.checkpoints / name if wiring.checkpoints is not None else None
    return wiring.life.model_copy(update={"checkpoints": folder})


def _journal(name: str, life: LifeConfig) -> str:
    return f"{name}-{life.incarnation}.journal" if life.incarnation else f"{name}.journal"
