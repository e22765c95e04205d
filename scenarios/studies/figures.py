"""The picture of a study, in the paper's arrangement."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from broker.counting import counted
from scenarios.reports.references import References
from scenarios.reports.statistics import RESAMPLED, band, estimate, stratified
from scenarios.running.batch.cell import Group
from scenarios.studies.findings import StudyFindings
from scenarios.studies.study import (
    ALL_PULLS,
    ALONE,
    AS,
    AS_CALIBRATED,
    AS_TWO,
    CONTENDERS,
    NAC,
    NO_MEMORY,
    NOT_MEASURED,
    PS,
    VPS,
    VS,
    Study,
    StudyCondition,
    StudyTask,
)

# Okabe and Ito's colors, which color-blind readers can tell apart.
_COLORS = {
    AS: "#0072B2",
    AS_TWO: "#000000",
    AS_CALIBRATED: "#56B4E9",
    ALL_PULLS: "#000000",
    NO_MEMORY: "#8c2d04",
    NOT_MEASURED: "#003b5c",
    VS: "#E69F00",
    VPS: "#009E73",
    PS: "#CC79A7",
    NAC: "#D55E00",
    ALONE: "#555555",
}
_SHADES = ("#56B4E9", "#0072B2", "#003b5c", "#D55E00", "#8c2d04", "#222222")
_MARKERS = {AS: "o", AS_TWO: "P", AS_CALIBRATED: "X", VS: "s", VPS: "^", PS: "D", NAC: "<", ALONE: "v"}
Dashes = str | tuple[int, tuple[float, ...]]
_DASHES: dict[str, Dashes] = {
    AS_TWO: (0, (4, 1.5)),
    NAC: (0, (1, 1)),
}  # a second way to tell lines apart; all others are solid
GREY = "#777777"
_COLUMNS = 4  # of panels; more tasks go on below, so that letters stay readable on a page
_MAPS = 3  # the same of maps, which have figures in their cells
_DARK = 0.5  # cells below are dark: their figures are white
_CURVES = "Curves: mean and 95% bootstrap band over seeds."
_FINALS = "Final: last tenth of training, interquartile mean and 95% bootstrap interval over seeds."
_CELLS = "Final: last tenth of training, interquartile mean over seeds."
_FEW_CURVES = "Curves: mean and range over seeds."
_FEW_FINALS = "Final: last tenth of training, mean and range over seeds."
_SOME_FEW = "Of up to three seeds it is the mean and the range."
_TOGETHER = "All tasks: interquartile mean of all runs and 95% bootstrap interval, resampled within each task."
_ONE_CURVE = "Curves: of this seed, without a band."
_ONE_FINAL = "Final: last tenth of training, without an interval."
_OURS = "Episodes, T, grids and normalization are ours; the paper gives none."
_PANEL_WIDTH, _PANEL_HEIGHT, _LEAST_WIDTH, _HEAD = 2.6, 2.4, 6.4, 0.55  # inches; the head holds title and legend
LETTER = 0.053  # inches that a letter of the foot is wide
_NAME_LETTER, _NAME_ROOM = 0.06, 1.9  # inches: a letter of a name below a panel, and what all its names have


@dataclass(frozen=True)
class DrawnLine:
    """One line of a panel.

    Attributes:
        label: In the legend.
        color: Of line and band.
        group: Whose runs.
        dashes: Of the line, as matplotlib has its style.
    """

    label: str
    color: str
    group: Group
    dashes: Dashes = "-"


def draw_study(findings: StudyFindings) -> bytes:
    """A study's figure as a PNG.

    Args:
        findings: What came out.
    """
    arrangements: dict[str, Callable[[StudyFindings], Figure]] = {
        "finals": _finals,
        "overlay": _finals,
        "grid": _grid,
        "points": _points_alone,
        "strength": _strength,
        "map": _map,
    }
    figure = arrangements[findings.study.arrangement](findings)
    drawn = BytesIO()
    figure.savefig(drawn, format="png", metadata={"Software": "Foretell"})
    return drawn.getvalue()


def _finals(findings: StudyFindings) -> Figure:
    """Training curves above normalized final returns, a column a task, and one for all tasks together."""
    tasks = [(task, _lines(findings, task)) for task in findings.study.tasks]
    together = _has_all_tasks(findings.study)
    columns, rows = _arranged(len(tasks) + together)
    figure, panels = _panels(findings, 2 * rows, columns)
    pairs = [(panels[2 * row, column], panels[2 * row + 1, column]) for row in range(rows) for column in range(columns)]
    for (curves, finals), (task, lines) in zip(pairs, tasks, strict=False):
        draw_curves(curves, findings, task, lines)
        _points(finals, findings, [(line, [line.group]) for line in lines])
        curves.set_title(task.label, fontsize=10)
    for above in panels[::2, 0]:
        above.set_ylabel("team return\n(sum over agents)")
    for below in panels[1::2, 0]:
        below.set_ylabel("normalized final\nteam return")
    for axes in [axes for pair in pairs[len(tasks) :] for axes in pair]:
        axes.axis("off")
    if together:
        _of_all_tasks(pairs[len(tasks)][1], findings, [lines for _, lines in tasks])
    _legend(figure, panels)
    return figure


def _has_all_tasks(study: Study) -> bool:
    return len(study.tasks) > 2 and study.arrangement == "finals"


def _of_all_tasks(axes: Axes, findings: StudyFindings, columns: Sequence[Sequence[DrawnLine]]) -> None:
    """Normalized final returns over the tasks together, of each line that all of them have."""
    groups = [{line.label: line.group for line in lines} for lines in columns]
    everywhere = [line for line in columns[0] if all(line.label in of_task for of_task in groups)]
    lines = [(line, [of_task[line.label] for of_task in groups]) for line in everywhere]
    lines = [(line, of_line) for line, of_line in lines if findings.common_seeds(of_line)]
    if not lines:
        return
    axes.axis("on")
    _points(axes, findings, lines)
    axes.set_title("all tasks", fontsize=10)


def _arranged(panels: int, most: int = _COLUMNS) -> tuple[int, int]:
    """Columns and rows of so many panels: as few rows as they need, of as equal length as can be."""
    rows = -(-panels // most)
    return -(-panels // rows), rows


def _grid(findings: StudyFindings) -> Figure:
    """Training curves, a row a task and a column a variant."""
    study = findings.study
    variants = [variant.key for variant in study.variants]
    figure, panels = _panels(findings, len(study.tasks), len(variants))
    for axes in panels.flat:
        axes.axis("off")
    for row, task in enumerate(study.tasks):
        for condition in (each for each in study.conditions if each.task == task):
            column = variants.index(condition.variant.key)
            axes = panels[row, column]
            axes.axis("on")
            lines = [_of_contender(condition, name) for name in condition.contenders]
            draw_curves(axes, findings, task, lines)
            axes.set_title(f"{task.label}, {condition.variant.label}", fontsize=10)
            if column:
                axes.sharey(panels[row, 0])
        panels[row, 0].set_ylabel("team return\n(sum over agents)")
    _legend(figure, panels)
    return figure


def _strength(findings: StudyFindings) -> Figure:
    """Final team return and heard share against a strength, a column a task."""
    study = findings.study
    figure, panels = _panels(findings, 2, len(study.tasks))
    for column, task in enumerate(study.tasks):
        above, below = panels[:, column]
        for name in study.contenders:
            _against_strength(above, below, findings, task, name)
        _reference_lines(above, findings.references[task.key])
        above.set_title(task.label, fontsize=10)
        below.set_ylim(-0.05, 1.05)
        below.set_xlabel(study.strength_label)
    panels[0, 0].set_ylabel("final team return\n(sum over agents)")
    panels[1, 0].set_ylabel("part of the shares\nheard in time")
    _legend(figure, panels)
    return figure


def _points_alone(findings: StudyFindings) -> Figure:
    """Normalized final returns, a panel a task, in rows."""
    tasks = findings.study.tasks
    columns, rows = _arranged(len(tasks))
    figure, panels = _panels(findings, rows, columns)
    for axes in panels.flat[len(tasks) :]:
        axes.axis("off")
    for axes, task in zip(panels.flat, tasks, strict=False):
        _points(axes, findings, [(line, [line.group]) for line in _lines(findings, task)])
        axes.set_title(task.label, fontsize=10)
    for row in range(rows):
        panels[row, 0].set_ylabel("normalized final\nteam return")
    return figure


def _map(findings: StudyFindings) -> Figure:
    """Normalized final returns over two numbers, as colors and figures, a panel a task."""
    study = findings.study
    columns, rows = _arranged(len(study.tasks), _MAPS)
    figure, panels = _panels(findings, rows, columns)
    for axes in panels.flat[len(study.tasks) :]:
        axes.axis("off")
    places = [each.place for each in study.variants if each.place is not None]
    across, up = (sorted({place[axis] for place in places}) for axis in (0, 1))
    for axes, task in zip(panels.flat, study.tasks, strict=False):
        cells = np.full((len(up), len(across)), np.nan)
        for condition in (each for each in study.conditions if each.task == task):
            if condition.variant.place is not None:
                [contender] = condition.contenders
                value = findings.final_normalized(Group(task.key, condition.variant.key, contender)).value
                cells[up.index(condition.variant.place[1]), across.index(condition.variant.place[0])] = value
        shades = axes.imshow(cells, cmap="cividis", vmin=0, vmax=1, origin="lower", aspect="auto")
        for row, column in np.argwhere(~np.isnan(cells)):
            ink = "white" if cells[row, column] < _DARK else "black"
            axes.text(column, row, f"{cells[row, column]:.2f}", color=ink, fontsize=7, ha="center", va="center")
        axes.grid(visible=False)
        axes.set_xticks(range(len(across)), [f"{value:g}" for value in across])
        axes.set_yticks(range(len(up)), [f"{value:g}" for value in up])
        axes.set_xlabel(study.map_labels[0])
        axes.set_title(task.label, fontsize=10)
    for axes in panels[:, 0]:
        axes.set_ylabel(study.map_labels[1])
    figure.colorbar(shades, ax=panels.ravel().tolist(), label="normalized final\nteam return", extend="both")
    return figure


def _against_strength(above: Axes, below: Axes, findings: StudyFindings, task: StudyTask, contender: str) -> None:
    conditions = [each for each in findings.study.conditions if each.task == task and contender in each.contenders]
    color, marker = _COLORS[contender], _MARKERS[contender]
    groups = [Group(task.key, each.variant.key, contender) for each in conditions]
    found = [estimate(findings.finals(group), "final", *_key(group)) for group in groups]
    strengths = [each.variant.strength or 0.0 for each in conditions]
    if contender == ALONE:  # nothing is shared, so no fault can touch it
        others = [each.variant.strength or 0.0 for each in findings.study.conditions if each.task == task]
        strengths, found = [min(others), max(others)], found * 2
        marker = ""
    low = [each.value if each.low is None else each.low for each in found]
    high = [each.value if each.high is None else each.high for each in found]
    above.plot(
        strengths,
        [each.value for each in found],
        color=color,
        marker=marker,
        markersize=4,
        linestyle=_DASHES.get(contender, "-"),
        label=CONTENDERS[contender].label,
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
        width, alpha, order = (3.0, 0.45, 1.8) if line.group.contender == ALONE else (1.4, 1.0, 2.0)
        style: dict[str, Any] = {"linewidth": width, "linestyle": line.dashes, "alpha": alpha, "zorder": order}
        axes.plot(played, mean, color=line.color, label=line.label, **style)
    if task.key in findings.references:
        _reference_lines(axes, findings.references[task.key])
    axes.set_xlabel("episodes (thousands, all copies)")


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
        samples = findings.of_common_seeds(groups)
        name = "all" if len(groups) > 1 else groups[0].task
        found = stratified(samples, "final", name, line.group.variant, line.group.contender)
        runs = [value for sample in samples for value in sample]
        spread = position + np.linspace(-0.18, 0.18, len(runs)) if len(runs) > 1 else [position]
        axes.plot(spread, runs, ".", color=line.color, alpha=0.5, markersize=6, markeredgewidth=0)
        if found.low is not None and found.high is not None:
            ends = [[found.value - found.low], [found.high - found.value]]
            axes.errorbar(position, found.value, ends, color=line.color, elinewidth=1.6, capsize=5, capthick=1.6)
        axes.plot(position, found.value, "o", color=line.color, markersize=4)
    names = [line.label.replace("independent", "indep.") for line, _ in lines]
    fit = max(map(len, names)) * _NAME_LETTER < _NAME_ROOM / len(names)
    slant: dict[str, Any] = {} if fit else {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(lines)), names, fontsize=8, **slant)
    axes.set_xlim(-0.5, len(lines) - 0.5)
    for value in (0.0, 1.0):
        axes.axhline(value, color=GREY, linestyle=":", linewidth=1)


def _lines(findings: StudyFindings, task: StudyTask) -> list[DrawnLine]:
    conditions = [each for each in findings.study.conditions if each.task == task]
    if findings.study.arrangement == "overlay":
        return [
            DrawnLine(each.variant.label, _SHADES[position % len(_SHADES)], Group(task.key, each.variant.key, name))
            for position, each in enumerate(conditions)
            for name in each.contenders
        ]
    return [_of_contender(each, name) for each in conditions for name in each.contenders]


def _of_contender(condition: StudyCondition, contender: str) -> DrawnLine:
    group = Group(condition.task.key, condition.variant.key, contender)
    return DrawnLine(CONTENDERS[contender].label, _COLORS[contender], group, _DASHES.get(contender, "-"))


def _panels(findings: StudyFindings, rows: int, columns: int) -> tuple[Figure, np.ndarray]:
    """An empty figure with its title and, at the foot, what a reader must know."""
    width = max(columns * _PANEL_WIDTH, _LEAST_WIDTH)
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


def curves_and_finals(least: int, most: int) -> tuple[str, str]:
    """What curves and final returns show, in words, where groups have at least and at most so many seeds."""
    if most < 2:
        return _ONE_CURVE, _ONE_FINAL
    if most < RESAMPLED:
        return _FEW_CURVES, _FEW_FINALS
    return _CURVES, _FINALS if least >= RESAMPLED else f"{_FINALS} {_SOME_FEW}"


def _foot(findings: StudyFindings, width: int) -> str:
    study = findings.study
    least, most = findings.runs
    seeds = counted(most, "seed") if least == most else f"{least} to {counted(most, 'seed')}"
    curves, finals = curves_and_finals(least, most)
    meaning = {"grid": (curves,), "strength": (finals,), "map": (_CELLS,), "points": (finals, "Dots are runs.")}.get(
        study.arrangement, (curves, finals, "Dots are runs.")
    )
    lines = [study.so_far] if study.so_far else []
    lines += [" ".join((f"{seeds}.", *meaning, _OURS))]
    if _has_all_tasks(study) and most > 1 and least < RESAMPLED:
        lines += [_TOGETHER]
    if study.arrangement in ("finals", "overlay", "map", "points"):
        lines += [f"{task.label}: {findings.references[task.key].formula}" for task in study.tasks]
    return "\n".join(wrapped for line in lines for wrapped in textwrap.wrap(line, width))


def _legend(figure: Figure, panels: np.ndarray) -> None:
    known: dict[str, Any] = {}
    for axes in panels.flat:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            known.setdefault(label, handle)
    handles, labels = list(known.values()), list(known)
    height, width = figure.get_figheight(), figure.get_figwidth()
    needed = sum(map(len, labels)) * 1.3 * LETTER + len(labels) * 0.6  # inches, at size 9
    narrow: dict[str, Any] = {"fontsize": 7.5, "handlelength": 1.2, "handletextpad": 0.4, "columnspacing": 0.9}
    figure.legend(
        handles,
        labels,
        loc="upper center",
        bbox_to_anchor=(0.5, 1 - 0.26 / height),
        ncols=len(labels),
        frameon=False,
        **(narrow if needed > width else {"fontsize": 9}),
    )


def _key(group: Group) -> tuple[str, str, str]:
    return group.task, group.variant, group.contender
