"""The one who reads a run's store: every question that is asked of it stands here.

with read_store(folder.store) as reader:
    lives = reader.lives()
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

from broker.errors import StoreDamaged, UserError
from broker.wire.records import EDGE_COUNTS, EdgeRecord, EventKind, Fate, FaultCount, ProcessFaultRecord
from scenarios.document.agent_names import AgentNames
from scenarios.results.answers import (
    CauseCount,
    DocumentRow,
    EdgeChanges,
    EdgeDeeds,
    EdgeDelays,
    EdgeFates,
    EndingCount,
    EpisodeRow,
    EventRow,
    FateRow,
    FaultRow,
    LifeRow,
    LiveFault,
    RoundRow,
    StatusRow,
    StrikeRow,
    TeamReturn,
)
from scenarios.results.schema import VERSION

_Row = TypeVar("_Row")
_FATES = EdgeFates._fields[2:]
_OF_AN_EDGE = ", ".join(EdgeRecord.__struct_fields__)
_COUNT_TABLES = "SELECT count(*) FROM sqlite_master"
_PRIMARY = 0xFF
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
"""Of SQLite's codes those that say what the file is; SQLITE_ERROR is that a table or column is not there."""


@contextmanager
def read_store(path: Path) -> Iterator[RunReader]:
    """Open a run's store for reading, at any time; a finished one is left as it is, without files beside it.

    Raises:
        UserError: There is none, or it is of another version.
    """
    if path.exists() and not path.is_file():
        msg = f"cannot read the run's store {path}: expected a file"
        raise UserError(msg)
    log = path.with_name(f"{path.name}-wal")
    how = "mode=ro" if log.exists() and log.stat().st_size else "mode=ro&immutable=1"
    try:
        database = sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True)
    except sqlite3.Error as error:
        raise _unreadable(path, error) from None
    with closing(database):
        reader = RunReader(database, path)
        reader.require_version()
        yield reader


def require_version(path: Path) -> None:
    """See that a run's store, if there is one, can be read by this code.

    Raises:
        UserError: It is of another version, or no store.
    """
    if path.exists():
        with read_store(path):
            pass


