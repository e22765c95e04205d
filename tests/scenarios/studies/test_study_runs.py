"""Studies as a user meets them: real processes, interrupted, gone on with, refused, failed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from batches import finished, foretell_forking, forking_crew, stop_in_the_middle_of_a_cell
from file_sizes import files_of_at_most
from runs import children_of, command, foretell, start, until

from broker.arithmetic.version import ARITHMETIC
from broker.errors import ForetellError, UserError
from scenarios.commands.command_line import FORETELL
from scenarios.commands.experiments.listing import list_cells
from scenarios.results.folder import held, is_held
from scenarios.results.reader import read_store
from scenarios.running.batch.begun import Begun, begun
from scenarios.running.batch.cell import Cell, Group
from scenarios.running.batch.crew import LocalCrew
from scenarios.running.batch.folder import Folder
from scenarios.running.batch.outcomes import Outcomes
from scenarios.running.batch.runner import Runner, recorded, resolved
from scenarios.running.procfs import is_alive, writers_of
from scenarios.studies.search import write_search

pytestmark = pytest.mark.processes

FIG1 = (
    *("study", "fig1", "--quick", "--task", "exchange", "--seeds", "1"),
    *("--algorithm", "anticipation-sharing", "--algorithm", "independent"),
    *("--set", "parallel_episodes=2", "--set", "learning.hidden=[8]", "--set", "environment.steps=5"),
)
MADE = ("fig1.png", "fig1.md", "fig1.json")


def study_here(monkeypatch, *words: str) -> int:
    """The exit code of a study in this process."""
    from scenarios.commands.main import main

    monkeypatch.setattr("sys.argv", ["foretell", *words])
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    out = tmp_path_factory.mktemp("studies") / "whole"
    result = foretell_forking(*FIG1, "--set", "episodes=80", "--jobs", "2", "--out", str(out))
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == [str(out / name) for name in (*MADE, "provenance.json")]
    return out


def test_an_interrupted_study_goes_on_and_gives_the_same_files_byte_for_byte(uninterrupted, tmp_path):
    out = tmp_path / "interrupted"
    arguments = (*FIG1, "--set", "episodes=80")
    code, stderr = stop_in_the_middle_of_a_cell(out, arguments, signal.SIGINT, done=1)
    assert (code, stderr.splitlines()[-1]) == (130, "foretell: interrupted")
    first = finished(out)
    assert len(first) == 1
    result = foretell_forking(*arguments, "--out", str(out))
    assert result.returncode == 0, result.stderr
    last = finished(out)
    assert len(last) == 2
    assert first.items() <= last.items()  # what was done was not run again
    for name in MADE:
        assert (out / name).read_bytes() == (uninterrupted / name).read_bytes(), name


@pytest.mark.parametrize(
    ("signal_number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_no_process_outlives_its_study_however_that_ends(signal_number, code, tmp_path):
    children = {}
    with start(*FIG1, "--set", "episodes=1000000", "--jobs", "1", "--out", str(tmp_path)) as process:
        until(lambda: list(tmp_path.glob("runs/*/run.sqlite")), "the first run")
        children = children_of(process.pid)
        assert children
        os.kill(process.pid, signal_number)
        _, stderr = process.communicate()
    try:
        assert process.returncode == code
        assert "Traceback" not in stderr
        until(lambda: not any(is_alive(child) for child in children), "the end of the cells' processes")
    finally:
        for child in filter(is_alive, children):
            os.kill(child, signal.SIGKILL)


def test_the_files_of_a_study_are_a_picture_a_page_numbers_and_where_they_are_from(uninterrupted):
    assert (uninterrupted / "fig1.png").read_bytes().startswith(b"\x89PNG")
    numbers = json.loads((uninterrupted / "fig1.json").read_text())
    assert [len(group["runs"]) for group in numbers["groups"]] == [1, 1]
    for group in numbers["groups"]:
        for run in group["runs"]:
            summary = json.loads((uninterrupted / "runs" / run["id"] / "summary.json").read_text())
            assert run["final"] == pytest.approx(summary["team_return_last"])
            assert (run["curve_digest"], run["edge_bytes"]) == (summary["curve_digest"], summary["edge_bytes"])
    provenance = json.loads((uninterrupted / "provenance.json").read_text())
    assert set(provenance["hours"]["cells"]) == {run["id"] for group in numbers["groups"] for run in group["runs"]}
    page = (uninterrupted / "fig1.md").read_text()
    assert str(uninterrupted) not in page
    assert "samples uint8" in page


def test_a_study_that_is_done_only_writes_its_files_again_and_other_settings_are_refused(uninterrupted):
    before, page = finished(uninterrupted), (uninterrupted / "fig1.md").read_bytes()
    again = foretell(*FIG1, "--set", "episodes=80", "--out", str(uninterrupted))
    assert (again.returncode, finished(uninterrupted)) == (0, before)
    assert (uninterrupted / "fig1.md").read_bytes() == page
    other = foretell(*FIG1, "--set", "episodes=81", "--out", str(uninterrupted))
    assert other.returncode == 2
    [said] = [line for line in other.stderr.splitlines() if line.startswith("foretell: ")]
    assert said.startswith("foretell: cell exchange--anticipation-sharing--seed1 was run with other settings before")
    assert "(episodes: 80 then, 81 now), and 1 more cell was run otherwise, too: results would be mixed" in said
    assert said.endswith(
        f"or remove {uninterrupted}/outcomes and {uninterrupted}/runs. `--list` says how each of them is removed"
    )
    assert finished(uninterrupted) == before


def test_cells_of_another_arithmetic_are_refused(uninterrupted, tmp_path):
    study = tmp_path / "study"
    shutil.copytree(uninterrupted, study)
    shutil.rmtree(study / "outcomes")
    run = study / "runs" / "exchange--anticipation-sharing--seed1"
    with closing(sqlite3.connect(run / "run.sqlite")) as database, database:
        database.execute("UPDATE document SET arithmetic = arithmetic + 1")
    again = foretell(*FIG1, "--set", "episodes=80", "--out", str(study))
    assert again.returncode == 2
    assert f"was run with arithmetic {ARITHMETIC + 1}" in again.stderr.replace("\n", " ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fig1", "--task", "chess"], "--task chess: fig1 has exchange, navigation, predation-6, "),
        (["fig1", "--algorithm", "magic"], "--algorithm magic: fig1 has anticipation-sharing, "),
        (["fig4", "--set", "learning.wat=1"], "cell exchange--rho0.3--anticipation-sharing--seed1: learning.wat: "),
        (["fig4", "--set", "rho"], "--set expects path=value"),
        (
            ["fig4", "--set", "algorithm.anticipation_sharing.rho=1"],
            "--set algorithm.anticipation_sharing.rho: the study",
        ),
        (
            ["fig4", "--set", "algorithm.anticipation_sharing={rho=1}"],
            "--set algorithm.anticipation_sharing: the study",
        ),
        (["fig1", "--set", "algorithm.name=independent"], "--set algorithm.name: the study sets algorithm.name itself"),
        (["fig1", "--set", "algorithm={name='independent'}"], "--set algorithm: the study sets algorithm.name itself"),
        (["fig1", "--set", "seed=3"], "--set seed: the study sets seed itself"),
        (["fig3", "--set", "topology.distance=3"], "--set topology.distance: the study sets topology itself"),
        (["loss", "--set", "faults.0.probability=1"], "--set faults.0.probability: the study sets faults itself"),
        (
            ["search", "--set", "parallel_episodes=8"],
            "--set parallel_episodes: the study sets parallel_episodes itself",
        ),
        (["search", "--set", "episodes=8"], "--set episodes: the study sets episodes itself"),
        (["fig5", "--quick", "--tuned", "x.toml"], "--tuned belongs to fig1, and to fig5 at full size"),
        (["fig1", "--quick", "--tuned", "x.toml"], "cannot read x.toml: No such file or directory"),
        (["fig1", "--instances", "3"], "--instances belongs to theory"),
        (["theory", "--seeds", "3"], "--seeds belongs to studies that run scenarios"),
        (["theory", "--so-far"], "--so-far belongs to studies whose runs are known before, not to search or theory"),
        (
            ["fig1", "--quick", "--task", "exchange", "--set", "environment.food_reward=1"],
            "fig1 compares normalized returns: expected references of every task, found none that are the same in ",
        ),
        (["fig5", "--so-far"], "no run of fig5 is done in studies/fig5: run it first"),
        (["search", "--list"], "--list belongs to studies whose runs are known before, not to search or theory"),
        (["search", "--task", "chess"], "--task chess: search has exchange, navigation, predation-6"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_sentence_and_nothing_is_made(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["foretell", "study", *arguments])
    from scenarios.commands.main import main

    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    stderr = capsys.readouterr().err
    assert stderr.startswith(f"foretell: {said}")
    assert stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_study_of_the_theorems_without_matplotlib_names_the_extra_that_brings_it(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    for module in ("scenarios.studies.theory.study", "scenarios.studies.theory.picture"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert study_here(monkeypatch, "study", "theory", "--instances", "1") == 2
    needs = "this needs matplotlib, which is not installed: pip install 'foretell[lab]'"
    assert capsys.readouterr().err == f"foretell: {needs}\n"
    assert list(tmp_path.iterdir()) == []


def tiny_cell(name, *settings, algorithm="independent"):
    small = (("episodes", "2"), ("parallel_episodes", "2"), ("learning.hidden", "[8]"), ("environment.steps", "5"))
    return Cell(Group(name, "", algorithm), 1, "exchange-quick", (*small, ("algorithm.name", algorithm), *settings))


def test_a_failed_cell_is_named_with_its_log_and_the_others_are_run(tmp_path):
    deaf = ("faults", '[{kind="drop", probability=1.0, messages=["timestep"], destination="agent-1"}]')
    folder, seen = Folder(tmp_path), []
    with folder.held(), pytest.raises(ForetellError) as failed:
        Runner(LocalCrew(FORETELL), folder, 2, Outcomes(folder), show=seen.append, interrupted=lambda: False).run(
            [tiny_cell("bad", deaf), tiny_cell("good")]
        )
    assert not isinstance(failed.value, UserError)  # exit 3
    log = folder.log(tiny_cell("bad"))
    assert str(failed.value) == f"cell bad--independent--seed1 failed with exit code 3. Its log: {log}"
    assert "waits for the action" in log.read_text()
    assert set(finished(tmp_path)) == {"good--independent--seed1"}
    assert (seen[-1].done, seen[-1].cells) == (1, 2)


def test_outcomes_and_documents_are_enough_to_make_all_files_again(uninterrupted, tmp_path, monkeypatch, capsys):
    for part in ("outcomes", "documents"):
        shutil.copytree(uninterrupted / part, tmp_path / part)
    assert study_here(monkeypatch, *FIG1, "--set", "episodes=80", "--out", str(tmp_path)) == 0
    for name in (*MADE, "provenance.json"):
        assert (tmp_path / name).read_bytes() == (uninterrupted / name).read_bytes(), name
    assert not list((tmp_path / "runs").iterdir())
    assert study_here(monkeypatch, *FIG1, "--set", "episodes=81", "--out", str(tmp_path)) == 2
    said = capsys.readouterr().err
    assert "other settings before (episodes: 80 then, 81 now), and 1 more cell was run otherwise, too: results" in said
    assert f"or remove {tmp_path}/outcomes." in said


def test_an_outcome_that_cannot_be_read_is_named_and_one_of_another_arithmetic_is_refused(
    uninterrupted, tmp_path, monkeypatch, capsys
):
    for part in ("outcomes", "documents"):
        shutil.copytree(uninterrupted / part, tmp_path / part)
    kept = tmp_path / "outcomes" / "exchange--anticipation-sharing--seed1.json"
    whole = kept.read_bytes()
    kept.write_bytes(whole[:100])
    assert study_here(monkeypatch, *FIG1, "--set", "episodes=80", "--out", str(tmp_path)) == 2
    assert f"cannot read {kept}, the outcome of cell exchange--anticipation-sharing--seed1" in capsys.readouterr().err
    kept.write_bytes(whole.replace(b'"arithmetic":', b'"arithmetic":9'))
    assert study_here(monkeypatch, *FIG1, "--set", "episodes=80", "--out", str(tmp_path)) == 2
    assert "and this Foretell computes with" in capsys.readouterr().err


def test_a_cell_whose_run_is_discarded_leaves_its_outcome(tmp_path):
    folder, cell = Folder(tmp_path), tiny_cell("good")
    keeping = Outcomes(folder, discard_runs=True)
    with folder.held():
        Runner(forking_crew(), folder, 1, keeping, show=lambda _: None, interrupted=lambda: False).run([cell])
    assert not folder.run(cell).root.exists()
    assert keeping.is_done(cell, resolved(cell))
    assert keeping.of(cell).episodes == resolved(cell).episodes


def test_runs_that_are_done_already_are_discarded_too_but_for_those_on_which_somebody_works(tmp_path):
    folder, cells = Folder(tmp_path), [tiny_cell("one"), tiny_cell("two")]
    with folder.held():
        run_with(forking_crew(), folder, *cells)
        run_with(Idle(), folder, *cells)
        assert all(folder.run(cell).root.exists() for cell in cells)
        shutil.rmtree(folder.run(cells[0]).logs)  # a process that was killed while it removed the run
        with held(folder.run(cells[1])):
            run_with(Idle(), folder, *cells, keeping=Outcomes(folder, discard_runs=True))
        assert [folder.run(cell).root.exists() for cell in cells] == [False, True]
        run_with(Idle(), folder, *cells, keeping=Outcomes(folder, discard_runs=True))
    assert list((tmp_path / "runs").iterdir()) == []
    assert all(Outcomes(folder).is_done(cell, resolved(cell)) for cell in cells)


def test_a_study_lists_its_runs_and_makes_nothing(uninterrupted, tmp_path, monkeypatch, capsys):
    arguments = (*FIG1, "--set", "episodes=80", "--list")
    assert study_here(monkeypatch, *arguments, "--out", str(tmp_path / "new")) == 0
    *lines, total = capsys.readouterr().out.splitlines()
    assert total == f"2 runs: 0 done, 2 to run with 160 episodes, in {tmp_path / 'new'}"
    assert lines[0].startswith("to run  exchange--anticipation-sharing--seed1   foretell simulate exchange-quick")
    assert list(tmp_path.iterdir()) == []
    assert study_here(monkeypatch, *arguments, "--out", str(uninterrupted)) == 0
    assert "2 runs: 2 done, 0 to run with 0 episodes, in" in capsys.readouterr().out


@pytest.mark.parametrize("size", [0, 3000, 30_000])
def test_a_study_that_finds_no_room_for_its_files_names_the_one_and_leaves_what_was_there(
    size, uninterrupted, tmp_path, monkeypatch, capsys
):
    for part in ("outcomes", "documents"):
        shutil.copytree(uninterrupted / part, tmp_path / part)
    for name in (*MADE, "provenance.json"):
        (tmp_path / name).write_text("before")
    with files_of_at_most(size):
        assert study_here(monkeypatch, *FIG1, "--set", "episodes=80", "--out", str(tmp_path), "--so-far") == 2
    said = (
        f"foretell: cannot write {tmp_path / 'fig1.png'}: File too large. The runs are done: the same command writes it"
    )
    assert capsys.readouterr().err.splitlines()[-1] == said
    assert {(tmp_path / name).read_text() for name in (*MADE, "provenance.json")} == {"before"}


@pytest.mark.parametrize("hindered", ["search.md", "tuned.toml", "search.json", "provenance.json"])
def test_a_search_writes_each_of_its_files_whole_or_names_it(hindered, tmp_path, monkeypatch):
    monkeypatch.setattr("scenarios.studies.search.provenance", lambda *_: "{}")
    (tmp_path / f"{hindered}.new").mkdir()
    with pytest.raises(UserError, match=rf"^cannot write .*{hindered}\.new: Is a directory\. The runs are done: the"):
        write_search(Folder(tmp_path), [], [], 1, "foretell study search")
    assert not (tmp_path / hindered).exists()


def test_what_is_done_of_a_study_is_written_at_any_time_and_says_how_much_it_is(uninterrupted, tmp_path, monkeypatch):
    for part in ("outcomes", "documents"):
        shutil.copytree(uninterrupted / part, tmp_path / part)
    words = (*FIG1, "--set", "episodes=80", "--out", str(tmp_path), "--so-far")
    assert study_here(monkeypatch, *words) == 0
    for name in MADE:
        assert (tmp_path / name).read_bytes() == (uninterrupted / name).read_bytes(), name
    (tmp_path / "outcomes" / "exchange--independent--seed1.json").unlink()
    assert study_here(monkeypatch, *words) == 0
    text = (tmp_path / "fig1.md").read_text()
    assert "**1 of 2 runs are done; this is what they show so far.**" in text
    assert "--so-far\n```" in text
    assert not (tmp_path / "runs").exists()


def test_a_run_begun_is_listed_with_what_is_left_of_it(half_a_cell, capsys):
    there = recorded(half_a_cell, LONG)
    list_cells(half_a_cell, [LONG], [resolved(LONG)])
    line, total = capsys.readouterr().out.splitlines()
    assert line.startswith("begun   long--anticipation-sharing--seed1 ")
    assert total == f"1 run: 0 done, 1 to run with {400 - there} episodes, 1 of them begun, in {half_a_cell.root}"


def run_until(folder, cell, episode):
    """Run a cell, and interrupt it once it has recorded an episode."""
    runner = Runner(
        forking_crew(),
        folder,
        1,
        Outcomes(folder),
        show=lambda _: None,
        interrupted=lambda: recorded(folder, cell) > episode,
    )
    runner.run([cell])


LONG = tiny_cell("long", ("episodes", "400"), ("recovery.checkpoint_every", "5"), algorithm="anticipation-sharing")


@pytest.fixture(scope="module")
def long_cell(tmp_path_factory):
    """What is kept of a cell that nobody interrupted."""
    folder = Folder(tmp_path_factory.mktemp("long"))
    with folder.held():
        run_until(folder, LONG, 1000)
    return Outcomes(folder).of(LONG)


@pytest.fixture
def half_a_cell(tmp_path):
    folder = Folder(tmp_path)
    with folder.held():
        with pytest.raises(KeyboardInterrupt):
            run_until(folder, LONG, 20)
        until(lambda: not is_held(folder.run(LONG)), "the end of the killed process")
        assert begun(folder, LONG, resolved(LONG)) is Begun.PART
        yield folder


def what_it_cost(kept):
    return {name: getattr(kept, name) for name in ("wall_s", "processor_s", "ended")}


def test_a_cell_under_way_goes_on_from_its_last_checkpoint_and_gives_the_same_outcome(half_a_cell, long_cell):
    run_until(half_a_cell, LONG, 1000)
    kept = Outcomes(half_a_cell).of(LONG)
    assert msgspec.structs.replace(kept, **what_it_cost(long_cell)) == long_cell
    with read_store(half_a_cell.run(LONG).store) as store:
        first, second = store.lives()
    assert (first.after_episode, second.after_episode >= 10) == (-1, True)
    assert kept.processor_s == first.processor_s + second.processor_s
    assert min(first.processor_s, second.processor_s) > 0


@pytest.mark.parametrize("part", ["scenario", "store"])
def test_a_cell_whose_run_is_of_no_use_is_begun_anew(part, half_a_cell, long_cell):
    getattr(half_a_cell.run(LONG), part).write_text("neither a document nor a store" * 1000)
    for log in half_a_cell.run(LONG).root.glob("run.sqlite-*"):
        log.unlink()
    run_until(half_a_cell, LONG, 1000)
    assert msgspec.structs.replace(Outcomes(half_a_cell).of(LONG), **what_it_cost(long_cell)) == long_cell
    with read_store(half_a_cell.run(LONG).store) as store:
        assert [life.after_episode for life in store.lives()] == [-1]


def test_a_run_that_goes_on_stays_where_its_process_cannot_start_and_the_log_says_why(half_a_cell, long_cell):
    run, log, there = half_a_cell.run(LONG), half_a_cell.log(LONG), recorded(half_a_cell, LONG)
    said = log.read_bytes()
    shutil.rmtree(run.logs)
    run.logs.write_text("in the way")
    for _ in range(2):
        with pytest.raises(ForetellError, match=r"^cell long--.* failed with exit code 2\. Its log: "):
            run_until(half_a_cell, LONG, 1000)
        assert recorded(half_a_cell, LONG) == there
    assert log.read_bytes().startswith(said)
    assert log.read_text().count(f"foretell: cannot write {run.logs}") == 2
    run.logs.unlink()
    run.logs.mkdir()
    run_until(half_a_cell, LONG, 1000)
    assert msgspec.structs.replace(Outcomes(half_a_cell).of(LONG), **what_it_cost(long_cell)) == long_cell
    with read_store(run.store) as store:
        assert [life.after_episode >= 10 for life in store.lives()] == [False, True]


def age(run):
    with closing(sqlite3.connect(run.store)) as database:
        database.execute("PRAGMA user_version = 1")


def change_document(run):
    run.scenario.write_text(run.scenario.read_text().replace("seed = 1", "seed = 2"))


def hide_store(run):
    run.store.rename(run.root / "aside")
    run.store.mkdir()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (age, "is a store of version 1"),
        (change_document, "was begun with another document"),
        (hide_store, "expected a file"),
    ],
)
def test_a_run_that_cannot_be_read_now_or_here_is_named_and_left_alone(change, said, half_a_cell):
    change(half_a_cell.run(LONG))
    before = files_in(half_a_cell.root)
    with pytest.raises(UserError, match=f"^cell long--anticipation-sharing--seed1: .*{said}"):
        run_with(Idle(), half_a_cell, LONG)
    assert files_in(half_a_cell.root) == before


@pytest.mark.parametrize("part", ["document", "log"])
def test_a_run_of_no_use_stays_until_what_another_one_needs_can_be_written(part, half_a_cell):
    half_a_cell.run(LONG).scenario.write_text("no document")
    hindered = getattr(half_a_cell, part)(LONG)
    if part == "document":
        hindered.with_suffix(".toml.new").mkdir()
    else:
        hindered.unlink()
        hindered.mkdir()
    before = files_in(half_a_cell.run(LONG).root)
    with pytest.raises(UserError, match=r"^cannot begin cell long--anticipation-sharing--seed1: "):
        run_until(half_a_cell, LONG, 1000)
    assert files_in(half_a_cell.run(LONG).root) == before


def test_a_cell_whose_process_dies_after_it_has_gone_on_is_not_begun_anew(half_a_cell):
    def kill(_):
        if recorded(half_a_cell, LONG) > 60:
            for process in writers_of(half_a_cell.log(LONG)):
                os.kill(process, signal.SIGKILL)

    runner = Runner(forking_crew(), half_a_cell, 1, Outcomes(half_a_cell), show=kill, interrupted=lambda: False)
    with pytest.raises(ForetellError, match="failed with"):
        runner.run([LONG])
    assert recorded(half_a_cell, LONG) > 60
    assert begun(half_a_cell, LONG, resolved(LONG)) is Begun.PART


class Idle:
    """A crew that must not be asked to run anything."""

    def start(self, cell, *_, **__):
        pytest.fail(f"{cell.id} is run again")

    def reap(self):
        return {}

    def end(self):
        pass


class Ended(Idle):
    """A crew whose processes end at once, with these exit codes."""

    def __init__(self, codes):
        self.codes, self.started = codes, {}

    def start(self, cell, *_, **__):
        self.started[cell] = self.codes[cell]

    def reap(self):
        ended, self.started = self.started, {}
        return ended


def run_with(crew, folder, *cells, keeping=None):
    kept = keeping or Outcomes(folder)
    Runner(crew, folder, len(cells), kept, show=lambda _: None, interrupted=lambda: False).run(cells)


def files_in(root):
    """All files but those that whoever reads a store makes beside it."""
    files = (path for path in root.rglob("*") if path.is_file() and not path.name.endswith("-shm"))
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


DROPS = ("faults", '[{kind="drop", probability=1.0, messages=["share"]}]')
LOSSY = tiny_cell("lossy", DROPS, algorithm="value-sharing")


def hinder_outcome(folder, cell):
    """Put something in its way."""
    found = folder.outcome(cell).with_suffix(".json.new")
    found.mkdir()
    return found


@pytest.fixture
def whole_runs(tmp_path):
    """Two whole runs without outcomes."""
    folder = Folder(tmp_path)
    with folder.held():
        run_with(forking_crew(), folder, LOSSY, tiny_cell("good"))
        for cell in (LOSSY, tiny_cell("good")):
            folder.outcome(cell).unlink()
        yield folder


def test_a_whole_run_without_an_outcome_is_proven_and_gets_the_same_one_without_being_run_again(long_cell, tmp_path):
    folder = Folder(tmp_path)
    with folder.held():
        run_until(folder, LONG, 1000)
        kept = folder.outcome(LONG).read_bytes()
        folder.outcome(LONG).unlink()
        before = files_in(folder.run(LONG).root)
        assert not Outcomes(folder).is_done(LONG, resolved(LONG))
        run_with(Idle(), folder, LONG)
    assert folder.outcome(LONG).read_bytes() == kept
    assert files_in(folder.run(LONG).root) == before
    with read_store(folder.run(LONG).store) as store:
        assert [life.after_episode for life in store.lives()] == [-1]
    assert msgspec.structs.replace(Outcomes(folder).of(LONG), **what_it_cost(long_cell)) == long_cell


def test_a_whole_run_whose_faults_are_not_those_asked_for_stays_failed_and_is_kept_as_it_is(whole_runs, capsys):
    run, good = whole_runs.run(LOSSY), tiny_cell("good")
    with closing(sqlite3.connect(run.store)) as database, database:
        database.execute("UPDATE fault_counts SET hits = 0")
    before = files_in(run.root)
    list_cells(whole_runs, [LOSSY, good], [resolved(LOSSY), resolved(good)])
    first, second, total = capsys.readouterr().out.splitlines()
    assert (first.split()[0], second.split()[0]) == ("failed", "done")
    assert total == f"2 runs: 1 done, 1 failed, 0 to run with 0 episodes, in {whole_runs.root}"
    with pytest.raises(ForetellError) as failed:
        run_with(Idle(), whole_runs, LOSSY, good)
    assert not isinstance(failed.value, UserError)
    assert str(failed.value).startswith("cell lossy--value-sharing--seed1: fault drop: struck 0 of ")
    assert str(failed.value).endswith(f". Once {run.root} is removed, it is run again")
    assert files_in(run.root) == before
    assert Outcomes(whole_runs).is_done(good, resolved(good))
    assert not whole_runs.outcome(LOSSY).exists()


def test_an_outcome_that_cannot_be_kept_costs_no_other_cell_and_no_run(whole_runs):
    good = tiny_cell("good")
    hindered, others = hinder_outcome(whole_runs, LOSSY), (tiny_cell("bad"), good)
    before = files_in(whole_runs.run(LOSSY).root)
    crew = Ended({tiny_cell("bad"): 3})
    with pytest.raises(ForetellError) as failed:
        run_with(crew, whole_runs, LOSSY, *others)
    log = whole_runs.log(tiny_cell("bad"))
    said = f"2 of 3 cells failed. The first: cell bad--independent--seed1 failed with exit code 3. Its log: {log}"
    assert str(failed.value) == said
    assert Outcomes(whole_runs).is_done(good, resolved(good))
    with pytest.raises(UserError, match=r"^cannot keep the outcome of cell lossy--value-sharing--seed1: Is a dire"):
        run_with(Idle(), whole_runs, LOSSY, good)
    hindered.rmdir()
    run_with(Idle(), whole_runs, LOSSY, good)
    assert files_in(whole_runs.run(LOSSY).root) == before


def test_exit_codes_of_cells_that_ended_together_are_all_told(whole_runs):
    good, bad = tiny_cell("good"), tiny_cell("bad")
    shutil.copytree(whole_runs.run(good).root, whole_runs.root / "aside")
    hinder_outcome(whole_runs, good)

    class Together(Ended):
        def start(self, cell, *_, **__):
            super().start(cell)
            if cell == good:
                shutil.copytree(whole_runs.root / "aside", whole_runs.run(good).root)

    shutil.rmtree(whole_runs.run(good).root)
    with pytest.raises(ForetellError, match=r"^2 of 2 cells failed\. The first: cell bad--.* failed with exit code 5"):
        run_with(Together({good: 0, bad: 5}), whole_runs, good, bad)


@pytest.mark.parametrize(
    ("column", "said"), [("episodes", "(episodes: 401 then, 400 now)"), ("arithmetic", "was run with arithmetic")]
)
def test_half_a_run_of_other_length_or_arithmetic_is_refused_and_left_alone(half_a_cell, column, said):
    with closing(sqlite3.connect(half_a_cell.run(LONG).store)) as database, database:
        database.execute(f"UPDATE document SET {column} = {column} + 1")
    with pytest.raises(UserError, match=re.escape(said)):
        run_until(half_a_cell, LONG, 1000)
    assert recorded(half_a_cell, LONG) > 20


def test_half_a_run_on_which_somebody_works_is_left_alone(half_a_cell):
    with held(half_a_cell.run(LONG)), pytest.raises(UserError, match="another process works on"):
        run_until(half_a_cell, LONG, 1000)
    assert recorded(half_a_cell, LONG) > 20


def test_half_a_run_with_faults_is_begun_anew_for_some_of_them_look_at_what_was_before(half_a_cell):
    lossy = (*LONG.settings, ("faults", '[{kind="drop", probability=0.1, messages=["share"]}]'))
    wanted = resolved(replace(LONG, settings=lossy))
    half_a_cell.document(LONG).write_text(wanted.to_toml())
    assert begun(half_a_cell, LONG, wanted) is Begun.NOTHING


def test_a_folder_with_files_of_the_users_own_is_refused_and_left_alone(tmp_path):
    (tmp_path / "fig1.md").write_text("mine")
    (tmp_path / "runs").mkdir()
    with (
        pytest.raises(UserError, match=r"found .* with .fig1\.md. in it\."),
        Folder(tmp_path).held(),
    ):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {"fig1.md", "runs"}


MINE = {"main.py": "mine", "s1.md": "mine", "documents/letter.txt": "mine", "documents/task--seed1.toml": "seed = 1"}


@pytest.mark.parametrize("added", [{}, {".lock": ""}, {".lock": "12345"}, {"outcomes/a--seed1.json": "{}"}])
def test_a_folder_that_merely_looks_like_that_of_a_study_is_refused_and_left_alone(added, tmp_path):
    for name, content in (MINE | added).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    before = files_in(tmp_path)
    with pytest.raises(UserError, match=r"^expected a new or empty folder, or one that a "), Folder(tmp_path).held():
        pass
    assert files_in(tmp_path) == before


@pytest.mark.parametrize("left", [("documents", "outcomes"), ("documents",), ("outcomes",)])
def test_results_that_were_handed_on_without_a_lock_are_known_by_a_cell(left, tmp_path):
    results = Path(__file__).parents[3] / "docs" / "results" / "fig1-full"
    for part in left:
        shutil.copytree(results / part, tmp_path / part)
    shutil.copy(results / "fig1.md", tmp_path)
    with Folder(tmp_path).held():
        pass


class Killed(BaseException):
    pass


class Dying:
    """Lets so many steps of a process be done, and no more."""

    def __init__(self, steps):
        self.left = steps

    def at(self, whole):
        def step(*words, **settings):
            if not self.left:
                raise Killed
            self.left -= 1
            return whole(*words, **settings)

        return step


@pytest.mark.parametrize("steps", range(8))
def test_a_folder_whose_making_was_killed_at_any_moment_is_taken(steps, tmp_path, monkeypatch):
    dying = Dying(steps)
    with monkeypatch.context() as patch:
        for name in ("mkdir", "write_bytes"):
            patch.setattr(Path, name, dying.at(getattr(Path, name)))
        with suppress(Killed), Folder(tmp_path / "out").held():
            pass
    with Folder(tmp_path / "out").held():
        made = {path.name for path in (tmp_path / "out").iterdir()}
    assert made == {".lock", "runs", "logs", "documents", "outcomes"}


@pytest.mark.parametrize("parts", [("runs",), ("runs", "logs"), ("runs", "logs", "documents", "outcomes")])
@pytest.mark.parametrize("lock", [True, False])
@pytest.mark.parametrize("half", [True, False])
def test_a_folder_whose_making_an_older_version_did_not_end_is_taken(parts, lock, half, tmp_path):
    for part in parts:
        (tmp_path / part).mkdir()
    if lock:
        (tmp_path / ".lock").touch()
    if half and "documents" in parts:
        (tmp_path / "documents" / "task--independent--seed1.toml.new").write_text("see")
    with Folder(tmp_path).held():
        pass


def test_a_search_does_not_write_over_settings_of_the_users_own(tmp_path, monkeypatch, capsys):
    (tmp_path / "tuned.toml").write_text("mine")
    assert study_here(monkeypatch, "study", "search", "--quick", "--out", str(tmp_path)) == 2
    assert f"found {tmp_path} with 'tuned.toml' in it" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["tuned.toml"]


def test_what_a_sweep_leaves_may_lie_beside_its_document(tmp_path):
    (tmp_path / "compare.toml").write_text("mine")
    for _ in range(2):
        with Folder(tmp_path).held():
            pass
    assert (tmp_path / "compare.toml").read_text() == "mine"


def test_two_studies_never_work_in_one_folder(tmp_path):
    with Folder(tmp_path).held(), pytest.raises(UserError, match="another process works in"), Folder(tmp_path).held():
        pass


def test_help_does_not_load_what_only_studies_need():
    heavy = "'torch','scipy','matplotlib','rich','numpy'"
    code = f"import sys, scenarios.commands.main; print(sorted({{{heavy}}} & set(sys.modules)))"
    result = subprocess.run([command()[0], "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
