"""Tables on a narrow screen: folded into blocks, and no name, number or digest is cut, at whatever width."""

from __future__ import annotations

from dataclasses import fields

import pytest
from rich.table import Table
from runs import TINY, simulate_here

from scenarios.commands.rich_screen import Screen
from scenarios.reports.ledger import Account, account_of, accounts
from scenarios.reports.report import tables
from scenarios.results.reader import read_store
from scenarios.results.run_result import read_run

TROUBLE = 'faults=[{kind="drop",probability=0.2},{kind="nan",probability=0.2},{kind="duplicate",probability=0.2}]'
PREDATORS = ("predation-20-quick", "--episodes", "1", *TINY, "--set", "environment.steps=2", "--set", TROUBLE)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    simulate_here(root / "exchange-quick-seed1-1", "exchange-quick", "--episodes", "1", *TINY)
    simulate_here(root / "predation-20-quick-seed1-1", *PREDATORS)
    return [root / "exchange-quick-seed1-1", root / "predation-20-quick-seed1-1"]


@pytest.fixture
def shown(monkeypatch, capsys):
    """What a screen of some width shows."""

    def show(width, *objects):
        monkeypatch.setenv("COLUMNS", str(width))
        screen = Screen()
        for each in objects:
            screen.print(each)
        return capsys.readouterr().out

    return show


def words_of(shown):
    """All that is no border, whatever the blocks are."""
    return [word for line in shown.splitlines() for word in line.replace("│", " ").replace("┃", " ").split()]


@pytest.mark.parametrize("width", [200, 80, 60, 40, 20])
def test_a_report_shows_every_name_number_and_digest_whole_at_every_width(runs, shown, width):
    found = [read_run(run) for run in runs]
    text = shown(width, *tables(found))
    assert "…" not in text
    words = words_of(text)
    for run in found:
        summary = run.summary
        whole = {run.folder.name, run.scenario.algorithm.name, f"{summary.team_return_last:.2f}", str(run.traffic.sent)}
        whole |= {digest[:16] for digest in (summary.curve_digest, summary.weights_digest, summary.ledger_digest)}
        assert whole <= set(words)
    assert {"missing", "rejected", "dropped", "weights", "substrate"} <= set(words)


@pytest.mark.parametrize("width", [80, 60])
def test_a_report_is_no_wider_than_the_screen(runs, shown, width):
    text = shown(width, *tables([read_run(run) for run in runs]))
    assert max(map(len, text.splitlines())) <= width
    assert "┃ run " in text


@pytest.mark.parametrize("by_edge", [False, True])
@pytest.mark.parametrize("width", [200, 80, 40])
def test_a_ledger_shows_every_edge_and_count_whole_at_every_width(runs, shown, width, by_edge):
    text = shown(width, account_of(runs[1], by_edge=by_edge))
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    words = set(words_of(text))
    with read_store(runs[1] / "run.sqlite") as store:
        edges = accounts(store)
    counted = {count.name for count in fields(Account)[3:] if any(getattr(edge, count.name) for edge in edges)}
    assert {"sent", "heard", "dropped", "rejected", "duplicated"} <= counted
    assert counted <= words
    between = {f"{edge.source}->{edge.destination}" for edge in edges}
    assert (between if by_edge else {"share", "timestep", "action"}) <= words


def test_a_table_that_fits_is_left_in_one_piece(shown):
    table = Table("run", "value", title="title", caption="caption")
    table.add_row("one", "1")
    assert shown(80, table).count("┏") == 1
    assert "caption" in shown(80, table)


def test_blocks_have_the_first_column_each_and_all_rows(shown):
    table = Table("run", *(f"column {number}" for number in range(12)))
    for row in range(3):
        table.add_row(f"run {row}", *(f"{row}-{number}" for number in range(12)))
    text = shown(50, table)
    blocks = text.count("┏")
    assert blocks > 1
    assert text.count("run 0") == text.count("run 2") == blocks
    for number in range(12):
        assert text.count(f"column {number} ") == 1
        assert f"2-{number} " in text


def test_prose_is_broken_and_its_table_stays_whole(shown):
    table = Table("kind", "count")
    table.add_column("cause", overflow="fold")
    table.add_row("share", "17", "word " * 40)
    text = shown(60, table)
    assert text.count("┏") == 1
    assert words_of(text).count("word") == 40
    assert max(map(len, text.splitlines())) <= 60


@pytest.mark.parametrize("width", [12, 30])
def test_what_is_wider_than_the_screen_becomes_lists_that_nobody_cuts(shown, width):
    name = "a" * 50
    table = Table("run", "digest", "wide")
    table.add_row(name, "b" * 40, "\u4e2d" * 30)
    text = shown(width, table)
    assert f"run {name}\n" in text
    assert "b" * 40 in text
    assert "\u4e2d" * 30 in text


def test_the_figures_at_the_end_of_a_run_lose_nothing_on_a_narrow_screen(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "24")
    found = simulate_here(tmp_path / "run", "exchange-quick", "--episodes", "1", *TINY)
    lines = capsys.readouterr().out.splitlines()
    assert f"curve digest   {found['curve_digest']}" in lines
    assert f"weights digest {found['weights_digest']}" in lines
    shown = "".join(line[17:] for line in lines).replace(" ", "")
    assert f"{found['shares_sent']}sent,{found['shares_heard']}heard" in shown


def test_a_bar_that_ends_ends_its_line(monkeypatch, capsys):
    """Rich asks for an empty line by printing nothing at all."""
    Screen(stderr=True).print()
    assert capsys.readouterr().err == "\n"
