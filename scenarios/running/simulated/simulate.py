"""Simulation as a way to run: one process, virtual time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from broker.participants.checkpoint import FileCheckpoints
from broker.participants.link import LifeConfig
from scenarios.document.plan import Plan
from scenarios.document.wiring import Wiring
from scenarios.results.folder import RunFolder
from scenarios.results.observer import Observer
from scenarios.running.simulated.simulated_life import SimulatedLife


@contextmanager
def simulated(plan: Plan, folder: RunFolder, observer: Observer) -> Iterator[Simulated]:
    """The way that `foretell simulate` goes."""
    yield Simulated(plan, folder, observer)


class Simulated:
    """All lives in this process; see `scenarios.running.substrate.Substrate`.

    Args:
        plan: What runs.
        folder: For checkpoints, for journals, if the scenario asks for them, and for what user code raised.
        observer: Takes the records.
    """

    def __init__(self, plan: Plan, folder: RunFolder, observer: Observer) -> None:
        self.checkpoints: Mapping[str, FileCheckpoints] = {
            name: FileCheckpoints(folder.checkpoints / name) for name in plan.participants
        }
        self._journals = folder.journals if plan.scenario.transport.journal else None
        self._observer = observer
        self._folder = folder
        self._last: SimulatedLife | None = None

    def life(self, plan: Plan, config: LifeConfig, late: Mapping[str, float]) -> SimulatedLife:
        """A life that begins when the one before lets it."""
        now = 0.0 if self._last is None else self._last.up_at
        config = config.model_copy(update={"pauses": True})
        name = self._observer.run_name
        wiring = Wiring(name, name=name, observed=True, journals=self._journals, life=config)
        self._last = SimulatedLife(
            plan, wiring, self._observer, self.checkpoints, log=self._folder.log, now=now, late=late
        )
        return self._last
