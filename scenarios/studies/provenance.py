"""Where and when the runs of a study were made and how long they took. What differs from machine to machine is here."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from broker.errors import ForetellError
from scenarios.results.run_result import read_summary
from scenarios.running.batch.cell import Cell
from scenarios.running.batch.runner import Folder

_COMPUTES = ("foretell", "numpy", "torch", "scipy", "matplotlib")


def versions() -> dict[str, str]:
    """Versions of Python and of what computes."""
    return {"python": platform.python_version(), **{name: version(name) for name in _COMPUTES}}


def write_provenance(path: Path, folder: Folder, cells: Sequence[Cell], jobs: int) -> None:
    """Write hours, machine and dates of a study's cells.

    Args:
        path: The JSON file.
        folder: Of the study.
        cells: All of it, each done.
        jobs: How many ran at a time, in the last call.
    """
    hours, finished = {}, []
    for cell in cells:
        run = folder.run(cell)
        summary = read_summary(run)
        if summary is None:
            raise ForetellError(f"cell {cell.id} is not there any more: {run.root}")
        hours[cell.id] = round(summary.wall_s / 3600, 5)
        finished.append(run.summary.stat().st_mtime)
    document = {
        "hours": {"total": round(sum(hours.values()), 4), "cells": hours},
        "first_cell_done": _date(min(finished)),
        "last_cell_done": _date(max(finished)),
        "machine": {"cores": os.cpu_count(), "processor": platform.machine(), "system": platform.system()},
        "jobs": jobs,
        "versions": versions(),
    }
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
