"""`foretell export`: the episodes of finished runs for other programs.

| format    | what it is                                                                                      |
|-----------|-------------------------------------------------------------------------------------------------|
| csv       | a row per run, episode and agent: its id, and what its environment calls it; `variant` has the  |
|           | settings by which the run differs from others of its scenario and algorithm, faults that were   |
|           | added or healed while it went on among them; `learns` is no where agents acted with a policy    |
|           | they had (`foretell evaluate`)                                                                  |
|           | `env_steps` are those of the episode, over all its copies, the same in each of its agents' rows |
| parquet   | the same columns; needs pyarrow (`pip install 'foretell[parquet]'`)                             |
| marl-eval | the raw data of InstaDeep's marl-eval: environment, task, algorithm, run, step, lists of returns |
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from broker.counting import counted, listed
from broker.errors import UserError
from scenarios.reports.variants import variants
from scenarios.results.evaluation import Evaluation
from scenarios.results.run_result import RunResult

COLUMNS = (
    *("run", "scenario", "environment", "algorithm", "variant", "learns", "seed"),
    *("episode", "env_steps", "agent", "agent_name", "return"),
)
_POINTS = 20
_PER_POINT = 10
_SHOWN = 3

Row = tuple[str, str, str, str, str, str, int, int, int, str, str, float]


def to_csv(runs: Sequence[RunResult]) -> bytes:
    """A row per run, episode and agent; returns with all digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_rows(runs))
    return text.getvalue().encode()


