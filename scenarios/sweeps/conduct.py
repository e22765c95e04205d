"""From the runs of a sweep to its files."""

from __future__ import annotations

from pathlib import Path

from broker.errors import UserError
from broker.files import write_whole
from scenarios.running.batch.folder import Folder
from scenarios.studies.bill import bill
from scenarios.studies.conduct import gather, layouts
from scenarios.studies.provenance import versions, write_provenance
from scenarios.studies.tables import Made
from scenarios.sweeps.page import SweepReport, numbers, page
from scenarios.sweeps.sweep import Sweep


def write_sweep(folder: Folder, sweep: Sweep, jobs: int, command: str) -> list[Path]:
    """Read all runs of a sweep and write its page, numbers, picture and provenance.

    Args:
        folder: Where the runs are and the files go.
        sweep: What was asked; every run is done.
        jobs: How many ran at a time.
        command: That makes these files again.

    Returns:
        The files, the picture first.

    Raises:
        UserError: They cannot be written.
    """
    findings = gather(folder, sweep.study, sweep.told)
    report = SweepReport(sweep, findings, bill(findings, layouts(folder, sweep.cells)), Made(command, versions()))
    name = sweep.study.name
    files = [folder.root / each for each in (f"{name}.png", f"{name}.md", f"{name}.json", "provenance.json")]
    picture, text, data, provenance = files
    from scenarios.sweeps.figures import draw_sweep  # noqa: PLC0415 - matplotlib takes half a second

    try:
        write_whole(text, page(report).encode())
        write_whole(data, numbers(report).encode())
        write_whole(picture, draw_sweep(sweep, findings))
        write_provenance(provenance, folder, sweep.cells, jobs)
    except OSError as error:
        msg = f"cannot write the sweep's files in {folder.root}: {error.strerror}. The runs are done"
        raise UserError(msg) from None
    return files
