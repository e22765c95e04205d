"""The run's reader: the only one who asks a store, in one way to open it and one sentence when it cannot."""

from __future__ import annotations

import ast
import gc
import hashlib
import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from broker.errors import UserError
from broker.wire.records import (
    EDGE_COUNTS,
    EdgeRecord,
    EndingRecord,
    EpisodeRecord,
    FateCount,
    FaultCount,
    FaultRecord,
    StatusRecord,
    TrafficRecord,
)
from scenarios.results.answers import EdgeDeeds, EdgeFates, EndingCount, EpisodeRow, FaultRow, LiveFault
from scenarios.results.reader import RunReader, read_store, require_version
from scenarios.results.schema import VERSION
from scenarios.results.store import Store

ROOT = Path(__file__).parents[3]
AGENTS = ("agent-0", "agent-1")
KNOWN = (
    (1, "bfffb1f80de1363d3b989cb2831f59780e2046e69122a5609c02b234c386b46f"),
    (2, "e715ac151450a46ee41429778112bd646766682daef78d2175aed7d25cd3e615"),
    (3, "9f200e8976b5961ee4f693dbb6b9e2313969243db294288bbba4fcfa09b5c281"),
    (4, "7333e9e42a6d5993d50d104d91faa9759f0e53e99ddd2c0e625c2fc42f20d469"),
    (5, "445718308b60ee7867b5a3bb46bef6d87ba59b0f0b7e474b8254ebb62574c6da"),
    (6, "578c2032288a59b2ed97f80ab15ad011e8a4acbd33f46c2e216460e7056b7eb1"),
    (7, "21de6905615f1d50cdd30b22933ca9e8f39fe506925400b05a306befd555081f"),
)
"""Versions of the store, with SHA-256 over what made their tables."""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.sqlite"


@pytest.fixture
def store(path):
    store = Store(path, AGENTS)
    yield store
    store.close()


def asked(path, question):
    with read_store(path) as reader:
        return question(reader)


# Who may ask


def sources():
    packages = ("broker", "agent_node", "env_service", "scenarios")
    return [path for package in packages for path in (ROOT / package).rglob("*.py")]


