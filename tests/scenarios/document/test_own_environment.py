"""An environment in a file of one's own: found beside the scenario, loaded by its path alone, and no other later."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from broker.errors import EnvironmentMissing, ScenarioError
from env_service.own_module import digest_of, load_module
from scenarios.document.loading import load_scenario, parse_scenario
from scenarios.document.planning import make_plan

ENVIRONMENT = """
import numpy as np
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv

class parallel_env(ParallelEnv):
    metadata = {"name": "mine_v0"}
    possible_agents = ["a", "b"]
    agents = []

    def observation_space(self, agent):
        return Box(-9, 9, (SIZE,))

    def action_space(self, agent):
        return Discrete(2)

    def reset(self, seed=None, options=None):
        self.agents = list(self.possible_agents)
        return self.seen(), {}

    def step(self, actions):
        return self.seen(), dict.fromkeys(self.agents, 1.0), {}, {}, {}

    def seen(self):
        return {agent: np.zeros(SIZE, np.float32) for agent in self.agents}
"""
SCENARIO = """
name = "mine"
seed = 1
episodes = 2

[environment]
kind = "pettingzoo"
env = "{env}"
observation = "own"
steps = 3

[topology]
kind = "complete"
"""


def environment(size=2):
    return ENVIRONMENT.replace("SIZE", str(size))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a scenario; the working directory is another."""
    here = tmp_path / "elsewhere"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    for name in [name for name in sys.modules if name.startswith("my_")]:
        monkeypatch.delitem(sys.modules, name)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("my_")]:
        del sys.modules[name]


def scenario(folder: Path, env: str = "my_game") -> Path:
    path = folder / "scenario.toml"
    path.write_text(SCENARIO.format(env=env))
    return path


def size(path: Path) -> int:
    return make_plan(load_scenario(str(path))).observation_size


def refused(path: Path, kind: type[ScenarioError] = ScenarioError) -> ScenarioError:
    with pytest.raises(ScenarioError) as caught:
        size(path)
    assert type(caught.value) is kind
    assert re.search(r"pip install my_|pip install helper", str(caught.value)) is None
    return caught.value


def test_a_file_beside_the_scenario_is_found_from_any_folder_and_joins_no_search_path(folder):
    (folder / "my_game.py").write_text(environment())
    (folder / "json.py").write_text("raise ImportError('a stranger')")
    before = list(sys.path)
    assert size(scenario(folder)) == 2
    assert sys.path == before
    assert list(folder.glob("**/__pycache__")) == [], "nothing is written beside it"


def test_a_package_beside_the_scenario_may_have_several_files(folder):
    package = folder / "my_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "sizes.py").write_text("SIZE = 4")
    (package / "game_v0.py").write_text(f"from my_package.sizes import SIZE\nfrom . import sizes\n{ENVIRONMENT}")
    assert size(scenario(folder, "my_package.game_v0")) == 4


def test_the_file_beside_the_scenario_goes_before_one_that_pythonpath_names(folder, monkeypatch):
    other = folder / "other"
    other.mkdir()
    (other / "my_game.py").write_text(environment(7))
    monkeypatch.syspath_prepend(other)
    monkeypatch.setenv("PYTHONPATH", str(other))
    path = scenario(folder)
    assert size(path) == 7
    del sys.modules["my_game"]
    (folder / "my_game.py").write_text(environment(3))
    assert size(path) == 3


def test_a_file_of_the_working_directory_is_no_environment(folder):
    (folder / "elsewhere" / "my_game.py").write_text(environment())
    problem = str(refused(scenario(folder), EnvironmentMissing))
    assert "no module is called my_game. If it is yours, put my_game.py, or a package my_game, beside" in problem
    assert "PYTHONPATH" in problem


