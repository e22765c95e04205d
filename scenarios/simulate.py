"""Runs a scenario in one process, in virtual time."""

from __future__ import annotations

from collections.abc import Callable

import torch

from agent_node.build import make_agent
from broker.config import LinkConfig
from broker.connect import connect
from broker.driver import Driver
from broker.participant import Participant
from broker.transports.memory import MemoryNetwork
from broker.virtual_time import VirtualTime
from env_service.build import make_environment
from scenarios.observer import Observer
from scenarios.plan import Plan, Wiring
from scenarios.run_folder import RunFolder


def simulate(plan: Plan, folder: RunFolder, observer: Observer, interrupted: Callable[[], bool]) -> None:
    """Run all participants of `plan` until they are done or `interrupted` says so.

    Args:
        plan: What runs.
        folder: For the journals, if the scenario asks for them.
        observer: Takes the records.
        interrupted: Asked again and again.

    Raises:
        Deadlock: Nobody can go on.
        PeerLost: A participant gave up on another.
    """
    torch.set_num_threads(1)
    journals = folder.journals if plan.scenario.transport.journal else None
    wiring = Wiring(plan.scenario.name, journals=journals)
    network = MemoryNetwork()
    environment = plan.environment(wiring)
    agents = [plan.agent(agent, wiring) for agent in plan.agents]
    drivers = [_driver(make_environment(environment), environment.link, network, observer)]
    drivers += [_driver(make_agent(agent), agent.link, network, observer) for agent in agents]
    try:
        VirtualTime(drivers, network).run(interrupted)
    finally:
        for driver in drivers:
            driver.finish()
            driver.transport.close(0.0)


def _driver(participant: Participant, link: LinkConfig, network: MemoryNetwork, observer: Observer) -> Driver:
    return Driver(link.run, participant, connect(link, network), observer.take)
