"""The picture of a sweep: for each scenario its training curves, and below them the final returns, a row a line.

The rows are the legend: each begins with its line as the curves have it. Labels stand at the left alone.
"""

from __future__ import annotations

import math
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scenarios.reports.panels import GREY, LETTER, DrawnLine, as_png, draw_curves, dress
from scenarios.reports.seeds_told import seed_count, seeds_told
from scenarios.reports.statistics import estimate
from scenarios.running.batch.cell import Group
from scenarios.studies.findings import StudyFindings
from scenarios.studies.study import ALONE, StudyTask
from scenarios.sweeps.sweep import Sweep

# Okabe and Ito's colors, which color-blind readers can tell apart, but for the yellow, which is lost on white.
_COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#555555")
_STYLES = ("-", "--", ":", "-.")
_MOST_COLUMNS = 4
_LABEL_LETTERS, _LABEL_LINES, _TITLE_LETTERS = 34, 3, 40
_SAMPLE_POINTS = (30.0, 6.0)
"""Where the sample of a line begins and ends, left of its row."""
# Inches.
_PANEL_WIDTH, _ONLY_PANEL_WIDTH, _CURVES_HEIGHT = 3.0, 4.6, 2.5
_ROW, _ROW_LINE, _AROUND_ROWS = 0.1, 0.125, 0.6
_LABEL_LETTER, _TITLE_LETTER, _TITLE_LINE, _FOOT_LINE = 0.062, 0.085, 0.19, 0.13
_TALLEST = 200.0
_DPI = 150
_SHADE, _SHADES = 0.2, 0.6
"""How opaque one band is, and how opaque they may be in all: many cover each other."""


@dataclass(frozen=True)
class _Row:
    """One line, in all scenarios that have it.

    Attributes:
        label: Wrapped.
        color: Of the line.
        style: Of the line.
        place: Of its middle, in inches from the first row's top.
        height: In inches.
    """

    label: str
    color: str
    style: str
    place: float
    height: float


_Groups = Sequence[tuple[_Row, Group]]


def draw_sweep(sweep: Sweep, findings: StudyFindings) -> bytes:
    """A sweep's figure as a PNG.

    Args:
        sweep: What was asked.
        findings: What came out.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # a label may be in any script
        return as_png(sweep_figure(sweep, findings))


def sweep_figure(sweep: Sweep, findings: StudyFindings) -> Figure:
    """A sweep's figure."""
    rows, tasks = _rows(sweep), sweep.study.tasks
    bands = math.ceil(len(tasks) / _MOST_COLUMNS)
    columns = math.ceil(len(tasks) / bands)
    figure, panels = _panels(sweep, findings, list(rows.values()), bands, columns)
    for position in range(bands * columns):
        band, column = divmod(position, columns)
        above, below = panels[2 * band, column], panels[2 * band + 1, column]
        if position < len(tasks):
            task = tasks[position]
            groups = [(rows[label], group) for group, label in sweep.labels.items() if group.task == task.key]
            _scenario(above, below, findings, task, groups)
        else:
            above.axis("off")
            below.axis("off")
        if not column:
            above.set_ylabel("team return\n(sum over agents)")
            below.set_yticks([row.place for row in rows.values()], [_literal(row.label) for row in rows.values()])
    return figure


