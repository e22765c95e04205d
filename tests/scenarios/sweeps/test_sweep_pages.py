"""What a sweep makes of its numbers, without running anything."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import numpy as np
import pytest
from sweep_cases import findings, made, numbers_of, page_of

from scenarios.reports.statistics import difference
from scenarios.sweeps.picture import draw_sweep, sweep_figure

THREE = """
[[variants]]
label = "plain"
[[variants]]
label = "few"
learning.rounds = 1
[[variants]]
label = "many"
learning.rounds = 5
"""
TWO_SCENARIOS = 'scenarios = ["exchange-quick", { scenario = "navigation-quick", label = "Navi" }]\nseeds = [1, 2, 3]\n'
RETURNS = {"plain": 4.0, "few": 1.0, "many": 9.0}
TWELVE = (
    *("exchange", "exchange-quick", "navigation", "navigation-quick", "predation-6", "predation-6-quick"),
    *("predation-8", "predation-8-quick", "predation-12", "predation-20-skip", "simple-spread", "simple-spread-quick"),
)


def rows(text, heading):
    """The cells of the table below a heading, without its head."""
    below = text.split(f"## {heading}\n")[1]
    table = re.search(r"(^\|.*\n)+", below, flags=re.MULTILINE).group()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def three(baseline=""):
    sweep = made(f"{TWO_SCENARIOS}{baseline}{THREE}")
    return sweep, findings(sweep, lambda cell: RETURNS[sweep.labels[cell.group]] + cell.seed)


def test_the_page_sets_every_group_beside_the_baseline_of_its_scenario():
    found = rows(page_of(*three()), "Final returns")
    assert [(row[0], row[1], row[4], row[6]) for row in found] == [
        (scenario, label, final, apart)
        for scenario in ("exchange-quick", "Navi")
        for label, final, apart in (
            ("plain", "6.00 [5.00, 7.00]", "the baseline"),
            ("few", "3.00 [2.00, 4.00]", "-3.00 [-5.27, -0.73]"),  # t of 4 degrees 2.776, error sqrt(1/3 + 1/3)
            ("many", "11.00 [10.00, 12.00]", "5.00 [2.73, 7.27]"),
        )
    ]


def test_the_baseline_is_the_line_that_the_document_names():
    sweep, found = three('baseline = "many"\n')
    assert [row[6].split(" ")[0] for row in rows(page_of(sweep, found), "Final returns")[:3]] == [
        *("-5.00", "-8.00", "the")
    ]
    [first, *_] = json.loads(numbers_of(sweep, found))["groups"]
    by_hand = difference([5.0, 6.0, 7.0], [10.0, 11.0, 12.0], *names("plain"), *names("many")[1:])
    assert first["minus_baseline"] == {"value": by_hand.value, "low": by_hand.low, "high": by_hand.high}
    assert first["baseline"] == "many"


def names(variant):
    return ("difference", "exchange-quick", variant, "anticipation-sharing")


def test_returns_are_normalized_where_references_are_known_and_nowhere_else():
    sweep = made('scenarios = ["exchange-quick", "simple-spread-mpe2-quick"]\nseeds = [1, 2]\n')
    text = page_of(sweep, findings(sweep, lambda cell: 14.94 if cell.group.task == "exchange-quick" else 3.0))
    assert [row[5] for row in rows(text, "Final returns")] == ["1.00 [1.00, 1.00]", ""]
    assert "- exchange-quick: (R - (-0.6))" in text
    assert "minus the baseline" not in text  # each scenario has one group
    alone = made('scenarios = ["simple-spread-mpe2-quick"]\nseeds = [1, 2]\n')
    text = page_of(alone, findings(alone, lambda _: 3.0))
    assert "Nothing is normalized" in text
    assert json.loads(numbers_of(alone, findings(alone, lambda _: 3.0)))["groups"][0]["final_normalized"] is None


def test_page_and_numbers_hold_the_document_and_no_path_of_this_machine(tmp_path):
    text = '# ~~~~ a note\nscenarios = ["exchange-quick"]\nseeds = [1]\n'
    sweep = made(text, str(tmp_path / "mine.toml"))
    found = findings(sweep, lambda _: 1.0)
    shown = page_of(sweep, found)
    assert f"~~~~~toml\n{text.strip()}\n~~~~~\n" in shown
    assert "With one seed there is no interval" in shown
    for written in (shown, numbers_of(sweep, found)):
        assert str(tmp_path) not in written
        assert "signific" not in written.lower()


MANY_LINES = """
scenarios = ["exchange-quick"]
seeds = [1, 2]
[grid]
learning.actor_learning_rate = [1e-4, 1e-3, 1e-2]
learning.critic_learning_rate = [1e-4, 1e-3]
learning.entropy_bonus = [0, 0.001, 0.01, 0.1]
"""
LONG = [f"very{' long' * 38}", "x" * 190]
CASES = {
    "one scenario, one line, one seed": 'scenarios = ["exchange-quick"]\nseeds = [1]\n',
    "many lines": MANY_LINES,
    "long labels": TWO_SCENARIOS + "".join(f'[[variants]]\nlabel = "{label}"\n' for label in LONG),
    "twelve scenarios": f"scenarios = {list(TWELVE)}\nseeds = [1]\n{THREE}",
}


@pytest.mark.long
@pytest.mark.parametrize("case", CASES)
def test_nothing_of_a_figure_lies_outside_or_on_something_else(case):
    sweep = made(CASES[case])
    figure = sweep_figure(sweep, findings(sweep, lambda cell: float(cell.seed)))
    figure.draw_without_rendering()
    whole = figure.bbox
    panels = [axes for axes in figure.axes if axes.axison]
    assert len(panels) == 2 * len(sweep.study.tasks)
    for axes in panels:
        box = axes.get_tightbbox()
        assert whole.x0 <= box.x0
        assert box.x1 <= whole.x1 + 1
        assert whole.y0 <= box.y0
        assert box.y1 <= whole.y1
        assert axes.bbox.width > 0.25 * whole.width / 4
    below = [axes for axes in panels if axes.get_xlabel() == "final team return"]
    boxes = [[tick.get_window_extent() for tick in axes.get_yticklabels()] for axes in below]
    for of_one in boxes:
        assert all(upper.y0 >= lower.y1 for upper, lower in pairwise(of_one))
    labeled = [of_one for of_one in boxes if of_one]
    assert {len(of_one) for of_one in labeled} == {len(set(sweep.labels.values()))}
    assert len(labeled) == -(-len(sweep.study.tasks) // 4)  # four scenarios beside each other have one row of labels


@pytest.mark.parametrize("apart", [0.07, 0.0123, 1e-4, 3.0, 4567.0])
@pytest.mark.parametrize("around", [-28.25, 0.0, -12345.6])
def test_the_numbers_on_an_axis_never_run_into_each_other(around, apart):
    sweep = made(f"{TWO_SCENARIOS}{THREE}")
    figure = sweep_figure(sweep, findings(sweep, lambda cell: around + apart * cell.seed))
    figure.draw_without_rendering()
    for axes in figure.axes:
        first, last = axes.get_xlim()
        shown = [tick for tick in axes.xaxis.get_major_ticks() if first <= tick.get_loc() <= last]
        assert len(shown) > 1
        boxes = [tick.label1.get_window_extent() for tick in shown]
        assert all(one.x1 < other.x0 for one, other in pairwise(boxes))


def test_lines_differ_in_color_or_style_and_each_begins_its_own_row():
    sweep = made(MANY_LINES)
    above, below = sweep_figure(sweep, findings(sweep, lambda cell: float(cell.seed))).axes
    drawn = [(line.get_color(), line.get_linestyle()) for line in above.lines if line.get_label()[:1] != "_"]
    assert len(set(drawn)) == len(drawn) == 24
    samples = [text.arrow_patch for text in below.texts]
    assert [(sample.get_edgecolor()[:3], sample.get_linestyle()) for sample in samples] == [
        (pytest.approx(tuple(int(color[place : place + 2], 16) / 255 for place in (1, 3, 5))), style)
        for color, style in drawn
    ]
    places = [text.xy[1] for text in below.texts]
    assert places == sorted(places)
    assert np.allclose(places, below.get_yticks())


def test_a_label_is_no_formula_and_may_be_in_any_script():
    title, label = r"$\\broken{ 5 $", "$x_{ $ \u65e5"
    variant = f'[[variants]]\nlabel = "{label}"\n'
    sweep = made(f'title = "{title}"\nscenarios = ["exchange-quick"]\nseeds = [1]\n{variant}')
    assert draw_sweep(sweep, findings(sweep, lambda _: 1.0)).startswith(b"\x89PNG")
