"""`foretell sweep`: a comparison of one's own."""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.text import Text

from broker.counting import counted
from scenarios.commands.experiments.crews import crew_on
from scenarios.commands.experiments.listing import list_cells
from scenarios.commands.experiments.so_far import told_so_far
from scenarios.commands.experiments.study import bar
from scenarios.commands.planned import hushed
from scenarios.commands.rich_screen import Screen
from scenarios.commands.screen import plain, say
from scenarios.running.batch.folder import Folder
from scenarios.running.batch.outcomes import Outcomes
from scenarios.running.batch.runner import Runner
from scenarios.running.control.interrupting import interruptible
from scenarios.studies.conduct import done_so_far
from scenarios.sweeps.conduct import write_sweep
from scenarios.sweeps.reading import check, read_sweep
from scenarios.sweeps.sweep import Sweep


def conduct(
    file: Path, jobs: int | None, out: Path | None, cluster: str | None = None, *, discard_runs: bool = False
) -> None:
    """Run a sweep, or what is left of it, and write its files.

    Args:
        file: Its document.
        jobs: How many runs at a time; None for one a core.
        out: Its folder; None for `sweeps/NAME`.
        cluster: The Ray cluster that does the runs; None for this host.
        discard_runs: Keep of each run its outcome alone.

    Raises:
        ForetellError: A run failed, or something cannot work; then nothing was started.
        KeyboardInterrupt: Interrupted; what is done is kept.
    """
    sweep, folder = _read(file, out)
    with hushed():
        check(sweep)
    console, kept = Screen(stderr=True), Outcomes(folder, discard_runs=discard_runs)
    with crew_on(cluster, jobs) as (crew, parallel), folder.held(), interruptible() as interrupted:
        said = plain(f": {counted(len(sweep.cells), 'run')}, {parallel} at a time, in {folder.root}")
        console.print(Text.assemble((plain(sweep.study.title), "bold"), said), highlight=False, soft_wrap=True)
        with told_so_far(folder, sweep.cells), bar(console) as show:
            Runner(crew, folder, parallel, kept, show=show, interrupted=interrupted).run(sweep.cells)
        with hushed():
            files = write_sweep(folder, sweep, parallel, _command(file))
    for each in files:
        say(each)


def show(file: Path, out: Path | None) -> None:
    """Say which runs a sweep asks for, and which of them are done; nothing is made.

    Args:
        file: Its document.
        out: Its folder; None for `sweeps/NAME`.

    Raises:
        ForetellError: Something cannot work, or was run with other settings.
    """
    sweep, folder = _read(file, out)
    with hushed():
        documents = check(sweep)
    list_cells(folder, sweep.cells, documents, told=sweep.told)


def write_so_far(file: Path, out: Path | None) -> None:
    """Write the files of the runs of a sweep that are done; nothing is run.

    Args:
        file: Its document.
        out: Its folder; None for `sweeps/NAME`.

    Raises:
        ForetellError: None is, something cannot work, or was run with other settings.
    """
    sweep, folder = _read(file, out)
    with hushed():
        check(sweep)
        study, done = done_so_far(folder, sweep.study, sweep.cells)
        words = _command(file) if len(done) == len(sweep.cells) else f"{_command(file)} --so-far"
        files = write_sweep(folder, sweep.only(study, done), None, words)
    for each in files:
        say(each)


def _command(file: Path) -> str:
    return shlex.join(("foretell", "sweep", file.name))


def _read(file: Path, out: Path | None) -> tuple[Sweep, Folder]:
    sweep = read_sweep(file)
    return sweep, Folder(out if out is not None else Path("sweeps") / sweep.study.name)
