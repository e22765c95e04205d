"""What `foretell check` shows and writes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from broker.counting import counted, listed, shown_bytes
from broker.errors import EnvironmentMissing, UserError
from broker.participants.seal import sealed
from broker.run_name import new_run_name
from broker.wire.messages import ENVIRONMENT, OBSERVER
from env_service.config import PettingZooConfig, VmasConfig
from env_service.trial import play_once
from scenarios.commands.planned import planned
from scenarios.document.initial_policy import goes_on
from scenarios.document.needs import needs_of
from scenarios.document.plan import Plan
from scenarios.document.planning import make_algorithm
from scenarios.document.scenario import Scenario
from scenarios.document.wiring import Wiring
from scenarios.results.temporary import own_folder, temporary_place
from scenarios.running.apart import call_apart
from scenarios.running.machine import memory_sentence, missing, this_machine
from scenarios.running.meeting.addresses import make_addresses
from scenarios.running.meeting.keys import needs_keys, run_of_keys
from scenarios.running.meeting.meeting import find_given_keys
from scenarios.running.meeting.running_broker import given_addresses
from scenarios.running.scale import Scale, scale_of

_NEIGHBORS_SHOWN = 10
_ALONE = (
    "# they meet at sockets of this host, so no other host can take part: for others, set transport.zeromq.addresses, "
    "or let `foretell bundle` make what each needs"
)


def plan_of(scenario: Scenario, *, play: bool) -> tuple[Plan, str]:
    """The plan, after one reset and one step of the environment, and what of these was another from the same seed.

    Args:
        scenario: The document.
        play: Whether it is played; else it is made only, to see who is there.

    Raises:
        EnvironmentMissing: It is not on this host.
        UserError: It cannot be served, or the scenario cannot work, or `foretell run` would refuse its keys.
        ForetellError: It raised, or gave what nobody can use.
    """
    game, unlike = partial(play_once, scenario.environment, scenario.seed), ""
    brought = isinstance(scenario.environment, PettingZooConfig | VmasConfig)
    if play and brought:
        unlike = call_apart(game, "the environment")
    plan = planned(scenario)
    if play and not brought:
        game()
    find_given_keys(plan)
    return plan, unlike


def describe_alone(scenario: Scenario, missing: EnvironmentMissing) -> str:
    """The resolved document, where who plays and who sees what cannot be known."""
    return f"{scenario.to_toml().rstrip()}\n\n# agents, edges and sizes are not known here: {missing.problem}"


def describe(plan: Plan, unlike: str = "") -> str:
    """The resolved document, each agent's edges, and what may surprise.

    Args:
        plan: What would run.
        unlike: What of the environment was another from the same seed.
    """
    lines = [plan.scenario.to_toml().rstrip(), "", "# edges per agent"]
    lines += _neighbors(plan)
    edges = len(plan.graph.edges)
    lines.append(
        f"# {counted(len(plan.agents), 'agent')}, {counted(edges, 'directed edge')}, "
        f"observations of {counted(plan.observation_size, 'number')}"
    )
    if plan.masks:
        lines.append("# actions are masked: the environment says at every step which are possible")
    if plan.graph.proximity_distance is not None:
        lines.append("# neighbors are those of the above that are in range, decided anew at every step")
    lines += _begun_with(plan)
    if unlike:
        lines.append(f"# note: {_unlike(unlike)}")
    components = plan.graph.components()
    if components > 1 and plan.scenario.acts_only is None:
        lines.append(f"# note: the graph falls into {components} parts that never exchange anything")
    lines += _of_the_machine(plan)
    return "\n".join(lines)


def _unlike(what: str) -> str:
    """What it means that an environment does not repeat itself, and what to look at."""
    return (
        f"the same seed gave another {what}: runs with equal seeds may differ, and so may a run that is resumed. Does "
        "all that the environment draws come from the `seed` of reset? Spaces have generators of their own: seed them "
        "there, too"
    )


def _neighbors(plan: Plan) -> Iterator[str]:
    """Who is whose neighbor, as far as one can read it."""
    told, others = plan.names.told, len(plan.agents) - 1
    if others > _NEIGHBORS_SHOWN and len(plan.graph.edges) == others * len(plan.agents):
        yield "# all are neighbors of all"
        return
    for agent in plan.agents:
        theirs = [told(neighbor) for neighbor in plan.graph.neighbors[agent]]
        yield f"# {told(agent)}: {listed(theirs, _NEIGHBORS_SHOWN) or 'none'}"


def _begun_with(plan: Plan) -> Iterator[str]:
    """What becomes of the policy that agents begin with."""
    policy = plan.scenario.initial_policy
    if policy is None:
        return
    how = "with its networks alone; what else training needs begins anew"
    if plan.scenario.acts_only is not None:
        how = "as it is; nobody learns"
    elif goes_on(plan, type(make_algorithm(plan.scenario))):
        how = "where its training stopped"
    learned = counted(policy.episodes or 0, "episode")
    yield f"# agents begin with the policy in {policy.path}, after {learned}, {how}"


def _of_the_machine(plan: Plan) -> Iterator[str]:
    """What the plan needs, and what of it is missing here.

    Raises:
        UserError: No machine like this one could hold a single participant.
    """
    needs, machine = needs_of(plan), this_machine()
    if needs.by_participant[needs.largest] > machine.memory_bytes:
        raise UserError(memory_sentence(needs, machine))
    yield f"# memory: at least {shown_bytes(needs.in_all)}, and the programs themselves"
    yield _of_the_processes(scale_of(plan))
    for sentence in missing(plan, machine, needs, as_processes=True):
        yield f"# note: {sentence}"


def _of_the_processes(scale: Scale) -> str:
    """What `foretell run` takes of processes and the network."""
    busiest = max(scale.roles, key=scale.files_of)
    files = f"at most {counted(scale.files_of(busiest), 'open file')} in one (the {busiest})"
    sent = f"{counted(scale.messages, 'message')} of {shown_bytes(scale.episode_bytes)} an episode"
    return f"# as processes: {counted(scale.connections, 'connection')}, {files}; {sent}"


def write_slices(plan: Plan, folder: Path) -> str:
    """Write each participant's slice to `folder` as JSON, wired to each other but to no observer.

    Returns:
        What the user is told of them, as remarks of the document.

    Raises:
        UserError: The folder cannot be written, or it is not said where the participants meet, or
            the folder of their sockets is not ours.
    """
    transport = plan.scenario.transport
    between = given_addresses(plan)
    if not between and (transport.kind == "mqtt" or transport.zeromq.mode == "forwarder"):
        where = "transport.mqtt.address" if transport.kind == "mqtt" else "transport.zeromq.forwarder"
        msg = f"processes started by hand must know where they meet: set {where} (`foretell broker` shows its address)"
        raise UserError(msg)
    if needs_keys(transport) and transport.security.keys is None:
        msg = "an address beyond this host needs keys: make them with `foretell keys` and set transport.security.keys"
        raise UserError(msg)
    sockets = temporary_place() / f"foretell-{plan.scenario.name}"
    addresses = make_addresses(plan.participants, transport.zeromq, sockets)
    del addresses[OBSERVER]
    keys = transport.security.keys if needs_keys(transport) else None
    run = run_of_keys(keys) if keys is not None else new_run_name(plan.scenario.name)
    wiring = Wiring(run, addresses, name=run, broker=between[0] if between else "", keys=keys)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if transport.zeromq.scheme == "ipc":
            own_folder(sockets)
        for name in plan.participants:
            slice_ = plan.environment(wiring) if name == ENVIRONMENT else plan.agent(name, wiring)
            (folder / f"{name}.json").write_text(sealed(slice_.model_dump_json()), encoding="utf-8")
    except OSError as error:
        msg = f"cannot write slices to {folder}: {error.strerror}"
        raise UserError(msg) from None
    alone = any(address.startswith("ipc://") for address in addresses.values()) and not between
    return f"# slices of {run}: {folder}/" + (f"\n{_ALONE}" if alone else "")
