"""Runs a scenario in one process, in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from agent_node.build import make_agent
from broker.checkpoint import State
from broker.config import LinkConfig
from broker.connect import connect
from broker.driver import Driver
from broker.errors import ParticipantDied
from broker.life import begin_life
from broker.participant import Participant
from broker.transports.memory import MemoryNetwork
from broker.virtual_time import VirtualTime
from env_service.build import make_environment
from scenarios.lives import Lives
from scenarios.observer import Observer
from scenarios.plan import Plan, Wiring
from scenarios.run_folder import RunFolder


def simulate(plan: Plan, folder: RunFolder, observer: Observer, interrupted: Callable[[], bool]) -> None:
    """Run all participants of `plan` until they are done or `interrupted` says so.

    Args:
        plan: What runs.
        folder: For the journals, if the scenario asks for them.
        observer: Takes the records.
        interrupted: Asked again and again; may raise `ParticipantDied`, as if somebody had.

    Raises:
        Deadlock: Nobody can go on.
        PeerLost: A participant gave up on another.
    """
    torch.set_num_threads(1)
    journals = folder.journals if plan.scenario.transport.journal else None
    lives = Lives(plan, observer, None)
    why, now = "", 0.0
    while True:
        wiring = Wiring(plan.scenario.name, journals=journals, life=lives.begin(why))
        network = MemoryNetwork()
        drivers = _drivers(plan, wiring, network, observer, lives)
        time = VirtualTime(drivers, network, now)
        try:
            time.run(partial(_goes_on, lives, interrupted))
        except ParticipantDied as death:
            why, now = lives.bury(death), time.now
        else:
            return
        finally:
            for driver in drivers:
                driver.finish()
                driver.transport.close(0.0)


def _goes_on(lives: Lives, interrupted: Callable[[], bool]) -> bool:
    lives.tidy()
    return interrupted()


def _drivers(plan: Plan, wiring: Wiring, network: MemoryNetwork, observer: Observer, lives: Lives) -> list[Driver]:
    def drive(make: Callable[[State | None], Participant], link: LinkConfig) -> Driver:
        checkpoints = lives.checkpoints[link.name]
        life, state = begin_life(link.life, checkpoints)
        return Driver(link.run, make(state), connect(link, network), observer.take, life)

    environment = plan.environment(wiring)
    agents = [plan.agent(agent, wiring) for agent in plan.agents]
    first = drive(partial(make_environment, environment), environment.link)
    return [first, *(drive(partial(make_agent, agent), agent.link) for agent in agents)]
