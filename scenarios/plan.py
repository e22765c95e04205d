"""From a scenario to what each participant is told: the graph, and a slice of the document for everyone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from agent_node.config import AgentConfig
from agent_node.learning.algorithm import Algorithm
from agent_node.learning.network_sizes import networks_of
from agent_node.learning.shares import ShareFormat
from agent_node.registry import load_algorithm
from broker.config import LifeConfig, LinkConfig
from broker.errors import ScenarioError
from broker.faults import Judge
from broker.faults.config import called
from broker.wire.messages import ENVIRONMENT, OBSERVER, agent_name
from env_service.config import ServiceConfig
from env_service.environments import make_task
from scenarios.process_fault_config import PROCESS_FAULTS, LateJoinConfig
from scenarios.process_faults import BROKER, matching
from scenarios.scenario import Scenario, explained
from scenarios.topology import Graph, ProximityConfig, build_graph
from scenarios.traces import with_traces

_FIRST_LIFE = LifeConfig()


@dataclass(frozen=True)
class Wiring:
    """Where the participants of one run find each other.

    Attributes:
        run: Name of the run, the second part of every topic.
        addresses: Where each participant and the observer listen, with ZeroMQ direct.
        broker: Where everybody connects to, with MQTT or a forwarder.
        observed: Whether an observer takes records.
        keys: Folder with a folder of keys for each participant and the observer, or None without security.
        journals: Folder for journals, or None to keep none.
        checkpoints: Folder with a folder of checkpoints for each participant, or None to keep none.
        life: Which one begins, and where.
    """

    run: str
    addresses: Mapping[str, str] = field(default_factory=dict)
    broker: str = ""
    observed: bool = False
    keys: Path | None = None
    journals: Path | None = None
    checkpoints: Path | None = None
    life: LifeConfig = _FIRST_LIFE


@dataclass(frozen=True)
class Plan:
    """A scenario that can work: its graph is built and its task has been looked at.

    Attributes:
        scenario: The document.
        agents: Their names, in order.
        graph: Who may ever be whose neighbor.
        action_counts: Number of actions of each agent.
        observation_size: Length of an observation.
        steps: Time limit of an episode.
    """

    scenario: Scenario
    agents: tuple[str, ...]
    graph: Graph
    action_counts: dict[str, int]
    observation_size: int
    steps: int

    @property
    def strikable(self) -> tuple[str, ...]:
        """Everybody whom a fault of processes can strike."""
        transport = self.scenario.transport
        if transport.kind == "mqtt":
            started = not transport.mqtt.address
        else:
            started = transport.zeromq.mode == "forwarder" and not transport.zeromq.forwarder
        return (*self.participants, BROKER) if started else self.participants

    @property
    def participants(self) -> tuple[str, ...]:
        """The environment, then the agents."""
        return (ENVIRONMENT, *self.agents)

    def peers(self, name: str) -> tuple[str, ...]:
        """Whom participant `name` sends to and hears from, the observer aside."""
        return self.agents if name == ENVIRONMENT else (ENVIRONMENT, *self.graph.neighbors[name])

    def agent(self, name: str, wiring: Wiring) -> AgentConfig:
        """What agent `name` is told."""
        scenario = self.scenario
        return AgentConfig(
            link=self._link(name, self.peers(name), wiring),
            neighbors=self.graph.neighbors,
            proximity=self.graph.proximity_distance is not None,
            episodes=scenario.episodes,
            parallel_episodes=scenario.parallel_episodes,
            steps=self.steps,
            observation_size=self.observation_size,
            action_counts=self.action_counts,
            give_up_s=scenario.service.give_up_s,
            exchange=scenario.exchange,
            learning=scenario.learning,
            algorithm=scenario.algorithm,
        )

    def environment(self, wiring: Wiring) -> ServiceConfig:
        """What the environment is told."""
        scenario = self.scenario
        return ServiceConfig(
            link=self._link(ENVIRONMENT, self.peers(ENVIRONMENT), wiring),
            environment=scenario.environment,
            service=scenario.service,
            neighbors=self.graph.neighbors,
            proximity_distance=self.graph.proximity_distance,
            episodes=scenario.episodes,
            parallel_episodes=scenario.parallel_episodes,
        )

    def observer(self, wiring: Wiring) -> LinkConfig:
        """What the observer is told."""
        return self._link(OBSERVER, self.participants, wiring)

    def _link(self, name: str, peers: tuple[str, ...], wiring: Wiring) -> LinkConfig:
        scenario = self.scenario
        known = {name, *peers, OBSERVER}
        return LinkConfig(
            run=wiring.run,
            name=name,
            peers=peers,
            seed=scenario.seed,
            transport=scenario.transport,
            joining=scenario.joining,
            faults=scenario.message_faults,
            observed=wiring.observed and name != OBSERVER,
            addresses={who: address for who, address in wiring.addresses.items() if who in known},
            broker=wiring.broker,
            credentials=wiring.keys / name if wiring.keys else None,
            journal=wiring.journals / _journal(name, wiring.life) if wiring.journals else None,
            life=_life(name, wiring),
        )


def _life(name: str, wiring: Wiring) -> LifeConfig:
    folder = wiring.checkpoints / name if wiring.checkpoints is not None else None
    return wiring.life.model_copy(update={"checkpoints": folder})


def _journal(name: str, life: LifeConfig) -> str:
    return f"{name}-{life.incarnation}.journal" if life.incarnation else f"{name}.journal"


def make_plan(scenario: Scenario) -> Plan:
    """Build the graph and look at the task.

    Raises:
        ScenarioError: Something in the document cannot work; names the path.
    """
    scenario = with_traces(scenario)
    Judge(scenario.message_faults, scenario.seed)
    algorithm = make_algorithm(scenario)
    task = make_task(scenario.environment, 1)
    try:
        agents = tuple(agent_name(index) for index in range(len(task.action_counts)))
        graph = build_graph(scenario.topology, len(agents), scenario.seed)
        if isinstance(scenario.topology, ProximityConfig) and task.positions() is None:
            raise ScenarioError(
                "topology.kind",
                "expected a fixed graph: this environment does not say where its agents are, so none is near another",
            )
        if scenario.service.missing_action == "noop" and task.noop_action is None:
            raise ScenarioError(
                "service.missing_action", "expected wait or repeat: this task has no action that does nothing"
            )
        counts = dict(zip(agents, task.action_counts, strict=True))
        plan = Plan(scenario, agents, graph, counts, task.observation_size, task.steps)
        _check_size_of_shares(plan, algorithm)
        _check_process_faults(plan)
        return plan
    finally:
        task.close()


def make_algorithm(scenario: Scenario) -> Algorithm:
    """The algorithm that the scenario names, with its settings.

    Raises:
        ScenarioError: There is none of this name, its settings are wrong, or others do not go with it.
    """
    name = scenario.algorithm.name
    try:
        algorithm = load_algorithm(name)(scenario.learning, scenario.algorithm)
    except ValidationError as error:
        raise explained(error, "algorithm.settings") from None
    if scenario.exchange.late_shares == "reuse" and not algorithm.shares_parameters:
        raise ScenarioError(
            "exchange.late_shares", f"expected drop: {name} shares no parameters, and all else is about one round only"
        )
    if scenario.learning.initial_parameters == "own" and algorithm.shares_parameters:
        raise ScenarioError(
            "learning.initial_parameters",
            f"expected auto or common: {name} averages parameters, so all agents have to start from the same ones",
        )
    return algorithm


def _check_process_faults(plan: Plan) -> None:
    """Refuse faults of processes that could strike nobody, or never, and a policy that they need."""
    scenario = plan.scenario
    if scenario.recovery.on_crash == "degrade" and scenario.service.missing_action == "wait":
        raise ScenarioError(
            "service.missing_action",
            'expected noop or repeat with recovery.on_crash = "degrade": somebody has to act for an agent that died',
        )
    names, seen = plan.strikable, set()
    for position, fault in enumerate(scenario.faults):
        if not isinstance(fault, PROCESS_FAULTS):
            continue
        path, name = f"faults[{position}]", called(fault)
        if name in seen:
            raise ScenarioError(f"{path}.name", f"two faults are called {name!r}; give each its own name")
        seen.add(name)
        if not matching(fault, names):
            raise ScenarioError(f"{path}.participants", f"expected some of {', '.join(names)}: they match none")
        if isinstance(fault, LateJoinConfig):
            if fault.by_s >= scenario.joining.give_up_s:
                raise ScenarioError(f"{path}.by_s", f"expected less than joining.give_up_s, found {fault.by_s}")
        elif any(episode >= scenario.episodes for episode in fault.at_episodes):
            raise ScenarioError(
                f"{path}.at_episodes",
                f"expected less than episodes = {scenario.episodes}, found {max(fault.at_episodes)}",
            )


def _check_size_of_shares(plan: Plan, algorithm: Algorithm) -> None:
    """Refuse shares that the transport would refuse, in the middle of a run."""
    scenario = plan.scenario
    positions = plan.steps * scenario.parallel_episodes
    format_ = ShareFormat(algorithm, positions, len(plan.agents))
    widest = max(plan.action_counts.values())
    needed = 0
    for agent in plan.agents:
        networks = networks_of(
            agent,
            algorithm.models,
            plan.graph.neighbors[agent],
            action_counts=plan.action_counts,
            observation_size=plan.observation_size,
            hidden=scenario.learning.hidden,
        )
        needed = max(needed, format_.size_bytes(networks.edge(positions, plan.action_counts[agent], widest)))
    limit = scenario.transport.max_message_bytes
    if needed > limit:
        raise ScenarioError(
            "transport.max_message_bytes",
            f"expected at least {needed}, which a share of {algorithm.name} may take here, found {limit}",
        )
