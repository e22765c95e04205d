"""What became of every message of a run: the account that `foretell ledger` prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from rich.console import Group, JustifyMethod
from rich.table import Table
from rich.text import Text

from broker.wire.records import Fate
from scenarios.document.agent_names import AgentNames
from scenarios.results.answers import CauseCount, EdgeDeeds, EndingCount
from scenarios.results.edge_account import SharesAccount, account_edges
from scenarios.results.folder import open_run_folder
from scenarios.results.proof.aim import kind_on
from scenarios.results.reader import RunReader, read_store
from scenarios.results.run_result import read_summary

_CAUSES_SHOWN = 12
_UNTOLD = "?"
_WHY_UNTOLD = (
    f"{_UNTOLD} stands where a receiver died before it had told on which edge it heard its shares; "
    "those of all edges are known\n"
)
_SO_FAR = "so far: the run has not come to its end, and what is sent and heard is told about once a second\n"
_TOLD_BELOW = (
    "sent shares are heard, lost, dropped, expired, rejected or late, or came when their receiver was done or dead;\n"
    "corrupted, duplicated and delayed is what faults did to messages: each of these ended in one of the ways before,\n"
    "and to one message several may have been done;\n"
    "of timesteps and actions that were sent only what went wrong is counted: all others were taken;\n"
    "a column in which nothing was counted is left out"
)


@dataclass(frozen=True)
class Account:
    """What became of the messages on one directed edge.

    Attributes:
        source: Who sends.
        destination: Who receives.
        kind: What travels there: `timestep`, `action` or `share`.
        sent: Handed over by the sender; of one that died what it told, or what became of them where that is more.
        heard: Of shares, those used in their round; None where the receiver died before it had told on which edge.
        unread: Given up by the sender, because the receiver did not read; not among those sent.
        lost: On the way.
        dropped: By a fault.
        expired: Still held by a fault when the receiver was done.
        corrupted: By a fault, however they ended; most are rejected, too. Of one message several things may be true
            that faults did.
        rejected: Not used, because they failed a check.
        refused: Frames that were no message of the edge: garbage, repeated, forged; not among those sent.
        duplicated: By a fault, however they ended.
        delayed: The same.
        late: Came after the receiver had gone on.
        skipped: Rounds without an exchange, in which nothing was sent.
    """

    source: str
    destination: str
    kind: str
    sent: int
    heard: int | None
    unread: int
    lost: int
    dropped: int
    expired: int
    corrupted: int
    rejected: int
    refused: int
    duplicated: int
    delayed: int
    late: int
    skipped: int


def accounts(store: RunReader) -> list[Account]:
    """The account of every edge between agents and environment so far, by name."""
    deeds = {(row.source, row.destination): row for row in store.deeds()}
    endings = {(row.source, row.destination, row.fate): row for row in store.endings()}
    found = []
    for edge in account_edges(store).edges:
        kind, name = kind_on(edge.source, edge.destination), (edge.source, edge.destination)
        if not kind:
            continue
        met = deeds.get(name, EdgeDeeds(*name, 0, 0, 0, 0))
        expired, rejected, late = (
            endings.get((*name, fate), EndingCount(*name, fate, 0, 0))
            for fate in (Fate.EXPIRED, Fate.REJECTED, Fate.LATE)
        )
        found.append(
            Account(
                *(*name, kind, max(edge.sent, edge.heard or 0), edge.heard, edge.dropped, edge.lost),
                *(met.dropped, expired.lines, met.corrupted, rejected.messages),
                *(max(0, edge.rejected - rejected.lines), met.duplicated, met.delayed, late.messages, edge.skipped),
            )
        )
    return found


def account_of(folder: Path, *, by_edge: bool) -> Group:
    """The account of a run as tables: by kind of message or by edge, and what was to blame.

    Raises:
        UserError: There is no run, or its store cannot be read.
    """
    run = open_run_folder(folder)
    with read_store(run.store) as store:
        rows, causes, names = accounts(store), store.causes(_CAUSES_SHOWN), store.agent_names()
        rows = rows if by_edge else _by_kind(rows, account_edges(store).shares)
    table = _account_table(rows, names)
    so_far = "" if read_summary(run) else _SO_FAR
    untold = _WHY_UNTOLD if any(row.heard is None for row in rows) else ""
    told = Text(f"{so_far}{untold}{_TOLD_BELOW}", style="table.caption")
    heading = Text("what became of the messages (each counts once)", style="table.title")
    return Group(heading, table, told, *([_cause_table(causes, names)] if causes else []))


def _by_kind(rows: list[Account], shares: SharesAccount) -> list[Account]:
    counts = [field.name for field in fields(Account)[3:]]
    sums = [
        Account("", "", kind, *(sum(getattr(row, name) or 0 for row in rows if row.kind == kind) for name in counts))
        for kind in dict.fromkeys(row.kind for row in rows)
    ]
    sent, heard = max(shares.sent, shares.heard), shares.heard
    return [replace(row, sent=sent, heard=heard) if row.kind == "share" else row for row in sums]


def _account_table(rows: list[Account], names: AgentNames) -> Table:
    """The accounts, without what was counted nowhere."""
    counts = [field.name for field in fields(Account)[3:] if any(getattr(row, field.name) != 0 for row in rows)]
    table = Table()
    table.add_column("kind" if rows and not rows[0].source else "edge")
    for count in counts:
        table.add_column(count, justify="right")
    for row in rows:
        name = f"{names.told(row.source)}->{names.told(row.destination)}" if row.source else row.kind
        table.add_row(name, *(_UNTOLD if found is None else str(found or "") for found in _values(row, counts)))
    return table


def _values(row: Account, counts: Sequence[str]) -> list[int | None]:
    return [getattr(row, count) for count in counts]


def _cause_table(causes: Sequence[CauseCount], names: AgentNames) -> Table:
    table = Table(title="and why (every copy counts)", title_justify="left", caption_justify="left")
    for column in ("kind", "fate", "times", "cause"):
        prose = column == "cause"
        justify: JustifyMethod = "right" if column == "times" else "left"
        table.add_column(column, justify=justify, overflow="fold" if prose else "ellipsis")
    for found in causes:
        example = names.tell(found.example)
        cause = example if found.causes == 1 else f"such as: {example}"
        table.add_row(found.kind, found.fate, str(found.often), cause)
    table.caption = "a message that two faults struck, or of which two copies ended so, stands here twice"
    return table
