"""What README and docs say is so."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

from broker.release import FORETELL
from scenarios.commands import exit_codes as module_of_exit_codes
from scenarios.commands.main import foretell
from scenarios.document.loading import catalogue_names, load_scenario, parse_scenario
from scenarios.document.planning import make_plan
from scenarios.trials.quiet_run import try_out

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = ROOT / "docs" / "results"


def blocks(text: str, language: str = "") -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return [block for named, block in found if named == language]


def test_the_first_screen_shows_what_it_is_two_commands_and_pictures() -> None:
    screen = "\n".join(README.split("\n")[:40])
    assert "make demo" in screen
    assert "make test" in screen
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", screen)
    assert pictures == ["docs/results/watch.png", "docs/results/exchange-quick.png"]
    assert all((ROOT / picture).read_bytes().startswith(b"\x89PNG") for picture in pictures)


def test_the_scenario_in_the_readme_can_run() -> None:
    (example,) = blocks(README, "toml")
    plan = make_plan(parse_scenario(example, {}))
    assert len(plan.agents) == 4
    assert plan.scenario.faults


PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))


def test_every_command_in_readme_and_docs_exists_with_its_options() -> None:
    commands = [
        line
        for page in PAGES
        for block in blocks(page.read_text(encoding="utf-8"))
        for line in block.replace("\\\n", " ").split("\n")
        if line.startswith("foretell ")
    ]
    assert len(commands) > 50
    for command in commands:
        words = shlex.split(command, comments=True)[1:]
        context, inner = foretell.make_context("foretell", words), foretell
        while isinstance(inner, click.Group):
            name, inner, words = inner.resolve_command(context, [*context._protected_args, *context.args])
            assert inner is not None, command
            context = inner.make_context(name, words, parent=context)


def test_the_examples_of_the_page_about_policies_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example, elsewhere = blocks((ROOT / "docs" / "policy.md").read_text(encoding="utf-8"), "python")
    (out,) = re.findall(r'Path\("([^"]+)/policy"\)', example)
    monkeypatch.chdir(tmp_path)
    scenario = load_scenario("exchange-quick", {"episodes": 1, "parallel_episodes": 4, "environment.steps": 2})
    try_out(scenario, Path(out))
    found: dict[str, Any] = {}
    exec(example, found)
    assert found["probabilities"].shape == (4, 6)
    np.testing.assert_allclose(found["probabilities"].sum(axis=1), 1, rtol=1e-6)
    foretell(["policy", "export", out, "--format", "torch", "--out", "exported"], standalone_mode=False)
    before = found["probabilities"]
    exec(elsewhere, found)
    np.testing.assert_allclose(found["probabilities"].detach().numpy(), before, atol=1e-6)


def exit_codes(text: str) -> dict[int, str]:
    """The rows of a table of exit codes, and there is one such table."""
    (table,) = re.findall(r"^\| exit code \| meaning \|\n\|[-|]+\|\n((?:\|.*\|\n)+)", text, flags=re.MULTILINE)
    return {int(code): meaning for code, meaning in re.findall(r"^\| (\d+) \| (.*) \|$", table, flags=re.MULTILINE)}


def test_the_readme_lists_every_exit_code_of_the_commands() -> None:
    listed = exit_codes(README)
    assert listed == exit_codes(module_of_exit_codes.__doc__ or "")
    assert set(listed) == {0, *module_of_exit_codes.ExitCode}


def assigned(nodes: list[ast.AST], name: str) -> set[str]:
    """All that a variable is ever given."""
    found = [node for node in nodes if isinstance(node, ast.Assign)]
    return {ast.unparse(each.value) for each in found if name in map(ast.unparse, each.targets)}


def test_no_command_ends_with_any_other_exit_code() -> None:
    used = set()
    for path in (ROOT / "scenarios" / "commands").rglob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        for node in nodes:
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in {"exit", "_exit", "SystemExit"}:
                if ast.unparse(node) == "context.exit()":
                    continue  # with 0
                (given, *_) = node.args
                used |= {ast.unparse(given)} if not isinstance(given, ast.Name) else assigned(nodes, given.id)
    codes = module_of_exit_codes.ExitCode
    assert used == {f"ExitCode.{code.name}" for code in codes if code is not codes.BUG}


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert target.startswith("http") or (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_place_that_a_share_passes_exists() -> None:
    page = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    section = page.split("## One share, from learner to learner\n")[1].split("\n## ")[0]
    places = re.findall(r"^(\d+)\. `([\w/]+\.py)` `([\w.]+)`:", section, flags=re.MULTILINE)
    assert [int(number) for number, _, _ in places] == list(range(1, section.count("`: ") + 1))
    assert len(places) >= 20
    for number, path, name in places:
        found: object = import_module(path.removesuffix(".py").replace("/", "."))
        for part in name.split("."):
            found = getattr(found, part, None)
        assert callable(found) or isinstance(found, property), f"{number}. {path}: {name}"


@pytest.mark.processes
def test_the_settings_page_is_that_of_the_document() -> None:
    made = subprocess.run([sys.executable, ROOT / "tools" / "settings.py"], capture_output=True, text=True, check=True)
    assert made.stdout == (ROOT / "docs" / "settings.md").read_text(encoding="utf-8"), (
        "run `.venv/bin/python tools/settings.py > docs/settings.md`"
    )


def runs() -> dict[tuple[str, str, int], dict[str, float]]:
    found = {}
    for path in sorted((RESULTS / "quick").glob("*.json")):
        scenario, algorithm, seed = re.fullmatch(r"(.+-quick)-(.+)-seed(\d+)", path.stem).groups()
        found[scenario, algorithm, int(seed)] = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_committed_results_show_that_agents_learn_to_cooperate_and_independent_ones_do_not(seed: int) -> None:
    found = runs()
    assert found["exchange-quick", "anticipation-sharing", seed]["team_return_last"] >= 9
    assert found["exchange-quick", "independent", seed]["team_return_last"] < 1
    shared = found["predation-6-quick", "anticipation-sharing", seed]
    alone = found["predation-6-quick", "independent", seed]
    assert shared["team_return_last"] >= shared["team_return_first"] + 50
    assert alone["team_return_last"] <= alone["team_return_first"] - 50


def test_in_every_committed_run_agents_that_share_gain_and_in_predation_they_end_above_independent_ones() -> None:
    found = runs()
    for (scenario, algorithm, seed), figures in found.items():
        if algorithm == "anticipation-sharing":
            assert figures["team_return_last"] > figures["team_return_first"], (scenario, seed)
            alone = found.get((scenario, "independent", seed))
            if alone and scenario.startswith("predation"):
                assert figures["team_return_last"] > alone["team_return_last"], (scenario, seed)


def test_the_table_of_results_shows_the_committed_figures() -> None:
    table = (RESULTS / "quick.md").read_text(encoding="utf-8")
    for (scenario, algorithm, seed), figures in runs().items():
        returns = f"{figures['team_return_first']:.2f} | {figures['team_return_last']:.2f}"
        arithmetic = figures.get("arithmetic", "")
        assert f"| {scenario} | {algorithm} | {seed} | {arithmetic} | {returns} |" in table


@pytest.mark.processes
def test_the_wheel_holds_the_catalogue_and_the_types(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        tmp_path,
        ROOT,
    ]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("foretell-*.whl")
    assert wheel.name.startswith(f"foretell-{FORETELL}-")
    names = zipfile.ZipFile(wheel).namelist()
    for name in catalogue_names():
        assert f"scenarios/catalogue/{name}.toml" in names
    for package in ("agent_node", "broker", "env_service", "scenarios"):
        assert f"{package}/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "tools/"))]
