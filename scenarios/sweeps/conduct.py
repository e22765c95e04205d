"""From the runs of a sweep to its files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scenarios.reports.made import Made
from scenarios.running.batch.cell import Cell, Group
from scenarios.running.batch.folder import Folder
from scenarios.running.batch.keeping import given_document
from scenarios.running.batch.provenance import PROVENANCE, provenance, versions
from scenarios.studies.bill import bill, of_the_same_settings
from scenarios.studies.conduct import gather, layouts
from scenarios.sweeps.numbers import numbers
from scenarios.sweeps.page import page
from scenarios.sweeps.sweep import Sweep


def write_sweep(folder: Folder, sweep: Sweep, jobs: int | None, command: str) -> list[Path]:
    """Read all runs of a sweep and write its page, numbers, picture and provenance.

    Args:
        folder: Where the runs are and the files go.
        sweep: What was asked, or what of it is done: every run of it is.
        jobs: How many ran at a time; None where nobody knows.
        command: That makes these files again.

    Returns:
        The files, the picture first.

    Raises:
        UserError: They cannot be written.
    """
    findings = gather(folder, sweep.study, sweep.told)
    baselines = of_the_same_settings(_conditions(folder, sweep.cells))
    billed = bill(findings, layouts(folder, sweep.cells), baselines)
    made, name = Made(command, versions()), sweep.study.name
    from scenarios.sweeps.picture import draw_sweep  # noqa: PLC0415 - matplotlib takes half a second

    return folder.write(
        {
            f"{name}.png": draw_sweep(sweep, findings),
            f"{name}.md": page(sweep, findings, billed, made).encode(),
            f"{name}.json": numbers(sweep, findings, billed, made).encode(),
            PROVENANCE: provenance(folder, sweep.cells, jobs).encode(),
        }
    )


def _conditions(folder: Folder, cells: Sequence[Cell]) -> dict[Group, str]:
    """Of every group all settings but its algorithm's and the seed, by the documents of its runs."""
    found: dict[Group, str] = {}
    for cell in cells:
        if cell.group not in found:
            found[cell.group] = given_document(folder, cell).model_dump_json(exclude={"algorithm", "seed"})
    return found
