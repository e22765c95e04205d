"""The runs in a folder, a line each, and what has changed of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from broker.errors import UserError
from broker.text_files import as_text
from scenarios.results.folder import RunFolder
from scenarios.watching.seen import RunSeen, RunState
from scenarios.watching.watched_run import WatchedRun


@dataclass(frozen=True)
class RunLine:
    """What is to be seen of one of many runs.

    Attributes:
        path: Its folder, below the one that holds all, as text.
        problem: Why it cannot be read, a sentence; empty where it can.
        seen: What is to be seen of it; None where it cannot be read.
        changed_s: When its store was last written, in seconds since 1970.
    """

    path: str
    problem: str
    seen: RunSeen | None
    changed_s: float

    @property
    def goes_on(self) -> bool:
        """Whether it does."""
        return self.seen is not None and self.seen.state is RunState.GOES_ON


class RunList:
    """Looks at the runs in a folder and in folders below it.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._runs: dict[Path, WatchedRun] = {}

    def look(self) -> tuple[RunLine, ...]:
        """All that are there now: those that go on first, then the newest."""
        lines = [self._line(path) for path in find_runs(self.root)]
        return tuple(sorted(lines, key=lambda line: (not line.goes_on, -line.changed_s, line.path)))

    def run(self, path: str) -> WatchedRun:
        """One of them, by its path below the folder, as its line has it.

        Raises:
            UserError: There is none, or it cannot be read.
        """
        found = {self._path(root): root for root in find_runs(self.root)}
        if path not in found:
            msg = f"{self.root} holds no run {path!r}"
            raise UserError(msg)
        return self._watched(found[path])

    def _path(self, root: Path) -> str:
        return as_text(root.relative_to(self.root).as_posix())

    def _watched(self, root: Path) -> WatchedRun:
        if root not in self._runs:
            self._runs[root] = WatchedRun(root)
        return self._runs[root]

    def _line(self, root: Path) -> RunLine:
        path = self._path(root)
        try:
            changed_s = RunFolder(root).store.stat().st_mtime
            return RunLine(path, "", self._watched(root).look(), changed_s)
        except OSError as error:
            return RunLine(path, f"cannot read it: {error.strerror}", None, 0.0)
        except UserError as error:
            return RunLine(path, as_text(error), None, 0.0)


def is_run(root: Path) -> bool:
    """Whether a folder is that of a run; one into which nobody may look is none."""
    folder = RunFolder(root)
    try:
        return folder.store.exists() and folder.scenario.exists()
    except OSError:
        return False


def find_runs(root: Path, deep: int = 3) -> list[Path]:
    """The folders of runs in a folder, by name; what lies in a run is none.

    Args:
        root: Where to look.
        deep: How many folders may lie between.
    """
    if is_run(root):
        return [root]
    if deep < 0 or not root.is_dir():
        return []
    try:
        below = sorted(path for path in root.iterdir() if path.is_dir() and not path.is_symlink())
    except OSError:
        return []
    return [found for path in below for found in find_runs(path, deep - 1)]
