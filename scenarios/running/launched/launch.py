"""Processes as a way to run: a participant each, over sockets, watched from here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from broker.own_clock import OwnClock
from broker.participants.checkpoint import FileCheckpoints
from broker.participants.link import LifeConfig
from scenarios.document.plan import Plan
from scenarios.results.folder import RunFolder
from scenarios.results.observer import Observer
from scenarios.results.temporary import temporary_folder
from scenarios.running.launched.launched_life import LaunchedLife
from scenarios.running.meeting.meeting import Meeting, meeting
from scenarios.running.nodes import Nodes
from scenarios.running.substrate import Way

MakeNodes = Callable[[RunFolder], Nodes]


def launched(make_nodes: MakeNodes) -> Way:
    """The way that `foretell run` goes, over any kind of nodes.

    Args:
        make_nodes: Gives the nodes of a run, whose logs belong in its folder.
    """

    @contextmanager
    def way(plan: Plan, folder: RunFolder, observer: Observer) -> Iterator[Launched]:
        with (
            temporary_folder() as sockets,
            meeting(plan, folder, Path(sockets), observer.run_name, observer.tell) as found,
        ):
            yield Launched(folder, observer, make_nodes(folder), found, plan.participants)

    return way


class Launched:
    """All lives as processes; see `scenarios.running.substrate.Substrate`.

    Args:
        folder: Where checkpoints are.
        observer: Takes the records.
        nodes: The processes.
        found: Where they meet.
        participants: Everybody who keeps checkpoints.
    """

    def __init__(
        self, folder: RunFolder, observer: Observer, nodes: Nodes, found: Meeting, participants: tuple[str, ...]
    ) -> None:
        self._folder = folder.checkpoints.absolute()
        self.checkpoints: Mapping[str, FileCheckpoints] = {
            name: FileCheckpoints(self._folder / name) for name in participants
        }
        self._observer = observer
        self._nodes = nodes
        self._found = found
        self._clock = OwnClock()

    def life(self, plan: Plan, config: LifeConfig, late: Mapping[str, float]) -> LaunchedLife:
        """A life over the same meeting place as the one before."""
        wiring = replace(self._found.wiring, checkpoints=self._folder, life=config)
        return LaunchedLife(
            plan,
            wiring,
            self._observer,
            nodes=self._nodes,
            found=self._found,
            checkpoints=self.checkpoints,
            late=late,
            clock=self._clock,
        )
