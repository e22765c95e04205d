"""A run as Python sees it: its numbers as arrays and data frames, its curve, its policies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, get_type_hints

from agent_node.trained_policy import TrainedPolicy, load_policies
from broker.errors import UserError
from scenarios.api.columns import Columns, only_agent
from scenarios.document.agent_names import AgentNames
from scenarios.document.scenario import Scenario
from scenarios.reports.ledger import Account, accounts
from scenarios.results.answers import EpisodeRow, FaultRow, RoundRow
from scenarios.results.document import read_document
from scenarios.results.edge_account import EdgeAccount, account_edges
from scenarios.results.evaluation import TrainingEvaluations, read_evaluations
from scenarios.results.folder import open_run_folder
from scenarios.results.reader import read_store
from scenarios.results.run_result import by_agent, latest_summary
from scenarios.results.summary import Summary

if TYPE_CHECKING:  # what draws is imported when something is drawn
    from matplotlib.axes import Axes


class OpenedRun:
    """One run, finished, interrupted or going on; its tables are read when they are first asked for.

    Attributes:
        notes: What was told on its way, such as deaths and faults that met nothing, where it was played by this
            program and not loaded; what a command shows while it plays.

    Args:
        root: Its folder.
        notes: See above.

    Raises:
        UserError: There is no run.
    """

    def __init__(self, root: Path, notes: Sequence[str] = ()) -> None:
        self._folder = open_run_folder(root)
        self.notes = tuple(notes)

    def __repr__(self) -> str:
        return f"OpenedRun({str(self.folder)!r})"

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self._folder.root

    @cached_property
    def scenario(self) -> Scenario:
        """The document that it runs."""
        return read_document(self._folder)

    @cached_property
    def summary(self) -> Summary:
        """What came of it, in numbers.

        Raises:
            UserError: It has not ended yet.
        """
        found = latest_summary(self._folder)
        if found is None:
            msg = f"{self.folder} has no summary yet: its run goes on, or was killed (`foretell resume {self.folder}`)"
            raise UserError(msg)
        return found

    @cached_property
    def names(self) -> AgentNames:
        """What the environment calls the agents."""
        with read_store(self._folder.store) as store:
            return store.agent_names()

    @cached_property
    def episodes(self) -> Columns:
        """Columns `episode`, `agent`, `return`, `steps`, `missing_actions`, `agent_name`: a row an agent and episode.

        Agents stand there by their ids; `where` takes what their environment calls them, too. Returns are undiscounted
        means over the parallel copies; steps are summed over them.
        """
        types = _types(EpisodeRow)
        types = {"return" if name == "value" else name: kind for name, kind in types.items()} | {"agent_name": str}
        called = self.names.by_id
        with read_store(self._folder.store) as store:
            return Columns.of(types, ((*row, called.get(row.agent, row.agent)) for row in store.episodes()), self.names)

    @cached_property
    def rounds(self) -> Columns:
        """Columns `episode`, `round`, `agent`, `partners`, `heard`, `agent_name`, each loss: a row an agent and round.

        A loss that an agent had not in a round is NaN there.
        """
        with read_store(self._folder.store) as store:
            found = [(row, json.loads(row.losses)) for row in store.rounds()]
        losses = tuple(dict.fromkeys(name for _, own in found for name in own))
        own = {name: kind for name, kind in _types(RoundRow).items() if name != "losses"} | {"agent_name": str}
        called = self.names.by_id
        return Columns.of(
            own | dict.fromkeys(losses, float),
            (
                (*row[:5], called.get(row.agent, row.agent), *(values.get(name, float("nan")) for name in losses))
                for row, values in found
            ),
            self.names,
        )

    @cached_property
    def edges(self) -> Columns:
        """Columns `source`, `destination` and the totals of `EdgeRecord` so far, a row for each directed edge.

        What nobody can know, as an agent died before it had told it, is NaN; its column is of floats then.
        """
        with read_store(self._folder.store) as store:
            return Columns.of(_types(EdgeAccount), account_edges(store).edges, self.names)

    @cached_property
    def ledger(self) -> Columns:
        """What became of all messages so far, a row for each edge of agents and environment (`foretell ledger`).

        NaN stands there as in `edges`.
        """
        with read_store(self._folder.store) as store:
            return Columns.of(_types(Account), map(astuple, accounts(store)), self.names)

    @cached_property
    def faults(self) -> Columns:
        """A row for each message that a fault changed the fate of, with the columns of `FaultRow`."""
        with read_store(self._folder.store) as store:
            return Columns.of(_types(FaultRow), store.faults(), self.names)

    @property
    def evaluations(self) -> TrainingEvaluations:
        """Of policies on the way, and of the best of them."""
        return read_evaluations(self._folder)

    def policy(self, agent: str) -> TrainedPolicy:
        """What an agent has learned, a function from observations (B, S) to probabilities (B, A).

        Args:
            agent: Its id, or what its environment calls it.

        Raises:
            UserError: There is no such agent, or no policy of it.
        """
        policies = load_policies(self._folder.policy)
        return policies[only_agent(agent, policies, self.names)]

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the learning curve so far; axes without a point before the first episode.

        Args:
            axes: On these, or on new ones of `matplotlib.pyplot`.

        Returns:
            The axes.

        Raises:
            UserError: matplotlib is not installed.
        """
        from scenarios.reports.learning_curve import draw_curve, new_axes  # noqa: PLC0415

        axes = new_axes() if axes is None else axes
        agents = tuple(self.names.by_id)
        returns = by_agent(self.episodes["return"], len(agents))
        title = f"{self.scenario.name}, {self.scenario.algorithm.name}, seed {self.scenario.seed}"
        evaluations = self.evaluations.in_run(self.scenario.episodes_before)
        draw_curve(axes, title, tuple(map(self.names.told, agents)), returns, evaluations)
        return axes

    def _repr_html_(self) -> str:
        """What a notebook shows: the numbers that are asked for first."""
        rows = {"scenario": self.scenario.name, "folder": str(self.folder)}
        if self._folder.summary.exists():
            found = self.summary
            rows |= {"episodes": str(found.episodes), "complete": "yes" if found.complete else "no"}
            if found.team_return_first is not None and found.team_return_last is not None:
                rows["team return"] = f"{found.team_return_first:.2f} -> {found.team_return_last:.2f}"
            rows |= {"shares heard": f"{found.shares_heard} of {found.shares_heard + found.shares_missing}"}
            rows |= {"curve digest": found.curve_digest}
        if self.notes:
            rows |= {"notes": "; ".join(self.notes)}
        cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows.items())
        return f"<table>{cells}</table>"


def _types(row: type) -> dict[str, type]:
    """What a row has, by name."""
    return get_type_hints(row)
