"""`foretell resume` and `run --resume`: what they go on with, and what they refuse in a sentence."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from runs import summary

from broker.arithmetic.version import ARITHMETIC
from scenarios.commands.main import main
from scenarios.document.loading import load_scenario, parse_scenario
from scenarios.reports import learning_curve
from scenarios.results.evaluation import place_of_evaluation
from scenarios.results.folder import RunFolder, held
from scenarios.results.store import Store
from scenarios.trials.quiet_run import try_out

SCENARIO = load_scenario(
    "exchange-quick",
    {
        "episodes": 4,
        "parallel_episodes": 1,
        "environment.steps": 2,
        "learning.hidden": [4],
        "learning.rounds": 1,
        "recovery.checkpoint_every": 2,
    },
)


class Answer(NamedTuple):
    """How a command ended."""

    code: int
    said: str
    shown: str


@pytest.fixture
def foretell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    def call(*words: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["foretell", *map(str, words)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        shown = capsys.readouterr()
        return Answer(code, shown.err, shown.out)

    return call


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run."""
    out = tmp_path_factory.mktemp("done") / "run"
    try_out(SCENARIO, out)
    return out


@pytest.fixture
def folder(done: Path, tmp_path: Path) -> RunFolder:
    return RunFolder(shutil.copytree(done, tmp_path / "run"))


def contents(folder: RunFolder) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.root.rglob("*") if path.is_file() and path != folder.lock}


def test_a_simulation_given_to_run_is_refused_with_the_command_that_goes_on_with_it(
    folder: RunFolder, foretell: Callable[..., Answer]
) -> None:
    folder.summary.unlink()
    before = contents(folder)
    answer = foretell("run", "--resume", folder.root)
    sentence = f"{folder.root} was begun with `foretell simulate`: go on with `foretell resume {folder.root}`"
    assert (answer.code, answer.said) == (2, f"foretell: {sentence}\n")
    assert contents(folder) == before


def test_a_complete_run_ends_as_it_did_and_says_the_way_to_more_episodes(
    folder: RunFolder, foretell: Callable[..., Answer]
) -> None:
    before = contents(folder)
    sentence = (
        f"{folder.root} is complete: there is nothing to go on with. To go on to more than its 4 episodes: "
        f"foretell resume {folder.root} --episodes N"
    )
    for more in ((), ("--episodes", 4)):
        answer = foretell("resume", folder.root, *more)
        assert (answer.code, answer.said) == (0, f"{sentence}\n")
        assert f"curve digest   {summary(folder.root)['curve_digest']}\n" in answer.shown
    assert contents(folder) == before | {str(folder.learning_curve): folder.learning_curve.read_bytes()}


