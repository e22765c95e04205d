"""Tables on a narrow screen: folded into blocks that fit, where no name, number or digest is cut.

A table that fits stays as it is. Of one that does not, columns stand in blocks below one another, each behind the first
column; where not even that fits, each row becomes a list of its own. Columns whose overflow is "fold" hold prose, which
may be broken anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

from scenarios.commands.screen import plain

_BESIDE = 3
"""Cells around each column: a border and two blanks."""
_PROSE = 20
"""Cells that a column of prose takes at least, where it has so much to say."""


def folded(table: Table, width: int) -> Iterator[RenderableType]:
    """A table as what fits into a width: itself, or blocks of it between its title and its caption."""
    columns = list(table.columns)
    groups = _groups(columns, width)
    if len(groups) == 1:
        whole = _block(columns, width)
        whole.title, whole.caption = table.title, table.caption
        yield whole
        return
    if table.title:
        yield Text.assemble((plain(str(table.title)), "italic"))
    if groups:
        yield from (_block(group, width) for group in groups)
    else:
        yield from _lists(columns)
    if table.caption:
        yield Text.assemble((plain(str(table.caption)), "dim italic"))


def _groups(columns: Sequence[Column], width: int) -> list[list[Column]]:
    """Columns that fit beside the first one; no group at all where one of them does not fit."""
    first, *others = columns
    groups: list[list[Column]] = [[first]]
    for column in others:
        if _least([*groups[-1], column]) > width:
            groups.append([first])
        groups[-1].append(column)
        if _least(groups[-1]) > width:
            return []
    return groups


def _block(columns: Sequence[Column], width: int) -> Table:
    block = Table(title_justify="left", caption_justify="left")
    left = width - _least(columns)
    for column in columns:
        wide = _least_of(column)
        if column.overflow == "fold":
            more = min(left, _widest(column) - wide)
            wide, left = wide + more, left - more
        wraps = column.overflow == "fold"
        block.add_column(column.header, justify=column.justify, width=wide, no_wrap=not wraps, overflow="fold")
    for cells in zip(*(column.cells for column in columns), strict=True):
        block.add_row(*cells)
    return block


def _lists(columns: Sequence[Column]) -> Iterator[Text]:
    """Each row as lines of a name and a value, which a terminal may break and nobody cuts."""
    first, *others = columns
    names = max(cell_len(str(column.header)) for column in others)
    for number, name in enumerate(first.cells):
        lines = [f"{first.header} {name}"]
        for column in others:
            value = str(list(column.cells)[number])
            lines.append(f"  {column.header!s:{names}}  {value}")
        yield Text(plain("\n".join(lines)), no_wrap=True, overflow="ignore")


def _least(columns: Sequence[Column]) -> int:
    """Cells that columns take at least."""
    return 1 + sum(_least_of(column) + _BESIDE for column in columns)


def _least_of(column: Column) -> int:
    widest = _widest(column)
    return min(widest, _PROSE) if column.overflow == "fold" else widest


def _widest(column: Column) -> int:
    shown = (plain(str(each)).expandtabs() for each in (column.header, *column.cells))
    return max(cell_len(line) for each in shown for line in (each.splitlines() or [""]))
