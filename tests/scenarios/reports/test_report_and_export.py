"""Finished runs side by side, and for other programs."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import shutil
import sqlite3
import sys
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from file_sizes import files_of_at_most
from runs import simulate_here

from agent_node.algorithms.anticipation_sharing import AnticipationSharing
from agent_node.registry import BUILT_IN, load_algorithm
from broker.errors import UserError
from broker.wire.records import ProcessFaultRecord
from scenarios.commands.asked_file import write_where_asked
from scenarios.reports.export import COLUMNS, to_csv, to_marl_eval, to_parquet
from scenarios.reports.report import told
from scenarios.results.answers import CRASHED, GONE, struck
from scenarios.results.evaluation import Evaluation, TrainingEvaluations
from scenarios.results.folder import RunFolder, held
from scenarios.results.run_result import read_run

pytestmark = pytest.mark.long

SMALL = ("exchange-quick", "--episodes", "45", "--set", "parallel_episodes=2", "--set", "learning.hidden=[8]")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    drop = 'faults=[{kind="drop",probability=0.5}]'
    wanted = {
        "as-1": ("--seed", "1"),
        "as-1-again": ("--seed", "1"),
        "as-2": ("--seed", "2", "--set", drop),
        "alone-1": ("--seed", "1", "--set", "algorithm.name=independent"),
    }
    for name, arguments in wanted.items():
        simulate_here(root / name, *SMALL, *arguments)
    return {name: root / name for name in wanted}


def said(capsys, *arguments):
    from scenarios.commands.main import foretell

    capsys.readouterr()
    foretell([str(argument) for argument in arguments], standalone_mode=False)
    return capsys.readouterr().out


def test_a_run_is_read_as_it_was_recorded(folders):
    run = read_run(folders["as-2"])
    assert run.returns.shape == (45, 3)
    assert run.agents == ("agent-0", "agent-1", "agent-2")
    assert run.team[-4:].mean() == pytest.approx(run.summary.team_return_last)
    assert run.steps.sum() == run.summary.env_steps
    assert (run.traffic.sent, run.traffic.sent_bytes) == (run.summary.shares_sent, run.summary.edge_bytes)
    assert (run.traffic.edges, run.traffic.rounds) == (6, 135)
    assert 0.4 < run.traffic.heard_share < 0.6
    assert read_run(folders["alone-1"]).traffic.heard_share is None


def test_report_shows_returns_bill_faults_and_equal_digests(folders, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    text = said(capsys, "report", *folders.values())
    for name in folders:
        assert text.count(name) >= 3
    assert "equal curves and weights, bit for bit: as-1, as-1-again" in text
    summary = read_run(folders["as-1"]).summary
    assert f"{summary.team_return_last:.2f}" in text
    assert f"{summary.edge_bytes / 1e6:.2f}" in text
    assert summary.curve_digest[:8] in text


def test_runs_are_called_by_as_much_of_their_folders_as_tells_them_apart(folders, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "200")
    places = [tmp_path / "one" / "run", tmp_path / "two" / "run", tmp_path / "two" / "other"]
    for place in places:
        shutil.copytree(folders["as-1"], place)
    shown = said(capsys, "report", *map(str, places))
    assert re.findall(r"^│ (\S+) +│ anticipation", shown, re.MULTILINE) == ["one/run", "two/run", "other"]
    assert "bit for bit: one/run, two/run, other\n" in shown
    monkeypatch.chdir(places[0])
    assert re.findall(r"^│ (\S+) +│ anticipation", said(capsys, "report", "."), re.MULTILINE) == ["run"]


def test_report_says_what_a_neighbor_is_told_by_each_algorithm_once(folders, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    shown = said(capsys, "report", *folders.values())
    block = shown.partition("what a neighbor is told")[2].partition("faults and attackers")[0]
    rows = [line.strip("│ \n") for line in block.splitlines() if line.startswith("│")]
    assert [re.split(r"\s*│\s*", row) for row in rows] == [
        ["anticipation-sharing", AnticipationSharing.tells],
        ["independent", "nothing"],
    ]


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_every_algorithm_of_our_own_says_what_it_tells(name):
    assert load_algorithm(name).tells
    assert "unknown" not in told(name)


def test_of_an_algorithm_that_is_gone_nobody_knows_what_it_told():
    assert told("telepathy") == "unknown: it is not installed here"


def test_the_screen_at_the_end_of_a_run_says_what_went_wrong_with_messages(capsys, tmp_path):
    text = said(capsys, "simulate", *SMALL, "--episodes", "2", "--out", tmp_path / "run")
    assert "0 rejected, 0 dropped, 0 lost, 0 faults applied" in text


def with_summary(folder, copy, **changes):
    """A copy of a run's folder whose summary says something else; None leaves a figure out."""
    shutil.copytree(folder, copy)
    figures = json.loads((copy / "summary.json").read_text()) | changes
    kept = {name: value for name, value in figures.items() if value is not None or name not in changes}
    (copy / "summary.json").write_text(json.dumps(kept))
    return copy


