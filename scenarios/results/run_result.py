"""What a run's folder says about the run, for reports and studies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from broker.arithmetic.sums import total
from broker.errors import UserError
from broker.text_files import read_text
from scenarios.document.agent_names import AgentNames
from scenarios.document.scenario import Scenario
from scenarios.results.answers import LiveFault, struck
from scenarios.results.document import read_document
from scenarios.results.edge_account import account_edges
from scenarios.results.evaluation import NOT_EVALUATED, TrainingEvaluations, read_evaluations
from scenarios.results.folder import RunFolder, has_begun, is_held
from scenarios.results.played import as_played
from scenarios.results.reader import RunReader, read_store, require_version
from scenarios.results.summary import Summary

UNTOLD = "no bytes stand where an agent died before it had told those of all its shares"
"""Of an empty place in a table."""
_MOST_BYTES = 1 << 24


class RunUnfinished(UserError):
    """A run that has no summary of its end: it was interrupted, or goes on."""


@dataclass(frozen=True)
class EdgeTraffic:
    """What crossed the edges between agents in one run.

    Attributes:
        edges: Directed edges over which anything was sent.
        rounds: Communication rounds of the run.
        sent: Shares handed to the transport, those of agents that died among them, as far as anybody knows.
        sent_bytes: Their frames' bytes; None where an agent died before it had told those of all its shares.
        heard: Shares heard in their round.
        missing: Shares that were not there when their round closed.
        late: Of these, shares that came afterwards.
    """

    edges: int
    rounds: int
    sent: int
    sent_bytes: int | None
    heard: int
    missing: int
    late: int

    @property
    def heard_share(self) -> float | None:
        """Part of the expected shares that was heard in time; None where none was expected."""
        expected = self.heard + self.missing
        return self.heard / expected if expected else None

    def bytes_per(self, units: float) -> float | None:
        """The bytes that were sent for each of so many units; None where nobody knows, or there are none."""
        return None if self.sent_bytes is None or not units else self.sent_bytes / units


@dataclass(frozen=True)
class RunResult:
    """One run, read from its folder.

    Attributes:
        folder: Where it is.
        scenario: The resolved document.
        summary: What came of it.
        agents: Ids, in order.
        names: What their environment calls them.
        returns: (episodes, N) float64, undiscounted, mean over parallel copies.
        steps: (episodes,) int64, environment steps of each episode over all its copies.
        traffic: What crossed the edges between agents.
        strikes: How often a fault did anything to a process.
        evaluations: Of policies on the way, and of the best of them.
        live: Faults that were added, or ended, while it went on.
    """

    folder: Path
    scenario: Scenario
    summary: Summary
    agents: tuple[str, ...]
    names: AgentNames
    returns: NDArray[np.float64]
    steps: NDArray[np.int64]
    traffic: EdgeTraffic
    strikes: int
    evaluations: TrainingEvaluations = NOT_EVALUATED
    live: tuple[LiveFault, ...] = ()

    @property
    def played(self) -> Scenario:
        """The document that it played, which tells it from others: with what was added or healed while it went on."""
        return as_played(self.scenario, self.live)

    @property
    def is_evaluation(self) -> bool:
        """Whether agents acted and nobody learned."""
        return self.scenario.acts_only is not None

    @property
    def team(self) -> NDArray[np.float64]:
        """Team return, the sum over agents, of every episode."""
        return total(self.returns, axis=1)


def read_run(folder: Path) -> RunResult:
    """Read a run's folder.

    Raises:
        RunUnfinished: The run did not come to its end.
        UserError: It is no run's folder, or its store is of another version.
    """
    run = RunFolder(folder)
    require_version(run.store)
    summary = read_summary(run)
    if summary is None:
        msg = f"{folder} holds no finished run"
        if run.store.exists():
            raise RunUnfinished(f"{msg}: {_way_to_its_end(run)}")
        raise UserError(f"{msg}: expected a folder that `foretell run` or `foretell simulate` left")
    scenario = read_document(run)
    with read_store(run.store) as store:
        rows, names = list(store.episodes()), store.agent_names()
        agents = tuple(names.by_id)
        traffic, strikes = _traffic(store, summary), len(struck(store.strikes()))
        live = tuple(store.live_faults())
    returns = by_agent([row.value for row in rows], len(agents))
    steps = np.array([row.steps for row in rows[:: max(len(agents), 1)]], np.int64)
    evaluations = read_evaluations(run)
    return RunResult(folder, scenario, summary, agents, names, returns, steps, traffic, strikes, evaluations, live)


def _way_to_its_end(run: RunFolder) -> str:
    if is_held(run):
        return "it goes on; wait for its end, or leave it out"
    if not has_begun(run):
        return f"it was interrupted before it had begun; begin it anew, with --out {run.root}, or leave it out"
    if read_document(run).acts_only is not None:
        return "it is an evaluation that was interrupted; `foretell evaluate` again, or leave it out"
    return f"finish it with `foretell resume {run.root}`, or leave it out"


def read_summary(run: RunFolder) -> Summary | None:
    """The summary of a run that came to its end; None if it did not."""
    summary = latest_summary(run)
    return summary if summary is not None and summary.complete else None


def latest_summary(run: RunFolder) -> Summary | None:
    """The summary that a run left when it ended or was interrupted; None if there is none."""
    try:
        return Summary.model_validate_json(read_text(run.summary, _MOST_BYTES))
    except (OSError, ValidationError):
        return None


def by_agent(values: Sequence[float] | NDArray[np.float64], agents: int) -> NDArray[np.float64]:
    """What a store has of every episode for one agent after the other, as (episodes, agents) float64.

    Args:
        values: (episodes * agents,), perhaps of no episode yet.
        agents: How many; 0 where the run has not begun.
    """
    return np.asarray(values, np.float64).reshape(len(values) // max(agents, 1), agents)


def _traffic(store: RunReader, summary: Summary) -> EdgeTraffic:
    shares = account_edges(store).shares
    return EdgeTraffic(
        shares.edges, summary.rounds, shares.sent, shares.sent_bytes, shares.heard, shares.missing, shares.late
    )