def strings_of(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def test_questions_to_a_store_stand_in_its_reader_alone():
    asking = {path for path in sources() if any(re.search(r"\bSELECT\s", text) for text in strings_of(path))}
    results = ROOT / "scenarios/results"
    assert asking == {results / "reader.py", results / "schema.py"}, "the schema has a view"


def test_only_the_reader_and_the_writer_open_a_store():
    opening = {path for path in sources() if {"sqlite3", "aiosqlite"} & set(imports_of(path))}
    assert opening == {ROOT / "scenarios/results" / name for name in ("reader.py", "store.py")}


# How it is opened


def test_a_finished_store_is_left_as_it_is_without_files_beside_it(path, tmp_path):
    store = Store(path, AGENTS)
    store.write([EpisodeRecord(0, (1.0, 2.0), 5, 0)])
    store.close()
    content = path.read_bytes()
    path.chmod(0o444)
    assert asked(path, RunReader.count_episodes) == 1
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_that_goes_on_can_be_read_as_far_as_it_was_flushed(store, path):
    store.write([EpisodeRecord(0, (1.0, 2.0), 5, 0)])
    store.flush()
    store.write([EpisodeRecord(1, (1.0, 2.0), 5, 0)])
    assert asked(path, RunReader.newest_episode) == 0
    store.flush()
    assert asked(path, RunReader.newest_episode) == 1


@pytest.mark.parametrize("place", ["nothing", "a folder", "no database", "a torn one"])
def test_what_cannot_be_read_is_one_sentence_with_its_path(path, place):
    if place == "a folder":
        path.mkdir()
    elif place == "no database":
        path.write_text("this is not a database, and long enough for SQLite to see it" * 20)
    elif place == "a torn one":
        Store(path, AGENTS).close()
        path.write_bytes(path.read_bytes()[:100] + bytes(4096))
    with pytest.raises(UserError) as caught:
        asked(path, RunReader.count_episodes)
    assert str(caught.value).startswith(f"cannot read the run's store {path}: ")
    assert "\n" not in str(caught.value)


def test_a_table_that_is_damaged_is_one_sentence_however_it_is_asked(path):
    Store(path, AGENTS).close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("DROP TABLE rounds")
    with pytest.raises(UserError, match=r"^cannot read the run's store .*: no such table: rounds$"):
        asked(path, lambda reader: list(reader.rounds()))


# Versions


def with_version(path, version):
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {version}")


def test_a_store_bears_the_version_of_its_schema(path):
    Store(path, AGENTS).close()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (VERSION,)
    require_version(path)


def test_whoever_changes_a_table_changes_the_version(path):
    Store(path, AGENTS).close()
    with closing(sqlite3.connect(path)) as database:
        made = database.execute("SELECT sql FROM sqlite_master WHERE sql NOT NULL ORDER BY name").fetchall()
    words = " ".join(word for (sql,) in made for word in sql.split())
    assert (VERSION, hashlib.sha256(words.encode()).hexdigest()) in KNOWN, "add one to VERSION, and a line to KNOWN"


@pytest.mark.parametrize("version", [0, VERSION + 1])
def test_a_store_of_another_version_is_refused_by_reader_and_writer_and_left_as_it_is(path, version, tmp_path):
    Store(path, AGENTS).close()
    with_version(path, version)
    content = path.read_bytes()
    sentence = (
        f"{path} is a store of version {version}, and this Foretell reads version {VERSION}: "
        "use the Foretell that made it, or run its scenario again into another folder"
    )
    for refuses in (require_version, lambda path: asked(path, RunReader.lives), lambda path: Store(path, AGENTS)):
        with pytest.raises(UserError) as caught:
            refuses(path)
        assert str(caught.value) == sentence
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_no_store_and_one_without_tables_are_of_no_other_version(path):
    require_version(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
    require_version(path)
    with pytest.raises(
        UserError, match=r"was interrupted before the run had begun: begin it anew, with --out .* ask again$"
    ):
        asked(path, RunReader.lives)


# What it answers


def test_episodes_come_in_their_order_and_agents_as_they_were_recorded(store, path):
    store.write([EpisodeRecord(1, (0.5, -2.0), 20, 3), EpisodeRecord(0, (0.1, 0.25), 10, 0)])
    store.flush()
    assert asked(path, lambda reader: list(reader.episodes())) == [
        EpisodeRow(0, "agent-0", 0.1, 10, 0),
        EpisodeRow(0, "agent-1", 0.25, 10, 0),
        EpisodeRow(1, "agent-0", 0.5, 20, 3),
        EpisodeRow(1, "agent-1", -2.0, 20, 3),
    ]


def test_an_answer_that_nobody_reads_to_its_end_blames_no_store(store, path, monkeypatch):
    """Whoever is interrupted drops the reader first, and its answers afterwards."""
    blamed = []
    monkeypatch.setattr(sys, "unraisablehook", blamed.append)
    store.write([EpisodeRecord(episode, (1.0, 2.0), 10, 0) for episode in range(3)])
    store.flush()
    with read_store(path) as reader:
        rows = reader.episodes()
        next(rows)
    del rows
    gc.collect()
    assert not blamed


def test_before_the_first_record_every_answer_is_nothing(store, path):
    with read_store(path) as reader:
        assert (reader.count_episodes(), reader.newest_episode(), reader.early_deliveries(0.0)) == (0, None, 0)
        lists = (reader.edges(), reader.fault_counts(), reader.fates(), reader.endings(), reader.causes(5))
        assert [*lists, reader.strikes(), reader.live_faults(), reader.lives(), reader.status()] == [[]] * 9
        assert list(reader.episodes()) == list(reader.rounds()) == list(reader.faults()) == []
        assert reader.changes_by_fault() == {}


def test_edges_come_back_as_the_records_that_both_ends_sent_added_up(store, path):
    one = EdgeRecord("agent-0", "agent-1", *range(1, 10))
    store.write([one, EdgeRecord("agent-0", "agent-1", *[100] * 9)])
    store.flush()
    assert asked(path, RunReader.edges) == [EdgeRecord("agent-0", "agent-1", *range(101, 110))]


def test_every_count_of_an_edge_has_a_column_and_is_found_under_its_own_name_wherever_that_stands(store, path):
    own = EdgeRecord("a", "b", *range(1, 10))
    with closing(sqlite3.connect(path)) as database:
        for table in ("edges", "traffic"):
            columns = [name for _, name, *_ in database.execute(f"PRAGMA table_info({table})")]
            assert columns == ["source", "destination", *EDGE_COUNTS]
            database.execute(f"DROP TABLE {table}")
            backwards = ", ".join(f"{name} INTEGER DEFAULT 0" for name in reversed(columns))
            database.execute(f"CREATE TABLE {table} ({backwards}, PRIMARY KEY (source, destination))")
    store.write([own, EdgeRecord("a", "b", sent=7), TrafficRecord(own), TrafficRecord(EdgeRecord("a", "b", lost=9))])
    store.flush()
    assert asked(path, RunReader.edges) == [EdgeRecord("a", "b", 8, *range(2, 10))]
    assert asked(path, RunReader.edges_so_far) == [EdgeRecord("a", "b", 8, *range(2, 8), 9, 9)]


def test_counts_of_several_senders_of_one_edge_are_added_up(store, path):
    store.write([FaultCount("rain", "a", "b", 1, 2, 3, 4), FaultCount("rain", "a", "b", 10, 20, 30, 40)])
    store.write([FateCount("a", "b", "share", *range(1, 8)), FateCount("a", "b", "action", *[10] * 7)])
    store.flush()
    assert asked(path, RunReader.fault_counts) == [FaultCount("rain", "a", "b", 11, 22, 33, 44)]
    assert asked(path, RunReader.fates) == [EdgeFates("a", "b", *range(11, 18))]


def test_what_faults_did_to_a_message_counts_once_however_many_did_it_and_again_where_it_came_again(store, path):
    def line(fault, delays_s, fate, number=0):
        return FaultRecord(fault, "a", "b", "share", 0, number, 0, delays_s, fate)

    store.write(
        [
            *(line("nan", (0.0,), "corrupted"), line("noise", (0.0,), "corrupted"), line("lag", (1e-5,), "delayed")),
            *[line("twice", (0.0, 0.7), "duplicated", 1), line("lag", (0.1, 0.8), "duplicated", 1)] * 2,
            *[line("rain", (), "dropped", 2)] * 3,
            line("rain", (0.7,), "dropped", 3),
        ]
    )
    store.flush()
    assert asked(path, RunReader.deeds) == [EdgeDeeds("a", "b", 3, 1, 2, 4)]


def test_an_ending_that_was_noticed_twice_is_one_message(store, path):
    message = ("a", "b", "share", 0, 1, 0)
    store.write([EndingRecord(*message, "late", "it was slow")] * 2)
    store.flush()
    assert asked(path, RunReader.endings) == [EndingCount("a", "b", "late", 2, 1)]


def test_faults_come_in_an_order_that_time_does_not_change(store, path):
    lines = [FaultRecord("rain", "a", "b", "share", 0, number, 0, (0.5,), "delayed") for number in (10, 9, 2)]
    store.write(lines)
    store.flush()
    rows = asked(path, lambda reader: list(reader.faults()))
    assert rows[0] == FaultRow("rain", "a", "b", "share", 0, 2, 0, "[0.5]", "delayed")
    assert [row.number for row in rows] == [2, 9, 10]


def test_live_faults_say_between_which_episodes_they_were_in_force(store, path):
    store.add_live_fault("rain", "{}", 3)
    store.heal_fault("snow", 5)
    store.heal_fault("rain", 7)
    assert asked(path, RunReader.live_faults) == [LiveFault("rain", "{}", 3, 7), LiveFault("snow", None, None, 5)]


def test_the_longest_wait_comes_first(store, path, monkeypatch):
    for at, name in ((2.0, "agent-0"), (1.0, "agent-1")):
        monkeypatch.setattr("scenarios.results.store.time.monotonic", lambda at=at: at)
        store.write([StatusRecord(name, "ACTING", f"{name} waits")])
    store.flush()
    assert [row.participant for row in asked(path, RunReader.status)] == ["agent-1", "agent-0"]
