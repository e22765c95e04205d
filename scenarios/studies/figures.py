"""The picture of a study, in the paper's arrangement."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from broker.counting import counted
from scenarios.reports.references import References
from scenarios.reports.statistics import band, estimate, stratified
from scenarios.running.batch.cell import Group
from scenarios.studies.outcome import StudyFindings
from scenarios.studies.study import ALONE, AS, PS, SHORT, VPS, VS, StudyCondition, StudyTask

# Okabe and Ito's colors, which color-blind readers can tell apart.
_COLORS = {AS: "#0072B2", VS: "#E69F00", VPS: "#009E73", PS: "#CC79A7", ALONE: "#555555"}
_SHADES = ("#56B4E9", "#0072B2", "#003b5c", "#D55E00", "#8c2d04", "#222222")
_MARKERS = {AS: "o", VS: "s", VPS: "^", PS: "D", ALONE: "v"}
GREY = "#777777"
CURVES = "Curves: mean and 95% bootstrap band over seeds."
FINALS = "Final: last tenth of training, interquartile mean and 95% bootstrap interval over seeds."
ONE_CURVE = "Curves: of this seed, without a band."
ONE_FINAL = "Final: last tenth of training, without an interval."
_OURS = "Episodes, T, grids and normalization are ours; the paper gives none."
_PANEL_WIDTH, _PANEL_HEIGHT, _HEAD, LETTER = 3.1, 2.6, 0.55, 0.053  # inches; the head holds title and legend


@dataclass(frozen=True)
class DrawnLine:
    """One line of a panel.

    Attributes:
        label: In the legend.
        color: Of line and band.
        group: Whose runs.
        style: Of the line, as matplotlib has it.
    """

    label: str
    color: str
    group: Group
    style: str = "-"


def draw_study(path: Path, findings: StudyFindings) -> None:
    """Draw a study's figure as a PNG.

    Args:
        path: Where it goes.
        findings: What came out.
    """
    arrangements: dict[str, Callable[[StudyFindings], Figure]] = {
        "finals": _finals,
        "overlay": _finals,
        "grid": _grid,
        "strength": _strength,
    }
    figure = arrangements[findings.study.arrangement](findings)
    figure.savefig(path, metadata={"Software": "Foretell"})


def _finals(findings: StudyFindings) -> Figure:
    """Training curves above normalized final returns, a column a task, and one for all tasks together."""
    columns = [(task, _lines(findings, task)) for task in findings.study.tasks]
    together = len(columns) > 2 and findings.study.arrangement == "finals"
    figure, panels = _panels(findings, 2, len(columns) + together)
    for column, (task, lines) in enumerate(columns):
        draw_curves(panels[0, column], findings, task, lines)
        _points(panels[1, column], findings, [(line, [line.group]) for line in lines])
        panels[0, column].set_title(task.label, fontsize=10)
    panels[0, 0].set_ylabel("team return\n(sum over agents)")
    panels[1, 0].set_ylabel("normalized final team return")
    if together:
        panels[0, -1].axis("off")
        names = [(line.label, line.color) for line in columns[0][1]]
        of_all = [
            (
                DrawnLine(label, color, columns[0][1][position].group),
                [lines[position].group for _, lines in columns],
            )
            for position, (label, color) in enumerate(names)
        ]
        _points(panels[1, -1], findings, of_all)
        panels[1, -1].set_title("all tasks", fontsize=10)
    _legend(figure, panels[0, 0])
    return figure


def _grid(findings: StudyFindings) -> Figure:
    """Training curves, a row a task and a column a variant."""
    study = findings.study
    figure, panels = _panels(findings, len(study.tasks), len(study.variants))
    for row, task in enumerate(study.tasks):
        conditions = [condition for condition in study.conditions if condition.task == task]
        for column, condition in enumerate(conditions):
            axes = panels[row, column]
            lines = [_of_algorithm(condition, name) for name in condition.algorithms]
            draw_curves(axes, findings, task, lines)
            axes.set_title(f"{task.label}, {condition.variant.label}", fontsize=10)
            if column:
                axes.sharey(panels[row, 0])
        panels[row, 0].set_ylabel("team return\n(sum over agents)")
    _legend(figure, panels[0, 0])
    return figure


def _strength(findings: StudyFindings) -> Figure:
    """Final team return and heard share against a strength, a column a task."""
    study = findings.study
    figure, panels = _panels(findings, 2, len(study.tasks))
    for column, task in enumerate(study.tasks):
        above, below = panels[:, column]
        for name in study.algorithms:
            _against_strength(above, below, findings, task, name)
        _reference_lines(above, findings.references[task.key])
        above.set_title(task.label, fontsize=10)
        below.set_ylim(-0.05, 1.05)
        below.set_xlabel(study.strength_label)
    panels[0, 0].set_ylabel("final team return\n(sum over agents)")
    panels[1, 0].set_ylabel("part of the shares\nheard in time")
    _legend(figure, panels[0, 0])
    return figure


def _against_strength(above: Axes, below: Axes, findings: StudyFindings, task: StudyTask, algorithm: str) -> None:
    conditions = [each for each in findings.study.conditions if each.task == task and algorithm in each.algorithms]
    color, marker = _COLORS[algorithm], _MARKERS[algorithm]
    groups = [Group(task.key, each.variant.key, algorithm) for each in conditions]
    found = [estimate(findings.finals(group), "final", *_key(group)) for group in groups]
    strengths = [each.variant.strength or 0.0 for each in conditions]
    if len(conditions) == 1:  # nothing is shared, so no fault can touch it
        others = [each.variant.strength or 0.0 for each in findings.study.conditions if each.task == task]
        strengths, found = [min(others), max(others)], found * 2
        marker = ""
    low = [each.value if each.low is None else each.low for each in found]
    high = [each.value if each.high is None else each.high for each in found]
    above.plot(
        strengths, [each.value for each in found], color=color, marker=marker, markersize=4, label=SHORT[algorithm]
    )
    above.fill_between(strengths, low, high, color=color, alpha=0.15, linewidth=0)
    heard = [
        np.mean([each.traffic.heard_share for each in findings.outcomes[group]])
        for group in groups
        if all(each.traffic.heard_share is not None for each in findings.outcomes[group])
    ]
    if len(heard) == len(strengths):
        below.plot(strengths, heard, color=color, marker=marker, markersize=4)


def draw_curves(
    axes: Axes, findings: StudyFindings, task: StudyTask, lines: Sequence[DrawnLine], shade: float = 0.2
) -> None:
    """Draw means over seeds, their bootstrap bands, and the task's reference lines.

    Args:
        axes: Where.
        findings: What came out.
        task: Whose.
        lines: Of the panel.
        shade: How opaque a band is, from 0 to 1.
    """
    for line in lines:
        outcomes = findings.outcomes[line.group]
        played = outcomes[0].played / 1e3
        mean, low, high = band(np.array([each.curve for each in outcomes]), "curve", *_key(line.group))
        axes.fill_between(played, low, high, color=line.color, alpha=shade, linewidth=0)
        # Learning alone lies beneath, wider: what shares in vain learns just so, and would be hidden.
        width, alpha, order = (3.0, 0.45, 1.8) if line.group.algorithm == ALONE else (1.4, 1.0, 2.0)
        axes.plot(
            *(played, mean, line.style), color=line.color, label=line.label, linewidth=width, alpha=alpha, zorder=order
        )
    if task.key in findings.references:
        _reference_lines(axes, findings.references[task.key])
    axes.set_xlabel("episodes played (thousands, all copies)")


def _reference_lines(axes: Axes, references: References) -> None:
    for line in references.lines:
        axes.axhline(line.value, color=GREY, linestyle=":", linewidth=1)
        axes.annotate(
            line.label,
            (1.0, line.value),
            xycoords=("axes fraction", "data"),
            xytext=(-2, 2),
            textcoords="offset points",
            ha="right",
            fontsize=7,
            color=GREY,
            bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.7},
        )


def _points(axes: Axes, findings: StudyFindings, lines: Sequence[tuple[DrawnLine, list[Group]]]) -> None:
    """Normalized final returns: IQM with interval, and every run as a small dot."""
    for position, (line, groups) in enumerate(lines):
        samples = [findings.normalized(group) for group in groups]
        name = "all" if len(groups) > 1 else groups[0].task
        found = stratified(samples, "final", name, line.group.variant, line.group.algorithm)
        runs = [value for sample in samples for value in sample]
        spread = position + np.linspace(-0.18, 0.18, len(runs)) if len(runs) > 1 else [position]
        axes.plot(spread, runs, ".", color=line.color, alpha=0.5, markersize=6, markeredgewidth=0)
        if found.low is not None and found.high is not None:
            ends = [[found.value - found.low], [found.high - found.value]]
            axes.errorbar(position, found.value, ends, color=line.color, elinewidth=1.6, capsize=5, capthick=1.6)
        axes.plot(position, found.value, "o", color=line.color, markersize=4)
    axes.set_xticks(range(len(lines)), [line.label.replace("independent", "indep.") for line, _ in lines], fontsize=8)
    axes.set_xlim(-0.5, len(lines) - 0.5)
    for value in (0.0, 1.0):
        axes.axhline(value, color=GREY, linestyle=":", linewidth=1)


def _lines(findings: StudyFindings, task: StudyTask) -> list[DrawnLine]:
    conditions = [each for each in findings.study.conditions if each.task == task]
    if findings.study.arrangement == "overlay":
        return [
            DrawnLine(each.variant.label, _SHADES[position % len(_SHADES)], Group(task.key, each.variant.key, name))
            for position, each in enumerate(conditions)
            for name in each.algorithms
        ]
    return [_of_algorithm(each, name) for each in conditions for name in each.algorithms]


def _of_algorithm(condition: StudyCondition, algorithm: str) -> DrawnLine:
    group = Group(condition.task.key, condition.variant.key, algorithm)
    return DrawnLine(SHORT[algorithm], _COLORS[algorithm], group)


def _panels(findings: StudyFindings, rows: int, columns: int) -> tuple[Figure, np.ndarray]:
    """An empty figure with its title and, at the foot, what a reader must know."""
    width = max(columns * _PANEL_WIDTH, 5.5)
    foot = _foot(findings, round(width / LETTER))
    height = rows * _PANEL_HEIGHT + _HEAD + 0.3 + 0.14 * foot.count("\n")
    figure = Figure(figsize=(width, height), dpi=150)
    bottom, top = (0.13 * (foot.count("\n") + 1) + 0.12) / height, _HEAD / height
    figure.set_layout_engine("constrained", rect=(0, bottom, 1, 1 - bottom - top))
    figure.text(0.5, 1 - 0.08 / height, findings.study.title, fontsize=11, ha="center", va="top")
    figure.text(0.01, 0.06 / height, foot, fontsize=7, color=GREY, va="bottom")
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat:
        dress(axes)
    return figure, panels


def dress(axes: Axes) -> None:
    """Give a panel the look of all of them."""
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.xaxis.label.set_fontsize(8)
    axes.yaxis.label.set_fontsize(9)


def _foot(findings: StudyFindings, width: int) -> str:
    study = findings.study
    seeds = counted(len(study.seeds), "seed")
    curves, finals = (CURVES, FINALS) if len(study.seeds) > 1 else (ONE_CURVE, ONE_FINAL)
    meaning = {"grid": (curves,), "strength": (finals,)}.get(study.arrangement, (curves, finals, "Dots are runs."))
    lines = [" ".join((f"{seeds}.", *meaning, _OURS))]
    if study.arrangement in ("finals", "overlay"):
        lines += [f"{task.label}: {findings.references[task.key].formula}" for task in study.tasks]
    return "\n".join(wrapped for line in lines for wrapped in textwrap.wrap(line, width))


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    height = figure.get_figheight()
    figure.legend(
        handles,
        labels,
        loc="upper center",
        bbox_to_anchor=(0.5, 1 - 0.26 / height),
        ncols=len(labels),
        frameon=False,
        fontsize=9,
    )


def _key(group: Group) -> tuple[str, str, str]:
    return group.task, group.variant, group.algorithm
