"""A run's folder: its number, and what is never overwritten."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from broker.errors import UserError
from scenarios.document.loading import load_scenario
from scenarios.results.folder import RunFolder, held, is_held, make_run_folder
from scenarios.results.store import Store


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(out):
    with pytest.raises(UserError) as caught:
        make_run_folder(out, "try", 1)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_runs_are_numbered_and_keep_seeds_apart():
    roots = [make_run_folder(None, "try", seed).root for seed in (1, 1, 2, 1)]
    assert [str(root) for root in roots] == [
        "runs/try-seed1-1",
        "runs/try-seed1-2",
        "runs/try-seed2-1",
        "runs/try-seed1-3",
    ]
    assert all((root / "logs").is_dir() for root in roots)


def test_the_first_number_that_nobody_has_is_taken():
    for number in (1, 2, 4):
        Path(f"runs/try-seed1-{number}").mkdir(parents=True)
    Path("runs/try-seed1-3").write_text("a file has the name too")
    assert make_run_folder(None, "try", 1).root == Path("runs/try-seed1-5")


def test_a_chosen_folder_is_made_with_its_parents():
    folder = make_run_folder(Path("deep/er/out"), "try", 1)
    assert folder == RunFolder(Path("deep/er/out"))
    assert Path("deep/er/out/logs").is_dir()


@pytest.mark.parametrize("out", [Path("out"), Path()], ids=["named", "the folder one is in"])
@pytest.mark.parametrize("file", ["scenario.toml", "notes.txt", ".gitignore"])
def test_a_folder_with_files_of_the_users_own_is_refused_and_left_alone(out, file):
    out.mkdir(exist_ok=True)
    (out / file).write_text("mine")
    assert refusal(out) == (
        f"expected a new or empty folder for the run, found {out} with {file!r} in it. Choose another --out."
    )
    assert {path.name: path.read_text() for path in out.iterdir()} == {file: "mine"}


def test_a_folder_that_is_empty_or_in_which_no_run_came_to_begin_is_taken():
    Path("out").mkdir()
    folder = make_run_folder(Path("out"), "try", 1)
    with held(folder):
        pass
    assert make_run_folder(Path("out"), "try", 1) == folder


def test_whoever_looks_whether_a_run_is_worked_on_lets_it_go_on(monkeypatch):
    """A look holds the lock for a moment, and may come just when it is taken."""
    folder = make_run_folder(Path("out"), "try", 1)
    folder.lock.touch()
    looking, flock, tries = folder.lock.open(), fcntl.flock, []
    flock(looking, fcntl.LOCK_SH)

    def tried(lock, how):
        tries.append(how)
        if len(tries) == 3:
            looking.close()
        flock(lock, how)

    monkeypatch.setattr(fcntl, "flock", tried)
    with held(folder):
        assert is_held(folder)


def left_by_a_beginning(folder, files):
    """What is there when a run is killed before it has begun, file after file."""
    for name in files:
        path = folder.root / name
        if name == "tables":
            Store(folder.store, ("agent-0",)).close()
        elif name.startswith("initial-policy"):
            path.mkdir()
            (path / "policy.json").write_text("of another run")
        else:
            path.write_text("" if name == "run.sqlite" else "of another run")


BEGINNING = ["hosts.json", "initial-policy", "scenario.toml", "run.sqlite", "tables"]


@pytest.mark.parametrize(
    "files",
    [
        ["hosts.json.new"],
        ["hosts.json", "initial-policy.new"],
        ["hosts.json", "initial-policy", "scenario.toml.new"],
        *(BEGINNING[:last] for last in range(1, len(BEGINNING) + 1)),
    ],
    ids="-".join,
)
def test_a_folder_in_which_a_run_was_killed_before_it_had_begun_is_taken_and_nothing_of_it_is_left(files):
    folder = make_run_folder(Path("out"), "try", 1)
    with held(folder):
        left_by_a_beginning(folder, files)
        assert refusal(Path("out")).startswith("another process works on out: ")
    assert make_run_folder(Path("out"), "try", 1) == folder
    assert sorted(path.name for path in folder.root.iterdir()) == ["lock", "logs"]


def test_a_folder_in_which_a_run_has_begun_is_not_taken_whatever_else_is_in_it():
    folder = make_run_folder(Path("out"), "try", 1)
    with held(folder):
        store = Store(folder.store, ("agent-0",))
        store.begin(load_scenario("exchange-quick"), "run")
        store.close()
    assert refusal(Path("out")) == "out holds a run already. Choose another --out, or remove it."
    assert folder.store.exists()


@pytest.mark.parametrize("lock", [None, "the user's"])
def test_files_that_are_called_as_those_of_a_run_stay_where_no_run_was_to_begin(lock):
    Path("out/logs").mkdir(parents=True)
    Path("out/scenario.toml").write_text("mine")
    if lock is not None:
        Path("out/lock").write_text(lock)
    assert refusal(Path("out")).startswith("expected a new or empty folder for the run, found out with 'scenario.toml'")
    assert Path("out/scenario.toml").read_text() == "mine"


@pytest.mark.parametrize("file", ["run.sqlite", "summary.json"])
def test_a_folder_that_holds_a_run_is_refused_and_left_alone(file):
    Path("out").mkdir()
    Path("out", file).write_text("precious")
    assert refusal(Path("out")) == "out holds a run already. Choose another --out, or remove it."
    assert [path.name for path in Path("out").iterdir()] == [file]
    assert Path("out", file).read_text() == "precious"


@pytest.mark.parametrize("out", ["file", "file/out", "out"])
def test_a_place_where_no_folder_can_be_is_one_sentence(out):
    Path("file").write_text("")
    Path("out").mkdir()
    Path("out/logs").write_text("")
    assert refusal(Path(out)).startswith(f"cannot make the run's folder {out}: ")


def test_a_file_where_the_runs_should_be_is_one_sentence():
    Path("runs").write_text("")
    assert refusal(None).startswith("cannot make the run's folder runs: ")


def test_a_link_to_nowhere_where_the_runs_should_be_is_one_sentence(monkeypatch):
    Path("runs").symlink_to("unmounted-disk")
    mkdir, tries = Path.mkdir, iter(range(100))

    def counted(*arguments, **options):
        assert next(tries, None) is not None, "it tries for ever"
        return mkdir(*arguments, **options)

    monkeypatch.setattr(Path, "mkdir", counted)
    assert refusal(None).startswith("cannot make the run's folder runs: ")


def test_every_file_of_a_run_lies_in_its_folder():
    folder = RunFolder(Path("out"))
    paths = [folder.scenario, folder.store, folder.summary, folder.learning_curve, folder.tensorboard, folder.journals]
    assert [str(path) for path in paths] == [
        "out/scenario.toml",
        "out/run.sqlite",
        "out/summary.json",
        "out/learning_curve.png",
        "out/tensorboard",
        "out/journal",
    ]
    assert folder.log("agent-3") == Path("out/logs/agent-3.log")
