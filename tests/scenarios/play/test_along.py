"""Policies on the way of a training are evaluated when it has ended, and nothing of the training changes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from runs import foretell, simulate_here, summary

from agent_node.policy_folder import read_document
from scenarios.commands.main import foretell as commands
from scenarios.document.loading import load_scenario
from scenarios.play.along import best_of
from scenarios.reports.export import to_marl_eval
from scenarios.results.evaluation import Evaluation, TrainingEvaluations, read_evaluations
from scenarios.results.folder import RunFolder
from scenarios.results.run_result import read_run
from scenarios.trials.quiet_run import try_out

SETTINGS = (
    *("parallel_episodes=2", "environment.steps=6", "learning.hidden=[5]", "learning.rounds=2"),
    *("recovery.checkpoint_every=3", "learning.actor_learning_rate=0.05"),
)
EVALUATED = ("evaluation.every=2", "evaluation.episodes=2")
DIGESTS = ("curve_digest", "weights_digest", "ledger_digest")


def arguments(*settings: str, episodes: int = 5) -> list[str]:
    listed = [part for each in (*SETTINGS, *settings) for part in ("--set", each)]
    return ["navigation-quick", "--episodes", str(episodes), *listed]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "run"
    simulate_here(out, *arguments(*EVALUATED))
    return out


def evaluations(out: Path) -> TrainingEvaluations:
    return read_evaluations(RunFolder(out))


def said(found: TrainingEvaluations) -> list[Any]:
    """All but where it was."""
    every = [*found.on_the_way, *([found.best] if found.best is not None else [])]
    return [each.model_dump(exclude={"policy", "substrate", "policy_digest"}) for each in every]


def test_evaluation_on_and_off_give_equal_digests_of_the_training(trained: Path, tmp_path: Path) -> None:
    plain = simulate_here(tmp_path / "plain", *arguments())
    found = summary(trained)
    assert {name: found[name] for name in DIGESTS} == {name: plain[name] for name in DIGESTS}
    one, other = (read_document(out / "policy")[0] for out in (trained, tmp_path / "plain"))
    assert (one.sha256, one.training_sha256) == (other.sha256, other.training_sha256)
    assert not (tmp_path / "plain" / "evaluations").exists()


def test_each_is_the_evaluation_of_a_run_that_ended_there(trained: Path, tmp_path: Path) -> None:
    found = evaluations(trained).on_the_way
    assert [each.learned_from for each in found] == [2, 4, 5]
    for each in found:
        out = tmp_path / str(each.learned_from)
        simulate_here(out, *arguments(episodes=each.learned_from))
        assert each.weights_digest == summary(out)["weights_digest"]
        place = tmp_path / f"evaluation-{each.learned_from}"
        commands(["evaluate", str(out), "--episodes", "2", "--out", str(place)], standalone_mode=False)
        alone = json.loads((place / "evaluation.json").read_text(encoding="utf-8"))
        assert each.curve_digest == alone["curve_digest"]
        assert each.team_returns == alone["team_returns"]


def test_the_best_is_kept_beside_the_last_and_judged_by_other_episodes(trained: Path) -> None:
    found = evaluations(trained)
    assert found.best is not None
    best = best_of(found.on_the_way)
    assert best.team.mean == max(each.team.mean for each in found.on_the_way)
    assert found.best.weights_digest == best.weights_digest
    assert read_document(trained / "best-policy")[1] == best.policy_digest
    assert (found.best.episodes, best.episodes) == (20, 2)
    assert found.best.seed != best.seed
    assert not set(best.team_returns) <= set(found.best.team_returns[:2])
    assert not [place for place in (trained / "evaluations").iterdir() if place.is_dir()]


def test_of_equal_ones_the_first_is_the_best(trained: Path) -> None:
    (first, second, _) = evaluations(trained).on_the_way
    equal = second.model_copy(update={"team": first.team})
    assert best_of((first, equal)) is first


@pytest.mark.processes
def test_processes_are_evaluated_to_the_same_digests(trained: Path, tmp_path: Path) -> None:
    done = foretell("run", *arguments(*EVALUATED), "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    assert "best policy    after " in done.stdout
    assert said(evaluations(tmp_path / "run")) == said(evaluations(trained))


def test_a_death_changes_no_evaluation(trained: Path, tmp_path: Path) -> None:
    crash = 'faults=[{kind="crash",participants=["agent-1"],at_episodes=[3]}]'
    simulate_here(tmp_path / "run", *arguments(*EVALUATED, crash))
    assert said(evaluations(tmp_path / "run")) == said(evaluations(trained))


def test_a_run_that_goes_on_to_more_episodes_evaluates_those_that_came_and_compares_all(
    trained: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(trained, tmp_path / "run")
    before = evaluations(out)
    commands(["resume", str(out), "--episodes", "7"], standalone_mode=False)
    found = evaluations(out)
    assert [each.learned_from for each in found.on_the_way] == [2, 4, 5, 6, 7]
    assert found.on_the_way[:3] == before.on_the_way
    assert found.best is not None
    assert found.best.weights_digest == best_of(found.on_the_way).weights_digest


def test_what_was_not_evaluated_yet_is_when_the_run_is_resumed(trained: Path, tmp_path: Path) -> None:
    """As after Ctrl-C between training and evaluations: then only the policies are there."""
    settings = dict(each.split("=", 1) for each in (*SETTINGS, *EVALUATED))
    values = {name: json.loads(value) for name, value in settings.items()}
    try_out(load_scenario("navigation-quick", values | {"episodes": 5}), tmp_path / "run")
    kept = sorted(place.name for place in (tmp_path / "run" / "evaluations").iterdir())
    assert kept == ["after-00000002", "after-00000004", "after-00000005"]
    commands(["resume", str(tmp_path / "run")], standalone_mode=False)
    assert said(evaluations(tmp_path / "run")) == said(evaluations(trained))


def test_reports_show_them_and_marl_eval_takes_them(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, found = read_run(trained), evaluations(trained)
    assert found.best is not None
    commands(["report", str(trained)], standalone_mode=False)
    assert "evaluated team return" in capsys.readouterr().out
    exported = json.loads(to_marl_eval([run]))
    (steps,) = exported["navigation"]["navigation-quick"]["anticipation-sharing"].values()
    assert steps["absolute_metrics"]["return"] == found.best.team_returns
    assert [steps[f"step_{number}"]["return"] for number in (1, 2, 3)] == [
        each.team_returns for each in found.on_the_way
    ]
    assert steps["step_1"]["step_count"] == int(run.steps[:2].sum())


def test_a_run_that_began_with_a_policy_counts_its_own_episodes(trained: Path, tmp_path: Path) -> None:
    simulate_here(tmp_path / "run", *arguments(*EVALUATED, f"initial_policy={trained}", episodes=3))
    found = evaluations(tmp_path / "run").on_the_way
    assert [each.learned_from for each in found] == [7, 8]
    assert isinstance(found[0], Evaluation)
    read_run(tmp_path / "run")
    assert json.loads(to_marl_eval([read_run(tmp_path / "run")]))
