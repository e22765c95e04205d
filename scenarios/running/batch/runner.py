"""Runs the cells of a study, each a run in a process of its own, goes on with those begun and leaves out those done."""

from __future__ import annotations

import shutil
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from broker.errors import ForetellError, UserError
from broker.files import write_whole
from scenarios.document.delay_traces import with_traces
from scenarios.document.loading import load_scenario, parse_settings
from scenarios.document.scenario import Scenario
from scenarios.results.reader import read_store
from scenarios.results.run_result import read_summary
from scenarios.running.batch.cell import Cell
from scenarios.running.batch.crew import Crew
from scenarios.running.batch.folder import Folder
from scenarios.running.batch.keeping import Keeping, can_go_on

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


def lives(folder: Folder, cell: Cell) -> int:
    """How many lives the run of a cell has had so far."""
    try:
        with read_store(folder.run(cell).store) as store:
            return len(store.lives())
    except UserError:
        return 0  # not there yet


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
        self._under_way: dict[Cell, int] = {}  # with how many lives before
        self._begun: set[Cell] = set()  # those whose runs are to go on
        self._failed: list[tuple[Cell, int]] = []
        self._played: dict[Cell, int] = {}

    def run(self, cells: Sequence[Cell]) -> None:
        """Run what is not done yet.

        Raises:
            UserError: A document cannot work, or a cell was run with other settings before; nothing was started.
            ForetellError: Cells failed; all others were run.
            KeyboardInterrupt: Asked to stop; what was under way has been ended, and goes on when it is run again.
        """
        documents = {cell: document(cell) for cell in cells}
        waiting = deque(cell for cell in cells if not self._keeping.is_done(cell, documents[cell]))
        self._begun = {cell for cell in waiting if can_go_on(self._folder, cell, documents[cell])}
        ahead = sum(documents[cell].episodes for cell in waiting)
        done_before = len(cells) - len(waiting)
        counted_at = 0.0
        try:
            while waiting or self._under_way:
                while waiting and len(self._under_way) < self._jobs:
                    cell = waiting.popleft()
                    self._start(cell, documents[cell])
                waiting.extend(self._reap({cell: documents[cell].episodes for cell in self._under_way}))
                if time.monotonic() - counted_at > _COUNT_EVERY_S:
                    self._count()
                    counted_at = time.monotonic()
                done = done_before + sum(cell not in self._under_way for cell in self._played) - len(self._failed)
                self._show(Standing(done, len(cells), sum(self._played.values()), ahead))
                if self._interrupted():
                    raise KeyboardInterrupt
                if self._under_way:
                    time.sleep(_LOOK_EVERY_S)
        finally:
            self._crew.end()
            self._under_way.clear()
        self._show(Standing(len(cells) - len(self._failed), len(cells), sum(self._played.values()), ahead))
        if self._failed:
            raise ForetellError(self._explain(len(cells)))

    def _start(self, cell: Cell, wanted: Scenario) -> None:
        run, given = self._folder.run(cell), self._folder.document(cell)
        goes_on = cell in self._begun
        before = lives(self._folder, cell) if goes_on else 0
        try:
            if not goes_on and run.root.exists():
                shutil.rmtree(run.root)
            write_whole(given, wanted.to_toml().encode())  # what was checked, whatever becomes of its sources
            self._crew.start(cell, given, run, self._folder.log(cell))
        except OSError as error:
            msg = f"cannot write what cell {cell.id} is given and says in {self._folder.root}: {error.strerror}"
            raise UserError(msg) from None
        self._played[cell] = 0
        self._under_way[cell] = before

    def _reap(self, episodes: dict[Cell, int]) -> Iterator[Cell]:
        """Take note of those that have ended; gives those that could not go on, to be begun anew."""
        for cell, code in self._crew.reap().items():
            before = self._under_way.pop(cell)
            if code == 0 and read_summary(self._folder.run(cell)) is not None:
                self._played[cell] = episodes[cell]
                self._keeping.keep(cell)
            elif before and before == lives(self._folder, cell):  # its process could do nothing with it
                self._begun.remove(cell)
                del self._played[cell]
                yield cell
            else:
                self._failed.append((cell, code))

    def _count(self) -> None:
        """Look at how many episodes the runs under way have recorded."""
        for cell in self._under_way:
            self._played[cell] = recorded(self._folder, cell)

    def _explain(self, cells: int) -> str:
        cell, code = self._failed[0]
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        others = "" if len(self._failed) == 1 else f" ({len(self._failed)} of {cells} cells failed)"
        return f"cell {cell.id} failed with {how}{others}. Its log: {self._folder.log(cell)}"