def test_a_file_may_be_named_from_the_scenarios_folder(folder):
    (folder / "games").mkdir()
    (folder / "games" / "my_game.py").write_text(environment(5))
    path = scenario(folder)
    path.write_text(path.read_text().replace("observation =", 'file = "games/my_game.py"\nobservation ='))
    assert size(path) == 5
    path.write_text(path.read_text().replace("games/my_game.py", "games/gone.py"))
    error = refused(path)
    assert (error.path, error.problem) == (
        "environment.file",
        f"cannot read {folder}/games/gone.py: No such file or directory",
    )


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("~nosuchuser/game.py", "cannot read ~nosuchuser/game.py: Could not determine home directory"),
        (f"{'x' * 300}.py", "File name too long"),
    ],
)
def test_a_file_that_cannot_be_there_is_refused_in_a_sentence(folder, file, said):
    path = scenario(folder)
    path.write_text(path.read_text().replace("observation =", f'file = "{file}"\nobservation ='))
    error = refused(path)
    assert error.path == "environment.file"
    assert said in error.problem


def test_two_files_of_one_name_are_two_environments_in_one_process(folder):
    for number in (1, 2):
        (folder / str(number)).mkdir()
        (folder / str(number) / "my_game.py").write_text(environment(number))
    assert [size(scenario(folder / str(number))) for number in (1, 2, 1)] == [1, 2, 1]


@pytest.mark.parametrize("name", ["json", "numpy", "torch", "scenarios"])
def test_a_file_with_the_name_of_another_module_is_refused_before_it_takes_its_place(folder, name):
    (folder / f"{name}.py").write_text("raise ImportError('executed')")
    before = sys.modules.get(name)
    error = refused(scenario(folder, name))
    assert error.path == "environment.env"
    assert f"{folder}/{name}.py has the name of another module (" in error.problem
    assert error.problem.endswith("rename it")
    assert sys.modules.get(name) is before


# Whether it is still the one


def test_the_document_says_where_the_file_is_and_what_was_in_it_so_that_it_is_found_again(folder):
    file = folder / "my_game.py"
    file.write_text(environment())
    found = load_scenario(str(scenario(folder)))
    assert (found.environment.file, found.environment.digest) == (file, digest_of(file))
    again = parse_scenario(found.to_toml(), {})
    assert again == found
    assert make_plan(again).observation_size == 2


def test_an_environment_that_has_changed_since_is_refused_and_one_that_is_gone_too(folder):
    file = folder / "my_game.py"
    file.write_text(environment())
    document = load_scenario(str(scenario(folder))).to_toml()
    file.write_text(environment(3))
    with pytest.raises(ScenarioError, match=r"environment\.digest: .*my_game\.py has changed: expected SHA-256"):
        make_plan(parse_scenario(document, {}))
    file.unlink()
    with pytest.raises(ScenarioError, match=r"environment\.file: expected the environment at .*my_game\.py: No such"):
        make_plan(parse_scenario(document, {}))


@pytest.mark.parametrize("where", ["beside", "installed"])
def test_a_digest_that_the_scenario_names_is_compared_and_needs_a_file(folder, monkeypatch, where):
    path = scenario(folder)
    path.write_text(path.read_text().replace("observation =", f'digest = "{"0" * 64}"\nobservation ='))
    place = folder if where == "beside" else folder / "installed"
    place.mkdir(exist_ok=True)
    (place / "my_game.py").write_text(environment())
    monkeypatch.syspath_prepend(place)
    error = refused(path)
    assert error.path == "environment.digest"
    if where == "beside":
        assert "has changed: expected SHA-256 0000000000000000, found" in error.problem
    else:
        assert "expected a file with SHA-256 0000000000000000, found none: set environment.file" in error.problem


def test_the_digest_of_a_package_is_that_of_all_its_python(folder):
    package = folder / "my_package"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "inner" / "rules.py").write_text("A = 1")
    before = digest_of(package / "__init__.py")
    (package / "notes.txt").write_text("no code")
    assert digest_of(package / "__init__.py") == before
    (package / "inner" / "rules.py").write_text("A = 2")
    assert digest_of(package / "__init__.py") != before


def test_what_stands_in_the_file_now_is_executed_whatever_bytecode_lies_beside_it(folder):
    file = folder / "my_game.py"
    for number in (1, 2):  # of the same length, within the same second
        file.write_text(f"NUMBER = {number}")
        assert number == load_module(file, "my_game").NUMBER
        del sys.modules["my_game"]


