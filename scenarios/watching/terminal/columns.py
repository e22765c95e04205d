"""What stands in the tables, column by column, and how rows are ordered. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from scenarios.document.agent_names import AgentNames
from scenarios.watching.seen import AgentSeen, EdgeSeen, Health, ParticipantSeen, RunSeen

RowT = TypeVar("RowT")


@dataclass(frozen=True)
class Column(Generic[RowT]):
    """One column.

    Attributes:
        title: Its head.
        width: Characters, at least; `stretches` says whether it takes more where there is room.
        text: What is shown of a row.
        key: What rows are ordered by.
        right: Whether it stands on the right, as numbers do.
        stretches: As above.
    """

    title: str
    width: int
    text: Callable[[RowT], str]
    key: Callable[[RowT], float | str]
    right: bool = True
    stretches: bool = False


def clean(text: str) -> str:
    """A text of others without anything that would control a terminal."""
    return "".join(each if each.isprintable() else "?" for each in text)


def cut(text: str, width: int, *, right: bool = False) -> str:
    """A text of exactly so many characters."""
    shown = text if len(text) <= width else f"{text[: max(0, width - 1)]}…"[:width]
    return shown.rjust(width) if right else shown.ljust(width)


def ordered(rows: Sequence[RowT], column: Column[RowT], *, falling: bool) -> list[RowT]:
    """Rows in the order of a column; equal ones stay as they are, and those without a number stand last."""
    return sorted(rows, key=lambda row: _key(column.key(row), falling=falling))


def _key(value: float | str, *, falling: bool) -> tuple[float, str]:
    if isinstance(value, str):
        return (0.0, "".join(chr(0x10FFFF - ord(each)) for each in value) if falling else value)
    if value != value:  # noqa: PLR0124 - not a number
        return (float("inf"), "")
    return (-value if falling else value, "")


def agent_columns(names: AgentNames) -> tuple[Column[ParticipantSeen], ...]:
    """Of the environment and the agents."""
    return (
        Column("agent", 11, lambda row: clean(names.told(row.participant)), _number, right=False, stretches=True),
        Column("phase", 8, lambda row: row.phase or "-", lambda row: row.phase, right=False),
        Column("episode", 8, _episode, lambda row: _of(row, "episode")),
        Column("return", 8, lambda row: _float(_of(row, "value")), lambda row: _of(row, "value")),
        Column("mean 20", 8, lambda row: _float(_of(row, "mean")), lambda row: _of(row, "mean")),
        Column("heard", 6, _heard, lambda row: _of(row, "heard") - _of(row, "partners")),
        Column("deaths", 6, lambda row: str(row.deaths), lambda row: row.deaths),
        Column("sign", 6, _sign, lambda row: row.silent_s if row.silent_s is not None else float("nan")),
        Column("host", 8, lambda row: clean(row.host) or "-", lambda row: row.host, right=False, stretches=True),
    )


def edge_columns(names: AgentNames, struck: Callable[[EdgeSeen], int]) -> tuple[Column[EdgeSeen], ...]:
    """Of edges.

    Args:
        names: What the environment calls agents.
        struck: How many messages of an edge faults have changed.
    """
    return (
        _end("from", lambda row: row.source, names),
        _end("to", lambda row: row.destination, names),
        Column("lately", 8, lambda row: row.health.value, lambda row: HEALTHS.index(row.health), right=False),
        Column("heard", 7, lambda row: _count(row.total.heard), lambda row: row.total.heard or 0),
        Column("late", 5, lambda row: _count(row.total.late), lambda row: row.total.late),
        Column("missing", 8, lambda row: _count(row.total.missing), lambda row: row.total.missing or 0),
        Column("rejected", 8, lambda row: _count(row.total.rejected), lambda row: row.total.rejected),
        Column("delay", 7, lambda row: "-" if row.delay_s is None else f"{row.delay_s:.2f} s", _delay),
        Column("faults", 6, lambda row: _count(struck(row)), struck),
    )


HEALTHS = tuple(Health)


def _end(title: str, of: Callable[[EdgeSeen], str], names: AgentNames) -> Column[EdgeSeen]:
    """The column of one end of an edge."""
    return Column(
        title, 11, lambda row: clean(names.told(of(row))), lambda row: _place(of(row)), right=False, stretches=True
    )


def struck_edges(seen: RunSeen) -> Callable[[EdgeSeen], int]:
    """How many messages of an edge faults have changed."""
    counts: dict[tuple[str, str], int] = {}
    for fault in seen.faults:
        for edge, struck in fault.struck_edges.items():
            counts[edge] = counts.get(edge, 0) + struck
    return lambda edge: counts.get((edge.source, edge.destination), 0)


def _number(row: ParticipantSeen) -> float:
    return _place(row.participant)


def _place(participant: str) -> float:
    """The environment stands first, then the agents by number."""
    number = participant.rpartition("-")[2]
    return float(number) if number.isdecimal() else -1.0


def _of(row: ParticipantSeen, name: str) -> float:
    """A number of an agent; not a number where there is none."""
    value = getattr(row, name) if isinstance(row, AgentSeen) else None
    return float("nan") if value is None else float(value)


def _episode(row: ParticipantSeen) -> str:
    if not isinstance(row, AgentSeen) or row.episode < 0:
        return "-"
    return f"{row.episode}.{row.round}"


def _heard(row: ParticipantSeen) -> str:
    return f"{row.heard}/{row.partners}" if isinstance(row, AgentSeen) and row.round >= 0 else "-"


def _sign(row: ParticipantSeen) -> str:
    if row.gone:
        return "gone"
    return "-" if row.silent_s is None else seconds(row.silent_s)


def seconds(value: float) -> str:
    """A time, short: `3 s`, `12 m`, `5 h`."""
    for unit, size in (("h", 3600.0), ("m", 60.0)):
        if value >= 2 * size:
            return f"{value / size:.0f} {unit}"
    return f"{value:.0f} s"


def _delay(row: EdgeSeen) -> float:
    return float("nan") if row.delay_s is None else row.delay_s


def _float(value: float) -> str:
    return "-" if value != value else f"{value:.2f}"  # noqa: PLR0124 - not a number


def _count(value: int | None) -> str:
    if value is None:
        return "-"
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if value >= 100 * size:
            return f"{value / size:.0f}{unit}"
    return str(value)
