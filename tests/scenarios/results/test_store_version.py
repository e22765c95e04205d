"""A run whose store is of another version is refused by every command that opens it, before anything is done."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from contextlib import closing

import pytest
from runs import TINY, simulate_here

from scenarios.commands.experiments.study import Wish, make_choice, make_study
from scenarios.commands.main import main
from scenarios.results.folder import RunFolder
from scenarios.results.schema import VERSION
from scenarios.running.batch.folder import Folder
from scenarios.studies.cells import study_cells
from scenarios.trials.twin import twin_cells

DROP = 'faults=[{kind="drop",probability=0.5}]'


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("finished") / "run"
    simulate_here(root, "exchange-quick", "--episodes", "1", *TINY)
    return root


@pytest.fixture(params=[0, VERSION + 1], ids="version {}".format)
def version(request):
    return request.param


def copied(finished, root, version):
    """A copy of the run with a store of that version."""
    shutil.copytree(finished, root)
    with closing(sqlite3.connect(root / "run.sqlite")) as database:
        database.execute(f"PRAGMA user_version = {version}")
    return root


@pytest.fixture
def old(finished, tmp_path, version):
    return copied(finished, tmp_path / "old", version)


@pytest.fixture
def refused(version, monkeypatch, capsys):
    """Whether a command is refused for the version of that folder's store; nothing in the folder is changed."""

    def is_refused(root, *words, of=""):
        before = {path: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
        monkeypatch.setattr(sys, "argv", ["foretell", *map(str, words)])
        with pytest.raises(SystemExit) as caught:
            main()
        said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("foretell: ")]
        store = RunFolder(root).store
        assert {path: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()} == before
        sentence = (
            f"foretell: {of}{store} is a store of version {version}, and this Foretell reads version {VERSION}: "
            "use the Foretell that made it, or run its scenario again into another folder"
        )
        return caught.value.code == 2 and said == [sentence]

    return is_refused


@pytest.mark.parametrize(
    ("words", "more"),
    [
        (("report",), ()),
        (("export", "--format", "csv"), ()),
        (("ledger",), ()),
        (("why",), ()),
        (("fault", "list"), ()),
        (("fault", "add"), ("kind=drop", "probability=0.5")),
        (("fault", "heal"), ("all",)),
        (("run", "--resume"), ()),
        (("resume",), ("--episodes", "1000")),
    ],
    ids=lambda words: "-".join(words).replace("--", ""),
)
def test_a_command_that_opens_a_run_refuses_another_version(old, refused, words, more):
    assert refused(old, *words, old, *more)


def test_an_interrupted_run_of_another_version_is_not_gone_on_with(old, refused):
    (old / "summary.json").unlink()
    assert refused(old, "run", "--resume", old)


def test_a_run_of_another_version_is_refused_for_that_though_its_document_is_strange_too(old, refused):
    (old / "scenario.toml").write_text("of = 'another time'")
    assert refused(old, "run", "--resume", old)
    assert refused(old, "report", old)


def test_twins_of_another_version_are_not_mixed_with_new_ones(finished, tmp_path, version, refused):
    words = ("exchange-quick", "--seeds", "1", "--set", DROP)
    with Folder(tmp_path).held():
        pass
    for cell in twin_cells("exchange-quick", 1, [DROP])[-1:]:
        run = copied(finished, Folder(tmp_path).run(cell).root, version)
    assert refused(run, "twin", *words, "--out", tmp_path, of=f"cell {cell.id}: ")


def test_cells_of_a_study_of_another_version_are_not_mixed_with_new_ones(finished, tmp_path, version, refused):
    with Folder(tmp_path).held():
        pass
    wish = Wish("loss", quick=True, seeds=1, out=tmp_path)
    cell = study_cells(make_study("loss", make_choice(wish)), make_choice(wish))[-1]
    run = copied(finished, Folder(tmp_path).run(cell).root, version)
    assert refused(run, "study", "loss", "--quick", "--seeds", "1", "--out", tmp_path, of=f"cell {cell.id}: ")
