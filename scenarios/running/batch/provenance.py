"""Where and when the runs of a study were made and how long they took. What differs from machine to machine is here."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

from broker.release import FORETELL
from scenarios.running.batch.cell import Cell
from scenarios.running.batch.folder import Folder
from scenarios.running.batch.outcomes import Outcomes

PROVENANCE = "provenance.json"
_COMPUTES = ("numpy", "torch", "scipy", "matplotlib")


def versions() -> dict[str, str]:
    """Versions of Python and of what computes, as far as it is installed."""
    found = {"python": platform.python_version(), "foretell": FORETELL}
    for name in _COMPUTES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def provenance(folder: Folder, cells: Sequence[Cell], jobs: int | None) -> str:
    """Hours, machine and dates of a study's cells as JSON; hours are processor time, where that was counted.

    Args:
        folder: Of the study.
        cells: All of it, each done.
        jobs: How many ran at a time, in the last call; None where nobody knows.
    """
    outcomes = Outcomes(folder)
    kept = {cell.id: outcomes.of(cell) for cell in cells}
    hours = {name: round((each.processor_s or each.wall_s) / 3600, 5) for name, each in kept.items()}
    by_wall_time = [name for name, each in kept.items() if not each.processor_s]
    ended = [each.ended for each in kept.values()]
    document = {
        "hours": {"total": round(sum(hours.values()), 4), "cells": hours},
        **({"by_wall_time": by_wall_time} if by_wall_time else {}),
        "first_cell_done": min(ended),
        "last_cell_done": max(ended),
        "machine": {"cores": os.cpu_count(), "processor": platform.machine(), "system": platform.system()},
        "jobs": jobs,
        "versions": versions(),
    }
    return json.dumps(document, indent=1) + "\n"