def test_an_environment_that_was_edited_in_between_is_loaded_again_in_the_same_process(folder):
    file, path = folder / "my_game.py", scenario(folder)
    for number in (2, 3):  # of the same length, within the same second
        file.write_text(environment(number))
        assert size(path) == number


def test_a_package_of_which_an_inner_file_was_edited_is_loaded_again_as_a_whole(folder):
    package, path = folder / "my_package", scenario(folder, "my_package.game_v0")
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "game_v0.py").write_text(f"from my_package.sizes import SIZE\n{ENVIRONMENT}")
    for number in (4, 5):  # of the same length, within the same second
        (package / "sizes.py").write_text(f"SIZE = {number}")
        assert size(path) == number


def test_a_module_whose_file_is_as_it_was_is_loaded_once(folder):
    file = folder / "my_game.py"
    file.write_text("NUMBER = 1")
    assert load_module(file, "my_game") is load_module(file, "my_game")


# What is said when it cannot be had


def test_a_module_that_it_needs_is_named_and_may_be_a_file_of_the_users(folder):
    (folder / "my_game.py").write_text("import helpers_of_mine.core")
    problem = refused(scenario(folder), EnvironmentMissing).problem
    assert problem.startswith(f"{folder}/my_game.py needs the module helpers_of_mine, which is not here. Install it; ")
    assert "if it is a file of yours" in problem


def test_the_line_shown_for_what_it_raises_is_that_of_the_file_as_it_is_now(folder):
    for source in ("1 / 0  # first", "\n1 / 0  # and then"):
        (folder / "my_game.py").write_text(source)
        assert refused(scenario(folder)).problem.endswith(f": {' '.join(source.split())})")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def parallel_env(:", "SyntaxError: invalid syntax (my_game.py, line 1)"),
        ("import os\n1 / 0  # mine", "ZeroDivisionError: division by zero (my_game.py, line 2: 1 / 0 # mine)"),
        ("raise SystemExit", "SystemExit (my_game.py, line 1: raise SystemExit)"),
    ],
)
def test_what_the_file_raises_is_one_line_with_its_place(folder, source, said):
    (folder / "my_game.py").write_text(source)
    assert refused(scenario(folder)).problem == f"cannot import {folder}/my_game.py: {said}"
    assert "my_game" not in sys.modules


def test_another_version_of_a_known_module_is_said_as_such(folder):
    problem = refused(scenario(folder, "mpe2.simple_spread_v2"), EnvironmentMissing).problem
    assert problem.startswith("mpe2 is here, but not its version simple_spread_v2: expected mpe2.simple_spread_v3")


def test_a_name_that_a_known_package_does_not_have_is_answered_with_those_like_it(folder):
    problem = refused(scenario(folder, "mpe2.simple_sprad"), EnvironmentMissing).problem
    assert problem.startswith("mpe2 is here, but has no module simple_sprad. Did you mean mpe2.simple_spread_v3")


def test_a_package_that_comes_with_an_extra_is_named_with_it(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "mpe2", None)
    problem = refused(scenario(folder, "mpe2"), EnvironmentMissing).problem
    assert "pip install 'foretell[mpe]'" in problem or "mpe2" in problem


def test_an_environment_in_which_agents_take_turns_is_refused_with_the_way_out(folder):
    (folder / "my_game.py").write_text("def env(): pass")
    problem = refused(scenario(folder)).problem
    assert f"expected a module with a function `parallel_env`, found none in {folder}/my_game.py" in problem
    assert "turn_based_aec_to_parallel" in problem


def test_an_environment_for_a_single_agent_is_said_to_be_one(folder):
    (folder / "my_game.py").write_text(
        "import gymnasium\nclass parallel_env(gymnasium.Env):\n    action_space = gymnasium.spaces.Discrete(2)\n"
    )
    assert "an environment of gymnasium, for a single agent" in refused(scenario(folder)).problem
