"""How long the agents of a fleet compute, measured where they live, as faults that a simulation can have."""

from __future__ import annotations

import math

from scenarios.document.plan import Plan
from scenarios.document.wiring import Wiring
from scenarios.results.folder import RunFolder
from scenarios.running.fleet import Fleet
from scenarios.running.hosts.belongings import told_there
from scenarios.running.hosts.bundle import Manifest
from scenarios.running.hosts.carrier import Dial
from scenarios.running.hosts.fleet_site import clients_of, fleet_plan
from scenarios.running.hosts.frames import MeasureSpeed

_RUN = "doctor"
_HEAD = """# How long agents compute, measured by `foretell doctor {scenario}`, for
# `foretell simulate {scenario} --profile FILE`. Where a host has fewer cores than agents, they take turns.
"""


def fleet_profile(fleet: Fleet, plan: Plan, folder: RunFolder, dial: Dial, *, held: Manifest | None) -> str:
    """Measure the first agent of every host that has one, and take the others there for as fast; TOML.

    Args:
        fleet: The hosts.
        plan: What is to run there.
        folder: For what the hosts say.
        dial: Begins a connection to a host.
        held: The launcher's bundle, where hosts wait with theirs.

    Raises:
        ForetellError: A host cannot be reached, or its agent cannot be measured.
    """
    fitting, homes = fleet_plan(fleet, plan), fleet.homes(plan.participants)
    found = [_HEAD.format(scenario=plan.scenario.name)]
    for name, client in clients_of(fleet, fitting, folder, _RUN, dial, held=held, try_for_s=0.0).items():
        agents = [agent for agent in plan.agents if homes[agent] == name]
        if not agents:
            continue
        client.dial()
        try:
            client.greet()
            told = told_there(fitting.agent(agents[0], Wiring(_RUN, {})).model_dump_json())
            found += _faults(name, agents, *client.ask(MeasureSpeed(told)))
        finally:
            client.close()
    return "\n".join(found)


def _faults(host: str, agents: list[str], action_s: float, share_s: float, cores: int) -> list[str]:
    turns = math.ceil(len(agents) / cores)
    listed = ", ".join(f'"{agent}"' for agent in agents)
    return [
        f'[[faults]]\nname = "{host}-{kind}"\nkind = "slow-node"\nagents = [{listed}]\nmessages = ["{kind}"]\n'
        f'compute_s = {{ distribution = "constant", value_s = {seconds * turns:.6f} }}\n'
        for kind, seconds in (("action", action_s), ("share", share_s))
    ]
