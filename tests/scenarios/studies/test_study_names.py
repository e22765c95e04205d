"""What a study calls its tasks and algorithms: shown by its help, and offered for names that are nearly right."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner

from broker.errors import UserError
from scenarios.commands.experiments.group import STUDIES
from scenarios.commands.experiments.study import PAGES, Wish, make_study
from scenarios.commands.main import foretell
from scenarios.studies.search import TASKS as SEARCH_TASKS
from scenarios.studies.search import contests
from scenarios.studies.study import COMPARED, SEARCHED, Choice


def test_the_help_of_studies_lists_every_task_and_every_algorithm_of_each() -> None:
    help_ = CliRunner().invoke(foretell, ["study", "--help"], terminal_width=200).output
    tasks = help_.split("Studies and their tasks:")[1].split("Their algorithms:")[0]
    lines = {line.split()[0]: line for line in tasks.splitlines() if line.strip()}
    assert set(lines) == set(STUDIES)
    for name, page in PAGES.items():
        study = import_module(page).make(Choice(quick=True))
        assert all(task.key in lines[name] for task in study.tasks)
    assert all(task.key in lines["search"] for task in SEARCH_TASKS)
    algorithms = " ".join(help_.split("Their algorithms:")[1].split())
    assert all(algorithm in algorithms for algorithm in (*COMPARED, *SEARCHED))
    assert "fig4 anticipation-sharing" in algorithms


def test_help_and_page_name_the_folder_that_a_study_has_by_default() -> None:
    help_ = CliRunner().invoke(foretell, ["study", "--help"], terminal_width=200).output
    page = (Path(__file__).parents[3] / "docs" / "studies.md").read_text(encoding="utf-8")
    for quick in (False, True):
        folder = str(Wish("NAME", quick=quick).folder)
        assert re.search(rf"{folder.replace('NAME', 'STUDY')}(?!-)", help_)
        assert f"`{folder}`" in page


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (Choice(quick=True, tasks=("exchange-quick",)), "Did you mean --task exchange?"),
        (Choice(quick=True, tasks=("Pred. N=12",)), "Did you mean --task predation-12?"),
        (Choice(quick=True, tasks=("navigaton",)), "Did you mean --task navigation?"),
        (Choice(quick=True, algorithms=("AS",)), "Did you mean --algorithm anticipation-sharing?"),
        (
            Choice(quick=True, algorithms=("AS calibrated",)),
            "Did you mean --algorithm anticipation-sharing-calibrated?",
        ),
        (Choice(quick=True, algorithms=("value_sharing",)), "Did you mean --algorithm value-sharing?"),
    ],
)
def test_a_name_that_is_nearly_right_is_answered_with_the_one_that_is_meant(choice: Choice, said: str) -> None:
    with pytest.raises(UserError) as caught:
        make_study("fig1", choice)
    assert said in str(caught.value)
    assert "fig1 has " in str(caught.value)


@pytest.mark.parametrize(("study", "quick"), [("fig1", True), ("fig1", False), ("fig5", False)])
def test_an_algorithm_that_needs_settings_from_a_search_is_answered_with_their_option(study: str, quick: bool) -> None:
    said = f"two-weights: {study} has it with settings from a search alone: add --tuned FILE"
    with pytest.raises(UserError, match=said):
        make_study(study, Choice(quick=quick, algorithms=("anticipation-sharing-two-weights",)))


def test_the_search_answers_alike() -> None:
    with pytest.raises(UserError, match=r"search has exchange, .*\. Did you mean --task exchange\?"):
        contests(Choice(quick=True, tasks=("exchange-quick",)))


def test_a_name_that_is_far_from_all_is_answered_with_all() -> None:
    with pytest.raises(UserError) as caught:
        make_study("fig1", Choice(quick=True, tasks=("chess",)))
    assert "Did you mean" not in str(caught.value)
