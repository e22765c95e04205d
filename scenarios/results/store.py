"""A run's store: one SQLite file, one writer, readable by anybody while the run goes on.

| table    | a row is                                                                                   |
|----------|--------------------------------------------------------------------------------------------|
| episodes | one agent's return in one episode                                                          |
| rounds   | one communication round of one agent: partners, heard, losses as JSON                      |
| edges    | one directed edge: sent, sent_bytes, dropped, heard, late, missing, rejected, lost, skipped |
| faults   | one change of a message's fate: fault, edge, message, delays as JSON, fate                 |
| delays   | one copy of a message that was held back: seconds asked for and achieved                   |
| fault_counts | how often a fault looked at messages of an edge and how often it struck                |
| endings  | one message that ended late, rejected or expired, and why                                  |
| ledger   | a view of faults and endings: one line for each thing that became of a message, and why    |
| fates    | how the messages of a kind ended on an edge that faults looked at                          |
| events   | something worth a sentence: who noticed it, kind, peer, text                               |
| lives    | one life of all participants: the episode it goes on after, what ended the one before      |
| status   | what each participant waited for when it last gave a sign, and since when                  |
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from msgspec.structs import astuple

from broker.errors import UserError
from broker.wire.records import (
    DelayRecord,
    EdgeRecord,
    EndingRecord,
    EpisodeRecord,
    EventRecord,
    FateCount,
    FaultCount,
    FaultRecord,
    ProcessFaultRecord,
    Record,
    RoundRecord,
    StatusRecord,
)

_SCHEMA = """
CREATE TABLE episodes (episode INTEGER, agent TEXT, return REAL, steps INTEGER, missing_actions INTEGER);
CREATE TABLE rounds (episode INTEGER, round INTEGER, agent TEXT, partners INTEGER, heard INTEGER, losses TEXT);
CREATE TABLE edges (source TEXT, destination TEXT, sent INTEGER DEFAULT 0, sent_bytes INTEGER DEFAULT 0,
    dropped INTEGER DEFAULT 0, heard INTEGER DEFAULT 0, late INTEGER DEFAULT 0, missing INTEGER DEFAULT 0,
    rejected INTEGER DEFAULT 0, lost INTEGER DEFAULT 0, skipped INTEGER DEFAULT 0, PRIMARY KEY (source, destination));
CREATE TABLE faults (fault TEXT, source TEXT, destination TEXT, kind TEXT, episode INTEGER, number INTEGER,
    attempt INTEGER, delays_s TEXT, fate TEXT);
CREATE TABLE delays (source TEXT, destination TEXT, kind TEXT, episode INTEGER, number INTEGER, attempt INTEGER,
    asked_s REAL, achieved_s REAL);
CREATE TABLE endings (source TEXT, destination TEXT, kind TEXT, episode INTEGER, number INTEGER, attempt INTEGER,
    fate TEXT, cause TEXT);
CREATE VIEW ledger AS
    SELECT source, destination, kind, episode, number, attempt, fate, fault AS cause FROM faults
    UNION ALL SELECT * FROM endings;
CREATE TABLE fault_counts (fault TEXT, source TEXT, destination TEXT, examined INTEGER, applied INTEGER,
    chances INTEGER, hits INTEGER);
CREATE TABLE fates (source TEXT, destination TEXT, kind TEXT, delivered INTEGER, dropped INTEGER, delayed INTEGER,
    duplicated INTEGER, corrupted INTEGER, rejected INTEGER, expired INTEGER);
