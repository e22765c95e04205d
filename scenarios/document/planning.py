"""From a scenario to its plan: the graph is built, the task is looked at, and what cannot work is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pydantic import ValidationError

from agent_node.learning.algorithm import Algorithm
from agent_node.learning.fields import ShareShape
from agent_node.learning.shares import HEAD_BYTES, ShareFormat, holds_floats
from agent_node.registry import load_algorithm
from broker.errors import ScenarioError
from broker.faults import Judge
from broker.faults.aim import Targets, require_aim
from broker.faults.config import name_of_fault
from broker.user_code import UserCode
from broker.wire.messages import ENVIRONMENT
from env_service.environments import make_task
from env_service.environments.task import Task, closing_task
from scenarios.document.addressing import with_ids
from scenarios.document.agent_names import AgentNames
from scenarios.document.delay_traces import with_traces
from scenarios.document.graph import Graph, graph_of
from scenarios.document.initial_policy import require_acting_faults, require_fit
from scenarios.document.loading import with_initial_policy
from scenarios.document.plan import Plan
from scenarios.document.process_faults import PROCESS_FAULTS, LateJoinConfig, matching
from scenarios.document.scenario import Scenario
from scenarios.document.text.explained import explained
from scenarios.document.topology import ProximityConfig


def make_plan(scenario: Scenario) -> Plan:
    """Build the graph and look at the task.

    Raises:
        ScenarioError: Something in the document cannot work; names the path.
    """
    scenario = with_initial_policy(with_traces(scenario), None)
    Judge(scenario.message_faults, scenario.stream_seed)
    algorithm = make_algorithm(scenario)
    task = make_task(scenario.environment, 1, scenario.stream_seed)
    with closing_task(task):
        return _planned(scenario, task, algorithm)


def _planned(scenario: Scenario, task: Task, algorithm: Algorithm) -> Plan:
    names = AgentNames.of(len(task.action_counts), task.agent_names)
    scenario = with_ids(scenario, names)
    graph = _graph_of(scenario, names)
    if isinstance(scenario.topology, ProximityConfig) and task.positions() is None:
        raise ScenarioError(
            "topology.kind",
            "expected a fixed graph: this environment does not say where its agents are, so none is near another",
        )
    if scenario.service.missing_action == "noop" and task.noop_action is None:
        raise ScenarioError(
            "service.missing_action", "expected wait or repeat: this task has no action that does nothing"
        )
    counts = dict(zip(names.by_id, task.action_counts, strict=True))
    masks = task.action_masks() is not None
    plan = Plan(scenario, names, graph, counts, task.observation_size, task.steps, masks)
    largest_bytes = max(_size_of_shares(plan, algorithm), HEAD_BYTES + plan.timestep_bytes)
    _check_patience(plan, algorithm)
    _check_message_faults(plan, algorithm)
    _check_process_faults(plan)
    require_acting_faults(scenario)
    require_fit(plan, type(algorithm))
    return replace(plan, largest_bytes=largest_bytes)


def _graph_of(scenario: Scenario, names: AgentNames) -> Graph:
    try:
        return graph_of(scenario, len(names.by_id))
    except ScenarioError as error:
        raise ScenarioError(error.path, names.tell(error.problem)) from None


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
            raise explained(error, named.settings_model, "algorithm.settings") from None
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


def _check_message_faults(plan: Plan, algorithm: Algorithm) -> None:
    """Refuse faults of messages that could never strike."""
    scenario = plan.scenario
    if not scenario.message_faults:
        return
    names = _names_of_arrays(plan, algorithm)
    targets = Targets(
        plan.participants,
        (
            *((ENVIRONMENT, agent, "timestep") for agent in plan.agents),
            *((agent, ENVIRONMENT, "action") for agent in plan.agents),
            *((*edge, "share") for edge in plan.graph.edges),
        ),
        scenario.episodes,
        scenario.learning.rounds,
        plan.steps,
        names,
    )
    for position, fault in enumerate(scenario.faults):
        if not isinstance(fault, PROCESS_FAULTS):
            try:
                require_aim(fault, f"faults[{position}]", targets)
            except ScenarioError as error:
                raise ScenarioError(error.path, plan.names.tell(error.problem)) from None


def _names_of_arrays(plan: Plan, algorithm: Algorithm) -> tuple[str, ...]:
    """Arrays of floating-point numbers in the agents' shares."""
    format_ = _format(plan, algorithm)
    with UserCode("algorithm", algorithm.name, type(algorithm).__module__).calling("fields()"):
        fields = [field for shape in _shapes(plan, algorithm) for field in format_.fields(shape)]
    return tuple(dict.fromkeys(field.name for field in fields if holds_floats(field)))


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
        for pattern in fault.participants:
            if not matching(fault.model_copy(update={"participants": (pattern,)}), names):
                known = ", ".join(map(plan.names.told, names))
                raise ScenarioError(f"{path}.participants", f"expected some of {known}: {pattern!r} matches none")
        if isinstance(fault, LateJoinConfig):
            if fault.by_s >= scenario.joining.give_up_s:
                raise ScenarioError(f"{path}.by_s", f"expected less than joining.give_up_s, found {fault.by_s}")
        elif any(episode >= scenario.episodes for episode in fault.at_episodes):
            raise ScenarioError(
                f"{path}.at_episodes",
                f"expected less than episodes = {scenario.episodes}, found {max(fault.at_episodes)}",
            )


def _check_patience(plan: Plan, algorithm: Algorithm) -> None:
    """Refuse rounds in which agents may wait longer for each other than the environment waits for them."""
    scenario = plan.scenario
    waits_s = scenario.rounds * scenario.exchange.patience_s
    if not plan.graph.edges or waits_s < scenario.service.give_up_s:
        return
    with UserCode("algorithm", algorithm.name, type(algorithm).__module__).calling("fields()"):
        shares = any(map(_format(plan, algorithm).fields, _shapes(plan, algorithm)))
    if shares:
        raise ScenarioError(
            "exchange.patience_s",
            f"expected learning.rounds * patience_s below service.give_up_s = {scenario.service.give_up_s:g}, found "
            f"{scenario.rounds} * {scenario.exchange.patience_s:g} = {waits_s:g}: the environment would give "
            "up on agents that still wait for a share",
        )


def _size_of_shares(plan: Plan, algorithm: Algorithm) -> int:
    """What a share may take, in bytes.

    Raises:
        ScenarioError: The transport would refuse it, in the middle of the run.
    """
    format_, limit = _format(plan, algorithm), plan.scenario.transport.max_message_bytes
    with UserCode("algorithm", algorithm.name, type(algorithm).__module__).calling("fields()"):
        needed = max(map(format_.size_bytes, _shapes(plan, algorithm)))
    if needed > limit:
        raise ScenarioError(
            "transport.max_message_bytes",
            f"expected at least {needed}, which a share of {algorithm.name} may take here, found {limit}",
        )
    return needed


def _format(plan: Plan, algorithm: Algorithm) -> ShareFormat:
    scenario = plan.scenario
    positions, largest = plan.steps * scenario.parallel_episodes, scenario.exchange.largest_number
    return ShareFormat(algorithm, positions, len(plan.agents), plan.masks, largest)


def _shapes(plan: Plan, algorithm: Algorithm) -> Iterator[ShareShape]:
    """The largest share of every agent."""
    positions, widest = plan.steps * plan.scenario.parallel_episodes, max(plan.action_counts.values())
    for agent in plan.agents:
        yield plan.networks(agent, type(algorithm)).edge(positions, plan.action_counts[agent], widest)
