"""What a run's folder says about the run, for reports and studies."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from broker.errors import UserError
from scenarios.document.loading import parse_scenario
from scenarios.document.scenario import Scenario
from scenarios.results.folder import RunFolder
from scenarios.results.summary import Summary


@dataclass(frozen=True)
class EdgeTraffic:
    """What crossed the edges between agents in one run.

    Attributes:
        edges: Directed edges over which anything was sent.
        rounds: Communication rounds of the run.
        sent: Shares handed to the transport.
        sent_bytes: Their frames' bytes.
        heard: Shares heard in their round.
        missing: Shares that were not there when their round closed.
        late: Of these, shares that came afterwards.
    """

    edges: int
    rounds: int
    sent: int
    sent_bytes: int
    heard: int
    missing: int
    late: int

    @property
    def heard_share(self) -> float | None:
        """Part of the expected shares that was heard in time; None where none was expected."""
        expected = self.heard + self.missing
        return self.heard / expected if expected else None


@dataclass(frozen=True)
class RunResult:
    """One run, read from its folder.

    Attributes:
        folder: Where it is.
        scenario: The resolved document.
        summary: Its figures.
        agents: Names, in order.
        returns: (episodes, N) float64, undiscounted, mean over parallel copies.
        steps: (episodes,) int64, environment steps of each episode over all its copies.
        traffic: What crossed the edges between agents.
    """

    folder: Path
    scenario: Scenario
    summary: Summary
    agents: tuple[str, ...]
    returns: NDArray[np.float64]
    steps: NDArray[np.int64]
    traffic: EdgeTraffic

    @property
    def team(self) -> NDArray[np.float64]:
        """Team return, the sum over agents, of every episode."""
        total: NDArray[np.float64] = self.returns.sum(axis=1)
        return total


def read_run(folder: Path) -> RunResult:
    """Read a run's folder.

    Raises:
        UserError: It is no run's folder, or the run did not come to its end.
    """
    run = RunFolder(folder)
    summary = read_summary(run)
    if summary is None:
        msg = f"{folder} holds no finished run: expected a folder that `foretell run` or `foretell simulate` left"
        raise UserError(msg)
    try:
        scenario = parse_scenario(run.scenario.read_text(encoding="utf-8"), {})
        with closing(open_store(run.store)) as store:
            agents, returns, steps = _episodes(store)
            traffic = _traffic(store, agents, summary.rounds)
    except (OSError, sqlite3.Error) as error:
        msg = f"cannot read the run in {folder}: {error}"
        raise UserError(msg) from None
    return RunResult(folder, scenario, summary, agents, returns, steps, traffic)


def read_summary(run: RunFolder) -> Summary | None:
    """The figures of a run that came to its end; None if it did not."""
    try:
        summary = Summary.model_validate_json(run.summary.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError):
        return None
    return summary if summary.complete else None


def open_store(path: Path) -> sqlite3.Connection:
    """A run's store for reading, at any time; a finished one is left exactly as it is, without files beside it.

    Raises:
        sqlite3.Error: There is none yet.
    """
    log = path.with_name(f"{path.name}-wal")
    how = "mode=ro" if log.exists() and log.stat().st_size else "mode=ro&immutable=1"
    return sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True)


def _episodes(store: sqlite3.Connection) -> tuple[tuple[str, ...], NDArray[np.float64], NDArray[np.int64]]:
    rows = store.execute("SELECT agent, return, steps FROM episodes ORDER BY episode, rowid").fetchall()
    agents = tuple(dict.fromkeys(row[0] for row in rows))
    returns = np.array([row[1] for row in rows], np.float64).reshape(-1, len(agents))
    steps = np.array([row[2] for row in rows[:: len(agents)]], np.int64)
    return agents, returns, steps


def _traffic(store: sqlite3.Connection, among: tuple[str, ...], rounds: int) -> EdgeTraffic:
    columns = ", ".join(f"COALESCE(SUM({name}), 0)" for name in ("sent", "sent_bytes", "heard", "missing", "late"))
    names = ", ".join("?" * len(among))
    between = f"source IN ({names}) AND destination IN ({names}) AND sent + missing > 0"
    query = f"SELECT COUNT(*), {columns} FROM edges WHERE {between}"  # noqa: S608
    edges, sent, sent_bytes, heard, missing, late = store.execute(query, (*among, *among)).fetchone()
    return EdgeTraffic(edges, rounds, sent, sent_bytes, heard, missing, late)
