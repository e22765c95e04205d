"""A run's store: one SQLite file, one writer, readable by anybody while the run goes on; see `schema`."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec.structs import astuple

from broker.arithmetic.version import ARITHMETIC
from broker.errors import UserError
from broker.run_name import new_run_name
from broker.wire.records import (
    EDGE_COUNTS,
    RECEIVERS_COUNTS,
    SENDERS_COUNTS,
    DelayRecord,
    EdgeRecord,
    EndingRecord,
    EpisodeRecord,
    EventKind,
    EventRecord,
    FateCount,
    FaultCount,
    FaultRecord,
    FinishedRecord,
    JoinedRecord,
    ProcessFaultRecord,
    Record,
    RoundRecord,
    StatusRecord,
    TrafficRecord,
)
from scenarios.document.agent_names import AgentNames
from scenarios.document.scenario import Scenario
from scenarios.results.reader import RunReader
from scenarios.results.same_run import require_agents, require_same_run
from scenarios.results.schema import SCHEMA

_OF_AN_EDGE = EdgeRecord.__struct_fields__
_ONE_EDGE = f"({', '.join(_OF_AN_EDGE)}) VALUES ({', '.join('?' for _ in _OF_AN_EDGE)}) ON CONFLICT DO UPDATE SET"
_ADD_EDGE = f"INSERT INTO edges {_ONE_EDGE} {', '.join(f'{name} = {name} + excluded.{name}' for name in EDGE_COUNTS)}"
_ADD_TRAFFIC = (  # each end of an edge knows its own counts, and leaves the others at 0
    f"INSERT INTO traffic {_ONE_EDGE} {', '.join(f'{name} = max({name}, excluded.{name})' for name in EDGE_COUNTS)}"
)
_STATUS = (
    "INSERT INTO status VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET phase = excluded.phase, seen = excluded.seen, "
    "since = CASE waits_for WHEN excluded.waits_for THEN since ELSE excluded.since END, waits_for = excluded.waits_for"
)
_EVENT = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)"
_BEGUN = "INSERT INTO document VALUES (?, ?, ?, ?, ?)"
_SPENT = "UPDATE lives SET processor_s = ? WHERE incarnation = ?"
_HEAL = (
    "INSERT INTO live_faults VALUES (?, NULL, NULL, ?) ON CONFLICT DO UPDATE SET healed_after = excluded.healed_after"
)
_GONE = (
    "INSERT INTO gone VALUES (?, ?) ON CONFLICT DO UPDATE SET "
    "before_episode = min(before_episode, excluded.before_episode)"
)
_BATCH = 2000
_FLUSH_EVERY_S = 1.0


class Store:
    """Writes records to a SQLite file.

    Args:
        path: The file; made if there is none yet.
        agents: Names of the agents, in the order of an episode's returns.

    Raises:
        UserError: The file cannot be made, is none of a run, or is of another version.

    Attributes:
        reader: Answers what has been written and flushed.
    """

    def __init__(self, path: Path, agents: tuple[str, ...]) -> None:
        self._path = path
        self._agents = agents
        self._rows: dict[str, list[tuple[Any, ...]]] = {}
        self._waiting = 0
        self._flushed_at = time.monotonic()
        self._newest_episode = -1
        self._life: tuple[int, float] | None = None
        self._is_cut = False
        try:
            self._database = sqlite3.connect(path.absolute())  # SQLite takes file:NAME for a URI
        except sqlite3.Error as error:
            raise _not_writable(path, error) from None
        self.reader = RunReader(self._database, path)
        try:
            self._prepare(path)
        except BaseException:
            self._database.close()
            raise

    def _prepare(self, path: Path) -> None:
        """Make the tables of a new store; see that one that is there already is whole and can be gone on with."""
        try:
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            if self.reader.is_empty():  # whoever was killed before all tables were there has left none
                self._database.executescript(SCHEMA)
            self.reader.require_version()
            (found,) = self._database.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.Error as error:
            raise _not_writable(path, error) from None
        if found != "ok":
            msg = f"the run's store {path} is damaged: {found}. Nothing of it was changed."
            raise UserError(msg)

    def write(self, records: Iterable[Record]) -> None:
        """Keep records; they reach the file in batches, or with `flush`."""
        if self._is_cut:
            return
        with self._whole_or_never():
            for record in records:
                if type(record) is EpisodeRecord:
                    self._newest_episode = record.episode
                for statement, row in _rows(record, self._agents, self._newest_episode):
                    self._rows.setdefault(statement, []).append(row)
                    self._waiting += 1
        if self._waiting >= _BATCH or time.monotonic() - self._flushed_at >= _FLUSH_EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Bring everything to the file.

        Raises:
            UserError: The disk is full or the file cannot be written; what was written before stays readable.
        """
        with self._whole_or_never():
            try:
                with self._database:
                    for statement, rows in self._rows.items():
                        self._database.executemany(statement, rows)
                    if self._life is not None:
                        incarnation, before_s = self._life
                        self._database.execute(_SPENT, (_processor_s() - before_s, incarnation))
            except sqlite3.Error as error:
                raise _unwritable(error) from None
            self._rows.clear()
            self._waiting = 0
        self._flushed_at = time.monotonic()

    @contextmanager
    def _whole_or_never(self) -> Iterator[None]:
        """Write nothing any more once an interrupt has come in between: what it cut would be written in part or twice.

        The run goes on from what was written before.
        """
        try:
            yield
        except (KeyboardInterrupt, SystemExit):
            self._is_cut = True
            self._rows.clear()
            self._waiting = 0
            raise

    def introduce(self, names: AgentNames) -> None:
        """Keep what the environment calls the agents.

        Raises:
            UserError: The run was begun with others, or the file cannot be written.
        """
        require_agents(self._path.parent, self.reader.agent_names(), names)
        try:
            with self._database:
                self._database.executemany("INSERT OR IGNORE INTO agents VALUES (?, ?)", names.by_id.items())
        except sqlite3.Error as error:
            raise _unwritable(error) from None

    def begin(self, scenario: Scenario, substrate: str) -> str:
        """Keep which document the run is begun with, and on what, or that it goes on to more episodes.

        Args:
            scenario: The document.
            substrate: On what it runs: `simulate` or `run`.

        Returns:
            The name that the run has from its beginning on.

        Raises:
            UserError: The run was begun with another document, substrate or arithmetic, or the file cannot be written.
        """
        require_same_run(self._path.parent, self.reader.begun(), scenario, substrate)
        run = self.reader.run_name() or new_run_name(scenario.name)
        try:
            with self._database:
                self._database.execute("DELETE FROM document")
                self._database.execute(_BEGUN, (scenario.digest, scenario.episodes, run, substrate, ARITHMETIC))
        except sqlite3.Error as error:
            raise _unwritable(error) from None
        return run

    def add_live_fault(self, name: str, document: str, after_episode: int) -> None:
        """Keep a fault that was added to the run while it went on."""
        self._change("INSERT INTO live_faults VALUES (?, ?, ?, NULL)", (name, document, after_episode))

    def heal_fault(self, name: str, after_episode: int) -> None:
        """Keep that a fault, of the scenario or added later, is over."""
        self._change(_HEAL, (name, after_episode))

    def leave(self, agent: str, before_episode: int) -> None:
        """Keep that an agent died, and the first episode that the others play without it."""
        self._change(_GONE, (agent, before_episode))

    def _change(self, statement: str, row: tuple[Any, ...]) -> None:
        try:
            with self._database:
                self._database.execute(statement, row)
        except sqlite3.Error as error:
            raise _unwritable(error) from None

    def begin_life(self, after_episode: int, why: str) -> int:
        """Keep that a life begins, whose number no other has; what was recorded stays, but for where everybody was.

        Raises:
            UserError: The file cannot be written.
        """
        self.flush()
        try:
            with self._database:
                self._database.execute("DELETE FROM status")
                incarnation = 1 + max((life.incarnation for life in self.reader.lives()), default=-1)
                row = (incarnation, after_episode, time.time(), why, 0.0)
                self._database.execute("INSERT INTO lives VALUES (?, ?, ?, ?, ?)", row)
        except sqlite3.Error as error:
            raise _unwritable(error) from None
        self._newest_episode = after_episode
        self._life = (incarnation, _processor_s())
        return incarnation

    def forget_after(self, episode: int) -> None:
        """Forget what was recorded of later episodes, and all totals, which all who live tell anew.

        Raises:
            UserError: The file cannot be written.
        """
        self.flush()
        dead = {agent for agent, before in self.reader.deaths().items() if before <= episode + 1}
        kept = [_of_the_dead(edge, dead) for edge in self.reader.edges_so_far() if dead & {*astuple(edge)[:2]}]
        try:
            with self._database:
                for table in ("episodes", "rounds", "faults", "delays"):
                    self._database.execute(f"DELETE FROM {table} WHERE episode > ?", (episode,))  # noqa: S608
                self._database.execute("DELETE FROM endings WHERE episode > ? OR fate = 'expired'", (episode,))
                for table in ("edges", "traffic", "fault_counts", "fates", "finished"):
                    self._database.execute(f"DELETE FROM {table}")  # noqa: S608
                self._database.executemany(_ADD_TRAFFIC, map(astuple, kept))
        except sqlite3.Error as error:
            raise _unwritable(error) from None

    def close(self) -> None:
        """Flush and release the file.

        Raises:
            UserError: The file cannot be written; it is released all the same.
        """
        try:
            self.flush()
        finally:
            self._database.close()


