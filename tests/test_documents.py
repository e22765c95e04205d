"""What README and docs say is so."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest
from pages.page import PAGES, blocks_of

from scenarios.commands import exit_codes as module_of_exit_codes
from scenarios.commands.main import foretell
from scenarios.document.scenario import AnyFaultConfig
from scenarios.document.text.tables import kind_of, tables_of

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = ROOT / "docs" / "results"


def test_the_first_screen_shows_what_it_is_two_commands_and_pictures() -> None:
    screen = "\n".join(README.split("\n")[:40])
    assert "make demo" in screen
    assert "make test" in screen
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", screen)
    assert pictures == ["docs/results/watch.png", "docs/results/exchange-quick.png"]
    assert all((ROOT / picture).read_bytes().startswith(b"\x89PNG") for picture in pictures)


def test_every_command_in_readme_and_docs_exists_with_its_options() -> None:
    commands = [
        line
        for page in PAGES
        for block in blocks_of(page)
        if block.language in ("sh", "")
        for line in block.lines
        if line.startswith("foretell ")
    ]
    assert len(commands) > 50
    for command in commands:
        parse(command)


def test_commands_in_running_text_exist_with_their_options() -> None:
    """They may leave arguments out, and stand for several with a | or a word in capitals."""
    commands = set()
    for page in PAGES:
        text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        commands |= {" ".join(found.split()) for found in re.findall(r"`(foretell [^`]+)`", text)}
    assert len(commands) > 50
    for command in commands:
        problem = refused(command)
        if isinstance(problem, click.MissingParameter):
            assert isinstance(problem.param, click.Argument), f"{command}: {problem}"
        elif problem is not None:
            assert re.search(r"[A-Z]|\||--(resume|slices)$", command), f"{command}: {problem}"


def refused(command: str) -> click.UsageError | None:
    """What the command line has against a command; nothing against one that only says something."""
    try:
        parse(command)
    except (click.exceptions.NoArgsIsHelpError, click.exceptions.Exit):
        return None
    except click.UsageError as problem:
        return problem
    return None


def parse(command: str) -> None:
    """Have a command's words read as if it were to be executed."""
    words = shlex.split(command, comments=True)[1:]
    context, inner = foretell.make_context("foretell", words), foretell
    while isinstance(inner, click.Group):
        name, inner, words = inner.resolve_command(context, [*context._protected_args, *context.args])
        assert inner is not None, command
        context = inner.make_context(name, words, parent=context)


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


def test_links_to_a_heading_are_those_of_the_repository_too() -> None:
    """As GitHub names headings; Sphinx takes other names beside these."""
    for page in PAGES:
        for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
            there = page.parent / target if target else page
            if there.suffix == ".md":
                assert anchor in anchors_of(there), f"{page.name}: {target}#{anchor}"


def anchors_of(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


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


def test_the_page_of_faults_says_what_each_kind_needs() -> None:
    page = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in page.splitlines() if re.match(r"\| `.+ \| .+ \| .+ \|", line)]
    said = {
        kind: set(re.findall(r"`(\w+)`", needs.partition(":")[0]))
        for kinds, _, needs, *_ in rows
        for kind in re.findall(r"`([\w-]+)`", kinds)
    }
    needed = {}
    for table in tables_of(AnyFaultConfig):
        name, kind = kind_of(table) or ("", "")
        needed[kind] = {each for each, field in table.model_fields.items() if field.is_required() and each != name}
    assert said == needed


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


def test_the_tree_of_rooms_is_that_of_the_folders() -> None:
    tree = next(block for block in blocks_of(ROOT / "docs" / "architecture.md") if not block.language)
    above: list[str] = []
    shown = set()
    for indent, names in re.findall(r"^( *)((?:\w+/ *)+) ", tree.text, re.MULTILINE):
        above = above[: len(indent) // 2]
        found = ["".join((*above, name)) for name in re.findall(r"\w+/", names)]
        shown |= set(found)
        above.append(re.findall(r"\w+/", names)[-1])
    packages = ("agent_node", "broker", "env_service", "scenarios")
    rooms = {f"{path.parent.relative_to(ROOT)}/" for top in packages for path in (ROOT / top).rglob("__init__.py")}
    assert shown - rooms == {"scenarios/catalogue/"}, "the page shows rooms that are not there"
    assert not [room for room in rooms - shown if Path(room).name not in tree.text.lower()], "rooms that it leaves out"
