"""How a run ended, decided once for Python and all commands."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from scenarios.api.one_run import Onlooker, RunEnd, play_to_the_end
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.results.evaluation import waiting
from scenarios.results.folder import RunFolder, make_run_folder
from scenarios.running.ways import way_called

ROOT = Path(__file__).parents[3]
TINY = {
    "episodes": 3,
    "parallel_episodes": 1,
    "environment.steps": 2,
    "learning.hidden": [4],
    "learning.rounds": 1,
}


def played(root: Path, onlooker: Onlooker, **settings: object) -> tuple[RunFolder, RunEnd]:
    plan = make_plan(load_scenario("exchange-quick", TINY | settings))
    folder = make_run_folder(root, "quick", 1)
    return folder, play_to_the_end(plan, folder, "simulate", way_called("simulate"), onlooker)


def test_a_run_that_was_played_to_its_end_was_not_stopped_although_somebody_wanted_it_at_last(tmp_path: Path) -> None:
    over: list[bool] = []

    def show(progress: object) -> None:
        over.append(getattr(progress, "episode", 0) == 3)

    _, ended = played(tmp_path / "run", Onlooker(show=show, interrupted=lambda: any(over)))
    assert (ended.summary.complete, ended.summary.episodes, ended.stopped) == (True, 3, False)


def test_a_run_of_which_episodes_are_missing_because_somebody_wanted_the_end_was_stopped(tmp_path: Path) -> None:
    asked: list[int] = []

    def interrupted() -> bool:
        return bool(asked)

    def show(progress: object) -> None:
        asked.append(1)

    _, ended = played(tmp_path / "run", Onlooker(show=show, interrupted=interrupted), episodes=100)
    assert (ended.summary.complete, ended.stopped) == (False, True)


def test_a_run_of_which_policies_wait_because_somebody_wanted_the_end_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: list[int] = []
    monkeypatch.setattr("scenarios.api.one_run.evaluate_training", lambda *_: wanted.append(1))
    settings = {"evaluation.every": 2, "evaluation.episodes": 2}
    folder, ended = played(tmp_path / "run", Onlooker(interrupted=lambda: bool(wanted)), **settings)
    assert waiting(folder)
    assert (ended.summary.complete, ended.stopped) == (True, True)


def test_what_makes_a_run_go_on_and_end_is_asked_by_one_name_in_python_and_commands() -> None:
    known = {"way_over", "require_substrate", "waiting"}
    for path in ("api/playing.py", "commands/terminal.py", "commands/policies/evaluate.py"):
        text = (ROOT / "scenarios" / path).read_text(encoding="utf-8")
        names = {each.id for each in ast.walk(ast.parse(text)) if isinstance(each, ast.Name)}
        assert not names & known, path
