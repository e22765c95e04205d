"""Panels of pictures: the look of all of them, training curves with their bands, and reference lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

mpl.use("Agg")

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath
from matplotlib.ticker import AutoLocator, MaxNLocator

from scenarios.reports.references import References
from scenarios.reports.statistics import band

GREY = "#777777"
LETTER = 0.053
"""Inches that a letter of a foot is wide."""
_TICK_POINTS, _BETWEEN_POINTS, _POINTS_AN_INCH = 8, 4, 72
"""Of the numbers on an axis: how large they are, and how much there is at least between two."""
Dashes = str | tuple[int, tuple[float, ...]]
"""The style of a line, as matplotlib has it."""


@dataclass(frozen=True)
class DrawnLine:
    """One line of a panel of training curves: the mean of some runs, and its band.

    Attributes:
        label: In the legend.
        color: Of line and band.
        dashes: Of the line.
        name: Names the random stream of the band's bootstrap.
        played: (points,) float64, episodes played, parallel copies counted.
        curves: (runs, points) float64, the team return of each run.
        beneath: Whether it lies beneath all others, wider: what is like it would hide it.
    """

    label: str
    color: str
    dashes: Dashes
    name: tuple[str, ...]
    played: NDArray[np.float64]
    curves: NDArray[np.float64]
    beneath: bool


def draw_curves(axes: Axes, lines: Sequence[DrawnLine], scale: References | None, *, shade: float) -> None:
    """Draw means over seeds, their bootstrap bands, and reference lines.

    Args:
        axes: Where.
        lines: Of the panel.
        scale: Has the reference lines; None where none are known.
        shade: How opaque a band is, from 0 to 1.
    """
    for line in lines:
        played = line.played / 1e3
        mean, low, high = band(line.curves, "curve", *line.name)
        axes.fill_between(played, low, high, color=line.color, alpha=shade, linewidth=0)
        width, alpha, order = (3.0, 0.45, 1.8) if line.beneath else (1.4, 1.0, 2.0)
        style: dict[str, Any] = {"linewidth": width, "linestyle": line.dashes, "alpha": alpha, "zorder": order}
        axes.plot(played, mean, color=line.color, label=line.label, **style)
    if scale is not None:
        reference_lines(axes, scale)
    axes.set_xlabel("episodes (thousands, all copies)")


def reference_lines(axes: Axes, scale: References) -> None:
    """Draw the returns that a task makes possible, each with its name at the right."""
    for line in scale.lines:
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


@cache
def _width(number: str) -> float:
    """Points that a number on an axis is wide."""
    return float(TextPath((0, 0), number, size=_TICK_POINTS).get_extents().width) if number else 0.0


class RoomyTicks(AutoLocator):
    """Matplotlib's ticks of a horizontal axis, or, where their numbers would run into each other, fewer of them.

    Args:
        axes: Whose axis it is.
    """

    def __init__(self, axes: Axes) -> None:
        super().__init__()
        self._axes = axes

    def tick_values(self, vmin: float, vmax: float) -> list[float]:
        """The ticks between two ends of the axis."""
        ticks = np.asarray(super().tick_values(vmin, vmax), np.float64)
        for bins in range(len(ticks) - 1, 0, -1):
            if self._fit(ticks, vmin, vmax):
                break
            ticks = np.asarray(MaxNLocator(bins, steps=[1, 2, 2.5, 5, 10]).tick_values(vmin, vmax), np.float64)
        found: list[float] = ticks.tolist()
        return found

    def _fit(self, ticks: NDArray[np.float64], vmin: float, vmax: float) -> bool:
        seen = ticks[(ticks >= vmin) & (ticks <= vmax)]
        if len(seen) < 2:
            return True
        labels = self._axes.xaxis.get_major_formatter().format_ticks(ticks.tolist())
        widest = max(map(_width, labels))
        width = self._axes.get_window_extent().width * _POINTS_AN_INCH / self._axes.figure.dpi
        return bool(widest + _BETWEEN_POINTS <= width * (seen[1] - seen[0]) / (vmax - vmin))


def dress(axes: Axes) -> None:
    """Give a panel the look of all of them."""
    axes.xaxis.set_major_locator(RoomyTicks(axes))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=_TICK_POINTS)
    axes.xaxis.label.set_fontsize(8)
    axes.yaxis.label.set_fontsize(9)


def as_png(figure: Figure) -> bytes:
    """A figure as a file."""
    drawn = BytesIO()
    figure.savefig(drawn, format="png", metadata={"Software": "Foretell"})
    return drawn.getvalue()
