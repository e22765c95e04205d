"""Sweeps as a user meets them: real runs, killed, gone on with, changed, refused."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
from pathlib import Path

import pytest
from batches import finished, foretell_forking, forking, forking_crew, stop_in_the_middle_of_a_cell
from matplotlib.figure import Figure
from runs import simulate_here, start, until
from sweep_cases import SMALL, keep

from broker.errors import UserError
from scenarios.commands.experiments.sweep import conduct, show, write_so_far
from scenarios.document.loading import CATALOGUE, load_scenario
from scenarios.running.batch.cell import Cell, Group
from scenarios.running.batch.folder import Folder
from scenarios.running.batch.outcomes import Outcomes, WholeRuns
from scenarios.running.batch.runner import Runner, resolved
from scenarios.studies.conduct import gather
from scenarios.sweeps.reading import read_sweep

EXAMPLE = Path(__file__).parent.parent.parent.parent / "docs" / "examples" / "interests.toml"
RELAY = EXAMPLE.parent / "relay"
SWEEP = f"""
scenarios = ["task.toml"]
seeds = [1]
algorithms = ["anticipation-sharing", "independent"]
[settings]
episodes = 80
{SMALL}"""
MADE = ("mine.png", "mine.md", "mine.json")


def write_documents(folder):
    (folder / "task.toml").write_bytes((CATALOGUE / "exchange-quick.toml").read_bytes())
    (folder / "mine.toml").write_text(SWEEP, encoding="utf-8")
    return str(folder / "mine.toml")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """A sweep's folder; the file of its scenario vanished when its first run had begun."""
    folder = tmp_path_factory.mktemp("sweeps")
    file, out = write_documents(folder), folder / "whole"
    with start("sweep", file, "--jobs", "1", "--out", str(out), FORETELL_DOOR=forking()) as process:
        until(lambda: list(out.glob("runs/*/run.sqlite")), "the first run")
        (folder / "task.toml").unlink()
        stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert stdout.split() == [str(out / name) for name in (*MADE, "provenance.json")]
    write_documents(folder)
    return out


@pytest.mark.processes
def test_a_killed_sweep_goes_on_and_gives_the_same_files_byte_for_byte(uninterrupted, tmp_path):
    out, file = tmp_path / "killed", write_documents(tmp_path)
    code, _ = stop_in_the_middle_of_a_cell(out, ["sweep", file], signal.SIGKILL, done=1)
    assert code == -signal.SIGKILL
    first = finished(out)
    result = foretell_forking("sweep", file, "--out", str(out))
    assert result.returncode == 0, result.stderr
    assert "2 runs, " in result.stderr
    assert first.items() <= finished(out).items()  # what was done was not run again
    for name in MADE:
        assert (out / name).read_bytes() == (uninterrupted / name).read_bytes(), name


