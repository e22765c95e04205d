"""The picture of a study, in the paper's arrangement."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scenarios.reports.panels import GREY, LETTER, Dashes, DrawnLine, as_png, draw_curves, dress, reference_lines
from scenarios.reports.seeds_told import SeedsTold, seed_count, seeds_told
from scenarios.reports.statistics import RESAMPLED, estimate, stratified
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
_MARKERS = {AS: "o", AS_TWO: "P", AS_CALIBRATED: "X", VS: "s", VPS: "^", PS: "D", NAC: "<", ALONE: "v"}
_DASHES: dict[str, Dashes] = {
    AS_TWO: (0, (4, 1.5)),
    NAC: (0, (1, 1)),
}  # a second way to tell lines apart; all others are solid
_COLUMNS = 4  # of panels; more tasks go on below, so that letters stay readable on a page
_MAPS = 3  # the same of maps, which have figures in their cells
_DARK = 0.5  # cells below are dark: their figures are white
_CELLS = "Final: last tenth of training, interquartile mean over seeds."
_TOGETHER = "All tasks: interquartile mean of all runs and 95% bootstrap interval, resampled within each task."
_DOTS = "Dots are runs."
_OURS = "Episodes, T, grids and normalization are ours; the paper gives none."
_PANEL_WIDTH, _PANEL_HEIGHT, _LEAST_WIDTH, _HEAD = 2.6, 2.4, 6.4, 0.55  # inches; the head holds title and legend
_NAME_LETTER, _NAME_ROOM = 0.06, 1.9  # inches: a letter of a name below a panel, and what all its names have
_SHADE = 0.2  # how opaque a band is


@dataclass(frozen=True)
class Arrangement:
    """How the panels of a picture are arranged, and what its foot says of them.

    Attributes:
        draw: Makes the picture.
        meaning: What its marks mean, sentences, where so many seeds show what they show.
        pools_tasks: Whether more than two tasks have a panel for all of them together.
        shows_formulas: Whether returns are normalized in it.
    """

    draw: Callable[[StudyFindings], Figure]
    meaning: Callable[[SeedsTold], tuple[str, ...]]
    pools_tasks: bool
    shows_formulas: bool


@dataclass(frozen=True)
class _Line:
    """What stands for a group.

    Attributes:
        label: In the legend.
        color: Of line, band and dots.
        dashes: Of the line.
        group: Whose runs.
    """

    label: str
    color: str
    dashes: Dashes
    group: Group


def draw_study(findings: StudyFindings) -> bytes:
    """A study's picture as a PNG.

    Args:
        findings: What came out.
    """
    return as_png(_ARRANGEMENTS[findings.study.arrangement].draw(findings))


def _finals(findings: StudyFindings) -> Figure:
    """Training curves above normalized final returns, a column a task, and one for all tasks together."""
    tasks = [(task, _lines(findings, task)) for task in findings.study.tasks]
    together = _has_all_tasks(findings.study)
    columns, rows = _arranged(len(tasks) + together)
    figure, panels = _panels(findings, 2 * rows, columns)
    pairs = [(panels[2 * row, column], panels[2 * row + 1, column]) for row in range(rows) for column in range(columns)]
    for (curves, finals), (task, lines) in zip(pairs, tasks, strict=False):
        _curves(curves, findings, task, lines)
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
    return _ARRANGEMENTS[study.arrangement].pools_tasks and len(study.tasks) > 2


def _of_all_tasks(axes: Axes, findings: StudyFindings, columns: Sequence[Sequence[_Line]]) -> None:
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
            _curves(axes, findings, task, lines)
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
        reference_lines(above, findings.references[task.key])
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
    if not conditions:  # none of its runs is done yet
        return
    color, marker = _COLORS[contender], _MARKERS[contender]
    groups = [Group(task.key, each.variant.key, contender) for each in conditions]
    found = [estimate(findings.finals(group), "final", *group.names) for group in groups]
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


def _curves(axes: Axes, findings: StudyFindings, task: StudyTask, lines: Sequence[_Line]) -> None:
    """Training curves; learning alone lies beneath, as what shares in vain learns just so, and would be hidden."""
    drawn = []
    for line in lines:
        beneath = line.group.contender == ALONE
        played, curves = findings.curves(line.group)
        drawn.append(DrawnLine(line.label, line.color, line.dashes, line.group.names, played, curves, beneath))
    draw_curves(axes, drawn, findings.references.get(task.key), shade=_SHADE)


def _points(axes: Axes, findings: StudyFindings, lines: Sequence[tuple[_Line, list[Group]]]) -> None:
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


def _lines(findings: StudyFindings, task: StudyTask) -> list[_Line]:
    conditions = [each for each in findings.study.conditions if each.task == task]
    return [_of_contender(each, name) for each in conditions for name in each.contenders]


def _of_contender(condition: StudyCondition, contender: str) -> _Line:
    group = Group(condition.task.key, condition.variant.key, contender)
    return _Line(CONTENDERS[contender].label, _COLORS[contender], _DASHES.get(contender, "-"), group)


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


def _foot(findings: StudyFindings, width: int) -> str:
    study, (least, most) = findings.study, findings.runs
    arrangement = _ARRANGEMENTS[study.arrangement]
    lines = [study.so_far] if study.so_far else []
    lines += [" ".join((f"{seed_count(least, most)}.", *arrangement.meaning(seeds_told(least, most)), _OURS))]
    if _has_all_tasks(study) and most > 1 and least < RESAMPLED:
        lines += [_TOGETHER]
    if arrangement.shows_formulas:
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


_ARRANGEMENTS: dict[str, Arrangement] = {
    "finals": Arrangement(
        _finals, lambda told: (told.curves, told.finals, _DOTS), pools_tasks=True, shows_formulas=True
    ),
    "grid": Arrangement(_grid, lambda told: (told.curves,), pools_tasks=False, shows_formulas=False),
    "points": Arrangement(_points_alone, lambda told: (told.finals, _DOTS), pools_tasks=False, shows_formulas=True),
    "strength": Arrangement(_strength, lambda told: (told.finals,), pools_tasks=False, shows_formulas=False),
    "map": Arrangement(_map, lambda _: (_CELLS,), pools_tasks=False, shows_formulas=True),
}
"""By the names that a study has for them."""
