"""What became of every message of a run: the account that `foretell ledger` prints."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path

from rich.console import Group
from rich.table import Table

from broker.errors import UserError
from scenarios.results.folder import RunFolder
from scenarios.results.proof import kind_on
from scenarios.results.reader import open_store

_CAUSES_SHOWN = 12


@dataclass(frozen=True)
class Account:
    """What became of the messages on one directed edge.

    Attributes:
        source: Who sends.
        destination: Who receives.
        kind: What travels there: `timestep`, `action` or `share`.
        sent: Handed over by the sender.
        heard: Of shares, those used in their round.
        unread: Given up by the sender, because the receiver did not read; not among those sent.
        lost: On the way.
        dropped: By a fault.
        expired: Still held by a fault when the receiver was done.
        corrupted: By a fault; most of these are rejected, too.
        rejected: Not used, because they failed a check.
        refused: Frames that were no message of the edge: garbage, repeated, forged; not among those sent.
        duplicated: By a fault.
        delayed: By a fault.
        late: Came after the receiver had gone on.
        skipped: Rounds without an exchange, in which nothing was sent.
    """

    source: str
    destination: str
    kind: str
    sent: int
    heard: int
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


def accounts(store: sqlite3.Connection) -> list[Account]:
    """The account of every edge between agents and environment, by name."""
    fates = {
        (source, destination): found
        for source, destination, *found in store.execute(
            "SELECT source, destination, SUM(dropped), SUM(expired), SUM(corrupted), SUM(duplicated), SUM(delayed) "
            "FROM fates GROUP BY source, destination"
        )
    }
    endings = {
        (source, destination, fate): counts
        for source, destination, fate, *counts in store.execute(
            "SELECT source, destination, fate, COUNT(*), COUNT(DISTINCT episode || ' ' || number || ' ' || attempt) "
            "FROM endings GROUP BY source, destination, fate"
        )
    }
    found = []
    for source, destination, sent, heard, unread, lost, rejections, skipped in store.execute(
        "SELECT source, destination, sent, heard, dropped, lost, rejected, skipped FROM edges "
        "ORDER BY source, destination"
    ):
        kind, edge = kind_on(source, destination), (source, destination)
        if not kind:
            continue
        dropped, expired, corrupted, duplicated, delayed = fates.get(edge, (0, 0, 0, 0, 0))
        named, rejected = endings.get((*edge, "rejected"), (0, 0))
        _, late = endings.get((*edge, "late"), (0, 0))
        found.append(
            Account(
                *(source, destination, kind, sent, heard, unread, lost),
                *(dropped, expired, corrupted, rejected, max(0, rejections - named)),
                *(duplicated, delayed, late, skipped),
            )
        )
    return found


def account_of(folder: Path, *, by_edge: bool) -> Group:
    """The account of a run as tables: by kind of message or by edge, and what was to blame.

    Raises:
        UserError: There is no run, or its store cannot be read.
    """
    try:
        with closing(open_store(RunFolder(folder).store)) as store:
            rows = accounts(store)
            causes = store.execute(
                "SELECT kind, fate, COUNT(*) AS often, COUNT(DISTINCT cause), MIN(cause) FROM ledger "
                "GROUP BY kind, fate, CASE WHEN fate IN ('rejected', 'expired') THEN '' ELSE cause END "
                "ORDER BY often DESC LIMIT ?",
                (_CAUSES_SHOWN,),
            ).fetchall()
    except sqlite3.Error as error:
        msg = f"cannot read the ledger of {folder}: {error}. Expected the folder of a run"
        raise UserError(msg) from None
    return Group(_account_table(rows if by_edge else _by_kind(rows)), *([_cause_table(causes)] if causes else []))


def _by_kind(rows: list[Account]) -> list[Account]:
    counts = [field.name for field in fields(Account)[3:]]
    return [
        Account("", "", kind, *(sum(getattr(row, name) for row in rows if row.kind == kind) for name in counts))
        for kind in dict.fromkeys(row.kind for row in rows)
    ]


def _account_table(rows: list[Account]) -> Table:
    table = Table(title="what became of the messages", title_justify="left", caption_justify="left")
    table.add_column("kind" if rows and not rows[0].source else "edge", overflow="fold")
    for field in fields(Account)[3:]:
        table.add_column(field.name, justify="right")
    for row in rows:
        name = f"{row.source}->{row.destination}" if row.source else row.kind
        table.add_row(name, *(str(getattr(row, field.name) or "") for field in fields(Account)[3:]))
    table.caption = (
        "sent shares are heard, lost, dropped, expired, rejected or late, or came when their receiver was done;\n"
        "corrupted, duplicated and delayed ones stand in one of these columns, too"
    )
    return table


def _cause_table(causes: list[tuple[str, str, int, int, str]]) -> Table:
    table = Table(title="and why", title_justify="left")
    for column in ("kind", "fate", "messages", "cause"):
        table.add_column(column, justify="right" if column == "messages" else "left", overflow="fold")
    for kind, fate, often, different, example in causes:
        table.add_row(kind, fate, str(often), example if different == 1 else f"such as: {example}")
    return table