@pytest.mark.processes
def test_a_sweep_of_an_environment_and_a_policy_of_one_s_own_goes_on_in_another_folder_to_the_same_files(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    for name in ("relay.toml", "relay_game.py"):
        shutil.copy(RELAY / name, here)
    simulate_here(here / "before", str(here / "relay.toml"), "--episodes", "1", "--set", "algorithm.name=independent")
    settings = f'[settings]\nepisodes = 3\ninitial_policy = "before"\n{SMALL}'.replace("[8]", "[16]")
    text = f'scenarios = ["relay.toml"]\nalgorithms = ["independent", "value-sharing"]\nseeds = [1, 2]\n{settings}'
    (here / "mine.toml").write_text(text, encoding="utf-8")
    result = foretell_forking("sweep", str(here / "mine.toml"), "--out", str(here / "out"))
    assert result.returncode == 0, result.stderr
    here.rename(there)
    made = {name: (there / "out" / name).read_bytes() for name in MADE}
    sweep = "sweep", str(there / "mine.toml"), "--out", str(there / "out")
    folder, cells = Folder(there / "out"), read_sweep(there / "mine.toml").cells
    for cell in cells[:2]:
        folder.outcome(cell).unlink()
    folder.run(cells[0]).summary.unlink()  # its run is not at its end, the other one's is
    for words in ((), ("--so-far",)):
        result = foretell_forking(*sweep, *words)
        assert result.returncode == 0, result.stderr
        assert {name: (there / "out" / name).read_bytes() for name in MADE} == made
    assert str(here) not in "".join(path.read_text() for path in (there / "out").glob("*/**/*.toml"))
    (there / "relay_game.py").write_text(f"{(there / 'relay_game.py').read_text()}\n", encoding="utf-8")
    assert "was run with other settings before (environment.digest: " in foretell_forking(*sweep).stderr


@pytest.mark.processes
def test_every_run_has_the_document_that_was_checked_whatever_becomes_of_its_file_meanwhile(uninterrupted):
    sweep = read_sweep(uninterrupted.parent / "mine.toml")
    assert len(sweep.cells) == 2
    for cell in sweep.cells:
        assert WholeRuns(Folder(uninterrupted)).is_done(cell, resolved(cell))


@pytest.mark.processes
def test_a_sweep_whose_document_has_changed_runs_what_is_new_and_refuses_what_it_would_mix(
    uninterrupted, tmp_path, capsys
):
    before = finished(uninterrupted)
    file = Path(write_documents(tmp_path))
    file.write_text(SWEEP.replace("seeds = [1]", "seeds = [2, 1]"), encoding="utf-8")
    show(file, uninterrupted)
    *runs, total = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in runs] == [
        ["to", "run"],
        ["to", "run"],
        ["done", "task--anticipation-sharing--seed1"],
        ["done", "task--independent--seed1"],
    ]
    assert total == f"4 runs: 2 done, 2 to run with 160 episodes, in {uninterrupted}"
    for text in (SWEEP.replace("steps = 5", "steps = 6"), f"{SWEEP}learning.rounds = 2\n"):
        file.write_text(text, encoding="utf-8")
        for command in (lambda: conduct(file, 1, uninterrupted), lambda: show(file, uninterrupted)):
            with pytest.raises(UserError, match="cell task--anticipation-sharing--seed1 was run with other settings"):
                command()
    assert finished(uninterrupted) == before


@pytest.mark.parametrize("of_others", [False, True])
def test_all_that_has_to_go_after_a_change_is_told_at_once_and_its_removal_is_enough(tmp_path, capsys, of_others):
    file, folder = Path(write_documents(tmp_path)), Folder(tmp_path / "out")
    file.write_text(SWEEP.replace("[1]", "[1, 2, 3, 4]"), encoding="utf-8")
    cells = read_sweep(file).cells
    keep(folder, cells, lambda _: 1.0)
    folder.run(cells[0]).root.mkdir(parents=True)
    if of_others:
        folder.outcome(cells[0]).with_name("another.json").write_text("{}")
    file.write_text(file.read_text(encoding="utf-8").replace("episodes = 80", "episodes = 81"), encoding="utf-8")
    first = "cell task--anticipation-sharing--seed1 was run with other settings before (episodes: 80 then, 81 now)"
    mixed = f"{first}, and 7 more cells were run otherwise, too: results would be mixed"
    what = f"{folder.outcomes} and {folder.runs}"
    if of_others:
        what = f"{folder.outcome(cells[0])} and {folder.run(cells[0]).root}, and the same of 7 more cells"
    told = f"{mixed}. Choose another --out, or remove {what}."
    with pytest.raises(UserError) as refused:
        conduct(file, 1, folder.root)
    assert str(refused.value) == f"{told} `--list` says how each of them is removed"
    for command in (show, write_so_far):
        with pytest.raises(UserError) as refused:
            command(file, folder.root)
        assert str(refused.value) == told
    *lines, total = capsys.readouterr().out.splitlines()
    assert total == f"8 runs: 0 done, 8 run otherwise, 0 to run with 0 episodes, in {folder.root}"
    assert lines[1] == f"differs {cells[1].id}   rm -r {folder.outcome(cells[1])}"
    for line in lines:
        remove, *places = shlex.split(line.split("   ")[1])[1:]
        assert remove == "-r"
        for place in map(Path, places):
            shutil.rmtree(place) if place.is_dir() else place.unlink()
    show(file, folder.root)
    assert "8 runs: 0 done, 8 to run with 648 episodes" in capsys.readouterr().out


