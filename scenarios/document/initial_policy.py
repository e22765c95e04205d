"""Whether agents can begin with a policy: what does not fit is refused by name."""

from __future__ import annotations

from collections.abc import Iterator

from agent_node.config import InitialPolicyConfig
from agent_node.learning.algorithm import Algorithm
from agent_node.policy_document import LearnedAgent, PolicyDocument
from agent_node.policy_files import place_of_policy
from agent_node.policy_folder import read_policy, read_training
from agent_node.registry import load_algorithm
from agent_node.saved_policy import SavedPolicy, misfit, open_policy
from broker.arithmetic.sizes import Sizes
from broker.counting import counted
from broker.errors import ScenarioError, UserError
from scenarios.document.plan import Plan
from scenarios.document.process_faults import PROCESS_FAULTS
from scenarios.document.scenario import Scenario

_FIELD = "initial_policy"


def require_acting_faults(scenario: Scenario) -> None:
    """Refuse faults that could never strike where nobody learns.

    Raises:
        ScenarioError: Names the fault.
    """
    if scenario.acts_only is None:
        return
    for position, fault in enumerate(scenario.faults):
        if not isinstance(fault, PROCESS_FAULTS) and "share" in fault.messages:
            raise ScenarioError(
                f"faults[{position}].messages",
                f"expected timestep, action or both, found {', '.join(fault.messages)}: shares play no part in acting, "
                "and an evaluation has none",
            )


def require_fit(plan: Plan, algorithm: type[Algorithm]) -> None:
    """Refuse a policy that the agents of a plan cannot begin with.

    Args:
        plan: What is to run.
        algorithm: What its agents learn by.

    Raises:
        ScenarioError: Names agent and reason.
    """
    config = plan.scenario.initial_policy
    if config is None:
        return
    try:
        saved = _whole(config, learns=plan.scenario.acts_only is None)
    except UserError as error:
        raise ScenarioError(f"{_FIELD}.path", str(error)) from None
    if config.episodes != saved.document.learned_from:
        problem = f"expected {saved.document.learned_from}, which the policy in {saved.folder} has learned from"
        raise ScenarioError(f"{_FIELD}.episodes", f"{problem}, found {config.episodes}")
    problem = next(_misfits(plan, algorithm, saved.document), "")
    if problem:
        raise ScenarioError(_FIELD, f"the policy in {saved.folder} does not fit: {plan.names.tell(problem)}")


def goes_on(plan: Plan, algorithm: type[Algorithm]) -> bool:
    """Whether all agents train on where their policy stopped, not with its networks alone."""
    config, name = plan.scenario.initial_policy, plan.scenario.algorithm.name
    if config is None or not (saved := _whole(config, learns=True)).document.training:
        return False
    return all(saved.goes_on(agent, plan.networks(agent, algorithm).modeled, name) for agent in plan.agents)


def _whole(config: InitialPolicyConfig, *, learns: bool) -> SavedPolicy:
    """The policy, after all of it that is needed was read once: each agent reads its own part alone."""
    saved = open_policy(place_of_policy(config.path), config.digest or "")
    read_policy(saved.folder)
    if learns:
        read_training(saved.folder, saved.document)
    return saved


def _misfits(plan: Plan, algorithm: type[Algorithm], document: PolicyDocument) -> Iterator[str]:
    """Why agents cannot begin with a policy."""
    learns = plan.scenario.acts_only is None
    known, asked = set(document.agents), set(plan.agents)
    if known != asked:
        has = counted(len(known), "agent")
        yield f"it is of {has} ({_listed(known)}), and the scenario has {len(asked)} ({_listed(asked)})"
        return
    if learns and algorithm.shares_parameters and not _began_alike(document):
        yield (
            f"{plan.scenario.algorithm.name} averages parameters, so all agents have to begin with networks that "
            f"belong together, and with {document.algorithm} each has started from its own"
        )
    for agent in plan.agents:
        learned = document.agents[agent]
        problem = misfit(agent, learned, plan.observation_size, plan.action_counts[agent])
        if not problem and learns:
            problem = _cannot_learn_on(plan, agent, learned, algorithm, document.algorithm)
        if problem:
            yield problem


def _began_alike(document: PolicyDocument) -> bool:
    """Whether the agents' networks were averaged as they learned, or at least started from the same parameters."""
    learning = document.document.get("learning")
    if isinstance(learning, dict) and learning.get("initial_parameters") == "common":
        return True
    try:
        return load_algorithm(document.algorithm).shares_parameters
    except ScenarioError:
        return False


def _cannot_learn_on(plan: Plan, agent: str, learned: LearnedAgent, algorithm: type[Algorithm], learned_by: str) -> str:
    networks = plan.networks(agent, algorithm)
    missing = [other for other in networks.modeled if other not in learned.policies]
    if missing:
        return (
            f"{agent} is to hold a policy for {missing[0]}, and has none: it has learned with {learned_by}, "
            f"for {', '.join(learned.policies)}"
        )
    kinds = (("policies", networks.actor, learned.actor), ("a critic", networks.critic, learned.critic))
    for kind, needed, layout in kinds:
        if needed != layout.sizes:
            return f"{agent} has {kind} of sizes {_sizes(layout.sizes)}, and is to have {_sizes(needed)}"
    return ""


def _sizes(sizes: Sizes) -> str:
    return "-".join(map(str, sizes.widths))


def _listed(agents: set[str]) -> str:
    shown = sorted(agents)
    return ", ".join(shown[:4]) + (", ..." if len(shown) > 4 else "")
