"""`foretell export`: the episodes of finished runs for other programs.

| format    | what it is                                                                                      |
|-----------|-------------------------------------------------------------------------------------------------|
| csv       | a row per run, episode and agent: its id, and what its environment calls it                     |
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

from broker.errors import UserError
from scenarios.results.evaluation import Evaluation
from scenarios.results.run_result import RunResult

COLUMNS = (
    *("run", "scenario", "environment", "algorithm", "seed"),
    *("episode", "env_steps", "agent", "agent_name", "return"),
)
_POINTS = 20
_PER_POINT = 10

Row = tuple[str, str, str, str, int, int, int, str, str, float]


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
    """JSON as marl-eval reads it.

    Where the training was evaluated, a step's list holds the team returns of the evaluation there, and the absolute
    metric those of the best policy in episodes that did not choose it. Where it was not, a step's list holds the team
    returns of the last training episodes before it, and the absolute metric, one number, is the mean over the last
    tenth of the run.

    Raises:
        UserError: Two runs are the same run of marl-eval's, or runs have too few or different numbers of episodes.
    """
    lengths = {len(run.team) for run in runs}
    if len(lengths) > 1:
        msg = f"marl-eval needs runs of equal length, found {', '.join(map(str, sorted(lengths)))} episodes"
        raise UserError(msg)
    document: dict[str, Any] = {}
    for run in runs:
        scenario = run.scenario
        tasks = document.setdefault(scenario.environment.kind, {})
        seeds = tasks.setdefault(scenario.name, {}).setdefault(scenario.algorithm.name, {})
        name = f"seed_{scenario.seed}"
        if name in seeds:
            msg = f"marl-eval can hold one run of {scenario.name}, {scenario.algorithm.name}, {name}; found two"
            raise UserError(msg)
        best = run.evaluations.best
        seeds[name] = _steps(run) if best is None else _evaluated(run, best)
    return (json.dumps(document, indent=1) + "\n").encode()


FORMATS: dict[str, Callable[[Sequence[RunResult]], bytes]] = {
    "csv": to_csv,
    "parquet": to_parquet,
    "marl-eval": to_marl_eval,
}


def write(content: bytes, out: Path) -> None:
    """Write an export to a file.

    Raises:
        UserError: It cannot be written.
    """
    try:
        out.write_bytes(content)
    except OSError as error:
        msg = f"cannot write {out}: {error.strerror}"
        raise UserError(msg) from None


def _rows(runs: Sequence[RunResult]) -> Iterator[Row]:
    for run in runs:
        scenario = run.scenario
        folder = str(run.folder).encode(errors="backslashreplace").decode()  # a path need not be text
        head = (folder, scenario.name, scenario.environment.kind, scenario.algorithm.name, scenario.seed)
        for episode, (returns, steps) in enumerate(zip(run.returns.tolist(), run.steps.tolist(), strict=True)):
            for agent, value in zip(run.agents, returns, strict=True):
                yield (*head, episode, steps, agent, run.names.by_id[agent], value)


def _evaluated(run: RunResult, best: Evaluation) -> dict[str, Any]:
    """The training's evaluations as marl-eval's."""
    done = np.cumsum(run.steps)
    before = run.scenario.episodes_before
    steps: dict[str, Any] = {
        f"step_{number}": {"step_count": int(done[each.learned_from - before - 1]), "return": each.team_returns}
        for number, each in enumerate(run.evaluations.on_the_way, 1)
    }
    steps["absolute_metrics"] = {"return": best.team_returns}
    return steps


def _steps(run: RunResult) -> dict[str, Any]:
    team, done = run.team, np.cumsum(run.steps)
    points = min(_POINTS, len(team))
    window = max(1, min(_PER_POINT, len(team) // points))
    ends = [round((point + 1) * len(team) / points) for point in range(points)]
    steps: dict[str, Any] = {
        f"step_{number}": {"step_count": int(done[end - 1]), "return": team[end - window : end].tolist()}
        for number, end in enumerate(ends, 1)
    }
    steps["absolute_metrics"] = {"return": [float(team[-max(1, len(team) // 10) :].mean())]}
    return steps