class RunReader:
    """Answers what is asked of a run's store; see `read_store`.

    Each method may raise UserError: the file is damaged, or its run was killed before any table was there.

    Args:
        database: The open store.
        path: Its file, for what is said of it.
    """

    def __init__(self, database: sqlite3.Connection, path: Path) -> None:
        self._database = database
        self._path = path

    def require_version(self) -> None:
        """See that the store has the tables that this code knows, or none yet.

        Raises:
            UserError: It has others.
        """
        (found,) = self._row("PRAGMA user_version")
        if found != VERSION and not self.is_empty():
            msg = (
                f"{self._path} is a store of version {found}, and this Foretell reads version {VERSION}: "
                "use the Foretell that made it, or run its scenario again into another folder"
            )
            raise UserError(msg)

    def is_empty(self) -> bool:
        """Whether no table is there yet."""
        return int(self._row(_COUNT_TABLES)[0]) == 0

    def begun(self) -> DocumentRow | None:
        """With which document the run was begun, and on what; None if it was killed before it could say so."""
        if self.is_empty():
            return None
        return next(self._rows(DocumentRow, "SELECT digest, episodes, substrate, arithmetic FROM document"), None)

    def agent_names(self) -> AgentNames:
        """The agents, in their order, with what their environment calls them; nobody before the run has begun."""
        return AgentNames(dict(self._ask("SELECT agent, name FROM agents ORDER BY rowid")))

    def run_name(self) -> str | None:
        """Name of the run, with its id; None before it has begun."""
        return next((name for (name,) in self._ask("SELECT run FROM document")), None)

    def episodes(self) -> Iterator[EpisodeRow]:
        """Returns by episode, and within it in the order of the agents."""
        return self._rows(EpisodeRow, "SELECT * FROM episodes ORDER BY episode, rowid")

    def count_episodes(self) -> int:
        """How many episodes are recorded."""
        return int(self._row("SELECT count(DISTINCT episode) FROM episodes")[0])

    def newest_episode(self) -> int | None:
        """The episode that was recorded last; None before the first."""
        found = self._row("SELECT episode FROM episodes ORDER BY rowid DESC LIMIT 1")
        return None if found is None else int(found[0])

    def rounds(self) -> Iterator[RoundRow]:
        """Communication rounds, as they came."""
        return self._rows(RoundRow, "SELECT episode, round, agent, partners, heard, losses FROM rounds")

    def rounds_in_order(self) -> Iterator[RoundRow]:
        """The same by episode, round and agent."""
        columns = "episode, round, agent, partners, heard, losses"
        return self._rows(RoundRow, f"SELECT {columns} FROM rounds ORDER BY episode, round, agent")  # noqa: S608

    def rounds_by_agent(self) -> dict[str, tuple[int, int]]:
        """Of all rounds that each agent has closed, how many shares it expected, and how many it heard in time."""
        query = "SELECT agent, SUM(partners), SUM(heard) FROM rounds GROUP BY agent"
        return {agent: (partners, heard) for agent, partners, heard in self._ask(query)}

    def fates_in_order(self) -> Iterator[FateRow]:
        """What faults did to each message, and how it ended otherwise than heard in time, by episode."""
        name = "episode, kind, number, attempt, source, destination, fate"
        query = (
            f"SELECT {name}, fault, delays_s FROM faults UNION ALL SELECT {name}, '', '' FROM endings "  # noqa: S608
            f"ORDER BY {name}, 8, 9"
        )
        return self._rows(FateRow, query)

    def edges(self) -> list[EdgeRecord]:
        """What both ends of every edge counted, as they told when they were done; by name."""
        return list(self._rows(EdgeRecord, f"SELECT {_OF_AN_EDGE} FROM edges ORDER BY source, destination"))  # noqa: S608

    def edges_so_far(self) -> list[EdgeRecord]:
        """What both ends of every edge have counted, of a run that goes on or was killed, too; by name.

        Whoever is done has told its totals; the others tell theirs on the way, about once a second.
        """
        tables = (f"SELECT {_OF_AN_EDGE} FROM {table}" for table in ("edges", "traffic"))  # noqa: S608
        query = (
            f"SELECT source, destination, {', '.join(f'MAX({count})' for count in EDGE_COUNTS)} "  # noqa: S608
            f"FROM ({' UNION ALL '.join(tables)}) GROUP BY source, destination ORDER BY source, destination"
        )
        return list(self._rows(EdgeRecord, query))

    def faults(self) -> Iterator[FaultRow]:
        """Every change of a message's fate, in an order that does not depend on time."""
        columns = "fault, source, destination, kind, episode, number, attempt, delays_s"
        return self._rows(FaultRow, f"SELECT {columns}, fate FROM faults ORDER BY {columns}")  # noqa: S608

    def changes_by_fault(self) -> dict[str, int]:
        """How many messages' fates each fault changed."""
        return dict(self._ask("SELECT fault, count(*) FROM faults GROUP BY fault"))

    def fault_counts(self) -> list[FaultCount]:
        """How often each fault looked at messages of an edge and struck, over all lives."""
        columns = "fault, source, destination, SUM(examined), SUM(applied), SUM(chances), SUM(hits)"
        grouped = "GROUP BY fault, source, destination"
        return list(self._rows(FaultCount, f"SELECT {columns} FROM fault_counts {grouped}"))  # noqa: S608

    def early_deliveries(self, by_s: float) -> int:
        """How many held messages were handed over more than `by_s` seconds before their time."""
        return int(self._row("SELECT COUNT(*) FROM delays WHERE achieved_s < asked_s - ?", by_s)[0])

    def fates(self) -> list[EdgeFates]:
        """How messages ended on each edge that faults looked at."""
        sums = ", ".join(f"SUM({name})" for name in _FATES)
        query = f"SELECT source, destination, {sums} FROM fates GROUP BY source, destination"  # noqa: S608
        return list(self._rows(EdgeFates, query))

    def deeds(self) -> list[EdgeDeeds]:
        """What faults have done to the messages of each edge so far, by their lines: the delays that each left.

        A message that came again under its name met the same faults again, and counts again.
        """
        message = "source, destination, kind, episode, number, attempt"
        found = {
            "dropped": "delays_s = '[]'",
            "corrupted": f"fate = '{Fate.CORRUPTED}'",
            "duplicated": "delays_s LIKE '%,%'",
            "delayed": "CAST(substr(delays_s, 2) AS REAL) > 0",
        }
        by_fault = ", ".join(f"SUM({is_so}) AS {deed}" for deed, is_so in found.items())
        by_message = ", ".join(f"{'SUM' if deed == 'dropped' else 'MAX'}({deed}) AS {deed}" for deed in found)
        query = (
            f"SELECT source, destination, {', '.join(f'SUM({deed})' for deed in found)} FROM "  # noqa: S608
            f"(SELECT source, destination, {by_message} FROM "
            f"(SELECT {message}, {by_fault} FROM faults GROUP BY {message}, fault) GROUP BY {message}) "
            "GROUP BY source, destination"
        )
        return list(self._rows(EdgeDeeds, query))

    def endings(self) -> list[EndingCount]:
        """How often messages ended late, rejected or expired, by edge."""
        query = (
            "SELECT source, destination, fate, COUNT(*), COUNT(DISTINCT episode || ' ' || number || ' ' || attempt) "
            "FROM endings GROUP BY source, destination, fate"
        )
        return list(self._rows(EndingCount, query))

    def causes(self, most: int) -> list[CauseCount]:
        """What was to blame for what became of messages, the most frequent first.

        Args:
            most: How many to tell.
        """
        query = (
            "SELECT kind, fate, COUNT(*) AS often, COUNT(DISTINCT cause), MIN(cause) FROM ledger "
            "GROUP BY kind, fate, CASE WHEN fate IN ('rejected', 'expired') THEN '' ELSE cause END "
            "ORDER BY often DESC LIMIT ?"
        )
        return list(self._rows(CauseCount, query, most))

    def strikes(self) -> list[ProcessFaultRecord]:
        """Everything that was done to processes, as it came."""
        return list(self._rows(ProcessFaultRecord, "SELECT fault, occasion, participant, what FROM process_faults"))

    def strikes_by_date(self) -> list[StrikeRow]:
        """The same with their dates."""
        columns = "fault, occasion, participant, what, at, after_episode"
        return list(self._rows(StrikeRow, f"SELECT {columns} FROM process_faults ORDER BY at"))  # noqa: S608

    def live_faults(self) -> list[LiveFault]:
        """Faults that were added, or ended, while the run went on, in that order."""
        query = "SELECT name, document, added_after, healed_after FROM live_faults ORDER BY rowid"
        return list(self._rows(LiveFault, query))

    def deaths(self) -> dict[str, int]:
        """Agents that died, in that order, and the first episode that the others played without each."""
        return dict(self._ask("SELECT agent, before_episode FROM gone ORDER BY rowid"))

    def finished(self) -> dict[str, str]:
        """Agents that are through with the run, with SHA-256 of all that each has learned."""
        return dict(self._ask("SELECT agent, weights_digest FROM finished ORDER BY rowid"))

    def lives(self) -> list[LifeRow]:
        """Every life of all participants, the first one first."""
        return list(
            self._rows(
                LifeRow,
                "SELECT incarnation, after_episode, why, began_at, processor_s FROM lives ORDER BY incarnation",
            )
        )

    def status(self) -> list[StatusRow]:
        """What each participant waits for, the longest wait first."""
        query = "SELECT participant, phase, waits_for, since, seen FROM status ORDER BY since, participant"
        return list(self._rows(StatusRow, query))

    # What is new, for those who look again and again: rows have numbers, and only `Store.begin_life` removes any.

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """Let all answers inside be of one moment, whatever is written meanwhile."""
        for _ in self._ask("BEGIN"):
            pass
        try:
            yield
        finally:
            self._database.rollback()

    def last_row(self, table: Literal["delays", "faults"]) -> int:
        """Number of the last row of a table; 0 where there is none."""
        return int(self._row(f"SELECT COALESCE(MAX(rowid), 0) FROM {table}")[0])  # noqa: S608 - of two tables

    def team_returns(self, after_row: int) -> list[TeamReturn]:
        """Of the episodes whose rows come after this one, by episode."""
        query = "SELECT MAX(rowid), episode, SUM(return) FROM episodes WHERE rowid > ? GROUP BY episode"
        return list(self._rows(TeamReturn, f"{query} ORDER BY episode", after_row))

    def newest_returns(self, rows: int) -> list[EpisodeRow]:
        """The last so many rows of returns, the oldest first."""
        return list(self._rows(EpisodeRow, "SELECT * FROM episodes ORDER BY rowid DESC LIMIT ?", rows))[::-1]

    def newest_rounds(self, rows: int) -> list[RoundRow]:
        """The last so many communication rounds, the oldest first."""
        columns = "episode, round, agent, partners, heard, losses"
        query = f"SELECT {columns} FROM rounds ORDER BY rowid DESC LIMIT ?"  # noqa: S608
        return list(self._rows(RoundRow, query, rows))[::-1]

    def events(self, kinds: Sequence[EventKind], after_row: int) -> list[EventRow]:
        """Events of these kinds whose rows come after this one, as they came."""
        columns = "rowid, participant, kind, peer, text, at, after_episode"
        marks = ", ".join("?" for _ in kinds)
        query = f"SELECT {columns} FROM events WHERE rowid > ? AND kind IN ({marks}) ORDER BY rowid"  # noqa: S608
        return list(self._rows(EventRow, query, after_row, *kinds))

    def delays_by_edge(self, after_row: int) -> list[EdgeDelays]:
        """How messages were held back whose rows come after this one."""
        sums = "COUNT(*), SUM(achieved_s), MAX(achieved_s)"
        query = f"SELECT source, destination, {sums} FROM delays WHERE rowid > ? GROUP BY source, destination"  # noqa: S608
        return list(self._rows(EdgeDelays, query, after_row))

    def changes_by_edge(self, after_row: int) -> list[EdgeChanges]:
        """How often each fault changed messages of each edge, of the rows that come after this one."""
        columns = "fault, source, destination"
        query = f"SELECT {columns}, COUNT(*) FROM faults WHERE rowid > ? GROUP BY {columns}"  # noqa: S608
        return list(self._rows(EdgeChanges, query, after_row))

    def _rows(self, make: Callable[..., _Row], question: str, *values: object) -> Iterator[_Row]:
        return (make(*row) for row in self._ask(question, *values))

    def _row(self, question: str, *values: object) -> Any:
        return next(self._ask(question, *values), None)

    def _ask(self, question: str, *values: object) -> Iterator[Any]:
        """The one place where the store is asked, and where SQLite's errors become a sentence."""
        try:
            # Whoever stops reading may do so after the store was closed, and `yield from` would close the cursor then.
            for row in self._database.execute(question, values):  # noqa: UP028
                yield row
        except sqlite3.Error as error:
            if _code_of(error) == sqlite3.SQLITE_ERROR and question != _COUNT_TABLES and self.is_empty():
                msg = f"{never_begun(self._path.parent)}. Where it is just beginning, ask again"
                raise UserError(msg) from None
            raise _unreadable(self._path, error) from None


def never_begun(root: Path) -> UserError:
    """What to say of a run that was killed before there was anything to read of it, or to go on with."""
    return UserError(f"{root} was interrupted before the run had begun: begin it anew, with --out {root}")


def _code_of(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY


def _unreadable(path: Path, error: sqlite3.Error) -> UserError:
    kind = StoreDamaged if _code_of(error) in _DAMAGED else UserError
    return kind(f"cannot read the run's store {path}: {error}")
