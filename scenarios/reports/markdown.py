"""Tables and numbers of a page, in Markdown. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from scenarios.reports.statistics import Estimate


def markdown_table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', '/') for cell in line)} |" for line in lines)


def number(value: float | None, digits: int) -> str:
    """A number with so many digits behind the point; nothing where there is none."""
    return "" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"  # no -0.00


def interval(found: Estimate, digits: int = 2) -> str:
    """An estimate as `value [low, high]`, or, of equal numbers, as `value (all 5 equal)`."""
    value, low, high = (number(each, digits) for each in (found.value, found.low, found.high))
    if low:
        return f"{value} [{low}, {high}]"
    return f"{value} ({found.equal})" if found.equal else value
