"""How figures are shown, and how far a measurement is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table

from scenarios.commands.rich_screen import Screen


@contextmanager
def live_bar(total: int, what: str) -> Iterator[Callable[[int], None]]:
    """A live bar, as `foretell simulate` has one."""
    columns = (TextColumn(what, markup=False), MofNCompleteColumn(), BarColumn(bar_width=24))
    with Bar(*columns, console=Screen(stderr=True), refresh_per_second=4, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.update(task, completed=done)


def figures_table(title: str, first: str, *others: str, caption: str | None = None) -> Table:
    """A table with names to the left and numbers to the right."""
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    table.add_column(first)
    for column in others:
        table.add_column(column, justify="right")
    return table
