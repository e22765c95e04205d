"""`foretell report`: finished runs side by side."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.table import Table

from agent_node.registry import load_algorithm
from broker.errors import ScenarioError
from scenarios.document.text.short_names import short_names
from scenarios.reports.markdown import number
from scenarios.reports.statistics import Estimate, estimate, mean_of
from scenarios.reports.variants import variants
from scenarios.results.run_result import UNTOLD, RunResult

_DIGITS = 16
"""Of a digest, as at the end of a run."""
_AGENTS_SHOWN = 8
_FOLDED = ("group", "seeds")
_Names = Mapping[Path, str]


def tables(runs: Sequence[RunResult]) -> Iterator[Table]:
    """Returns, communication, what it told, faults and digests of runs; statistics where only the seed differs.

    What agents earned that acted and did not learn stands apart.
    """
    trained = [run for run in runs if not run.is_evaluation]
    acted = [run for run in runs if run.is_evaluation]
    names = _names(runs)
    if trained:
        yield from (each(trained, names) for each in (_returns, _agents, _communication))
        yield _privacy(trained)
    yield _trouble(runs, names)
    if any(run.evaluations.best is not None for run in trained):
        yield _evaluations(trained, names)
    if acted:
        yield _acting(acted, names)
    groups = [_one_a_seed(group) for group in _groups(trained)]
    if any(len(group) > 1 for group in groups):
        yield _statistics(groups)


def same_curves(runs: Sequence[RunResult]) -> Iterator[str]:
    """A line for all runs whose whole curves, and weights, are equal bit for bit."""
    found: dict[tuple[str, str | None], list[RunResult]] = {}
    names = _names(runs)
    for run in runs:
        found.setdefault((run.summary.curve_digest, run.summary.weights_digest), []).append(run)
    for equal in found.values():
        if len(equal) > 1:
            yield f"equal curves and weights, bit for bit: {', '.join(names[run.folder] for run in equal)}"


def _returns(runs: Sequence[RunResult], names: _Names) -> Table:
    table = _table(
        "team return (sum over agents)", "run", "algorithm", "seed", "episodes", "first", "last", "substrate"
    )
    for run in runs:
        summary = run.summary
        table.add_row(
            names[run.folder],
            run.scenario.algorithm.name,
            str(summary.seed),
            str(summary.episodes),
            f"{summary.team_return_first:.2f}",
            f"{summary.team_return_last:.2f}",
            summary.substrate,
        )
    table.caption = "first and last tenth of the training episodes"
    return table


def _agents(runs: Sequence[RunResult], names: _Names) -> Table:
    table = _table("returns of single agents", "run")
    table.add_column("last", overflow="fold")
    for run in runs:
        own = list(run.summary.per_agent_return_last.items())
        said = [f"{run.names.told(agent)} {value:.2f}" for agent, value in own[:_AGENTS_SHOWN]]
        table.add_row(names[run.folder], ", ".join([*said, *(["..."] if len(own) > _AGENTS_SHOWN else [])]))
    table.caption = "last tenth of the training episodes"
    return table


def _communication(runs: Sequence[RunResult], names: _Names) -> Table:
    table = _table(
        "communication", "run", "edges", "shares", "bytes a share", "bytes an edge and round", "MB", "heard", "late"
    )
    for run in runs:
        traffic = run.traffic
        table.add_row(
            names[run.folder],
            str(traffic.edges),
            str(traffic.sent),
            number(traffic.bytes_per(traffic.sent), 0),
            number(traffic.bytes_per(traffic.edges * traffic.rounds), 0),
            number(traffic.bytes_per(1e6), 2),
            "" if traffic.heard_share is None else f"{traffic.heard_share:.1%}",
            str(traffic.late),
        )
    untold = f"; {UNTOLD}" if any(run.traffic.sent_bytes is None for run in runs) else ""
    table.caption = (
        f"directed edges over which anything was sent; bytes of whole frames, as counted by the senders{untold}"
    )
    return table


def _privacy(runs: Sequence[RunResult]) -> Table:
    table = Table(title="what a neighbor is told of the sender", title_justify="left", caption_justify="left")
    for column in ("algorithm", "told"):
        table.add_column(column, overflow="fold")
    for name in dict.fromkeys(run.scenario.algorithm.name for run in runs):
        table.add_row(name, told(name))
    table.caption = "by what the algorithm shares; faults and attackers aside"
    return table


def told(algorithm: str) -> str:
    """What a neighbor learns of the sender with an algorithm, as its page says it."""
    try:
        return load_algorithm(algorithm).tells or "unknown: its author has not said"
    except ScenarioError:
        return "unknown: it is not installed here"


def _trouble(runs: Sequence[RunResult], names: _Names) -> Table:
    counted = ("message faults", "process faults", "missing", "rejected", "dropped", "lost")
    table = _table("faults and digests", "run", *counted, "curve", "weights", "ledger")
    for run in runs:
        summary = run.summary
        faults = (summary.faults_applied, run.strikes)
        counts = (*faults, summary.shares_missing, summary.rejected, summary.dropped, summary.lost)
        digests = (summary.curve_digest, summary.weights_digest or "", summary.ledger_digest)
        table.add_row(names[run.folder], *map(str, counts), *(digest[:_DIGITS] for digest in digests))
    table.caption = "faults as often as they struck a message, or a process"
    return table


def _evaluations(runs: Sequence[RunResult], names: _Names) -> Table:
    table = _table("evaluated team return", "run", "policies", "first", "last", "best after", "best", "95% interval")
    for run in runs:
        found, best = run.evaluations.on_the_way, run.evaluations.best
        if not found or best is None:
            continue
        team = best.team
        table.add_row(
            names[run.folder],
            str(len(found)),
            f"{found[0].team.mean:.2f}",
            f"{found[-1].team.mean:.2f}",
            str(best.learned_from),
            f"{team.mean:.2f}",
            best.interval(team),
        )
    table.caption = "policies on the way, acting without learning; the best one in episodes that did not choose it"
    return table


def _acting(runs: Sequence[RunResult], names: _Names) -> Table:
    titles = ("run", "algorithm", "seed", "actions", "after", "episodes", "team return", "95% interval")
    table = _table("team return of agents that act and do not learn (`foretell evaluate`)", *titles)
    for run in runs:
        scenario = run.scenario
        assert scenario.initial_policy is not None  # noqa: S101 - nobody acts without one
        found = mean_of(run.team.tolist(), "evaluation", "team")
        table.add_row(
            names[run.folder],
            scenario.algorithm.name,
            str(run.summary.seed),
            str(scenario.acts_only),
            str(scenario.initial_policy.episodes),
            str(run.summary.episodes),
            f"{found.value:.2f}",
            found.equal if found.low is None else f"{found.low:.2f} to {found.high:.2f}",
        )
    table.caption = "after: episodes that the policy had learned from; mean of all episodes"
    return table


def _statistics(groups: Sequence[Sequence[RunResult]]) -> Table:
    table = _table("final team return over seeds", "group", "seeds", "IQM", "interval")
    for group, settings in zip(groups, variants([group[0].played for group in groups]), strict=True):
        scenario = group[0].scenario
        finals = [float(run.team[-max(1, len(run.team) // 10) :].mean()) for run in group]
        found = estimate(finals, "report", scenario.name, scenario.algorithm.name)
        seeds = ", ".join(str(run.summary.seed) for run in group)
        named = ", ".join((scenario.name, scenario.algorithm.name, *settings))
        table.add_row(named, seeds, f"{found.value:.2f}", _ends(found))
    table.caption = (
        "scenario, algorithm and the settings in which groups of them differ; one run a seed, the first given; "
        "95% bootstrap intervals, of up to three seeds the mean and the range"
    )
    return table


def _groups(runs: Sequence[RunResult]) -> list[list[RunResult]]:
    """Runs that have played documents which differ in nothing but the seed, and where files lie."""
    groups: dict[tuple[str, int], list[RunResult]] = {}
    for run in runs:
        of_any_seed = run.played.model_copy(update={"seed": 0})
        groups.setdefault((of_any_seed.digest, of_any_seed.episodes), []).append(run)
    return list(groups.values())


def _one_a_seed(group: Sequence[RunResult]) -> list[RunResult]:
    """The first run of every seed: a seed run twice, simulated and as processes say, is not two samples."""
    return list({run.summary.seed: run for run in reversed(group)}.values())[::-1]


def _ends(found: Estimate) -> str:
    return f"none: {found.equal or 'one seed'}" if found.low is None else f"{found.low:.2f} to {found.high:.2f}"


def _names(runs: Sequence[RunResult]) -> _Names:
    """What runs are called: their folders, with as many of those that hold them as tell one from the other."""
    places = {run.folder: os.path.abspath(run.folder) for run in runs}  # noqa: PTH100 - a link keeps its name
    short = short_names(places.values(), os.sep)
    return {folder: short[place] for folder, place in places.items()}


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", caption_justify="left")
    table.add_column(first, overflow="fold" if first in _FOLDED else "ellipsis")
    for column in others:
        table.add_column(column, justify="right", overflow="fold" if column in _FOLDED else "ellipsis")
    return table
