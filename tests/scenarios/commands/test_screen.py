"""The screen: text is text, whatever is in it."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

import pytest
from runs import TINY, foretell

from broker.wire.records import EventRecord
from scenarios.commands.main import main
from scenarios.commands.rich_screen import Screen
from scenarios.commands.screen import plain
from scenarios.results.store import Store

ROOT = Path(__file__).parents[3]
STRANGE = ("[/a]", "[bold]x[/bold]", "[link=http://a]b", ":warning:", "\x1b[2J", "a\rb", "\u202etxt", "[", "\\[a]")
RUN = ("exchange-quick", "--episodes", "3", *TINY, "--set", "environment.steps=3", "--set", "learning.rounds=1")


def crash_called(name: str) -> tuple[str, str]:
    text = json.dumps(name)
    return ("--set", f'faults=[{{kind="crash",participants=["agent-1"],at_episodes=[1],name={text}}}]')


# Text


@pytest.mark.parametrize("name", STRANGE)
def test_what_a_table_is_given_stands_in_it_as_it_is(name, capsys):
    from rich.table import Table

    table = Table(title=name, caption=name)
    table.add_column(name)
    table.add_row(name)
    screen = Screen()
    screen.print(table)
    screen.print(name, style="dim")
    screen.print(screen.bold("is ", name, f" {name}"))
    assert capsys.readouterr().out.count(plain(name)) >= 6


@pytest.mark.parametrize("name", STRANGE)
def test_nothing_that_controls_a_terminal_is_left_in_plain_text(name):
    assert plain(name).isprintable()
    assert plain("two\nlines\tä [a]") == "two\nlines\tä [a]"


@pytest.mark.parametrize("way", ["simulate", "run"])
@pytest.mark.processes
def test_a_fault_may_be_called_what_looks_like_markup(tmp_path, way):
    out = tmp_path / "run"
    done = foretell(way, *RUN, *crash_called("[/a]"), "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "fault [/a] at episode 1" in done.stderr
    for words in (("ledger",), ("report",), ("why",), ("fault", "list")):
        shown = foretell(*words, str(out))
        assert shown.returncode == 0, shown.stderr


@pytest.mark.parametrize("cause", STRANGE)
def test_the_ledger_shows_causes_as_they_are(tmp_path, monkeypatch, capsys, cause):
    from broker.wire.records import EndingRecord

    store = Store(tmp_path / "run.sqlite", ("a", "b"))
    store.write([EndingRecord("a", "b", "share", 0, 0, 0, "rejected", cause), EventRecord("a", "note", "", cause)])
    store.close()
    monkeypatch.setattr(sys, "argv", ["foretell", "ledger", str(tmp_path)])
    monkeypatch.setenv("COLUMNS", "200")
    main()
    assert plain(cause) in capsys.readouterr().out


def test_text_reaches_the_screen_by_one_way_alone():
    """Who prints elsewhere would have to think of markup, control characters and lost terminals again."""
    ours = {ROOT / "scenarios/commands" / name for name in ("screen.py", "rich_screen.py")}
    found = set()
    for path in sorted((ROOT / "scenarios").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "rich.console":
                found |= {path for name in node.names if name.name == "Console"}
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"click.echo", "click.secho", "print"}:
                found.add(path)
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"TextColumn", "Text.from_markup"}:
                options = {option.arg: ast.unparse(option.value) for option in node.keywords}
                assert options.get("markup") == "False", f"{path}:{node.lineno} takes text for markup"
    assert found == ours