def _rows(sweep: Sweep) -> dict[str, _Row]:
    """The lines of all scenarios by label, those of equal label being one."""
    labels = list(dict.fromkeys(sweep.labels.values()))
    wrapped = [_wrapped(label, _LABEL_LETTERS, _LABEL_LINES) for label in labels]
    heights = [_ROW + _ROW_LINE * (1 + label.count("\n")) for label in wrapped]
    ends = accumulate(heights)
    return {
        label: _Row(
            wrapped[position],
            _COLORS[position % len(_COLORS)],
            _STYLES[position // len(_COLORS) % len(_STYLES)],
            end - heights[position] / 2,
            heights[position],
        )
        for position, (label, end) in enumerate(zip(labels, ends, strict=True))
    }


def _panels(
    sweep: Sweep, findings: StudyFindings, rows: list[_Row], bands: int, columns: int
) -> tuple[Figure, np.ndarray]:
    """An empty figure with its title and, at the foot, what a reader must know."""
    longest = max(len(line) for row in rows for line in row.label.split("\n"))
    width = max(5.5, _LABEL_LETTER * longest + 0.9 + columns * (_PANEL_WIDTH if columns > 1 else _ONLY_PANEL_WIDTH))
    finals_height = _AROUND_ROWS + sum(row.height for row in rows)
    title = textwrap.fill(sweep.study.title, int(width / _TITLE_LETTER))
    foot = "\n".join(textwrap.fill(line, round(width / LETTER)) for line in _foot(findings))
    head_height = _TITLE_LINE * (1 + title.count("\n")) + 0.15
    foot_height = _FOOT_LINE * (1 + foot.count("\n")) + 0.12
    height = min(bands * (_CURVES_HEIGHT + finals_height) + head_height + foot_height, _TALLEST)
    figure = Figure(figsize=(width, height), dpi=_DPI)
    body = (0, foot_height / height, 1, 1 - (head_height + foot_height) / height)
    figure.set_layout_engine("constrained", rect=body, h_pad=0.06)
    figure.text(0.5, 1 - 0.08 / height, _literal(title), fontsize=11, ha="center", va="top")
    figure.text(0.01, 0.06 / height, foot, fontsize=7, color=GREY, va="bottom")
    shares = [_CURVES_HEIGHT, finals_height] * bands
    panels = figure.subplots(2 * bands, columns, squeeze=False, height_ratios=shares)
    for axes in panels.flat:
        dress(axes)
    for axes in panels[1::2].flat:
        axes.set_yticks([])
        axes.set_ylim(sum(row.height for row in rows), 0)
        axes.tick_params(axis="y", length=0, pad=_SAMPLE_POINTS[0] + 6)
        axes.set_xlabel("final team return")
    return figure, panels


def _scenario(above: Axes, below: Axes, findings: StudyFindings, task: StudyTask, groups: _Groups) -> None:
    """The two panels of a scenario."""
    lines = [
        DrawnLine(row.label, row.color, row.style, group.names, *findings.curves(group), group.contender == ALONE)
        for row, group in groups
    ]
    draw_curves(above, lines, findings.references.get(task.key), shade=min(_SHADE, _SHADES / len(lines)))
    above.set_title(_literal(_wrapped(task.label, _TITLE_LETTERS, 2)), fontsize=10)
    for row, group in groups:
        _final(below, findings, row, group)


def _final(axes: Axes, findings: StudyFindings, row: _Row, group: Group) -> None:
    """Final returns of a group: IQM with interval, every run as a small dot, and the line that the curves have."""
    runs = findings.finals(group)
    found = estimate(runs, "final", *group.names)
    reach = 0.3 * row.height if len(runs) > 1 else 0.0
    spread = row.place + np.linspace(-reach, reach, len(runs))
    axes.plot(runs, spread, ".", color=row.color, alpha=0.5, markersize=5, markeredgewidth=0)
    if found.low is not None and found.high is not None:
        ends = [[found.value - found.low], [found.high - found.value]]
        axes.errorbar(found.value, row.place, xerr=ends, color=row.color, elinewidth=1.4, capsize=3, capthick=1.4)
    axes.plot(found.value, row.place, "o", color=row.color, markersize=4)
    sample = {"arrowstyle": "-", "color": row.color, "linestyle": row.style, "linewidth": 1.6}
    axes.annotate(
        "",
        (0, row.place),
        xycoords=axes.get_yaxis_transform(),
        xytext=(-_SAMPLE_POINTS[0], 0),
        textcoords="offset points",
        arrowprops=sample | {"shrinkA": 0, "shrinkB": _SAMPLE_POINTS[1]},
        annotation_clip=False,
    )


def _foot(findings: StudyFindings) -> list[str]:
    told = seeds_told(*findings.runs)
    said = f"{seed_count(*findings.runs)}. {told.curves} {told.finals} Dots are runs."
    return [*filter(None, [findings.study.so_far]), said]


def _wrapped(text: str, letters: int, most_lines: int) -> str:
    """A text on some lines, cut where it is longer; a setting and its value stay together."""
    text = text.replace(" = ", "\u00a0=\u00a0")
    return "\n".join(textwrap.wrap(text, letters, max_lines=most_lines, placeholder=" ..."))


def _literal(text: str) -> str:
    """A text in which nothing is a formula."""
    return text.replace("$", r"\$")
