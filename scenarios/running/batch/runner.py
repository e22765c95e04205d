"""Runs the cells of a study, each a run in a process of its own, goes on with those begun and leaves out those done."""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from broker.counting import counted, listed
from broker.errors import ForetellError, UserError
from broker.files import write_whole
from scenarios.document.delay_traces import with_traces
from scenarios.document.loading import load_scenario, parse_settings
from scenarios.document.scenario import Scenario
from scenarios.results.proof.mismatches import mismatches_kept
from scenarios.results.reader import read_store
from scenarios.results.run_result import read_summary
from scenarios.running.batch.begun import Begun, begun
from scenarios.running.batch.cell import Cell
from scenarios.running.batch.crew import Crew
from scenarios.running.batch.differing import DifferingCells
from scenarios.running.batch.folder import Folder
from scenarios.running.batch.keeping import Keeping, place_here

_LOOK_EVERY_S = 0.1
_COUNT_EVERY_S = 2.0


@dataclass(frozen=True)
class Standing:
    """How far the cells are.

    Attributes:
        done: Cells done, those of earlier calls included.
        cells: All of them.
        fresh: Episodes played of the cells that were not done when this call began.
        ahead: All episodes of these.
    """

    done: int
    cells: int
    fresh: int
    ahead: int


ShowStanding = Callable[[Standing], None]


def resolved(cell: Cell) -> Scenario:
    """The resolved document of a cell, with all that its files hold.

    Raises:
        UserError: There is no such scenario.
        ScenarioError: Its settings cannot work; names the path.
    """
    return with_traces(load_scenario(cell.scenario, parse_settings(cell.assignments) | {"seed": cell.seed}))


def document(cell: Cell) -> Scenario:
    """The resolved document of a cell.

    Raises:
        UserError: There is no such scenario, or its settings cannot work; names the cell.
    """
    try:
        return resolved(cell)
    except UserError as error:
        msg = f"cell {cell.id}: {error}"
        raise UserError(msg) from None


def recorded(folder: Folder, cell: Cell) -> int:
    """How many episodes the run of a cell has recorded so far."""
    try:
        with read_store(folder.run(cell).store) as store:
            newest = store.newest_episode()
    except UserError:
        return 0  # not there yet
    return 0 if newest is None else 1 + newest