def _of_the_dead(edge: EdgeRecord, dead: Container[str]) -> EdgeRecord:
    """What was told of an edge by those of its ends that are dead."""
    counts: dict[str, int] = {}
    for end, names in ((edge.source, SENDERS_COUNTS), (edge.destination, RECEIVERS_COUNTS)):
        counts |= {name: getattr(edge, name) for name in names if end in dead}
    return EdgeRecord(edge.source, edge.destination, **counts)


def _processor_s() -> float:
    """Of this process, and of those that it has waited for."""
    return sum(os.times()[:4])


def _not_writable(path: Path, error: sqlite3.Error) -> UserError:
    return UserError(f"cannot write the run's store {path}: {error}")


def _unwritable(error: sqlite3.Error) -> UserError:
    return UserError(f"cannot write to the run's store: {error}. What was written before is readable")


def _rows(record: Record, agents: tuple[str, ...], newest_episode: int) -> list[tuple[str, tuple[Any, ...]]]:
    row: tuple[Any, ...]
    match record:
        case EpisodeRecord():
            own = zip(agents, record.returns, strict=True)
            rows = [(record.episode, *pair, record.steps, record.missing_actions) for pair in own]
            return [("INSERT INTO episodes VALUES (?, ?, ?, ?, ?)", row) for row in rows]
        case RoundRecord():
            row = (record.episode, record.round, record.agent, record.partners, record.heard, json.dumps(record.losses))
            return [("INSERT INTO rounds VALUES (?, ?, ?, ?, ?, ?)", row)]
        case FinishedRecord():
            return [("INSERT OR REPLACE INTO finished VALUES (?, ?)", astuple(record))] if record.weights_digest else []
        case EdgeRecord():
            return [(_ADD_EDGE, astuple(record))]
        case TrafficRecord():
            return [(_ADD_TRAFFIC, astuple(record.edge))]
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
        case _:
            return _dated_rows(record, newest_episode)


def _dated_rows(record: Record, newest_episode: int) -> list[tuple[str, tuple[Any, ...]]]:
    """Of records that are kept with their dates."""
    when = (time.time(), newest_episode)
    match record:
        case ProcessFaultRecord():
            return [("INSERT INTO process_faults VALUES (?, ?, ?, ?, ?, ?)", (*astuple(record), *when))]
        case EventRecord():
            return [(_EVENT, (record.participant, record.kind, record.peer, record.text, *when))]
        case JoinedRecord():
            return [(_EVENT, (record.participant, EventKind.JOINED, "", "", *when))]
        case StatusRecord():
            now = time.monotonic()  # a date may jump
            return [(_STATUS, (record.participant, record.phase, record.waits_for, now, now))]
        case _:
            return []
