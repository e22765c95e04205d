"""The rule by which the length of full-size runs is decided: `tools/settled.py`."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

FULL = Path(__file__).parent.parent / "docs" / "results" / "fig1-full"
_SPEC = importlib.util.spec_from_file_location("settled", Path(__file__).parent.parent / "tools" / "settled.py")
settled = importlib.util.module_from_spec(_SPEC)
sys.modules["settled"] = settled
_SPEC.loader.exec_module(settled)


def test_a_line_changes_by_a_fifth_of_its_rise_and_a_flat_curve_by_nothing():
    line = (np.arange(100) + 0.5) / 100
    assert settled.change(line, 1.0) == pytest.approx(0.2)
    assert settled.change(line, 0.4) == pytest.approx(0.08)
    assert settled.change(np.ones(100), 1.0) == 0


def test_what_comes_after_a_length_does_not_count_there():
    curve = np.concatenate([np.zeros(60), np.linspace(0, 1, 40)])
    assert settled.change(curve, 0.6) == 0
    assert settled.change(curve, 1.0) > 0.4


def test_a_task_has_settled_at_the_least_length_at_which_no_group_changes():
    changes = {4000: {"a": 0.001, "b": -0.02}, 6000: {"a": 0.009, "b": -0.009}, 8000: {"a": 0.0, "b": 0.0}}
    assert settled.settled(changes) == 6000
    assert settled.settled({4000: {"a": 0.01}}) is None


@pytest.fixture
def said(monkeypatch, capsys):
    """What the tool says: that it ends with, and its lines."""

    def say(*words):
        monkeypatch.setattr("sys.argv", ["settled.py", *map(str, words)])
        code = 0
        try:
            settled.main()
        except SystemExit as ended:
            code = ended.code
        out, err = capsys.readouterr()
        return code, (out + err).splitlines()

    return say


@pytest.fixture
def exchange(tmp_path):
    """Figure 1's Exchange, of which independent learning and VPS are done: both have settled at 6000."""
    shutil.copytree(FULL / "documents", tmp_path / "documents")
    (tmp_path / "outcomes").mkdir()
    for name in ("independent", "value-parameter-sharing"):
        for seed in (1, 2):
            shutil.copy(FULL / "outcomes" / f"exchange--{name}--seed{seed}.json", tmp_path / "outcomes")
    return tmp_path


def test_a_task_has_not_settled_before_all_contenders_of_the_study_are_done(exchange, said):
    waited = (
        "anticipation-sharing, anticipation-sharing-two-weights, anticipation-sharing-calibrated, value-sharing, "
        "policy-sharing, networked-actor-critic"
    )
    code, lines = said("fig1", exchange, "--task", "exchange")
    assert (code, lines[-2]) == (0, f"not decided: not all pilots are done of {waited}")
    assert [line.split()[0] for line in lines[:-2]] == ["exchange", "value-parameter-sharing", "independent"]
    only = ("--algorithm", "independent", "--algorithm", "value-parameter-sharing")
    assert said("fig1", exchange, "--task", "exchange", *only)[1][-2] == "settled at 6000"
    (exchange / "outcomes" / "exchange--independent--seed2.json").unlink()
    [*_, last, _] = said("fig1", exchange, "--task", "exchange", *only)[1]
    assert last == "not decided: not all pilots are done of independent"


def test_a_task_in_which_a_group_changes_at_every_length_has_not_settled_whatever_others_do(exchange, said):
    for seed in (1, 2):
        shutil.copy(FULL / "outcomes" / f"exchange--networked-actor-critic--seed{seed}.json", exchange / "outcomes")
    only = [
        word for name in ("independent", "networked-actor-critic", "value-sharing") for word in ("--algorithm", name)
    ]
    code, lines = said("fig1", exchange, "--task", "exchange", *only)
    assert (code, lines[-2]) == (0, "settled at none of these, whatever others do that are not done: value-sharing")


def test_what_cannot_be_judged_is_refused_in_a_sentence(exchange, said):
    variants = "settled: fig3 has variants (short range, paper range, long range)"
    assert said("fig3", FULL) == (2, [f"{variants}: the rule is about studies with one way to play each task"])
    sweep = FULL.parent / "exchange-full"
    nothing = f"settled: there are no outcomes of fig1 with seeds 1 and 2 in {sweep}: run the study first"
    assert said("fig1", sweep) == (2, [nothing])
    assert said("fig1", FULL, "--task", "exchang")[1][0].endswith("Did you mean --task exchange?")
    path = exchange / "outcomes" / "exchange--independent--seed2.json"
    kept = json.loads(path.read_bytes())
    path.write_text(json.dumps(kept | {"episodes": 6000}), encoding="utf-8")
    code, [line] = said("fig1", exchange)
    assert code == 2
    assert line.startswith("settled: exchange: expected that all were played for equally many episodes, found 6000 (")
    for each in (exchange / "outcomes").iterdir():
        each.write_text(json.dumps(json.loads(each.read_bytes()) | {"episodes": 720}), encoding="utf-8")
    assert said("fig1", exchange)[1] == [
        "settled: exchange: was played for 720 episodes, and the least length of the rule is 4000"
    ]
    path.write_text("{", encoding="utf-8")
    assert said("fig1", exchange)[1][0].startswith(f"settled: cannot read {path}, the outcome of cell exchange--")
