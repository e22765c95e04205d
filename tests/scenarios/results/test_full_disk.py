"""A disk without room: every command ends with exit code 2 and a sentence, and what was recorded stays readable."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from file_sizes import files_of_at_most
from runs import TINY, foretell_afresh, simulate_here

from broker.errors import UserError
from scenarios.commands.main import main
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.results.folder import RunFolder
from scenarios.results.observer import Observer
from scenarios.results.reader import read_store
from scenarios.results.sinks import scalars_log
from scenarios.results.sinks.scalars_log import ScalarsLog

RUN = ("exchange-quick", *TINY, "--set", "environment.steps=3", "--set", "learning.rounds=1")


@pytest.fixture
def ends(monkeypatch, capsys):
    """How a command ends, and what it says."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["foretell", *map(str, words)])
        with pytest.raises(SystemExit) as caught:
            main()
        return caught.value.code, capsys.readouterr().err

    return run


@pytest.mark.parametrize("size", [0, 10, 1000, 5000, 20_000, 90_000])
def test_a_simulation_that_finds_no_room_ends_in_a_sentence(ends, tmp_path, size):
    with files_of_at_most(size):
        code, said = ends(
            "simulate", *RUN, "--episodes", "2000", "--set", "parallel_episodes=1", "--out", tmp_path / "r"
        )
    assert code == 2
    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith("foretell: cannot "), said
    assert "the run's" in said or str(tmp_path / "r") in said


@pytest.mark.parametrize("size", [0, 10, 1000, 5000, 20_000])
def test_a_resume_that_finds_no_room_ends_in_a_sentence_and_can_be_repeated(ends, begun, tmp_path, size):
    root = shutil.copytree(begun, tmp_path / "run")
    with files_of_at_most(size):
        code, said = ends("resume", root)
    assert code == 2
    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith("foretell: cannot "), said
    with read_store(root / "run.sqlite") as store:
        assert store.count_episodes() == 2


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    root = tmp_path_factory.mktemp("begun") / "run"
    simulate_here(root, *RUN, "--episodes", "2")
    (root / "summary.json").unlink()
    return root


def is_open(path):
    return any(os.path.realpath(link) == str(path) for link in Path("/proc/self/fd").iterdir())


@pytest.mark.parametrize("where", ["tensorboard", "scenario.toml.new", "run.sqlite"])
def test_an_observer_that_cannot_begin_leaves_nothing_open(tmp_path, where):
    (tmp_path / where).mkdir() if where != "tensorboard" else (tmp_path / where).touch()
    plan = make_plan(load_scenario("exchange-quick", {"episodes": 1}))
    with pytest.raises(UserError, match=r"^cannot (write|read)"):
        Observer(plan, RunFolder(tmp_path), "simulate", lambda _: None)
    assert not is_open(tmp_path / "run.sqlite")


def test_curves_that_find_no_room_leave_no_file_open(tmp_path):
    with files_of_at_most(0), pytest.raises(UserError, match=r"^cannot write the run's curves to .*: File too large$"):
        ScalarsLog(tmp_path)
    (left,) = tmp_path.iterdir()
    assert not is_open(left)


def test_curves_are_written_after_a_while_and_read_by_tensorboard(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    now = [0.0]
    log = ScalarsLog(tmp_path, clock=lambda: now[0])
    log.add(0, {"return/team": 1.5, "loss/critic_loss": 0.25})
    (file,) = tmp_path.iterdir()
    before = file.stat().st_size
    now[0] = 100.0
    log.add(1, {"return/team": 2.5})
    assert file.stat().st_size > before
    log.forget_from(1)
    log.add(1, {"return/team": 3.5})
    log.flush()
    ScalarsLog(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [(each.step, each.value) for each in events.Scalars("return/team")] == [(0, 1.5), (1, 3.5)]
    assert scalars_log.__name__  # TensorBoard's own writer, a thread, is not used
    source = (Path(scalars_log.__file__).parents[3] / "scenarios").rglob("*.py")
    assert not [path for path in source if "event_file_writer" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("part", ["learning_curve.png", "summary.json.new"])
def test_results_that_cannot_be_written_at_the_end_are_a_sentence(ends, tmp_path, begun, part):
    root = shutil.copytree(begun, tmp_path / "run")
    (root / part).unlink(missing_ok=True)
    (root / part).mkdir()
    code, said = ends("resume", root, "--episodes", "3")
    assert code == 2
    assert said.splitlines()[-1].startswith("foretell: cannot write "), said


def test_a_journal_that_finds_no_room_is_a_sentence(ends, tmp_path):
    root = tmp_path / "run"
    simulate_here(root, *RUN, "--episodes", "1", "--set", "transport.journal=true")
    shutil.rmtree(root / "journal")
    (root / "journal").touch()
    code, said = ends("resume", root, "--episodes", "2")
    assert code == 2
    assert said.splitlines()[-1].startswith(f"foretell: cannot write the journal {root}/journal/"), said


@pytest.mark.processes
def test_a_run_without_a_place_for_temporary_files_is_a_sentence(tmp_path):
    nowhere = tmp_path / "nowhere"
    program = f"import tempfile; tempfile._candidate_tempdir_list = lambda: ['{nowhere}']\n"
    (tmp_path / "sitecustomize.py").write_text(program)
    done = foretell_afresh("run", *RUN, "--episodes", "1", "--out", str(tmp_path / "r"), PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    said = done.stderr.splitlines()[-1]
    assert said.startswith("foretell: cannot make a temporary file or folder: No usable"), done.stderr


@pytest.mark.processes
@pytest.mark.parametrize("transport", ["zeromq", "forwarder"])
def test_a_run_whose_logs_cannot_be_written_is_a_sentence(ends, tmp_path, transport):
    root = tmp_path / "run"
    for name in ("environment.log", "forwarder.log"):
        (root / "logs" / name).mkdir(parents=True)
    code, said = ends("run", *RUN, "--episodes", "1", "--transport", transport, "--out", root)
    assert code == 2
    assert said.splitlines()[-1].startswith(("foretell: cannot start ", "foretell: cannot write ")), said
