"""Runs a scenario in one process, in virtual time."""

from __future__ import annotations

from collections.abc import Callable

import torch

from broker.errors import ParticipantDied
from scenarios.document.plan import Plan
from scenarios.document.wiring import Wiring
from scenarios.results.folder import RunFolder
from scenarios.results.observer import Observer
from scenarios.running.control.recovery import Lives
from scenarios.running.control.supervisor import Supervisor
from scenarios.running.simulated.simulated_life import SimulatedLife


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
    supervisor = Supervisor(plan, observer)
    why, now, late = "", 0.0, supervisor.late()
    while True:
        wiring = Wiring(plan.scenario.name, observed=True, journals=journals, life=supervisor.prepare(lives.begin(why)))
        life = SimulatedLife(plan, wiring, observer, lives, now)
        for name, by_s in late.items():
            life.time.take_away(name, by_s)
        try:
            life.lead(supervisor, interrupted)
        except ParticipantDied as death:
            why, now, late = lives.bury(death, asked=life.crashed), life.up_at, {}
        else:
            return
        finally:
            life.end()
