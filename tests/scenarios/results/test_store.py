"""The run's store: what becomes a row, when it can be read, and what is said when it cannot be written."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, suppress

import pytest

from broker.errors import UserError
from broker.wire.records import (
    EdgeRecord,
    EpisodeRecord,
    EventRecord,
    Fate,
    FaultCount,
    FaultRecord,
    FinishedRecord,
    JoinedRecord,
    RoundRecord,
    StatusRecord,
)
from scenarios.results.store import Store

AGENTS = ("agent-0", "agent-1")


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "run.sqlite", AGENTS)
    yield store
    with suppress(UserError):  # of a test that made it unwritable
        store.close()


@pytest.fixture
def read(tmp_path):
    """Asks the file over a connection of its own."""
    reader = sqlite3.connect(tmp_path / "run.sqlite")
    yield lambda question: reader.execute(question).fetchall()
    reader.close()


def test_an_episode_is_a_row_for_each_agent(store, read):
    store.write([EpisodeRecord(4, (0.1, -2.5), 60, 3)])
    store.flush()
    assert read("SELECT episode, agent, return, steps, missing_actions FROM episodes") == [
        (4, "agent-0", 0.1, 60, 3),
        (4, "agent-1", -2.5, 60, 3),
    ]


def test_a_round_keeps_its_losses_by_name(store, read):
    store.write([RoundRecord("agent-1", 4, 2, 5, 3, {"gain": 0.1, "penalty": -1e-9})])
    store.flush()
    [(*row, losses)] = read("SELECT episode, round, agent, partners, heard, losses FROM rounds")
    assert row == [4, 2, "agent-1", 5, 3]
    assert json.loads(losses) == {"gain": 0.1, "penalty": -1e-9}


def test_a_fault_keeps_the_message_and_its_verdict(store, read):
    store.write([FaultRecord("lag", "agent-0", "agent-1", "share", 4, 2, 1, (0.5, 1.25), Fate.DUPLICATED)])
    store.write([FaultRecord("rain", "agent-0", "agent-1", "share", 4, 3, 0, (), Fate.DROPPED)])
    store.flush()
    columns = "fault, source, destination, kind, episode, number, attempt, delays_s"
    assert read(f"SELECT {columns} FROM faults") == [
        ("lag", "agent-0", "agent-1", "share", 4, 2, 1, "[0.5, 1.25]"),
        ("rain", "agent-0", "agent-1", "share", 4, 3, 0, "[]"),
    ]


def test_fault_counts_and_events_are_rows(store, read):
    store.write([FaultCount("rain", "agent-0", "agent-1", 20, 7), EventRecord("agent-1", "rejected", "agent-0", "No.")])
    store.flush()
    assert read("SELECT fault, source, destination, examined, applied FROM fault_counts") == [
        ("rain", "agent-0", "agent-1", 20, 7)
    ]
    assert read("SELECT participant, kind, peer, text FROM events") == [("agent-1", "rejected", "agent-0", "No.")]


def test_joining_is_an_event_and_finishing_a_row_with_the_weights(store, read):
    store.write([JoinedRecord("agent-0"), FinishedRecord("agent-0", "abc")])
    store.flush()
    tables = [name for (name,) in read("SELECT name FROM sqlite_master WHERE type = 'table'")]
    assert sorted(tables) == [
        *(
            "agents",
            "delays",
            "document",
            "edges",
            "endings",
            "episodes",
            "events",
            "fates",
            "fault_counts",
            "faults",
            "finished",
            "gone",
            "live_faults",
        ),
        *("lives", "process_faults", "rounds", "status", "traffic"),
    ]
    assert [table for table in tables if read(f"SELECT COUNT(*) FROM {table}") != [(0,)]] == ["events", "finished"]
    assert read("SELECT participant, kind FROM events") == [("agent-0", "joined")]
    assert read("SELECT agent, weights_digest FROM finished") == [("agent-0", "abc")]


@pytest.mark.parametrize("where", ["_rows", "executemany"])
def test_what_an_interrupt_has_cut_is_never_written_in_part_or_twice(store, read, monkeypatch, where):
    store.write([EpisodeRecord(0, (1.0, 2.0), 20, 0)])
    store.flush()
    with monkeypatch.context() as patched:
        if where == "_rows":  # after the first of a batch
            rows = iter([[("INSERT INTO finished VALUES (?, ?)", ("agent-0", "x"))]])

            def cut(*_: object) -> list[object]:
                for found in rows:
                    return found
                raise KeyboardInterrupt

            patched.setattr("scenarios.results.store._rows", cut)
            with pytest.raises(KeyboardInterrupt):
                store.write([FinishedRecord("agent-0", "x"), FinishedRecord("agent-1", "y")])
        else:  # when all is in the file, and not yet forgotten here
            store.write([EpisodeRecord(1, (1.0, 2.0), 20, 0)])
            patched.setattr("scenarios.results.store._processor_s", raise_interrupt)
            store._life = (0, 0.0)
            with pytest.raises(KeyboardInterrupt):
                store.flush()
            store._life = None
    store.write([EpisodeRecord(2, (1.0, 2.0), 20, 0)])
    store.close()
    assert read("SELECT DISTINCT episode FROM episodes") == [(0,)]
    assert read("SELECT COUNT(*) FROM finished") == [(0,)]


def raise_interrupt() -> float:
    raise KeyboardInterrupt


@pytest.mark.parametrize("flushed_between", [False, True])
def test_an_edge_is_the_sum_of_what_both_its_ends_saw(store, read, flushed_between):
    store.write([EdgeRecord("agent-0", "agent-1", sent=10, sent_bytes=999, dropped=1)])
    if flushed_between:
        store.flush()
    store.write([EdgeRecord("agent-1", "agent-0", sent=4)])
    store.write([EdgeRecord("agent-0", "agent-1", heard=6, late=2, missing=1, rejected=3, lost=2)])
    store.write([EdgeRecord("agent-0", "agent-1", rejected=1, lost=5)])
    store.flush()
    counts = "sent, sent_bytes, dropped, heard, late, missing, rejected, lost"
    assert read(f"SELECT source, destination, {counts} FROM edges ORDER BY source") == [
        ("agent-0", "agent-1", 10, 999, 1, 6, 2, 1, 4, 7),
        ("agent-1", "agent-0", 4, 0, 0, 0, 0, 0, 0, 0),
    ]


def test_rows_reach_the_file_in_batches_while_the_run_goes_on(store, read):
    def rows():
        return read("SELECT COUNT(*) FROM events")[0][0]

    event = EventRecord("agent-0", "rejected", "agent-1", "No.")
    for _ in range(1999):
        store.write([event])
    assert rows() == 0
    store.write([event])
    assert rows() == 2000
    store.write([event] * 3)
    assert rows() == 2000
    store.flush()
    assert rows() == 2003
    store.flush()
    assert rows() == 2003


def test_closing_brings_everything_to_the_file(store, read):
    store.write([EventRecord("agent-0", "rejected", "agent-1", "No.")])
    store.close()
    assert read("SELECT COUNT(*) FROM events") == [(1,)]


def test_a_store_that_cannot_be_flushed_is_released_all_the_same(tmp_path):
    store = Store(tmp_path / "run.sqlite", AGENTS)
    with closing(sqlite3.connect(tmp_path / "run.sqlite")) as saboteur:
        saboteur.execute("DROP TABLE events")
    store.write([EventRecord("agent-0", "rejected", "agent-1", "No.")])
    with pytest.raises(UserError, match=r"^cannot write to the run's store: "):
        store.close()
    assert [path.name for path in tmp_path.iterdir()] == ["run.sqlite"], "no log is left that a connection holds"


def test_a_reader_in_the_middle_of_reading_does_not_stop_the_writer(store, tmp_path):
    event = EventRecord("agent-0", "rejected", "agent-1", "No.")
    store.write([event] * 2)
    store.flush()
    reader = sqlite3.connect(tmp_path / "run.sqlite")
    cursor = reader.execute("SELECT * FROM events")
    cursor.fetchone()
    store.write([event] * 3)
    store.flush()
    assert len(cursor.fetchall()) == 1
    assert reader.execute("SELECT COUNT(*) FROM events").fetchone() == (5,)
    reader.close()


def test_a_run_that_goes_on_finds_what_was_recorded_and_forgets_what_came_after(tmp_path):
    path = tmp_path / "run.sqlite"
    first = Store(path, AGENTS)
    assert first.begin_life(-1, "") == 0
    first.write([EpisodeRecord(episode, (1.5, episode), 20, 0) for episode in range(4)])
    first.write([EdgeRecord("agent-0", "agent-1", sent=10), StatusRecord("agent-0", "ACTING", "it waits")])
    first.close()
    second = Store(path, AGENTS)
    assert second.begin_life(1, "power was lost") == 1
    second.flush()
    with closing(sqlite3.connect(path)) as reader:
        assert reader.execute("SELECT COUNT(*) FROM episodes").fetchone() == (8,), "nobody has joined it yet"
        assert reader.execute("SELECT COUNT(*) FROM status").fetchone() == (0,)
    second.forget_after(1)
    second.close()
    with closing(sqlite3.connect(path)) as reader:
        assert reader.execute("SELECT DISTINCT episode FROM episodes ORDER BY episode").fetchall() == [(0,), (1,)]
        assert reader.execute("SELECT COUNT(*) FROM edges").fetchone() == (0,)
        lives = reader.execute("SELECT incarnation, after_episode, why FROM lives").fetchall()
    assert lives == [(0, -1, ""), (1, 1, "power was lost")]


def test_a_status_keeps_since_when_the_same_wait_lasts(store, read, monkeypatch):
    for at, waits_for in ((10.0, "a waits"), (11.0, "a waits"), (12.0, "b waits")):
        monkeypatch.setattr("scenarios.results.store.time.monotonic", lambda at=at: at)
        store.write([StatusRecord("agent-0", "ACTING", waits_for)])
        store.flush()
        (row,) = read("SELECT waits_for, since, seen FROM status")
        assert row == (waits_for, {10.0: 10.0, 11.0: 10.0, 12.0: 12.0}[at], at)


@pytest.mark.parametrize("place", ["missing folder", "a folder", "no database"])
def test_a_store_that_cannot_be_made_is_one_sentence(tmp_path, place):
    path = tmp_path / "run.sqlite"
    if place == "missing folder":
        path = tmp_path / "nowhere" / "run.sqlite"
    elif place == "a folder":
        path.mkdir()
    else:
        path.write_text("this is not a database, and long enough for SQLite to see it" * 20)
    with pytest.raises(UserError) as caught:
        Store(path, AGENTS)
    assert str(caught.value).startswith(f"cannot write the run's store {path}: ")
    assert "\n" not in str(caught.value)


def test_when_writing_fails_what_was_written_before_stays(store, tmp_path, read):
    store.write([EpisodeRecord(0, (1.0, 2.0), 5, 0)])
    store.flush()
    saboteur = sqlite3.connect(tmp_path / "run.sqlite")
    saboteur.execute("DROP TABLE events")
    saboteur.close()
    store.write([EpisodeRecord(1, (1.0, 2.0), 5, 0), EventRecord("agent-0", "rejected", "agent-1", "No.")])
    with pytest.raises(UserError, match=r"^cannot write to the run's store: .*What was written before is readable$"):
        store.flush()
    assert read("SELECT DISTINCT episode FROM episodes") == [(0,)]


def test_a_store_whose_writer_was_killed_before_its_tables_were_there_gets_them(tmp_path):
    path = tmp_path / "run.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
    store = Store(path, AGENTS)
    store.write([EventRecord("a", "note", "", "text")])
    store.close()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT text FROM events").fetchall() == [("text",)]
        assert database.execute("SELECT * FROM faults").fetchall() == []
