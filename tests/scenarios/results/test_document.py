"""The document of a run: whole or not at all, written once, and no other one is gone on with."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from file_sizes import files_of_at_most
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runs import TINY, foretell_afresh, run_name, simulate_here, summary

from broker.errors import UserError
from broker.wire.records import EdgeRecord, Fate, FaultRecord, JoinedRecord, StatusRecord
from scenarios.commands.main import main
from scenarios.document.loading import catalogue_names, load_scenario, parse_scenario
from scenarios.document.planning import make_plan
from scenarios.results import document as document_of_run
from scenarios.results.document import read_document, write_document
from scenarios.results.folder import RunFolder
from scenarios.results.observer import Observer
from scenarios.results.reader import read_store
from scenarios.results.store import Store
from scenarios.running.control.run import _Run

FAULTS = 'faults=[{kind="drop",probability=0.3,name="rain"},{kind="drop",probability=0.1,name="hail"}]'


def scenario(**changed):
    return load_scenario("exchange-quick", changed)


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path)


def begin(folder, document):
    """Begin a run or go on with one, and end before the first episode."""
    observer = Observer(make_plan(document), folder, "simulate", lambda _: None)
    observer.begin_life(-1, "")
    observer.take([JoinedRecord("environment")])
    observer.finish()


@pytest.mark.parametrize("name", catalogue_names())
def test_a_document_has_the_same_digest_when_it_is_read_again(name):
    if name.startswith("vmas"):
        pytest.importorskip("vmas")
    document = make_plan(load_scenario(name)).scenario
    assert parse_scenario(document.to_toml(), {}).digest == document.digest


VALUES = st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False) | st.text("a")
TABLES = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=2)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from("abc"), VALUES | TABLES, max_size=3))
def test_settings_of_an_environment_have_the_same_digest_when_they_are_read_again(options):
    document = load_scenario("simple-spread-mpe2", {"environment.options": options})
    assert parse_scenario(document.to_toml(), {}).digest == document.digest


def test_every_setting_but_the_number_of_episodes_makes_another_digest():
    document = scenario()
    others = [scenario(seed=99), scenario(**{"learning.rounds": 9}), scenario(**{"transport.zeromq.scheme": "tcp"})]
    others.append(document.model_copy(update={"description": "another"}))
    assert len({each.digest for each in (document, *others)}) == 1 + len(others)
    assert scenario(episodes=9).digest == document.digest


def test_a_run_that_was_begun_by_an_earlier_version_has_the_digest_that_it_had():
    """Where this fails, every run begun before is refused: name what is new in `_CAME_LATER`."""
    pinned = """