CREATE TABLE process_faults (fault TEXT, occasion TEXT, participant TEXT, what TEXT, at REAL);
CREATE TABLE live_faults (name TEXT PRIMARY KEY, document TEXT, added_after INTEGER, healed_after INTEGER);
CREATE TABLE events (participant TEXT, kind TEXT, peer TEXT, text TEXT);
CREATE TABLE lives (incarnation INTEGER PRIMARY KEY, after_episode INTEGER, began_at REAL, why TEXT);
CREATE TABLE status (participant TEXT PRIMARY KEY, waits_for TEXT, since REAL, seen REAL);
"""
_EDGE_COUNTS = ("sent", "sent_bytes", "dropped", "heard", "late", "missing", "rejected", "lost", "skipped")
_ADD_EDGE = (
    f"INSERT INTO edges (source, destination, {', '.join(_EDGE_COUNTS)}) "  # noqa: S608
    f"VALUES (?, ?, {', '.join('?' for _ in _EDGE_COUNTS)}) "
    f"ON CONFLICT DO UPDATE SET {', '.join(f'{name} = {name} + excluded.{name}' for name in _EDGE_COUNTS)}"
)
_STATUS = (
    "INSERT INTO status VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET seen = excluded.seen, "
    "since = CASE waits_for WHEN excluded.waits_for THEN since ELSE excluded.since END, waits_for = excluded.waits_for"
)
_HEAL = (
    "INSERT INTO live_faults VALUES (?, NULL, NULL, ?) ON CONFLICT DO UPDATE SET healed_after = excluded.healed_after"
)
_BATCH = 2000
_FLUSH_EVERY_S = 1.0


class Store:
    """Writes records to a SQLite file.

    Args:
        path: The file; made if there is none yet.
        agents: Names of the agents, in the order of an episode's returns.

    Raises:
        UserError: The file cannot be made, or is none of a run.
    """

    def __init__(self, path: Path, agents: tuple[str, ...]) -> None:
        self._agents = agents
        self._rows: dict[str, list[tuple[Any, ...]]] = {}
        self._waiting = 0
        self._flushed_at = time.monotonic()
        try:
            self._database = sqlite3.connect(path)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            # Whoever was killed before all tables were there has left none.
            if self._database.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
                self._database.executescript(f"BEGIN;{_SCHEMA}COMMIT;")
            (found,) = self._database.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                msg = f"the run's store {path} is damaged: {found}. Nothing of it was changed."
                raise UserError(msg)
        except sqlite3.Error as error:
            msg = f"cannot write the run's store {path}: {error}"
            raise UserError(msg) from None

    def write(self, records: Iterable[Record]) -> None:
        """Keep records; they reach the file in batches, or with `flush`."""
        for record in records:
            for statement, row in _rows(record, self._agents):
                self._rows.setdefault(statement, []).append(row)
                self._waiting += 1
        if self._waiting >= _BATCH or time.monotonic() - self._flushed_at >= _FLUSH_EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Bring everything to the file.

        Raises:
            UserError: The disk is full or the file cannot be written; what was written before stays readable.
        """
        try:
            with self._database:
                for statement, rows in self._rows.items():
                    self._database.executemany(statement, rows)
        except sqlite3.Error as error:
            raise _unwritable(error) from None
        self._rows.clear()
        self._waiting = 0
        self._flushed_at = time.monotonic()

    def ask(self, question: str) -> list[Any]:
        """Rows of what has been written and flushed."""
        return self._database.execute(question).fetchall()

    def add_live_fault(self, name: str, document: str, after_episode: int) -> None:
        """Keep a fault that was added to the run while it went on."""
        self._change("INSERT INTO live_faults VALUES (?, ?, ?, NULL)", (name, document, after_episode))

    def heal_fault(self, name: str, after_episode: int) -> None:
        """Keep that a fault, of the scenario or added later, is over."""
        self._change(_HEAL, (name, after_episode))

    def _change(self, statement: str, row: tuple[Any, ...]) -> None:
        try:
            with self._database:
                self._database.execute(statement, row)
        except sqlite3.Error as error:
            raise _unwritable(error) from None

    def begin_life(self, after_episode: int, why: str) -> int:
        """Forget what was recorded of later episodes, and all totals; returns which life begins.

        Raises:
            UserError: The file cannot be written.
        """
        self.flush()
        try:
            with self._database:
                for table in ("episodes", "rounds", "faults", "delays"):
                    self._database.execute(f"DELETE FROM {table} WHERE episode > ?", (after_episode,))  # noqa: S608
                self._database.execute("DELETE FROM endings WHERE episode > ? OR fate = 'expired'", (after_episode,))
                for table in ("edges", "fault_counts", "fates", "status"):
                    self._database.execute(f"DELETE FROM {table}")  # noqa: S608
                newest = self._database.execute("SELECT max(incarnation) FROM lives").fetchone()[0]
                incarnation = 0 if newest is None else int(newest) + 1
                row = (incarnation, after_episode, time.time(), why)
                self._database.execute("INSERT INTO lives VALUES (?, ?, ?, ?)", row)
        except sqlite3.Error as error:
            raise _unwritable(error) from None
        return incarnation

    def close(self) -> None:
        """Flush and release the file."""
        self.flush()
        self._database.close()


def _unwritable(error: sqlite3.Error) -> UserError:
    return UserError(f"cannot write to the run's store: {error}. What was written before is readable")


def _rows(record: Record, agents: tuple[str, ...]) -> list[tuple[str, tuple[Any, ...]]]:
    row: tuple[Any, ...]
    match record:
        case EpisodeRecord():
            own = zip(agents, record.returns, strict=True)
            rows = [(record.episode, *pair, record.steps, record.missing_actions) for pair in own]
            return [("INSERT INTO episodes VALUES (?, ?, ?, ?, ?)", row) for row in rows]
        case RoundRecord():
            row = (record.episode, record.round, record.agent, record.partners, record.heard, json.dumps(record.losses))
            return [("INSERT INTO rounds VALUES (?, ?, ?, ?, ?, ?)", row)]
        case EdgeRecord():
            counts = tuple(getattr(record, name) for name in _EDGE_COUNTS)
            return [(_ADD_EDGE, (record.source, record.destination, *counts))]
        case FaultRecord():
            name = (record.kind, record.episode, record.number, record.attempt)
            row = (record.fault, record.source, record.destination, *name, json.dumps(record.delays_s), record.fate)
            return [("INSERT INTO faults VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)]
        case DelayRecord():
            return [("INSERT INTO delays VALUES (?, ?, ?, ?, ?, ?, ?, ?)", astuple(record))]
        case EndingRecord():
            return [("INSERT INTO endings VALUES (?, ?, ?, ?, ?, ?, ?, ?)", astuple(record))]
        case FaultCount():
            return [("INSERT INTO fault_counts VALUES (?, ?, ?, ?, ?, ?, ?)", astuple(record))]
        case FateCount():
            return [("INSERT INTO fates VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", astuple(record))]
        case ProcessFaultRecord():
            return [("INSERT INTO process_faults VALUES (?, ?, ?, ?, ?)", (*astuple(record), time.time()))]
        case EventRecord():
            row = (record.participant, record.kind, record.peer, record.text)
            return [("INSERT INTO events VALUES (?, ?, ?, ?)", row)]
        case StatusRecord():
            now = time.time()
            return [(_STATUS, (record.participant, record.waits_for, now, now))]
        case _:
            return []