def test_a_run_that_was_killed_when_its_summary_was_written_gets_its_picture(
    tmp_path: Path, foretell: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older picture, of the time when it was interrupted, is none of it."""
    whole, killed = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "killed")
    (tmp_path / "tiny.toml").write_text(SCENARIO.to_toml(), encoding="utf-8")
    answer = foretell("simulate", tmp_path / "tiny.toml", "--out", whole.root)
    assert answer.code == 0, answer.said

    def dies(path: Path, *_: object) -> None:
        path.write_text("older")
        sys.exit(137)

    with monkeypatch.context() as patch:
        patch.setattr(learning_curve, "draw_learning_curve", dies)
        assert foretell("simulate", tmp_path / "tiny.toml", "--out", killed.root).code == 137
    ended = foretell("resume", killed.root)
    assert ended.code == 0, ended.said
    assert killed.learning_curve.read_bytes() == whole.learning_curve.read_bytes()
    told = [
        line for line in answer.shown.replace(str(whole.root), str(killed.root)).splitlines() if "steps/s" not in line
    ]
    assert [line for line in ended.shown.splitlines() if "steps/s" not in line] == told


def test_what_is_left_of_a_policy_on_the_way_that_was_being_removed_is_removed(
    folder: RunFolder, foretell: Callable[..., Answer]
) -> None:
    left = place_of_evaluation(folder, 2).with_suffix("")
    left.mkdir(parents=True)
    (left / "weights-0.safetensors").touch()
    assert foretell("resume", folder.root).code == 0
    assert not left.exists()


def test_a_run_whose_faults_do_not_fit_ends_with_4_again_when_it_is_resumed(
    tmp_path: Path, foretell: Callable[..., Answer]
) -> None:
    never = {"kind": "drop", "probability": 1.0, "name": "never", "seconds": [1e6, 2e6]}
    document = SCENARIO.model_validate(SCENARIO.model_dump() | {"faults": [never]})
    (tmp_path / "tiny.toml").write_text(document.to_toml(), encoding="utf-8")
    first = foretell("simulate", tmp_path / "tiny.toml", "--out", tmp_path / "run")
    again = foretell("resume", tmp_path / "run")
    assert (first.code, again.code) == (4, 4), again.said
    assert again.said.splitlines()[-1] == first.said.splitlines()[-1]
    assert "fault never: met no message in the whole run" in again.said


@pytest.mark.parametrize("more", [(), ("--episodes", 7)])
def test_an_evaluation_is_refused_and_stays_as_it_is(
    more: tuple[object, ...], done: Path, tmp_path: Path, foretell: Callable[..., Answer]
) -> None:
    acted = RunFolder(tmp_path / "acted")
    assert foretell("evaluate", done, "--episodes", 2, "--out", acted.root).code == 0
    before = contents(acted)
    answer = foretell("resume", acted.root, *more)
    sentence = (
        f"{acted.root} is an evaluation, in which nobody learns: there is nothing to go on with. For more episodes, "
        "`foretell evaluate` its policy again, with --episodes N, into another folder"
    )
    assert (answer.code, answer.said) == (2, f"foretell: {sentence}\n")
    assert contents(acted) == before


@pytest.mark.parametrize(
    ("episodes", "said"),
    [
        (3, "is a run of 4 episodes; expected at least as many, found 3"),
        (0, "episodes: expected greater than or equal to 1, found 0"),
        (10**9, "episodes: expected less than or equal to 10000000, found 1000000000"),
        ("many", "'many' is not a valid integer"),
    ],
)
def test_fewer_episodes_or_impossible_ones_are_refused_and_change_nothing(
    folder: RunFolder, foretell: Callable[..., Answer], episodes: object, said: str
) -> None:
    before = contents(folder)
    answer = foretell("resume", folder.root, "--episodes", episodes)
    assert answer.code == 2
    assert said in answer.said
    assert "Traceback" not in answer.said
    assert contents(folder) == before


def test_more_episodes_are_the_one_change_of_the_document(folder: RunFolder, foretell: Callable[..., Answer]) -> None:
    answer = foretell("resume", folder.root, "--episodes", 6)
    assert answer.code == 0, answer.said
    assert "6/6" in answer.said
    document = parse_scenario(folder.scenario.read_text(encoding="utf-8"), {})
    assert document == SCENARIO.model_copy(update={"episodes": 6})


def test_what_a_complete_run_had_is_its_result_where_it_could_not_go_on_to_more(
    folder: RunFolder, foretell: Callable[..., Answer]
) -> None:
    with held(folder):
        assert "another process works on" in foretell("resume", folder.root, "--episodes", 6).said
    assert foretell("report", folder.root).code == 0
    before = foretell("report", folder.root)
    (folder.checkpoints / "agent-0" / "episode-00000003.json").write_text('{"version": 99}')
    assert "is a checkpoint of version 99" in foretell("resume", folder.root, "--episodes", 6).said
    assert foretell("report", folder.root) == before


def test_a_run_that_was_killed_before_it_had_begun_is_a_sentence(
    folder: RunFolder, foretell: Callable[..., Answer]
) -> None:
    for path in (folder.store, folder.summary):
        path.unlink()
    folder.store.touch()
    sentence = f"{folder.root} was interrupted before the run had begun: begin it anew, with --out {folder.root}"
    for _ in range(2):
        answer = foretell("resume", folder.root)
        assert (answer.code, answer.said) == (2, f"foretell: {sentence}\n")
        Store(folder.store, ("agent-0",)).close()  # killed a moment later: there are tables, and nothing in them


@pytest.mark.parametrize(
    "asked",
    ["why RUN", "ledger RUN", "ledger --edges RUN", "fault list RUN", "diff RUN RUN", "replay RUN agent-0"],
)
def test_every_command_that_reads_a_run_that_was_killed_before_it_had_begun_says_so(
    folder: RunFolder, foretell: Callable[..., Answer], asked: str
) -> None:
    for path in (folder.store, folder.summary):
        path.unlink()
    folder.store.touch()
    answer = foretell(*(folder.root if word == "RUN" else word for word in asked.split()))
    sentence = f"{folder.root} was interrupted before the run had begun: begin it anew, with --out {folder.root}"
    assert (answer.code, answer.said) == (2, f"foretell: {sentence}. Where it is just beginning, ask again\n")


def test_a_run_that_was_killed_before_it_knew_its_agents_cannot_be_replayed(
    folder: RunFolder, foretell: Callable[..., Answer]
) -> None:
    folder.store.unlink()
    Store(folder.store, ()).close()
    answer = foretell("replay", folder.root, "agent-0")
    assert answer.code == 2
    assert f"{folder.root} was interrupted before the run had begun: " in answer.said


def test_a_folder_without_a_run_is_a_sentence(tmp_path: Path, foretell: Callable[..., Answer]) -> None:
    answer = foretell("resume", tmp_path)
    assert answer.code == 2
    assert "holds no run: expected the folder that `foretell run` or `foretell simulate` left" in answer.said


def test_a_run_that_was_begun_with_another_arithmetic_is_refused_and_stays_as_it_is(
    folder: RunFolder, foretell: Callable[..., Answer]
) -> None:
    with sqlite3.connect(folder.store) as store:
        store.execute("UPDATE document SET arithmetic = 7")
    store.close()
    before = contents(folder)
    answer = foretell("resume", folder.root, "--episodes", 6)
    assert answer.code == 2
    assert answer.said == (
        f"foretell: the run in {folder.root} was begun with arithmetic 7, and this Foretell computes with arithmetic "
        f"{ARITHMETIC}: go on with the Foretell that began it, or begin its scenario.toml anew\n"
    )
    assert contents(folder) == before
