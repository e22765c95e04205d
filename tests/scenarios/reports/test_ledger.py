"""Every message that was sent ends in one way, and the ledger says in which and why."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pytest
from rich.console import Console
from runs import TINY, foretell, simulate_here

from scenarios.api import load
from scenarios.document.loading import load_scenario, parse_settings
from scenarios.reports.ledger import account_of, accounts
from scenarios.results.proof.mismatches import gather, verify_ledger
from scenarios.results.reader import read_store
from scenarios.results.run_result import read_run

EPISODES = 5
ROUNDS = 3
TROUBLE = (
    'faults=[{kind="drop",probability=0.2},{kind="nan",probability=0.1},{kind="wrong-shape",probability=0.1},'
    '{kind="duplicate",probability=0.2}]'
)
TWICE = (
    'faults=[{kind="wrong-shape",probability=0.3},'
    '{kind="duplicate",probability=0.7,extra_s={distribution="constant",value_s=0.7}}]'
)
"""The second copy comes when its round has closed, also of a share that no neighbor can send."""
LATE = 'faults=[{kind="delay",delay_s={distribution="uniform",low_s=0.0,high_s=0.2}}]'


def simulated(tmp_path, name, *settings):
    assignments = [each for setting in settings for each in ("--set", setting)]
    simulate_here(tmp_path / name, "exchange-quick", "--episodes", str(EPISODES), *TINY, *assignments)
    return tmp_path / name


@pytest.fixture(scope="module")
def troubled(tmp_path_factory):
    return simulated(tmp_path_factory.mktemp("troubled"), "one", TROUBLE, "exchange.patience_s=0.5")


@pytest.fixture(scope="module")
def late(tmp_path_factory):
    return simulated(tmp_path_factory.mktemp("late"), "one", LATE, "exchange.patience_s=0.1")


def shares_of(folder):
    with read_store(folder / "run.sqlite") as store:
        return [row for row in accounts(store) if row.kind == "share"]


def lines_of(folder):
    with closing(sqlite3.connect(folder / "run.sqlite")) as store:
        return store.execute("SELECT * FROM ledger ORDER BY 1, 2, 3, 4, 5, 6, 7, 8").fetchall()


def test_of_an_agent_that_died_what_was_heard_was_sent_and_the_report_knows_as_much_as_the_summary(tmp_path):
    degrade = ("recovery.on_crash='degrade'", "service.missing_action='noop'")
    crash = "faults=[{kind='crash',participants=['agent-1'],at_episodes=[2]}]"
    run = read_run(simulated(tmp_path, "died", *degrade, crash))
    summary, shares = run.summary, shares_of(run.folder)
    assert all(edge.sent >= edge.heard for edge in shares)
    assert [edge.heard > 0 for edge in shares if edge.source == "agent-1"] == [True, True]
    assert summary.rounds == run.scenario.episodes * run.scenario.rounds
    assert summary.shares_sent >= summary.shares_heard
    assert run.traffic.heard_share == summary.shares_heard / (summary.shares_heard + summary.shares_missing)


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    return simulated(tmp_path_factory.mktemp("twice"), "one", TWICE, "exchange.patience_s=0.5")


@pytest.mark.parametrize("which", ["troubled", "twice", "late"])
def test_on_every_edge_all_that_was_sent_was_heard_or_ended_in_one_other_way(which, request):
    rows = shares_of(request.getfixturevalue(which))
    assert len(rows) == 6
    for row in rows:
        assert row.sent == EPISODES * ROUNDS
        assert row.heard < row.sent
        ended = row.heard + row.lost + row.dropped + row.rejected + row.late + row.expired
        assert 0 <= row.sent - ended <= 1, "the last share may come after its receiver was done"
    assert any(row.late if which == "late" else row.rejected for row in rows)


@pytest.mark.processes
def test_every_line_of_the_ledger_is_the_same_simulated_and_as_processes(tmp_path, troubled):
    arguments = ("exchange-quick", "--episodes", str(EPISODES), *TINY, "--set", TROUBLE)
    done = foretell("run", *arguments, "--set", "exchange.patience_s=0.5", "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    lines = lines_of(troubled)
    assert {line[6] for line in lines} >= {"dropped", "corrupted", "rejected", "duplicated"}
    assert lines == lines_of(tmp_path / "run")
    assert shares_of(troubled) == shares_of(tmp_path / "run")


def test_a_rejected_message_stands_there_by_name_with_what_was_wrong_about_it(tmp_path):
    folder = simulated(tmp_path, "one", 'faults=[{kind="nan",probability=1.0,edges=["agent-0->agent-1"]}]')
    rejected = [line for line in lines_of(folder) if line[6] == "rejected"]
    assert [line[:6] for line in rejected] == [
        ("agent-0", "agent-1", "share", episode, number, 0) for episode in range(EPISODES) for number in range(ROUNDS)
    ]
    assert all(line[7].endswith("changed by a fault: an array holds NaN or infinity") for line in rejected)


def test_a_message_is_refused_for_the_same_reason_whenever_it_is_read(twice):
    """Its first copy is read while its round is open, the second afterwards."""
    reasons = {}
    for *name, _, why in (line for line in lines_of(twice) if line[6] == "rejected"):
        reasons.setdefault(tuple(name), []).append(why)
    refused_twice = [each for each in reasons.values() if len(each) == 2]
    assert len(refused_twice) > 5
    assert all(len(set(each)) == 1 for each in refused_twice)


def test_late_shares_stand_there_by_name_as_often_as_they_are_counted(late):
    lines = [line for line in lines_of(late) if line[6] == "late"]
    assert len(lines) == len(set(lines)) == sum(row.late for row in shares_of(late)) > 0
    with read_store(late / "run.sqlite") as store:
        assert sum(edge.late for edge in store.edges()) == len(lines)


@pytest.fixture(params=["", "WHERE source = 'agent-0'", "WHERE destination != 'agent-1'"])
def killed(request, troubled, tmp_path):
    """The same run, in which nobody told its totals at the end, or not all did."""
    folder = tmp_path / "killed"
    shutil.copytree(troubled, folder)
    (folder / "summary.json").unlink()
    with closing(sqlite3.connect(folder / "run.sqlite")) as store, store:
        store.executescript(
            "DELETE FROM traffic; INSERT INTO traffic SELECT * FROM edges; DELETE FROM fault_counts;"
            "DELETE FROM fates WHERE destination = 'agent-1';"
            f"DELETE FROM edges {request.param}; UPDATE edges SET heard = 0;"
        )
    return folder


def test_the_ledger_of_a_run_that_goes_on_or_was_killed_is_what_was_told_so_far(killed, troubled):
    assert shares_of(killed) == shares_of(troubled)
    found, whole = load(killed), load(troubled)
    for name in ("sent", "heard", "missing"):
        assert (found.edges[name] == whole.edges[name]).all()
    for name in ("sent", "heard", "dropped", "rejected", "duplicated", "corrupted"):
        assert (found.ledger[name] == whole.ledger[name]).all()


def test_a_ledger_says_whether_its_run_came_to_its_end(killed, troubled, capsys):
    for folder in (killed, troubled):
        Console(width=200).print(account_of(folder, by_edge=False))
        printed = capsys.readouterr().out
        assert ("so far: the run has not come to its end" in printed) is (folder == killed)
        assert "share" in printed


def test_what_faults_did_to_a_message_is_counted_apart_from_how_it_ended_and_each_line_says_what_its_own_fault_did(
    tmp_path,
):
    every = (
        'faults=[{kind="duplicate",probability=1.0,messages=["share"]},{kind="nan",probability=0.5},'
        '{kind="delay",messages=["share"],delay_s={distribution="constant",value_s=0.1}},'
        '{kind="drop",probability=0.3,messages=["share"],episodes=[2,5]}]'
    )
    folder = simulated(tmp_path, "one", every)
    rows, lines = shares_of(folder), lines_of(folder)
    assert {(line[7], line[6]) for line in lines if line[6] != "rejected"} == {
        *(("duplicate", "duplicated"), ("nan", "corrupted"), ("delay", "delayed"), ("drop", "dropped"))
    }
    for row in rows:
        assert row.sent == row.duplicated == row.delayed == row.heard + row.rejected + row.dropped
        struck = {line[3:5] for line in lines if line[:2] == (row.source, row.destination) and line[6] == "corrupted"}
        assert row.corrupted == len(struck) >= row.rejected
    assert sum(row.corrupted for row in rows) > sum(row.rejected for row in rows) > 0, "some were dropped, too"
    assert load(folder).ledger["corrupted"].sum() == sum(row.corrupted for row in rows)


def test_what_faults_did_is_counted_in_stores_whose_lines_say_what_a_message_had_become(tmp_path):
    both = (
        'faults=[{kind="duplicate",probability=0.5,messages=["share"]},'
        '{kind="delay",messages=["share"],delay_s={distribution="constant",value_s=0.1}}]'
    )
    folder = simulated(tmp_path, "one", both)
    rows = shares_of(folder)
    with closing(sqlite3.connect(folder / "run.sqlite")) as store, store:
        store.execute("UPDATE faults SET fate = 'duplicated' WHERE delays_s LIKE '%,%'")
    assert shares_of(folder) == rows
    assert {row.delayed for row in rows} == {EPISODES * ROUNDS}


def test_what_is_still_held_at_the_end_has_expired_and_the_fault_that_held_it_is_named(tmp_path):
    held = 'faults=[{kind="delay",name="winter",delay_s={distribution="constant",value_s=1e6}}]'
    folder = simulated(tmp_path, "one", held, "exchange.patience_s=0.1")
    expired = [line for line in lines_of(folder) if line[6] == "expired"]
    assert len(expired) == 6 * EPISODES * ROUNDS
    assert {line[7] for line in expired} == {"winter held it for 1e+06 s, and its receiver was done before"}


@pytest.mark.long
def test_skipped_rounds_are_counted_on_each_edge_and_nothing_is_sent_in_them(tmp_path):
    half = shares_of(simulated(tmp_path, "half", "exchange.skip_probability=0.5", 'exchange.skip_scope="edge"'))
    assert {row.sent + row.skipped for row in half} == {EPISODES * ROUNDS}
    assert all(row.skipped for row in half)
    pairs = {(row.source, row.destination): row.skipped for row in half}
    assert all(count == pairs[edge[::-1]] for edge, count in pairs.items()), "both ends skip the same rounds"
    none = shares_of(simulated(tmp_path, "none"))
    assert {(row.sent, row.skipped) for row in none} == {(EPISODES * ROUNDS, 0)}


def test_more_endings_than_messages_are_told_of(tmp_path):
    folder = simulated(tmp_path, "one", TROUBLE)
    scenario = load_scenario("exchange-quick", parse_settings([TROUBLE]))
    assert verify_ledger(scenario, gather(folder / "run.sqlite")) == []
    with closing(sqlite3.connect(folder / "run.sqlite")) as store, store:
        store.execute("UPDATE edges SET sent = sent - 5 WHERE source = 'agent-0' AND destination = 'agent-1'")
    (said,) = verify_ledger(scenario, gather(folder / "run.sqlite"))
    sent = EPISODES * ROUNDS
    assert said == f"agent-0->agent-1: {sent} messages ended there, but {sent - 5} were sent: others speak in that name"


@pytest.mark.parametrize(
    "why",
    [
        "UPDATE edges SET dropped = 5, lost = 5 WHERE source = 'agent-0'",  # its queue was full
        "UPDATE edges SET sent = 0 WHERE source = 'agent-0'",  # it died, and has told nobody what it sent
        "UPDATE edges SET sent = sent - 1; INSERT INTO lives VALUES (1, 2, 0.0, 'a crash', 0.0)",
    ],
)
def test_endings_that_an_honest_run_can_have_are_not_held_against_it(tmp_path, troubled, why):
    store = tmp_path / "run.sqlite"
    store.write_bytes((troubled / "run.sqlite").read_bytes())
    with closing(sqlite3.connect(store)) as database:
        database.executescript(why)
    assert verify_ledger(load_scenario("exchange-quick", parse_settings([TROUBLE])), gather(store)) == []


def test_a_message_of_which_two_copies_ended_alike_counts_once_among_messages_and_twice_among_causes(tmp_path):
    folder = simulated(tmp_path, "one", 'faults=[{kind="nan",probability=1.0,edges=["agent-0->agent-1"]}]')
    with closing(sqlite3.connect(folder / "run.sqlite")) as store, store:
        store.execute("INSERT INTO endings SELECT * FROM endings WHERE episode = 0 AND number = 0")
    (rejected,) = [row.rejected for row in shares_of(folder) if (row.source, row.destination) == ("agent-0", "agent-1")]
    with read_store(folder / "run.sqlite") as store:
        (cause,) = [each for each in store.causes(9) if each.fate == "rejected"]
    assert (rejected, cause.often) == (EPISODES * ROUNDS, EPISODES * ROUNDS + 1)


@pytest.mark.processes
def test_the_command_prints_the_account_by_kind_and_by_edge_and_names_the_causes(tmp_path, troubled):
    by_kind = foretell("ledger", str(troubled), COLUMNS="200").stdout
    assert "share" in by_kind
    assert "agent-0->agent-1" not in by_kind
    assert "wrong-shape" in by_kind
    assert "what became of the messages (each counts once)" in by_kind
    assert "and why (every copy counts)" in by_kind
    by_edge = foretell("ledger", str(troubled), "--edges", COLUMNS="200").stdout
    assert "agent-0->agent-1" in by_edge
    nowhere = foretell("ledger", str(tmp_path / "nowhere"))
    assert nowhere.returncode == 2
    assert "nowhere holds no run: expected the folder that `foretell run` or `foretell simulate` left" in nowhere.stderr


@pytest.mark.processes
def test_an_undisturbed_run_shows_what_was_counted_and_says_what_became_of_the_rest(tmp_path):
    said = foretell("ledger", str(simulated(tmp_path, "quiet")), COLUMNS="80").stdout
    (head,) = [line for line in said.splitlines() if "kind" in line]
    assert head.split("┃")[1:-1] == [" kind     ", " sent ", " heard "]
    assert "what became of the messages (each counts once)\n" in said
    assert "of timesteps and actions that were sent only what went wrong is counted: all others were taken" in " ".join(
        said.split()
    )
