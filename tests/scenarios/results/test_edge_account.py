"""The account of a run's edges, with deaths in it."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import numpy as np
import pytest
from msgspec.structs import astuple
from rich.console import Console
from runs import TINY, foretell, simulate_here

from broker.wire.records import EdgeRecord, Fate, TrafficRecord
from scenarios.api import load
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.reports.ledger import account_of, accounts
from scenarios.reports.report import tables
from scenarios.results.edge_account import EdgeAccount, account_edges
from scenarios.results.reader import read_store
from scenarios.results.run_result import UNTOLD, read_run
from scenarios.results.store import Store
from scenarios.watching.edge_book import EdgeBook
from scenarios.watching.seen import Health
from scenarios.watching.watched_run import WatchedRun

SETTINGS = (
    *("recovery.on_crash='degrade'", "service.missing_action='noop'"),
    'faults=[{kind="crash",participants=["agent-1"],at_episodes=[3]},{kind="drop",probability=0.2}]',
)
SENT = 6 * 3 * 2 + 3 * 3 * 4
"""Two agents live for 6 episodes of 3 rounds, and meet the third one, in both ways, in 3 of them."""


def died(folder, way="simulate"):
    arguments = ["exchange-quick", "--episodes", "6", *TINY]
    arguments += [each for setting in SETTINGS for each in ("--set", setting)]
    if way == "simulate":
        simulate_here(folder, *arguments)
    else:
        done = foretell("run", *arguments, "--out", str(folder))
        assert done.returncode == 0, done.stderr
    return read_run(folder)


@pytest.mark.parametrize("way", ["simulate", pytest.param("run", marks=pytest.mark.processes)])
def test_of_the_shares_of_an_agent_that_died_summary_report_ledger_and_page_know_the_same(tmp_path, way):
    run = died(tmp_path / "run", way)
    with read_store(run.folder / "run.sqlite") as store:
        account, rows = account_edges(store), [row for row in accounts(store) if row.kind == "share"]
    summary, seen, shares = run.summary, WatchedRun(run.folder).look(), account.shares
    assert summary.shares_sent == run.traffic.sent == seen.shares.sent == sum(row.sent for row in rows) == SENT
    assert summary.shares_heard == run.traffic.heard == seen.shares.heard == sum(row.heard for row in rows)
    assert all(row.sent == row.heard + row.dropped for row in rows)
    between = [edge for edge in account.edges if edge[:2] in {(row.source, row.destination) for row in rows}]
    assert summary.edge_bytes == run.traffic.sent_bytes == shares.sent_bytes == sum(e.sent_bytes for e in between)
    lengths = [edge.sent_bytes / edge.sent for edge in between]
    assert min(lengths) > 0.95 * max(lengths)


@pytest.fixture
def untold(tmp_path):
    """A run whose agent died before it had told anything of its edges."""
    run = died(tmp_path / "untold")
    with closing(sqlite3.connect(run.folder / "run.sqlite")) as store, store:
        store.execute("UPDATE traffic SET sent = 0, sent_bytes = 0 WHERE source = 'agent-1'")
        store.execute("UPDATE traffic SET heard = 0, missing = 0 WHERE destination = 'agent-1'")
    return read_run(run.folder)


def test_bytes_that_an_agent_died_before_it_told_are_no_number_and_a_sentence_says_why(untold, capsys):
    assert (untold.traffic.sent, untold.traffic.heard) == (SENT, untold.summary.shares_heard)
    assert untold.traffic.sent_bytes is None
    assert WatchedRun(untold.folder).look().shares.sent_bytes is None
    console = Console(width=200)
    for table in tables([untold]):
        console.print(table)
    assert UNTOLD in " ".join(capsys.readouterr().out.split())


def test_where_nobody_knows_on_which_edge_an_agent_heard_that_died_only_all_of_them_together_have_a_number(
    untold, capsys
):
    console = Console(width=200)
    console.print(account_of(untold.folder, by_edge=False))
    of_all = capsys.readouterr().out
    assert "?" not in of_all
    line = next(line for line in of_all.splitlines() if "share " in line and "│" in line)
    assert [int(cell) for cell in line.split("│")[2:4]] == [SENT, untold.summary.shares_heard]
    console.print(account_of(untold.folder, by_edge=True))
    said = capsys.readouterr().out
    assert [line.split("│")[3].strip() for line in said.splitlines() if "->agent-1 " in line] == ["?", "?", ""]
    assert "? stands where a receiver died before it had told on which edge it heard its shares" in said
    for columns in (load(untold.folder).edges, load(untold.folder).ledger):
        of_dead = columns.where(destination="agent-1", source="agent-0")["heard"]
        assert np.isnan(of_dead).all()
    assert load(untold.folder).edges["sent"].dtype.kind == "i"


def test_a_life_tells_all_totals_anew_but_those_of_who_died_before_it(tmp_path):
    store = Store(tmp_path / "run.sqlite", ("a", "b"))
    own = EdgeRecord("a", "b", sent=5, sent_bytes=50, heard=4, missing=1)
    store.write([TrafficRecord(own), TrafficRecord(turned(own))])
    store.flush()
    store.leave("b", 3)
    store.forget_after(1)  # behind its death
    assert store.reader.edges_so_far() == []
    store.write([TrafficRecord(own), TrafficRecord(turned(own))])
    store.forget_after(2)
    assert store.reader.edges_so_far() == [
        EdgeRecord("a", "b", heard=4, missing=1),
        EdgeRecord("b", "a", sent=5, sent_bytes=50),
    ]
    store.close()


def test_a_count_that_nobody_knows_any_more_has_no_recent_part_and_makes_no_edge_sick():
    book = EdgeBook(make_plan(load_scenario("exchange-quick")).graph)
    known = EdgeAccount(*astuple(EdgeRecord("agent-0", "agent-1", sent=9, sent_bytes=90, heard=8, missing=1)))
    book.count([known], 1.0)
    book.count([known._replace(sent=10, sent_bytes=None, heard=None, missing=None)], 2.0)
    (edge,) = [each for each in book.seen(goes_on=True) if each.total.sent]
    assert (edge.recent.sent, edge.recent.sent_bytes, edge.recent.heard, edge.recent.missing) == (1, None, None, None)
    assert edge.health is not Health.CUT


def test_late_messages_that_a_dead_agent_told_of_by_name_count_although_it_told_no_total(tmp_path):
    run = died(tmp_path / "run")
    endings = [("agent-0", "agent-1", "share", 2, number, 0, Fate.LATE, "") for number in range(3)]
    with closing(sqlite3.connect(run.folder / "run.sqlite")) as store, store:
        store.executemany("INSERT INTO endings VALUES (?, ?, ?, ?, ?, ?, ?, ?)", endings)
    with read_store(run.folder / "run.sqlite") as store:
        account, rows = account_edges(store), accounts(store)
    assert account.shares.late == sum(row.late for row in rows if row.kind == "share") == len(endings)


def turned(edge):
    return EdgeRecord("b", "a", edge.sent, edge.sent_bytes, heard=edge.heard, missing=edge.missing)


@pytest.mark.processes
def test_a_run_that_went_on_after_a_death_and_was_resumed_has_the_account_of_one_that_was_not(tmp_path):
    whole = died(tmp_path / "whole")
    simulate_here(
        tmp_path / "half",
        *("exchange-quick", "--episodes", "5", *TINY),
        *(each for setting in SETTINGS for each in ("--set", setting)),
    )
    done = foretell("resume", str(tmp_path / "half"), "--episodes", "6")
    assert done.returncode == 0, done.stderr
    with read_store(whole.folder / "run.sqlite") as one, read_store(tmp_path / "half" / "run.sqlite") as other:
        assert account_edges(one).shares == account_edges(other).shares
    assert read_run(tmp_path / "half").traffic == whole.traffic