name = "pinned"
seed = 3
episodes = 20
environment = { kind = "exchange", agents = 4 }
topology.kind = "ring"
faults = [{ kind = "drop", probability = 0.3 }]
"""
    digest = "17cd80b78eeec6dbce4211937fcbdd80acdf34e4d16315c574454a5523bdf829"
    assert parse_scenario(pinned, {}).digest == digest
    assert parse_scenario(pinned, {"exchange.largest_number": 1e8}).digest != digest


def test_where_an_environment_lies_makes_no_other_digest():
    document = load_scenario("simple-spread-mpe2")
    there, here = (
        document.model_copy(update={"environment": document.environment.model_copy(update={"file": Path(place)})})
        for place in ("/there/mine.py", "/here/mine.py")
    )
    assert there.digest == here.digest


@pytest.mark.parametrize("size", [0, 100, 1024])
def test_a_document_is_written_whole_or_not_at_all(folder, size):
    write_document(folder, scenario())
    with (
        files_of_at_most(size),
        pytest.raises(UserError, match=r"^cannot write the run's document .*: File too large$"),
    ):
        write_document(folder, scenario(seed=99))
    assert parse_scenario(folder.scenario.read_text(), {}) == scenario()
    assert [path.name for path in folder.root.iterdir()] == ["scenario.toml"]


def test_a_document_of_which_a_part_was_written_when_power_was_lost_is_not_there(folder, monkeypatch):
    class PowerLost(BaseException):
        pass

    def die(_descriptor):
        raise PowerLost

    monkeypatch.setattr(os, "fsync", die)
    with pytest.raises(PowerLost):
        begin(folder, scenario())
    assert not folder.scenario.exists()
    assert not folder.store.exists()


def test_a_run_that_goes_on_leaves_its_document_as_it_is(folder):
    begin(folder, scenario())
    folder.scenario.write_text(f"# seen\n{folder.scenario.read_text()}")
    before = folder.scenario.stat(), folder.scenario.read_text()
    begin(folder, scenario())
    assert (folder.scenario.stat(), folder.scenario.read_text()) == before


@pytest.mark.parametrize("change", [{"seed": 99}, {"episodes": 3}, {"learning.rounds": 1}])
def test_a_run_goes_on_with_the_document_it_was_begun_with_and_no_other(folder, change):
    begin(folder, scenario(episodes=4))
    store = folder.store.read_bytes()
    with pytest.raises(UserError, match="was begun with another document"):
        begin(folder, scenario(**{"episodes": 4} | change))
    write_document(folder, scenario(**{"episodes": 4} | change))
    with pytest.raises(UserError, match="was begun with another document"):
        read_document(folder)
    assert folder.store.read_bytes() == store


def test_a_run_may_be_asked_for_more_episodes_and_from_then_on_for_no_fewer(folder):
    begin(folder, scenario(episodes=4))
    write_document(folder, scenario(episodes=7))
    assert read_document(folder) == scenario(episodes=7)
    begin(folder, scenario(episodes=7))
    with pytest.raises(UserError, match="expected at least 7 episodes, found 6"):
        begin(folder, scenario(episodes=6))


def test_the_figures_of_a_run_are_no_figures_of_it_as_soon_as_it_goes_on_and_no_sooner(folder):
    begin(folder, scenario(episodes=4))
    before = folder.summary.read_bytes(), folder.scenario.read_bytes()
    observer = Observer(make_plan(scenario(episodes=7)), folder, "simulate", lambda _: None)
    observer.begin_life(-1, "")
    observer.take([StatusRecord("agent-0", "JOINING", "HELLO"), EdgeRecord("agent-0", "observer", rejected=1)])
    observer.flush()
    assert (folder.summary.read_bytes(), folder.scenario.read_bytes()) == before
    with read_store(folder.store) as store:
        assert (store.begun().episodes, store.edges()) == (4, [])
    observer.take([JoinedRecord("agent-0")])
    assert not folder.summary.exists(), "it may be killed before it has played anything"
    assert read_document(folder).episodes == 7
    observer.finish()


def test_what_comes_of_a_life_before_anybody_has_joined_it_is_kept_once_somebody_has(folder):
    begin(folder, scenario(episodes=4))
    observer = Observer(make_plan(scenario(episodes=7)), folder, "simulate", lambda _: None)
    fault = FaultRecord("drop", "agent-0", "agent-1", "share", 0, 0, 0, (), Fate.DROPPED)
    for _ in range(2):
        observer.begin_life(-1, "")
        observer.take([fault])
        with read_store(folder.store) as store:
            assert store.changes_by_fault() == {}
    observer.take([JoinedRecord("agent-1")])
    observer.finish()
    with read_store(folder.store) as store:
        assert store.changes_by_fault() == {"drop": 1}


class Killed(BaseException):
    """At once."""


CHANGES = (
    (document_of_run, "write_document"),
    (Path, "unlink"),
    (Store, "begin"),
    (Store, "forget_after"),
)


@pytest.mark.parametrize("owner_and_name", CHANGES, ids=lambda change: change[1])
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
def test_a_run_that_is_killed_while_it_is_changed_to_go_on_goes_on_to_the_same_end(
    tmp_path, monkeypatch, owner_and_name, done
):
    folder = RunFolder(tmp_path / "run")
    simulate_here(folder.root, "exchange-quick", "--episodes", "3", *TINY)
    owner, name = owner_and_name
    change = getattr(owner, name)

    def dies(*arguments, **options):
        if done:
            change(*arguments, **options)
        raise Killed

    def resume(*more):
        monkeypatch.setattr(sys, "argv", ["foretell", "resume", str(folder.root), *more])
        main()

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, dies)
        patch.setattr(Observer, "finish", lambda self: self._store.close())
        patch.setattr(_Run, "keep_policy", lambda _: None)
        with pytest.raises(Killed):
            resume("--episodes", "6")
    resume()
    found = summary(folder.root)
    if found["episodes"] == 3:
        resume("--episodes", "6")
        found = summary(folder.root)
    whole = simulate_here(tmp_path / "whole", "exchange-quick", "--episodes", "6", *TINY)
    figures = ("complete", "episodes", "curve_digest", "weights_digest", "rounds", "shares_sent", "shares_heard")
    assert {name: found[name] for name in figures} == {name: whole[name] for name in figures}


def test_whoever_was_killed_before_the_store_was_whole_goes_on_with_the_document(folder):
    write_document(folder, scenario())
    folder.store.touch()
    assert read_document(folder) == scenario()
    begin(folder, scenario())
    assert read_document(folder) == scenario()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("finished") / "run"
    simulate_here(root, "exchange-quick", "--episodes", "1", *TINY, "--set", FAULTS)
    return root


def harm(path, how):
    text = path.read_text()
    if how == "cut":  # before the last fault: a valid document
        path.write_text(text[: text.rindex("[[faults]]")])
    elif how == "no text":
        path.write_bytes(b"\xff\xfe" + text.encode())
    else:
        path.write_text(text.replace('scheme = "ipc"', 'scheme = "tcp"'))


@pytest.mark.parametrize("how", ["cut", "changed", "no text"])
@pytest.mark.parametrize(
    ("words", "more"),
    [
        (("report",), ()),
        (("export", "--format", "csv"), ()),
        (("fault", "list"), ()),
        (("resume",), ()),
        (("resume",), ("--episodes", "9")),
    ],
    ids=lambda words: "-".join(words).replace("--", ""),
)
def test_no_command_takes_a_cut_or_changed_document_for_the_runs(
    finished, tmp_path, monkeypatch, capsys, words, more, how
):
    root = shutil.copytree(finished, tmp_path / "run")
    harm(root / "scenario.toml", how)
    monkeypatch.setattr(sys, "argv", ["foretell", *words, str(root), *more])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("foretell: cannot read the run" if how == "no text" else f"foretell: the run in {root} was")
    assert said.count("\n") == 1


@pytest.mark.processes
def test_a_resume_that_may_write_nothing_changes_nothing_of_the_document(finished, tmp_path):
    root = shutil.copytree(finished, tmp_path / "run")
    (root / "summary.json").unlink()
    before = (root / "scenario.toml").read_bytes()
    with files_of_at_most(1024):
        done = foretell_afresh("resume", str(root))
    assert done.returncode != 0
    assert (root / "scenario.toml").read_bytes() == before


def test_a_run_has_a_name_of_its_own_from_its_beginning_on(folder, tmp_path):
    begin(folder, scenario())
    name = run_name(folder.root)
    begin(folder, scenario(episodes=5000))
    assert run_name(folder.root) == name
    other = RunFolder(tmp_path / "other")
    other.root.mkdir()
    begin(other, scenario())
    assert run_name(other.root) != name
    assert re.fullmatch(r"exchange-quick-[a-z2-7]{8}", name)