def test_two_sweeps_never_work_in_one_folder(tmp_path):
    file = Path(write_documents(tmp_path))
    with Folder(tmp_path / "out").held(), pytest.raises(UserError, match="another process works in"):
        conduct(file, 1, tmp_path / "out")
    assert list(tmp_path.glob("out/runs/*")) == []


def test_a_folder_that_cannot_be_written_is_named_with_the_reason(tmp_path):
    file, out = Path(write_documents(tmp_path)), tmp_path / "out"
    hindrance = out / "documents" / "task--anticipation-sharing--seed1.toml"
    with Folder(out).held():
        hindrance.mkdir()
    with pytest.raises(UserError) as refused:
        conduct(file, 1, out)
    told = f"cannot begin cell task--anticipation-sharing--seed1: Is a directory: {hindrance}"
    assert str(refused.value) == told


def test_what_cannot_work_and_what_is_only_listed_leaves_nothing_behind(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = Path(write_documents(tmp_path))
    file.write_text(f"{SWEEP}learning.clip = 3\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"settings: learning\.clip: expected less than 1, found 3"):
        conduct(file, 1, None)
    file.write_text(SWEEP, encoding="utf-8")
    show(file, None)
    said = capsys.readouterr().out
    assert "to run  task--independent--seed1   foretell simulate task.toml --seed 1 --set algorithm.name=" in said
    assert said.endswith("2 runs: 0 done, 2 to run with 160 episodes, in sweeps/mine\n")
    assert {path.name for path in tmp_path.iterdir()} == {"mine.toml", "task.toml"}


@pytest.mark.long
def test_the_example_of_the_docs_gives_its_files(tmp_path, capsys):
    small = EXAMPLE.read_text(encoding="utf-8").replace("[1, 2, 3]", "[1]")
    small = re.sub(r"episodes = \d+\n", f"episodes = 2\n{SMALL}", small)
    file = tmp_path / EXAMPLE.name
    file.write_text(small, encoding="utf-8")
    folder, sweep = Folder(tmp_path / "out"), read_sweep(file)
    for cell in sweep.cells:  # as processes would, but here
        simulate_here(folder.run(cell).root, *cell.arguments()[1:])
        Outcomes(folder).keep(cell)
    conduct(file, 2, folder.root)
    said = capsys.readouterr().out.splitlines()[-4:]
    made = ("interests.png", "interests.md", "interests.json", "provenance.json")
    assert said == [str(folder.root / name) for name in made]
    page = (folder.root / "interests.md").read_text(encoding="utf-8")
    assert "4 runs of `foretell simulate`: 1 scenario, 4 groups of runs" in page
    groups = json.loads((folder.root / "interests.json").read_text(encoding="utf-8"))["groups"]
    finals = [[run["final"] for run in group["runs"]] for group in groups]
    summaries = [json.loads((folder.run(cell).summary).read_text(encoding="utf-8")) for cell in sweep.cells]
    lasts = [summary["team_return_last"] for summary in summaries]
    assert finals == [[pytest.approx(last)] for last in lasts]
    (folder.root / "interests.md").unlink()
    (folder.root / "interests.md").mkdir()
    with pytest.raises(UserError, match=r"^cannot write .*interests\.md: Is a directory\. The runs are done: the"):
        conduct(file, 2, folder.root)
    assert [group["label"] for group in groups] == ["rho' = rho", "rho' = rho / 4", "rho' = 2 rho", "independent"]


@pytest.mark.processes
def test_a_run_that_names_a_policy_and_a_trace_is_known_again_and_one_that_went_on_to_more_is_not(tmp_path):
    small = ("--set", "parallel_episodes=2", "--set", "learning.hidden=[8]", "--set", "environment.steps=5")
    simulate_here(tmp_path / "before", "exchange-quick", *small, "--episodes", "1")
    (tmp_path / "delays.csv").write_text("0.01\n0.02\n", encoding="utf-8")
    trace = f'[{{kind = "delay", delay_s = {{distribution = "trace", file = "{tmp_path}/delays.csv"}}}}]'
    settings = tuple((each.split("=")[0], each.split("=")[1]) for each in small[1::2])
    cell = Cell(
        Group("t", "", "anticipation-sharing"),
        *(1, "exchange-quick"),
        (*settings, ("episodes", "1"), ("initial_policy", f'"{tmp_path}/before"'), ("faults", trace)),
    )
    folder = Folder(tmp_path / "out")
    with folder.held():
        Runner(forking_crew(), folder, 1, WholeRuns(folder), show=lambda _: None, interrupted=lambda: False).run([cell])
    assert WholeRuns(folder).is_done(cell, resolved(cell))
    assert load_scenario(str(folder.document(cell))).faults[0].delay_s.values_s == (0.01, 0.02)
    (tmp_path / "delays.csv").write_text("0.01\n0.03\n", encoding="utf-8")
    with pytest.raises(UserError, match="was run with other settings before"):
        WholeRuns(folder).is_done(cell, resolved(cell))
    (tmp_path / "delays.csv").write_text("0.01\n0.02\n", encoding="utf-8")
    from scenarios.commands.main import foretell as commands

    commands(["resume", str(folder.run(cell).root), "--episodes", "2"], standalone_mode=False)
    with pytest.raises(UserError, match=r"\(episodes: 2 then, 1 now\)"):
        WholeRuns(folder).is_done(cell, resolved(cell))


@pytest.mark.long
def test_returns_of_one_scenario_in_environments_that_differ_are_not_normalized(tmp_path):
    file = tmp_path / "mine.toml"
    settings = f"[settings]\nepisodes = 1\n{SMALL}"
    grids = {"": {"exchange-quick"}, "[grid]\nenvironment.agents = [2, 3]\n": set()}
    for number, (grid, known) in enumerate(grids.items()):
        file.write_text(f'scenarios = ["exchange-quick"]\nseeds = [1]\n{settings}{grid}', encoding="utf-8")
        folder, sweep = Folder(tmp_path / str(number)), read_sweep(file)
        for cell in sweep.cells:
            simulate_here(folder.run(cell).root, *cell.arguments()[1:])
            Outcomes(folder).keep(cell)
        assert set(gather(folder, sweep.study, sweep.told).references) == known


COMPARED_WITH_ALONE = """
[[variants]]
label = "AS, 5 steps"
[[variants]]
label = "AS, 9 steps"
environment.steps = 9
[[variants]]
label = "AS, 5 steps, rho 3"
algorithm.anticipation_sharing = { weights = "fixed", rho = 3 }
[[variants]]
label = "alone, 5 steps"
algorithm = "independent"
"""


def test_gain_in_a_sweep_is_over_independent_learning_that_differs_in_the_algorithm_alone(tmp_path, capsys):
    file, folder = tmp_path / "mine.toml", Folder(tmp_path / "out")
    file.write_text(f'scenarios = ["exchange-quick"]\nseeds = [1]\n[settings]\n{SMALL}{COMPARED_WITH_ALONE}')
    sweep = read_sweep(file)
    lasts = {"AS, 5 steps": 5.0, "AS, 9 steps": 9.0, "AS, 5 steps, rho 3": 7.0, "alone, 5 steps": 1.0}
    keep(folder, sweep.cells, lambda cell: lasts[sweep.labels[cell.group]])
    conduct(file, 1, folder.root)
    capsys.readouterr()
    bill = json.loads((folder.root / "mine.json").read_text(encoding="utf-8"))["bill"]
    gains = {line["group"][1]: line["gain"] and line["gain"]["value"] for line in bill}
    assert gains == {"as-5-steps": 4, "as-9-steps": None, "as-5-steps-rho-3": 6}
    text = " ".join((folder.root / "mine.md").read_text(encoding="utf-8").split())
    assert "independent learning whose settings differ in the algorithm alone, if such was run, which" in text


@pytest.mark.parametrize("open_cost", [1, 3])
def test_returns_of_a_task_that_leaves_nothing_to_measure_by_are_shown_as_they_are(open_cost, tmp_path, capsys):
    file, folder = tmp_path / "mine.toml", Folder(tmp_path / "out")
    costs = f"environment = {{ time_cost = 0, food_reward = 1, open_cost = {open_cost} }}\n"
    file.write_text(f'scenarios = ["exchange-quick"]\nseeds = [1]\n[settings]\nlearning.hidden = [8]\n{costs}')
    keep(folder, read_sweep(file).cells, lambda _: 1.0)
    conduct(file, 1, folder.root)
    capsys.readouterr()
    assert "Nothing is normalized" in (folder.root / "mine.md").read_text(encoding="utf-8")
    [group] = json.loads((folder.root / "mine.json").read_text(encoding="utf-8"))["groups"]
    assert (group["final"]["value"], group["final_normalized"]) == (1, None)


FAILING = f"""
scenarios = ["exchange-quick"]
seeds = [1]
[settings]
episodes = 2
{SMALL}
[[variants]]
label = "good"
[[variants]]
label = "deaf"
faults = [{{ kind = "drop", probability = 1.0, messages = ["timestep"], destination = "agent-1" }}]
"""


@pytest.mark.processes
def test_a_failed_cell_leaves_the_others_of_which_so_far_makes_the_files(tmp_path):
    file, out = tmp_path / "mine.toml", tmp_path / "out"
    file.write_text(FAILING, encoding="utf-8")
    failed = foretell_forking("sweep", str(file), "--out", str(out))
    assert failed.returncode == 3
    hint = "1 of 2 runs are done: --so-far writes the files of these"
    assert failed.stderr.splitlines()[-1].endswith(f"deaf--anticipation-sharing--seed1.log. {hint}")
    assert not list(out.glob("mine.*"))
    made = foretell_forking("sweep", str(file), "--out", str(out), "--so-far")
    assert made.returncode == 0, made.stderr
    assert made.stdout.split() == [str(out / name) for name in (*MADE, "provenance.json")]
    assert "**1 of 2 runs are done; this is what they show so far.**" in (out / "mine.md").read_text(encoding="utf-8")


PARTLY = f"""
scenarios = ["exchange-quick", "navigation-quick"]
seeds = [1, 2]
algorithms = ["anticipation-sharing", "independent"]
[settings]
{SMALL}"""


def test_what_is_done_of_a_sweep_is_written_at_any_time_and_says_how_much_it_is(tmp_path, capsys, monkeypatch):
    written = []
    write = Figure.text
    monkeypatch.setattr(Figure, "text", lambda *words, **how: (written.append(words[3]), write(*words, **how))[1])
    file, folder = tmp_path / "mine.toml", Folder(tmp_path / "out")
    file.write_text(PARTLY, encoding="utf-8")
    with pytest.raises(UserError, match=r"no run of mine is done in .*: run it first"):
        write_so_far(file, folder.root)
    done = ("exchange-quick--anticipation-sharing--seed1", "exchange-quick--independent--seed1")
    cells = {cell.id: cell for cell in read_sweep(file).cells}
    some = (*done, "exchange-quick--independent--seed2", "navigation-quick--independent--seed1")
    keep(folder, [cells[each] for each in some], lambda cell: float(cell.seed))
    write_so_far(file, folder.root)
    assert capsys.readouterr().out.split() == [str(folder.root / each) for each in (*MADE, "provenance.json")]
    so_far = "4 of 8 runs are done; this is what they show so far."
    text = (folder.root / "mine.md").read_text(encoding="utf-8")
    assert f"**{so_far}**" in text
    assert "4 runs of `foretell simulate`: 2 scenarios, 3 groups of runs" in text
    assert "1 to 2 seeds, as the table of final returns says." in text
    assert "| exchange-quick | independent | independent | 2 | 0.00 | 1.50 [1.00, 2.00] |" in text
    assert "Nothing is compared where no run of the baseline is done: navigation-quick." in text
    assert "foretell sweep mine.toml --so-far\n```" in text
    assert any(" ".join(each.split()).startswith(so_far) for each in written)
    kept = json.loads((folder.root / "mine.json").read_text(encoding="utf-8"))
    assert kept["so_far"] == so_far
    assert [(group["task"], group["baseline"], len(group["runs"])) for group in kept["groups"]] == [
        ("exchange-quick", "anticipation-sharing", 1),
        ("exchange-quick", "anticipation-sharing", 2),
        ("navigation-quick", None, 1),
    ]
    keep(folder, cells.values(), lambda cell: float(cell.seed))
    write_so_far(file, folder.root)
    whole = [(folder.root / name).read_bytes() for name in MADE]
    conduct(file, 1, folder.root)
    assert [(folder.root / name).read_bytes() for name in MADE] == whole
