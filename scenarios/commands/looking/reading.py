"""`foretell why`, `ledger`, `report` and `export`, as click knows them; what they do is imported late."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from scenarios.commands.options import RUN, RUNS, OutPath
from scenarios.commands.screen import say, show_bytes

if TYPE_CHECKING:
    from scenarios.results.run_result import RunResult


@click.command()
@RUN
def why(run: Path) -> None:
    """Who waits for whom in a run, on which edge, and since when."""
    from scenarios.reports.waits import explain  # noqa: PLC0415

    say(explain(run))


@click.command()
@RUN
@click.option("--edges", "by_edge", is_flag=True, help="A line for every edge instead of every kind of message.")
def ledger(run: Path, *, by_edge: bool) -> None:
    """What became of the messages of a run, and why: heard, skipped, lost, late, rejected, struck by faults."""
    from scenarios.commands.rich_screen import Screen  # noqa: PLC0415
    from scenarios.reports.ledger import account_of  # noqa: PLC0415

    Screen().print(account_of(run, by_edge=by_edge))


@click.command()
@RUNS
def report(runs: tuple[Path, ...]) -> None:
    """Compare finished runs: returns, communication bill, faults, digests."""
    from scenarios.commands.rich_screen import Screen  # noqa: PLC0415
    from scenarios.reports.report import same_curves, tables  # noqa: PLC0415

    found = _finished(runs)
    console = Screen()
    for table in tables(found):
        console.print(table)
    for line in same_curves(found):
        say(line)


@click.command()
@RUNS
@click.option("--format", "format_", type=click.Choice(("csv", "parquet", "marl-eval")), required=True)
@click.option("--out", type=OutPath(dir_okay=False), help="The file; default standard output.")
def export(runs: tuple[Path, ...], format_: str, out: Path | None) -> None:
    """Write the episodes of finished runs for other programs."""
    from scenarios.commands.asked_file import write_where_asked  # noqa: PLC0415
    from scenarios.reports.export import FORMATS  # noqa: PLC0415

    content: bytes = FORMATS[format_](_finished(runs))
    if out is None:
        show_bytes(content)
    else:
        write_where_asked(out, content)


def _finished(runs: tuple[Path, ...]) -> list[RunResult]:
    """Those that came to their end; of each other one it is said that it is left out.

    Raises:
        UserError: None did, or one is no run.
    """
    from scenarios.results.run_result import RunUnfinished, read_run  # noqa: PLC0415

    found, unfinished = [], []
    for run in runs:
        try:
            found.append(read_run(run))
        except RunUnfinished as error:
            unfinished.append(error)
    if not found:
        raise unfinished[0]
    for each in unfinished:
        say(f"foretell: left out: {each}", err=True)
    return found
