"""A run's journals in formats that other programs show."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from broker.errors import UserError
from broker.files import file_where_asked
from scenarios.replay.journals import journals_of
from scenarios.replay.tracing.chrome import write_chrome
from scenarios.replay.tracing.mcap_file import write_mcap
from scenarios.results.folder import open_run_folder
from scenarios.results.reader import read_store

TraceFormat = Literal["chrome", "mcap"]
_NAMES: dict[TraceFormat, str] = {"chrome": "trace.json", "mcap": "trace.mcap"}


def write_trace(root: Path, format_: TraceFormat, out: Path | None = None) -> str:
    """Write a run's trace into a file; says which, and what is in it.

    Args:
        root: The run's folder.
        format_: Of the file.
        out: The file; None for one in the run's folder.

    Raises:
        UserError: There is no run, it kept no journals, or the file cannot be written.
    """
    folder = open_run_folder(root)
    path = out or folder.root / _NAMES[format_]
    journals = journals_of(folder)
    try:
        with read_store(folder.store) as store, file_where_asked(path) as file:
            said = write_chrome(journals, store, file) if format_ == "chrome" else write_mcap(journals, file)
    except OSError as error:
        msg = f"cannot write {path}: {error.strerror}"
        raise UserError(msg) from None
    return f"{path}: {said}"
