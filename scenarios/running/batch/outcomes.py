"""What studies and sweeps keep of each run: enough for every figure, so that a run's own folder may go."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime

import msgspec
import numpy as np

from broker.errors import UserError
from broker.files import write_whole
from broker.release import FORETELL
from scenarios.document.scenario import Scenario
from scenarios.results.folder import is_held
from scenarios.results.run_result import EdgeTraffic, read_run
from scenarios.running.batch.cell import Cell
from scenarios.running.batch.differing import refuse_mixing
from scenarios.running.batch.folder import Folder
from scenarios.running.batch.keeping import given_document, is_whole
from scenarios.running.batch.outcome import RunOutcome, outcome

FORMAT = 1
"""Of the file of a cell."""


class KeptRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file of a cell: what `RunOutcome` has of it, and where it is from.

    Attributes:
        format: Of this file.
        foretell: Version that ran it.
        arithmetic: Version of the arithmetic that computed it.
        episodes: Training episodes that were played.
        wall_s: Seconds from the start of its last life to its end.
        ended: When, ISO 8601 in UTC.
        first: As in `RunOutcome`.
        last: The same.
        played: The same, a number a point.
        curve: The same.
        env_steps: The same.
        traffic: The same.
        curve_digest: As in `RunOutcome`.
        weights_digest: The same.
        processor_s: Seconds that its process computed, in all its lives; 0 where an earlier version ran it.
    """

    format: int
    foretell: str
    arithmetic: int
    episodes: int
    wall_s: float
    ended: str
    first: float
    last: float
    played: list[float]
    curve: list[float]
    env_steps: int
    traffic: EdgeTraffic
    curve_digest: str
    weights_digest: str
    processor_s: float = 0.0

    def outcome(self, cell: Cell) -> RunOutcome:
        """What a study reads of it."""
        return RunOutcome(
            cell,
            self.first,
            self.last,
            np.array(self.played),
            np.array(self.curve),
            self.env_steps,
            self.traffic,
            self.curve_digest,
            self.weights_digest,
        )


class Outcomes:
    """The outcomes in a folder; see `scenarios.running.batch.keeping.Keeping`.

    Args:
        folder: Of the study or sweep.
        discard_runs: Remove a run's folder when there is an outcome of it.
    """

    def __init__(self, folder: Folder, *, discard_runs: bool = False) -> None:
        self._folder = folder
        self._discard_runs = discard_runs

    def is_done(self, cell: Cell, wanted: Scenario) -> bool:
        """Whether there is an outcome of it; a whole run without one is proven first to be what was asked for."""
        path = self._folder.outcome(cell)
        if not path.exists():
            return False
        kept = self.of(cell)
        found = given_document(self._folder, cell).model_copy(update={"episodes": kept.episodes})
        refuse_mixing(cell, kept.arithmetic, found, wanted, self._folder)
        return True

    def keep(self, cell: Cell) -> None:
        """Write the outcome of a run that has come to its end."""
        path = self._folder.outcome(cell)
        try:
            path.parent.mkdir(exist_ok=True)
            write_whole(path, msgspec.json.encode(self._from_run(cell)) + b"\n")
        except OSError as error:
            where = error.filename or path
            msg = f"cannot keep the outcome of cell {cell.id}: {error.strerror}: {where}. Its run is done"
            raise UserError(msg) from None
        self.tidy(cell)

    def tidy(self, cell: Cell) -> None:
        """Remove the run's folder if it is not to be kept; one that somebody works on stays."""
        run = self._folder.run(cell)
        if not self._discard_runs or not run.root.exists() or is_held(run):
            return
        try:
            shutil.rmtree(run.root)
        except OSError as error:
            msg = f"cannot remove {error.filename or run.root}, the run of cell {cell.id}: {error.strerror}"
            raise UserError(msg) from None

    def of(self, cell: Cell) -> KeptRun:
        """What is kept of a cell that is done.

        Raises:
            UserError: It cannot be read.
        """
        path = self._folder.outcome(cell)
        try:
            kept = msgspec.json.decode(path.read_bytes(), type=KeptRun)
        except (OSError, msgspec.DecodeError) as error:
            then = "Remove it, and the same command makes it anew"
            msg = f"cannot read {path}, the outcome of cell {cell.id}: {error}. {then}"
            raise UserError(msg) from None
        if kept.format != FORMAT:
            msg = f"{path} has format {kept.format} (Foretell {kept.foretell}), expected {FORMAT}: remove it"
            raise UserError(msg)
        return kept

    def _from_run(self, cell: Cell) -> KeptRun:
        folder = self._folder.run(cell)
        run = read_run(folder.root)
        found = outcome(cell, run)
        ended = datetime.fromtimestamp(folder.summary.stat().st_mtime, UTC)
        return KeptRun(
            format=FORMAT,
            foretell=FORETELL,
            arithmetic=run.summary.arithmetic,
            episodes=run.scenario.episodes,
            wall_s=run.summary.wall_s,
            ended=ended.isoformat(timespec="seconds"),
            first=found.first,
            last=found.last,
            played=found.played.tolist(),
            curve=found.curve.tolist(),
            env_steps=found.env_steps,
            traffic=found.traffic,
            curve_digest=found.curve_digest,
            weights_digest=found.weights_digest,
            processor_s=run.summary.processor_s,
        )


class WholeRuns:
    """Runs stay as they are, beside their outcomes; see `scenarios.running.batch.keeping.Keeping`.

    Args:
        folder: Where they are.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder, self._outcomes = folder, Outcomes(folder)

    def is_done(self, cell: Cell, wanted: Scenario) -> bool:
        """Whether there is an outcome of it, and the whole run that it is of."""
        return self._outcomes.is_done(cell, wanted) and is_whole(self._folder, cell, wanted)

    def keep(self, cell: Cell) -> None:
        """Write its outcome: the run is what was asked for."""
        self._outcomes.keep(cell)

    def tidy(self, _cell: Cell) -> None:
        """Leave it as it is."""
