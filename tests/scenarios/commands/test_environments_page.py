"""What docs/environments.md shows can be run as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from runs import simulate_here

from env_service.environments.task import MOST_ACTIONS
from env_service.trial import play_once
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan

PAGE = (Path(__file__).parents[3] / "docs" / "environments.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files of the page; the working directory is another."""
    mine, here = tmp_path / "mine", tmp_path / "here"
    for path in (mine, here):
        path.mkdir()
    monkeypatch.chdir(here)
    for text in re.findall(r"^```(?:python|toml)\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL):
        name = re.match(r"# (\S+)\n", text)
        assert name is not None, text
        (mine / name[1]).write_text(text)
    return mine


@pytest.mark.long
def test_the_environment_and_its_scenario_are_played_from_any_folder_and_learned(folder: Path) -> None:
    scenario = load_scenario(str(folder / "my_game.toml"))
    plan = make_plan(scenario)
    assert (len(plan.agents), plan.observation_size, plan.steps) == (2, 2, 20)
    found = simulate_here(folder / "run", str(folder / "my_game.toml"), "--episodes", "30")
    assert found["complete"]
    assert found["team_return_last"] > found["team_return_first"] + 3


def test_the_choices_among_continuous_actions_are_played(folder: Path) -> None:
    settings = {"environment.env": "my_choices"}
    scenario = load_scenario(str(folder / "my_game.toml"), settings)
    play_once(scenario.environment, scenario.seed)
    assert set(make_plan(scenario).action_counts.values()) == {6}


def test_the_page_names_the_limit_that_there_is() -> None:
    assert re.findall(r"(?:up to|more than) (\d+)", PAGE) == [str(MOST_ACTIONS)] * 2
