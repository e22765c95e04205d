"""From a scenario to its plan: the graph is built, the task is looked at, and what cannot work is refused."""

from __future__ import annotations

from dataclasses import replace

from pydantic import ValidationError

from agent_node.learning.algorithm import Algorithm
from agent_node.learning.network_sizes import networks_of
from agent_node.learning.shares import HEAD_BYTES, ShareFormat
from agent_node.registry import load_algorithm
from broker.errors import ScenarioError
from broker.faults import Judge
from broker.faults.config import name_of_fault
from broker.user_code import UserCode
from broker.wire.arrays import layouts
from broker.wire.messages import agent_name, timestep_layout
from env_service.environments import make_task
from scenarios.document.delay_traces import with_traces
from scenarios.document.explained import explained
from scenarios.document.graph import build_graph
from scenarios.document.plan import Plan
from scenarios.document.process_faults import PROCESS_FAULTS, LateJoinConfig, matching
from scenarios.document.scenario import Scenario
from scenarios.document.topology import ProximityConfig


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
        largest_bytes = max(_size_of_shares(plan, algorithm), _size_of_timesteps(plan))
        _check_process_faults(plan)
        return replace(plan, largest_bytes=largest_bytes)
    finally:
        task.close()


def make_algorithm(scenario: Scenario) -> Algorithm:
    """The algorithm that the scenario names, with its settings.

    Raises:
        ScenarioError: There is none of this name, its settings are wrong, or others do not go with it.
    """
    name = scenario.algorithm.name
    named = load_algorithm(name)
    with UserCode("algorithm", name, named.__module__).calling("the making"):
        try:
            algorithm = named(scenario.learning, scenario.algorithm)
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
        path, name = f"faults[{position}]", name_of_fault(fault)
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


def _size_of_timesteps(plan: Plan) -> int:
    """What a timestep may take, in bytes."""
    others = len(plan.agents) - 1 if isinstance(plan.scenario.topology, ProximityConfig) else None
    layout = timestep_layout(plan.scenario.parallel_episodes, plan.observation_size, others)
    return HEAD_BYTES + layouts[layout].size_bytes


def _size_of_shares(plan: Plan, algorithm: Algorithm) -> int:
    """What a share may take, in bytes.

    Raises:
        ScenarioError: The transport would refuse it, in the middle of the run.
    """
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
        edge = networks.edge(positions, plan.action_counts[agent], widest)
        with UserCode("algorithm", algorithm.name, type(algorithm).__module__).calling("fields()"):
            needed = max(needed, format_.size_bytes(edge))
    limit = scenario.transport.max_message_bytes
    if needed > limit:
        raise ScenarioError(
            "transport.max_message_bytes",
            f"expected at least {needed}, which a share of {algorithm.name} may take here, found {limit}",
        )
    return needed