def test_report_shows_what_was_rejected_dropped_and_lost(folders, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "200")
    changed = with_summary(folders["as-1"], tmp_path / "changed", rejected=131, dropped=132, lost=133)
    text = said(capsys, "report", changed)
    assert re.search(r"rejected\W+dropped\W+lost\W", text)
    assert re.search(r"131\W+132\W+133\W", text)


def test_report_tells_faults_of_messages_from_faults_of_processes_that_did_anything(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "200")
    killed = 'faults=[{kind="crash",participants=["agent-1"],at_episodes=[3]}]'
    simulate_here(tmp_path / "killed", *SMALL, "--episodes", "6", "--set", killed)
    text = said(capsys, "report", tmp_path / "killed")
    assert re.search(r"message faults\W+process faults\W+missing", text)
    assert re.search(r"killed\W+0\W+1\W+0", text)
    assert [strike.participant for strike in struck([strike_that(CRASHED), strike_that(GONE)])] == [CRASHED]


def strike_that(what):
    return ProcessFaultRecord("crash", "episode 3", what, what)


def test_a_run_from_before_losses_were_counted_is_still_read(folders, capsys, tmp_path):
    old = with_summary(folders["as-1"], tmp_path / "old", lost=None)
    assert read_run(old).summary.lost == 0
    assert "old" in said(capsys, "report", old)


def test_only_frames_between_agents_are_shares(folders, tmp_path):
    watched = tmp_path / "watched"
    shutil.copytree(folders["as-1"], watched)
    with contextlib.closing(sqlite3.connect(watched / "run.sqlite")) as store:
        edges = [
            ("agent-0", "observer"),
            ("observer", "agent-1"),
            ("environment", "observer"),
            ("agent-2", "environment"),
        ]
        add = "INSERT OR REPLACE INTO edges (source, destination, sent, sent_bytes, missing) VALUES (?, ?, 9, 900, 9)"
        store.executemany(add, edges)
        store.commit()
    assert read_run(watched).traffic == read_run(folders["as-1"]).traffic


def test_a_seed_that_ran_twice_counts_once_in_an_interval(folders, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "200")
    simulate_here(tmp_path / "as-3", *SMALL, "--seed", "3")
    title = "final team return over seeds"
    assert title not in said(capsys, "report", folders["as-1"], folders["as-1-again"])
    text = said(capsys, "report", folders["as-1"], folders["as-1-again"], tmp_path / "as-3")
    assert title in text
    assert "1, 3" in text
    assert "1, 1" not in text
    simulate_here(tmp_path / "other", *SMALL, "--set", "algorithm.name=independent")
    text = said(capsys, "report", folders["as-1"], tmp_path / "as-3", tmp_path / "other")
    assert "none: one seed" in text


