"""A run that is watched: its folder is looked at again and again, and only what is new is read.

run = WatchedRun(Path("runs/exchange-quick-seed1-1"))
seen = run.look()
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Lock

from broker.wire.messages import ENVIRONMENT
from scenarios.document.agent_names import AgentNames
from scenarios.reports.references import references
from scenarios.results.document import read_document
from scenarios.results.evaluation import NOT_EVALUATED, TrainingEvaluations, read_evaluations
from scenarios.results.folder import RunFolder, is_held, open_run_folder
from scenarios.results.reader import RunReader, read_store
from scenarios.results.run_result import latest_summary
from scenarios.running.housing import read_housing
from scenarios.watching.run_book import RunBook
from scenarios.watching.seen import RunSeen, RunState

_Signature = tuple[tuple[str, int, int], ...]


class WatchedRun:
    """Looks at a run; cheap where nothing has changed.

    Attributes:
        folder: Where it is.

    Args:
        root: The run's folder.
        clock: Seconds of the monotonic clock of this host, by which signs of life are dated.

    Raises:
        UserError: There is no run, or its store is of another version.
    """

    def __init__(self, root: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder = open_run_folder(root)
        self._clock = clock
        self._reading = Lock()
        self._book: RunBook | None = None
        self._signature: _Signature = ()
        self._seen: RunSeen | None = None
        self._evaluations: tuple[_Signature, TrainingEvaluations] = ((), NOT_EVALUATED)

    def look(self) -> RunSeen:
        """What is to be seen now; one thread looks at a time.

        Raises:
            UserError: The folder cannot be read any more.
        """
        with self._reading:
            return self._look()

    def _look(self) -> RunSeen:
        signature, seen = _signature(self.folder), self._seen
        if seen is not None and signature == self._signature:
            if seen.state is not RunState.GOES_ON:
                return seen  # and its lock is let alone: somebody may be about to take it
            if self._state() is RunState.GOES_ON:
                return self._with_waits(seen)
        self._seen = self._read(self._state(), 0 if seen is None else seen.version + 1)
        self._signature = signature  # only now: what could not be read is tried again
        return self._seen

    def _state(self) -> RunState:
        if is_held(self.folder):
            return RunState.GOES_ON
        summary = latest_summary(self.folder)
        return RunState.COMPLETE if summary is not None and summary.complete else RunState.STOPPED

    def _with_waits(self, seen: RunSeen) -> RunSeen:
        assert self._book is not None  # noqa: S101 - the run was seen
        environment, agents = self._book.participants(self._clock())
        return replace(seen, environment=environment, agents=agents)

    def _read(self, state: RunState, version: int) -> RunSeen:
        goes_on = state is RunState.GOES_ON
        with read_store(self.folder.store) as reader, reader.one_moment():
            begun = reader.begun()
            book = self._current_book(reader)
            if begun is not None:
                book.read(reader, self._clock())
        environment, agents = book.participants(self._clock() if goes_on else None)
        return RunSeen(
            root=self.folder.root,
            scenario=book.scenario,
            played=book.played,
            names=book.names,
            substrate="" if begun is None else begun.substrate,
            state=state,
            version=version,
            run=book.run,
            life=book.life,
            environment=environment,
            agents=agents,
            edges=book.edges(goes_on=goes_on),
            shares=book.shares,
            team=book.team,
            evaluations=self._read_evaluations(),
            references=references(book.scenario.environment),
            faults=book.faults(goes_on=goes_on),
            happenings=book.happenings(),
            summary=None if goes_on else latest_summary(self.folder),
        )

    def _current_book(self, reader: RunReader) -> RunBook:
        """The book of the life that is led now; a new one where run or life are another, or other agents take part."""
        there = not reader.is_empty()
        names, run = (reader.agent_names(), reader.run_name() or "") if there else (AgentNames({}), "")
        life = max((life.incarnation for life in reader.lives()), default=-1) if there else -1
        if self._book is None or (self._book.run, self._book.life, self._book.names) != (run, life, names):
            scenario, housed = read_document(self.folder), read_housing(self.folder)
            participants = (ENVIRONMENT, *names.by_id)
            homes = {} if housed is None else housed.fleet.homes(participants)
            self._book = RunBook(scenario, names, run, life, homes)
        return self._book

    def _read_evaluations(self) -> TrainingEvaluations:
        signature = _signatures(sorted(self.folder.evaluations.glob("*.json")))
        if signature != self._evaluations[0]:
            self._evaluations = signature, read_evaluations(self.folder)
        return self._evaluations[1]


def _signature(folder: RunFolder) -> _Signature:
    log = folder.store.with_name(f"{folder.store.name}-wal")
    return _signatures([folder.store, log, folder.summary, folder.evaluations])


def _signatures(paths: list[Path]) -> _Signature:
    """What changes when one of these files does."""
    found = []
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            continue
        found.append((path.name, status.st_mtime_ns, status.st_size))
    return tuple(found)
