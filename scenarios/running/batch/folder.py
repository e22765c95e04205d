"""The folder of many runs.

runs/<cell>/           the run's folder of each cell
logs/<cell>.log        what its process said
documents/<cell>.toml  the resolved document that it was given
outcomes/<cell>.json   what studies and sweeps keep of it
.lock                  held by who works in it, and says what the folder is
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from broker.errors import UserError
from broker.files import write_whole
from scenarios.results.folder import RunFolder, locked, require_text
from scenarios.running.batch.cell import Cell
from scenarios.running.batch.ownership import LOCK, PARTS, is_own, mark


class Folder:
    """The folder of a study, a sweep or a twin.

    Args:
        root: Where it is.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def runs(self) -> Path:
        """All runs' folders."""
        return self.root / "runs"

    @property
    def outcomes(self) -> Path:
        """What is kept of all runs."""
        return self.root / "outcomes"

    def run(self, cell: Cell) -> RunFolder:
        """The run's folder of a cell."""
        return RunFolder(self.runs / cell.id)

    def log(self, cell: Cell) -> Path:
        """What the process of a cell said."""
        return self.root / "logs" / f"{cell.id}.log"

    def document(self, cell: Cell) -> Path:
        """What the process of a cell is given."""
        return self.root / "documents" / f"{cell.id}.toml"

    def outcome(self, cell: Cell) -> Path:
        """What is kept of a cell's run."""
        return self.outcomes / f"{cell.id}.json"

    def write(self, files: Mapping[str, bytes]) -> list[Path]:
        """Write what the runs show beside them, each file whole or not at all.

        Args:
            files: Contents by name.

        Returns:
            The files, in this order.

        Raises:
            UserError: One cannot be written; those before it are.
        """
        paths = [self.root / name for name in files]
        try:
            for path, content in zip(paths, files.values(), strict=True):
                write_whole(path, content)
        except OSError as error:
            msg = f"cannot write {error.filename}: {error.strerror}. The runs are done: the same command writes it"
            raise UserError(msg) from None
        return paths

    @contextmanager
    def held(self, *writes: str) -> Iterator[None]:
        """Make the folder, and keep it for this process alone.

        Args:
            writes: Names of documents that are written into it; others may lie there, a sweep's own among them.

        Raises:
            UserError: It cannot be made, holds files of somebody else, or another process works in it.
        """
        require_text(self.root)
        try:
            self._require_own(writes)
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unmade(error) from None
        msg = f"another process works in {self.root}. Wait for it, or choose another --out."
        with locked(self.root / LOCK, msg):
            try:
                mark(self.root)
                for part in PARTS:
                    (self.root / part).mkdir(exist_ok=True)
            except OSError as error:
                raise self._unmade(error) from None
            yield

    def _unmade(self, error: OSError) -> UserError:
        return UserError(f"cannot make the folder {self.root}: {error.strerror}")

    def _require_own(self, writes: Collection[str]) -> None:
        """See that nothing of somebody else's would be overwritten; a sweep may be written beside its document.

        Raises:
            UserError: The folder holds more than documents, or one that would be written, and is none of a study, sweep
                or twin.
            OSError: It cannot be read.
        """
        inside = self.root.iterdir() if self.root.exists() else ()
        found = sorted(path.name for path in inside if path.suffix != ".toml" or path.name in writes)
        if found and not is_own(self.root):
            msg = f"expected a new or empty folder, or one that a study, sweep or twin began, found {self.root} with "
            raise UserError(f"{msg}{found[0]!r} in it. Choose another --out.")
