"""Processes as a way to run: a participant each, over sockets, watched from here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

from broker.own_clock import OwnClock
from broker.participants.checkpoint import Checkpoints
from broker.participants.link import LifeConfig, TraceConfig
from scenarios.document.plan import Plan
from scenarios.results.folder import RunFolder
from scenarios.results.observer import Observer
from scenarios.results.temporary import temporary_folder
from scenarios.running.launched.launched_life import LaunchedLife
from scenarios.running.meeting.meeting import Meeting, meeting
from scenarios.running.nodes import Site
from scenarios.running.substrate import Way

MakeSite = Callable[[Plan, RunFolder, Observer], AbstractContextManager[Site]]


Fit = Callable[[Plan], Plan]


def launched(make_site: MakeSite, fit: Fit = lambda plan: plan, trace: TraceConfig | None = None) -> Way:
    """The way that `foretell run` goes, wherever its processes live.

    Args:
        make_site: Gives the place of a run's processes, whose logs belong in its folder.
        fit: Makes a plan fit for that place; its participants decide what they would decide anywhere.
        trace: In which trace spans are; None: nobody makes any.
    """

    @contextmanager
    def way(plan: Plan, folder: RunFolder, observer: Observer) -> Iterator[Launched]:
        fitting = fit(plan)
        with (
            temporary_folder() as sockets,
            meeting(fitting, folder, Path(sockets), observer.run_name, observer.tell) as found,
            make_site(fitting, folder, observer) as site,
        ):
            found.move(site.wired(replace(found.wiring, trace=trace)), site.broker_at())
            yield Launched(folder, observer, site, found, fit)

    return way


class Launched:
    """All lives as processes; see `scenarios.running.substrate.Substrate`.

    Args:
        folder: Where checkpoints are.
        observer: Takes the records.
        site: Where the processes live.
        found: Where they meet.
        fit: See `launched`.
    """

    def __init__(self, folder: RunFolder, observer: Observer, site: Site, found: Meeting, fit: Fit) -> None:
        self._folder = folder.checkpoints.absolute()
        self.checkpoints: Mapping[str, Checkpoints] = site.checkpoints
        self._observer = observer
        self._site, self._fit = site, fit
        self._found = found
        self._clock = OwnClock()

    def life(self, plan: Plan, config: LifeConfig, late: Mapping[str, float]) -> LaunchedLife:
        """A life over the same meeting place as the one before; a host may have moved since then."""
        fitting, wiring = self._fit(plan), self._found.wiring
        met = fitting.scenario.transport.zeromq.addresses
        addresses = {name: met.get(name, address) for name, address in wiring.addresses.items()}
        return LaunchedLife(
            fitting,
            replace(wiring, addresses=addresses, checkpoints=self._folder, life=config),
            self._observer,
            site=self._site,
            found=self._found,
            late=late,
            clock=self._clock,
        )