def test_seeds_that_began_with_the_same_policy_are_one_group_wherever_their_copies_lie(
    folders, capsys, monkeypatch, tmp_path
):
    monkeypatch.setenv("COLUMNS", "200")
    for seed in ("1", "2"):
        begun_with = f"initial_policy={folders['as-1']}"
        simulate_here(tmp_path / seed, *SMALL, "--episodes", "1", "--seed", seed, "--set", begun_with)
    text = said(capsys, "report", tmp_path / "1", tmp_path / "2").partition("final team return over seeds")[2]
    assert "1, 2" in text
    simulate_here(tmp_path / "longer", *SMALL, "--episodes", "2", "--seed", "3", "--set", begun_with)
    text = said(capsys, "report", *map(tmp_path.joinpath, ("1", "2", "longer"))).partition("over seeds")[2]
    assert "1, 2, 3" not in text, "another number of episodes is another scenario"


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Two settings in two seeds, as a sweep over a grid leaves them."""
    root = tmp_path_factory.mktemp("swept")
    for rho in (1, 8):
        for seed in (1, 2):
            setting = f"algorithm.anticipation_sharing.rho={rho}"
            simulate_here(root / f"{rho}-{seed}", *SMALL, "--episodes", "2", "--seed", str(seed), "--set", setting)
    return sorted(root.iterdir())


@pytest.mark.parametrize("columns", ["60", "200"])
def test_groups_are_told_apart_by_the_settings_in_which_they_differ(swept, columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    shown = said(capsys, "report", *swept).partition("final team return over seeds")[2]
    rows = [line for line in shown.splitlines() if line.startswith("│")]
    cells = [[cell.strip() for cell in row.strip("│").split("│")] for row in rows]
    named = " ".join(row[0] for row in cells)
    assert re.findall(r"exchange-quick, anticipation-sharing, rho = \d\.0", named) == [
        "exchange-quick, anticipation-sharing, rho = 1.0",
        "exchange-quick, anticipation-sharing, rho = 8.0",
    ]


def test_exports_tell_apart_the_settings_in_which_runs_differ(swept, folders):
    runs = [read_run(folder) for folder in swept]
    rows = csv.DictReader(io.StringIO(to_csv([*runs, read_run(folders["alone-1"])]).decode()))
    assert list(dict.fromkeys((row["algorithm"], row["variant"], row["seed"]) for row in rows)) == [
        ("anticipation-sharing", "rho = 1.0", "1"),
        ("anticipation-sharing", "rho = 1.0", "2"),
        ("anticipation-sharing", "rho = 8.0", "1"),
        ("anticipation-sharing", "rho = 8.0", "2"),
        ("independent", "", "1"),
    ]
    algorithms = json.loads(to_marl_eval(runs))["exchange"]["exchange-quick"]
    assert {name: list(seeds) for name, seeds in algorithms.items()} == {
        "anticipation-sharing, rho = 1.0": ["seed_1", "seed_2"],
        "anticipation-sharing, rho = 8.0": ["seed_1", "seed_2"],
    }


@pytest.fixture
def disturbed(swept, tmp_path):
    """The second seed again, in which a fault was added while the run went on, and healed."""
    folder = tmp_path / "disturbed"
    shutil.copytree(swept[1], folder)
    storm = json.dumps({"kind": "drop", "name": "storm", "probability": 0.5})
    with contextlib.closing(sqlite3.connect(folder / "run.sqlite")) as store, store:
        store.execute("INSERT INTO live_faults VALUES ('storm', ?, -1, 0)", (storm,))
    return folder


def test_a_run_that_was_given_faults_while_it_went_on_is_no_seed_of_the_group_of_undisturbed_ones(
    swept, disturbed, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "200")
    shown = said(capsys, "report", *swept[:2], disturbed).partition("final team return over seeds")[2]
    rows = [line for line in shown.splitlines() if line.startswith("│")]
    cells = [[cell.strip() for cell in row.strip("│").split("│")] for row in rows]
    assert [row[1] for row in cells if row[1]] == ["1, 2", "2"]
    assert "storm" in " ".join(row[0] for row in cells)


def test_exports_tell_a_run_that_was_given_faults_while_it_went_on_from_an_undisturbed_one(swept, disturbed):
    runs = [read_run(folder) for folder in (*swept[:2], disturbed)]
    rows = list(csv.DictReader(io.StringIO(to_csv(runs).decode())))
    assert len({row["variant"] for row in rows}) == 2
    assert {row["run"] for row in rows if "storm" in row["variant"]} == {str(disturbed)}
    algorithms = json.loads(to_marl_eval(runs))["exchange"]["exchange-quick"]
    assert sorted(map(list, algorithms.values())) == [["seed_1", "seed_2"], ["seed_2"]]


@pytest.fixture(scope="module")
def acted(folders, tmp_path_factory):
    """An evaluation of a run, kept beside it."""
    from scenarios.commands.main import foretell

    out = tmp_path_factory.mktemp("acted") / "acted-1"
    foretell(["evaluate", str(folders["as-1"]), "--episodes", "6", "--out", str(out)], standalone_mode=False)
    return out


def test_report_shows_evaluations_apart_from_trainings(folders, acted, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    text = said(capsys, "report", acted, folders["as-1"])
    training, apart = text.split("team return of agents that act and do not learn")
    tables = {block.splitlines()[0].strip(): block for block in re.split(r"\n(?=[a-z])", training)}
    assert [title for title, block in tables.items() if "acted-1" in block] == ["faults and digests"]
    found = json.loads((acted / "evaluation.json").read_text())
    (row,) = [line for line in apart.splitlines() if "acted-1" in line]
    assert [cell.strip() for cell in row.strip("│").split("│")] == [
        *("acted-1", "anticipation-sharing", "1", "drawn", "45", "6"),
        f"{found['team']['mean']:.2f}",
        f"{found['team']['low']:.2f} to {found['team']['high']:.2f}",
    ]
    alone = said(capsys, "report", acted)
    assert "training episodes" not in alone
    assert "acted-1" in alone


def test_exports_say_of_each_row_whether_its_run_learned_and_marl_eval_takes_no_other(folders, acted):
    runs = [read_run(folders["as-1"]), read_run(acted)]
    rows = csv.DictReader(io.StringIO(to_csv(runs).decode()))
    assert list(dict.fromkeys((Path(row["run"]).name, row["learns"], row["variant"]) for row in rows)) == [
        ("as-1", "yes", ""),
        ("acted-1", "no", ""),
    ]
    with pytest.raises(UserError) as refused:
        to_marl_eval(runs)
    assert str(refused.value) == (f"marl-eval compares trainings: found {acted}, in which nobody learned. Leave it out")


@pytest.mark.parametrize("words", [("report",), ("export", "--format", "csv")])
def test_a_run_that_was_interrupted_is_named_and_the_others_are_shown(folders, acted, words, capsys, tmp_path):
    from scenarios.commands.main import foretell

    unfinished = []
    for folder in (folders["as-2"], acted):
        unfinished.append(shutil.copytree(folder, tmp_path / folder.name))
        (unfinished[-1] / "summary.json").unlink()
    training, evaluation = unfinished
    foretell([*words, *map(str, (training, folders["as-1"], evaluation))], standalone_mode=False)
    shown = capsys.readouterr()
    assert "as-1" in shown.out
    assert "as-2" not in shown.out
    head = "holds no finished run"
    evaluated = "it is an evaluation that was interrupted; `foretell evaluate` again, or leave it out"
    assert shown.err.splitlines() == [
        f"foretell: left out: {training} {head}: finish it with `foretell resume {training}`, or leave it out",
        f"foretell: left out: {evaluation} {head}: {evaluated}",
    ]
    with sqlite3.connect(RunFolder(training).store) as store:
        store.execute("DELETE FROM document")
    begun = f"it was interrupted before it had begun; begin it anew, with --out {training}, or leave it out"
    with pytest.raises(UserError, match=f"{begun}$"):
        foretell([*words, str(training)], standalone_mode=False)
    with held(RunFolder(training)), pytest.raises(UserError, match="it goes on; wait for its end, or leave it out"):
        foretell([*words, str(training)], standalone_mode=False)
    with pytest.raises(UserError, match="expected a folder that"):
        foretell([*words, str(folders["as-1"]), str(tmp_path)], standalone_mode=False)


def test_a_folder_without_a_finished_run_is_refused(tmp_path, folders):
    with pytest.raises(UserError, match="holds no finished run"):
        read_run(tmp_path)
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "summary.json").write_text((folders["as-1"] / "summary.json").read_text())
    with pytest.raises(UserError, match="cannot read the run in"):
        read_run(broken)


def test_csv_has_every_return_with_all_digits(folders):
    run = read_run(folders["as-1"])
    rows = list(csv.DictReader(io.StringIO(to_csv([run]).decode())))
    assert tuple(rows[0]) == COLUMNS
    assert np.array([float(row["return"]) for row in rows]).reshape(45, 3).tolist() == run.returns.tolist()
    assert [int(row["episode"]) for row in rows[::3]] == list(range(45))


def test_csv_goes_to_a_file_or_to_standard_output(folders, tmp_path, capfdbinary):
    from scenarios.commands.main import foretell

    out = tmp_path / "runs.csv"
    arguments = ["export", str(folders["as-1"]), "--format", "csv"]
    foretell([*arguments, "--out", str(out)], standalone_mode=False)
    capfdbinary.readouterr()
    foretell(arguments, standalone_mode=False)
    sys.stdout.flush()
    assert capfdbinary.readouterr().out == out.read_bytes() == to_csv([read_run(folders["as-1"])])


def test_parquet_without_pyarrow_is_one_sentence(folders, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"pip install 'foretell\[parquet\]'"):
        to_parquet([read_run(folders["as-1"])])


def test_parquet_holds_the_columns_of_csv(folders, monkeypatch):
    """With the real library where it is there, else with one that takes the table down."""
    run = read_run(folders["as-1"])
    try:
        import pyarrow.parquet as real
    except ImportError:
        taken = {}
        parquet = types.SimpleNamespace(write_table=lambda table, file: taken.update(table))
        monkeypatch.setitem(sys.modules, "pyarrow", types.SimpleNamespace(table=dict, parquet=parquet))
        to_parquet([run])
    else:
        taken = real.read_table(io.BytesIO(to_parquet([run]))).to_pydict()
    assert tuple(taken) == COLUMNS
    assert taken["return"] == run.returns.ravel().tolist()


def test_marl_eval_gets_environment_task_algorithm_run_step_and_lists(folders):
    runs = [read_run(folders[name]) for name in ("as-1", "as-2", "alone-1")]
    document = json.loads(to_marl_eval(runs))
    algorithms = document["exchange"]["exchange-quick"]
    faulty = "anticipation-sharing, faults = [{kind = drop, probability = 0.5}]"
    assert {name: set(seeds) for name, seeds in algorithms.items()} == {
        "anticipation-sharing, faults = []": {"seed_1"},
        faulty: {"seed_2"},
        "independent": {"seed_1"},
    }
    run, steps = runs[0], algorithms["anticipation-sharing, faults = []"]["seed_1"]
    absolute = steps.pop("absolute_metrics")
    assert list(steps) == [f"step_{number}" for number in range(1, 21)]
    for step in steps.values():
        assert set(step) == {"step_count", "return"}
        assert isinstance(step["step_count"], int)
        assert len(step["return"]) == 2
    counts = [step["step_count"] for step in steps.values()]
    assert counts == sorted(set(counts))
    assert counts[-1] == run.summary.env_steps
    assert steps["step_20"]["return"] == run.team[-2:].tolist()
    assert absolute == {"return": [pytest.approx(run.summary.team_return_last)]}


def test_marl_eval_takes_no_run_twice_and_none_of_another_length(folders, tmp_path):
    run = read_run(folders["as-1"])
    with pytest.raises(UserError) as refused:
        to_marl_eval([run, read_run(folders["as-1-again"])])
    assert str(refused.value) == (
        "marl-eval can hold one run of exchange-quick, anticipation-sharing, seed_1; "
        f"found two, {run.folder} and {folders['as-1-again']}: leave one out"
    )
    simulate_here(tmp_path / "short", *SMALL, "--seed", "3", "--episodes", "3")
    with pytest.raises(UserError, match="runs of equal length, found 3, 45 episodes"):
        to_marl_eval([run, read_run(tmp_path / "short")])


def evaluated(run, learned_from):
    """A run as if its training had been evaluated after so many episodes."""
    parts = {"team_returns": [1.0, 2.0], "learned_from": 0, "team": None}
    on_the_way = tuple(Evaluation.model_construct(**parts | {"learned_from": each}) for each in learned_from)
    return replace(run, evaluations=TrainingEvaluations(on_the_way, Evaluation.model_construct(**parts)))


def with_steps(run, steps, **changes):
    """A run as if its episodes had taken so many steps, with other settings."""
    return replace(
        run, steps=np.resize(np.array(steps), len(run.team)), scenario=run.scenario.model_copy(update=changes)
    )


def test_marl_eval_gets_returns_of_evaluations_or_of_training_and_never_both(folders):
    one, two, three = (read_run(folders[name]) for name in ("as-1", "as-2", "alone-1"))
    to_marl_eval([evaluated(one, [20, 45]), evaluated(two, [20, 45])])
    with pytest.raises(UserError) as refused:
        to_marl_eval([one, evaluated(two, [20, 45]), three])
    assert str(refused.value) == (
        "marl-eval needs returns of one kind: expected all runs evaluated or none, found 1 of 3: "
        f"{two.folder} was, {one.folder} was not. Export them apart"
    )


def test_marl_eval_gets_runs_whose_steps_are_the_same(folders):
    one, two = (with_steps(read_run(folders[name]), [40]) for name in ("as-1", "as-2"))
    elsewhere = with_steps(two, [8], name="other")
    to_marl_eval([one, elsewhere])  # scenarios may have episodes of different length
    with pytest.raises(UserError) as refused:
        to_marl_eval([evaluated(one, [15, 30, 40, 45]), evaluated(elsewhere, [40, 45])])
    assert str(refused.value) == (
        "marl-eval compares step by step: expected the same steps of all runs, found 4 steps in "
        f"{one.folder}, after 600, 1200, 1600 and 1 more environment steps, and 2 steps in {two.folder}, "
        "after 320, 360 environment steps. Export them apart"
    )
    for other in (evaluated(two, [30, 45]), with_steps(two, [8]), with_steps(two, [40], parallel_episodes=3)):
        with pytest.raises(UserError, match="expected the same steps of all runs"):
            to_marl_eval([one if other.evaluations.best is None else evaluated(one, [20, 45]), other])


def test_marl_eval_gets_runs_whose_episodes_end_by_themselves(folders):
    one, two = (read_run(folders[name]) for name in ("as-1", "as-2"))
    assert json.loads(to_marl_eval([with_steps(one, [4, 7]), with_steps(two, [6, 5])]))


def test_an_export_is_written_whole_or_not_at_all_and_to_a_link_or_a_device_as_it_is(tmp_path):
    out, link = tmp_path / "returns.csv", tmp_path / "link"
    out.write_bytes(b"before")
    link.symlink_to(out)
    with files_of_at_most(10), pytest.raises(UserError, match=r"^cannot write .*returns\.csv: File too large$"):
        write_where_asked(out, b"a" * 20)
    assert out.read_bytes() == b"before"
    write_where_asked(link, b"after")
    assert (out.read_bytes(), link.is_symlink()) == (b"after", True)
    write_where_asked(Path(os.devnull), b"gone")