def to_parquet(runs: Sequence[RunResult]) -> bytes:
    """The same columns as a Parquet file.

    Raises:
        UserError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - an optional dependency
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError:
        msg = "parquet needs pyarrow, which is not installed: pip install 'foretell[parquet]', or use --format csv"
        raise UserError(msg) from None
    columns = zip(*_rows(runs), strict=True)
    table = pa.table({name: list(values) for name, values in zip(COLUMNS, columns, strict=True)})
    file = io.BytesIO()
    parquet.write_table(table, file)
    return file.getvalue()


def to_marl_eval(runs: Sequence[RunResult]) -> bytes:
    """JSON as marl-eval reads it, where an algorithm with other settings is another algorithm.

    Where the training was evaluated, a step's list holds the team returns of the evaluation there, and the absolute
    metric those of the best policy in episodes that did not choose it. Where it was not, a step's list holds the team
    returns of the last training episodes before it, and the absolute metric, one number, is the mean over the last
    tenth of the run. All runs have the one or all have the other, at the same steps.

    Raises:
        UserError: One is an evaluation, two runs are the same run of marl-eval's, some were evaluated and others not,
            or their steps differ.
    """
    _refuse_evaluations(runs)
    lengths = {len(run.team) for run in runs}
    if len(lengths) > 1:
        msg = f"marl-eval needs runs of equal length, found {', '.join(map(str, sorted(lengths)))} episodes"
        raise UserError(msg)
    _refuse_a_mixture(runs)
    _refuse_other_steps(runs)
    document: dict[str, Any] = {}
    folders: dict[tuple[str, str, str], Path] = {}
    for run, variant in zip(runs, _variants(runs), strict=True):
        scenario = run.scenario
        algorithm = ", ".join(filter(None, (scenario.algorithm.name, variant)))
        tasks = document.setdefault(scenario.environment.kind, {})
        seeds = tasks.setdefault(scenario.name, {}).setdefault(algorithm, {})
        name = f"seed_{scenario.seed}"
        other = folders.setdefault((scenario.name, algorithm, name), run.folder)
        if name in seeds:
            found = f"found two, {other} and {run.folder}: leave one out"
            raise UserError(f"marl-eval can hold one run of {scenario.name}, {algorithm}, {name}; {found}")
        best = run.evaluations.best
        seeds[name] = _steps(run) if best is None else _evaluated(run, best)
    return (json.dumps(document, indent=1) + "\n").encode()


FORMATS: dict[str, Callable[[Sequence[RunResult]], bytes]] = {
    "csv": to_csv,
    "parquet": to_parquet,
    "marl-eval": to_marl_eval,
}


def _rows(runs: Sequence[RunResult]) -> Iterator[Row]:
    for run, variant in zip(runs, _variants(runs), strict=True):
        scenario = run.scenario
        folder = str(run.folder).encode(errors="backslashreplace").decode()  # a path need not be text
        of = (scenario.name, scenario.environment.kind, scenario.algorithm.name, variant)
        head = (folder, *of, "no" if run.is_evaluation else "yes", scenario.seed)
        for episode, (returns, steps) in enumerate(zip(run.returns.tolist(), run.steps.tolist(), strict=True)):
            for agent, value in zip(run.agents, returns, strict=True):
                yield (*head, episode, steps, agent, run.names.by_id[agent], value)


def _variants(runs: Sequence[RunResult]) -> list[str]:
    """The settings by which each is told from others of its kind, those that learn or those that act."""
    trained = iter(variants([run.played for run in runs if not run.is_evaluation]))
    acted = iter(variants([run.played for run in runs if run.is_evaluation]))
    return [", ".join(next(acted if run.is_evaluation else trained)) for run in runs]


def _refuse_evaluations(runs: Sequence[RunResult]) -> None:
    """Steps of marl-eval are those of a training."""
    if acted := [str(run.folder) for run in runs if run.is_evaluation]:
        found = f"found {listed(acted, _SHOWN)}, in which nobody learned"
        raise UserError(f"marl-eval compares trainings: {found}. Leave {'it' if len(acted) == 1 else 'them'} out")


def _refuse_a_mixture(runs: Sequence[RunResult]) -> None:
    """Returns of evaluations and returns of training are two kinds of numbers."""
    evaluated = [run for run in runs if run.evaluations.best is not None]
    if 0 < len(evaluated) < len(runs):
        other = next(run for run in runs if run.evaluations.best is None)
        found = f"found {len(evaluated)} of {len(runs)}: {evaluated[0].folder} was, {other.folder} was not"
        msg = f"marl-eval needs returns of one kind: expected all runs evaluated or none, {found}. Export them apart"
        raise UserError(msg)


def _refuse_other_steps(runs: Sequence[RunResult]) -> None:
    """marl-eval sets the first step of a run beside the first of every other, whatever their counts are.

    Scenarios may differ in how long their episodes are, not in how many steps there are. Within a scenario episodes
    that end by themselves end where they do, so that only as many have to come before a step.
    """
    first = runs[0]
    known: dict[tuple[str, str], RunResult] = {}
    for run in runs:
        if len(_ends(run)) != len(_ends(first)):
            raise _other_steps(run, first)
        same = known.setdefault((run.scenario.environment.kind, run.scenario.name), run)
        lengths = [set(each.steps.tolist()) for each in (run, same)]
        are_fixed = all(len(length) == 1 for length in lengths)
        if _games(run) != _games(same) or (are_fixed and lengths[0] != lengths[1]):
            raise _other_steps(run, same)


def _other_steps(run: RunResult, other: RunResult) -> UserError:
    def told(each: RunResult) -> str:
        done, ends = np.cumsum(each.steps), _ends(each)
        after = listed([str(done[end - 1]) for end in ends], _SHOWN)
        return f"{counted(len(ends), 'step')} in {each.folder}, after {after} environment steps"

    found = f"found {told(other)}, and {told(run)}"
    return UserError(
        f"marl-eval compares step by step: expected the same steps of all runs, {found}. Export them apart"
    )


def _games(run: RunResult) -> list[int]:
    """Episodes before each step, those of all copies."""
    return [end * run.scenario.parallel_episodes for end in _ends(run)]


def _ends(run: RunResult) -> list[int]:
    """How many episodes of the run come before each of its steps."""
    if run.evaluations.best is not None:
        return [episode for episode, _ in run.evaluations.in_run(run.scenario.episodes_before)]
    points = min(_POINTS, len(run.team))
    return [round((point + 1) * len(run.team) / points) for point in range(points)]


def _evaluated(run: RunResult, best: Evaluation) -> dict[str, Any]:
    """The training's evaluations as marl-eval's."""
    done = np.cumsum(run.steps)
    steps: dict[str, Any] = {
        f"step_{number}": {"step_count": int(done[end - 1]), "return": each.team_returns}
        for number, (end, each) in enumerate(zip(_ends(run), run.evaluations.on_the_way, strict=True), 1)
    }
    steps["absolute_metrics"] = {"return": best.team_returns}
    return steps


def _steps(run: RunResult) -> dict[str, Any]:
    team, done, ends = run.team, np.cumsum(run.steps), _ends(run)
    window = max(1, min(_PER_POINT, len(team) // len(ends)))
    steps: dict[str, Any] = {
        f"step_{number}": {"step_count": int(done[end - 1]), "return": team[end - window : end].tolist()}
        for number, end in enumerate(ends, 1)
    }
    steps["absolute_metrics"] = {"return": [float(team[-max(1, len(team) // 10) :].mean())]}
    return steps