class Runner:
    """Runs cells.

    Args:
        crew: Whoever does it.
        folder: Where their runs go.
        jobs: How many at a time.
        keeping: Knows which cells are done, and what is kept of them.
        show: Called again and again.
        interrupted: Asked ten times a second.
    """

    def __init__(
        self,
        crew: Crew,
        folder: Folder,
        jobs: int,
        keeping: Keeping,
        *,
        show: ShowStanding,
        interrupted: Callable[[], bool],
    ) -> None:
        self._crew = crew
        self._folder = folder
        self._jobs = jobs
        self._keeping = keeping
        self._show = show
        self._interrupted = interrupted
        self._documents: dict[Cell, Scenario] = {}  # of the cells that were not done
        self._under_way: set[Cell] = set()
        self._begun: set[Cell] = set()  # those whose runs are to go on
        self._failed: dict[Cell, ForetellError] = {}  # with why
        self._played: dict[Cell, int] = {}

    def run(self, cells: Sequence[Cell]) -> None:
        """Run what is not done yet.

        Raises:
            UserError: A document cannot work or be written, or a cell was run with other settings before; nothing was
                started. Or an outcome cannot be kept, and nothing worse has happened; all others were run.
            ForetellError: Cells failed; all others were run.
            KeyboardInterrupt: Asked to stop; what was under way has been ended, and goes on when it is run again.
        """
        documents = {cell: document(cell) for cell in cells}
        there = self._what_is_there(documents)
        for cell, wanted in documents.items():
            if there.get(cell) is not Begun.NOTHING:
                place_here(self._folder, cell, wanted)
        self._begun = {cell for cell, found in there.items() if found is Begun.PART}
        whole = [cell for cell, found in there.items() if found is Begun.WHOLE]
        waiting = deque(cell for cell in there if cell not in whole)
        done_before = len(cells) - len(there)
        counted_at = 0.0
        try:
            for cell in cells:
                if cell not in there:
                    self._tidy(cell)
            for cell in whole:
                self._prove(cell)
                self._look(done_before, len(cells))
            while waiting or self._under_way:
                while waiting and len(self._under_way) < self._jobs:
                    self._start(waiting.popleft())
                self._reap()
                if time.monotonic() - counted_at > _COUNT_EVERY_S:
                    self._count()
                    counted_at = time.monotonic()
                self._look(done_before, len(cells))
                if self._under_way:
                    time.sleep(_LOOK_EVERY_S)
        finally:
            self._crew.end()
            self._under_way.clear()
        self._tell(done_before, len(cells))
        if self._failed:
            raise self._failure(len(cells))

    def _what_is_there(self, documents: Mapping[Cell, Scenario]) -> dict[Cell, Begun]:
        """What there is of the cells that are not done, whose documents are kept.

        Raises:
            UserError: Something of a cell was run otherwise, or cannot be read.
        """
        differing, there = DifferingCells(), dict[Cell, Begun]()
        for cell, wanted in documents.items():
            with differing.noted():
                if not self._keeping.is_done(cell, wanted):
                    there[cell] = begun(self._folder, cell, wanted)
                    self._documents[cell] = wanted
        differing.tell()
        return there

    def _look(self, done_before: int, cells: int) -> None:
        self._tell(done_before, cells)
        if self._interrupted():
            raise KeyboardInterrupt

    def _tell(self, done_before: int, cells: int) -> None:
        done = done_before + sum(cell not in self._under_way and cell not in self._failed for cell in self._played)
        ahead = sum(wanted.episodes for wanted in self._documents.values())
        self._show(Standing(done, cells, sum(self._played.values()), ahead))

    def _prove(self, cell: Cell) -> None:
        """Keep what there is of a cell whose run is whole, if its faults were those asked for."""
        run = self._folder.run(cell)
        try:
            sentences = mismatches_kept(run)
        except UserError as error:
            self._failed[cell] = UserError(f"cell {cell.id}: {error}")
            return
        if sentences:
            then = f"Once {run.root} is removed, it is run again"
            self._failed[cell] = ForetellError(f"cell {cell.id}: {listed(sentences, 1)}. {then}")
        else:
            self._keep(cell)

    def _tidy(self, cell: Cell) -> None:
        try:
            self._keeping.tidy(cell)
        except UserError as error:
            self._failed[cell] = error

    def _keep(self, cell: Cell) -> None:
        self._played[cell] = self._documents[cell].episodes
        try:
            self._keeping.keep(cell)
        except UserError as error:
            self._failed[cell] = error

    def _start(self, cell: Cell) -> None:
        run, given = self._folder.run(cell), self._folder.document(cell)
        try:
            # What was checked, whatever becomes of its sources.
            write_whole(given, self._documents[cell].to_toml().encode())
            self._crew.start(cell, given, run, self._folder.log(cell), goes_on=cell in self._begun)
        except OSError as error:
            msg = f"cannot begin cell {cell.id}: {error.strerror}: {error.filename or self._folder.root}"
            raise UserError(msg) from None
        self._played[cell] = 0
        self._under_way.add(cell)

    def _reap(self) -> None:
        """Take note of those that have ended. Whatever a run could not go on for, its folder stays as it is."""
        for cell, code in self._crew.reap().items():
            self._under_way.remove(cell)
            if code == 0 and read_summary(self._folder.run(cell)) is not None:
                self._keep(cell)
            else:
                self._failed[cell] = ForetellError(self._ended(cell, code))

    def _count(self) -> None:
        """Look at how many episodes the runs under way have recorded."""
        for cell in self._under_way:
            self._played[cell] = recorded(self._folder, cell)

    def _ended(self, cell: Cell, code: int) -> str:
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return f"cell {cell.id} failed with {how}. Its log: {self._folder.log(cell)}"

    def _failure(self, cells: int) -> ForetellError:
        """The first of the failures, of the gravest kind, and how many there are."""
        failures = sorted(self._failed.values(), key=lambda error: isinstance(error, UserError))
        others = "" if len(failures) == 1 else f"{len(failures)} of {counted(cells, 'cell')} failed. The first: "
        kind = UserError if isinstance(failures[0], UserError) else ForetellError
        return kind(f"{others}{failures[0]}")
