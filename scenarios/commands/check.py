"""What `foretell check` shows and writes."""

from __future__ import annotations

import tempfile
from pathlib import Path

from broker.errors import UserError
from broker.participants.seal import sealed
from broker.run_name import new_run_name
from broker.wire.messages import ENVIRONMENT, OBSERVER
from scenarios.document.plan import Plan
from scenarios.document.wiring import Wiring
from scenarios.results.temporary import own_folder
from scenarios.running.meeting.addresses import make_addresses
from scenarios.running.meeting.keys import needs_keys, run_of_keys
from scenarios.running.meeting.running_broker import given_address


def describe(plan: Plan) -> str:
    """The resolved document, each agent's edges, and what may surprise."""
    lines = [plan.scenario.to_toml().rstrip(), "", "# edges per agent"]
    lines += [f"# {agent}: {', '.join(plan.graph.neighbors[agent]) or 'none'}" for agent in plan.agents]
    edges = len(plan.graph.edges)
    lines.append(
        f"# {len(plan.agents)} agents, {edges} directed edges, observations of {plan.observation_size} numbers"
    )
    if plan.graph.proximity_distance is not None:
        lines.append("# neighbors are those of the above that are in range, decided anew at every step")
    components = plan.graph.components()
    if components > 1:
        lines.append(f"# note: the graph falls into {components} parts that never exchange anything")
    return "\n".join(lines)


def write_slices(plan: Plan, folder: Path) -> str:
    """Write each participant's slice to `folder` as JSON, wired to each other but to no observer.

    Returns:
        Name of the run that they are of.

    Raises:
        UserError: The folder cannot be written, or it is not said where the participants meet, or
            the folder of their sockets is not ours.
    """
    transport = plan.scenario.transport
    between = given_address(plan)
    if not between and (transport.kind == "mqtt" or transport.zeromq.mode == "forwarder"):
        where = "transport.mqtt.address" if transport.kind == "mqtt" else "transport.zeromq.forwarder"
        msg = f"processes started by hand must know where they meet: set {where} (`foretell broker` shows its address)"
        raise UserError(msg)
    if needs_keys(transport) and transport.security.keys is None:
        msg = "an address beyond this host needs keys: make them with `foretell keys` and set transport.security.keys"
        raise UserError(msg)
    sockets = Path(tempfile.gettempdir()) / f"foretell-{plan.scenario.name}"
    addresses = make_addresses(plan.participants, transport.zeromq, sockets)
    del addresses[OBSERVER]
    keys = transport.security.keys if needs_keys(transport) else None
    run = run_of_keys(keys) if keys is not None else new_run_name(plan.scenario.name)
    wiring = Wiring(run, addresses, run, between, keys=keys)
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
    return run
