"""`foretell study`: one command an experiment."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from broker.errors import UserError
from scenarios.studies.conduct import write_study
from scenarios.studies.grid import study_cells
from scenarios.studies.runner import Folder, Runner, ShowStanding, Standing
from scenarios.studies.study import Choice, Study
from scenarios.terminal import interruptible

PAGES = {
    name: f"scenarios.studies.pages.{name}"
    for name in ("fig1", "fig3", "fig4", "fig5", "latency", "loss", "inaccurate")
}


def make_study(name: str, choice: Choice) -> Study:
    """The study called `name`, at the chosen size.

    Raises:
        UserError: The user chose tasks or algorithms that it has not.
    """
    make: Callable[[Choice], Study] = import_module(PAGES[name]).make
    whole = make(Choice(choice.quick))
    known = {"--task": [task.key for task in whole.tasks], "--algorithm": list(whole.algorithms)}
    for option, wanted in (("--task", choice.tasks), ("--algorithm", choice.algorithms)):
        for unknown in (each for each in wanted if each not in known[option]):
            msg = f"{option} {unknown}: {name} has {', '.join(known[option])}"
            raise UserError(msg)
    return make(choice)


def conduct(name: str, choice: Choice, jobs: int | None, out: Path | None) -> None:
    """Run a study, or what is left of it, and write its files.

    Args:
        name: Which.
        choice: What of it.
        jobs: Cells at a time; None for one per core.
        out: Its folder; None for `studies/<name>`.

    Raises:
        ForetellError: A cell failed, or something cannot work.
        KeyboardInterrupt: Interrupted; what is done is kept.
    """
    study = make_study(name, choice)
    cells = study_cells(study, choice)
    folder = Folder(out if out is not None else Path("studies") / (f"{name}-quick" if choice.quick else name))
    jobs = jobs if jobs is not None else os.cpu_count() or 1
    console = Console(stderr=True)
    console.print(
        f"[bold]{study.title}[/bold]: {len(cells)} cells, {jobs} at a time, in {folder.root}", highlight=False
    )
    with folder.held(), interruptible() as interrupted:
        with bar(console) as show:
            Runner(folder, jobs, show, interrupted).run(cells)
        files = write_study(folder, study, cells, jobs, command(name, choice), quick=choice.quick)
    for file in files:
        click.echo(file)


def command(name: str, choice: Choice) -> str:
    """The words that make the same study again; where it goes and how many run at a time make no difference."""
    words = ["foretell", "study", name]
    words += ["--quick"] if choice.quick else []
    words += [] if choice.seeds is None else ["--seeds", str(choice.seeds)]
    words += [word for task in choice.tasks for word in ("--task", task)]
    words += [word for algorithm in choice.algorithms for word in ("--algorithm", algorithm)]
    words += [word for path, value in choice.settings for word in ("--set", f"{path}={value}")]
    return shlex.join(words)


@contextmanager
def bar(console: Console) -> Iterator[ShowStanding]:
    """A live bar over cells and episodes; yields what updates it."""
    columns = (
        TextColumn("cells {task.fields[cells]}"),
        BarColumn(bar_width=16),
        TextColumn("episodes"),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, refresh_per_second=4) as progress:
        task = progress.add_task("", total=None, cells="-")

        def show(now: Standing) -> None:
            progress.update(task, completed=now.fresh, total=max(now.ahead, 1), cells=f"{now.done}/{now.cells}")

        yield show
