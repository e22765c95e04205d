"""Pictures of runs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from broker.errors import UserError
from broker.files import write_whole
from scenarios.results.evaluation import ReturnInterval

_INCHES = (8.0, 4.5)
_TEAM, _EVALUATED = "#1b4f72", "#000000"
_AGENTS = ("#d35400", "#7d3c98", "#1e8449", "#b7950b", "#c0392b", "#117a65", "#5d6d7e", "#a04000")


def draw_learning_curve(
    path: Path,
    title: str,
    agents: tuple[str, ...],
    returns: np.ndarray,
    evaluations: Sequence[tuple[int, ReturnInterval]],
) -> None:
    """Team return (and single agents' if there are few) against episodes, raw and smoothed.

    Args:
        path: Where the PNG goes.
        title: Above the axes.
        agents: What people are told of each.
        returns: (episodes, N) float64.
        evaluations: Team returns of policies on the way, by the episodes that they have learned from.

    Raises:
        UserError: The file cannot be written.
    """
    figure = Figure(figsize=_INCHES, dpi=150, layout="constrained")
    draw_curve(figure.add_subplot(), title, agents, returns, evaluations)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        drawn = BytesIO()
        figure.savefig(drawn, format="png")
    try:
        write_whole(path, drawn.getvalue())
    except OSError as error:
        msg = f"cannot write the learning curve {path}: {error.strerror}"
        raise UserError(msg) from None


def new_axes() -> Axes:
    """Axes of the size of a learning curve, which a notebook or `matplotlib.pyplot.show` shows."""
    import matplotlib.pyplot as plt  # noqa: PLC0415 - only who shows a figure needs windows

    _, axes = plt.subplots(figsize=_INCHES, layout="constrained")
    return axes


def draw_curve(
    axes: Axes,
    title: str,
    agents: tuple[str, ...],
    returns: np.ndarray,
    evaluations: Sequence[tuple[int, ReturnInterval]],
) -> None:
    """The same on axes of one's own; arguments as for `draw_learning_curve`."""
    episodes = np.arange(1, len(returns) + 1)
    window = max(1, len(returns) // 50)
    team = returns.sum(axis=1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    alone = "o" if len(returns) == 1 else ""  # of one episode there is no line
    axes.plot(episodes, team, color=_TEAM, alpha=0.2, linewidth=0.7)
    mean = _smoothed(episodes, team, window)
    lines = axes.plot(*mean, color=_TEAM, linewidth=2, marker=alone, label="team (sum over agents)")
    if len(agents) <= len(_AGENTS):
        for column, agent in enumerate(agents):
            own = _smoothed(episodes, returns[:, column], window)
            lines += axes.plot(*own, color=_AGENTS[column], linewidth=1, marker=alone, label=agent)
    if evaluations:
        lines.append(_evaluated(axes, evaluations))
    axes.set_xlabel("training episode")
    axes.set_ylabel("return per episode")
    axes.set_title(title, parse_math=False)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    _explain(axes, lines)


def _evaluated(axes: Axes, evaluations: Sequence[tuple[int, ReturnInterval]]) -> Line2D:
    """Points with their intervals."""
    episodes = [learned_from for learned_from, _ in evaluations]
    means = [team.mean for _, team in evaluations]
    for learned_from, team in evaluations:
        if team.low is not None and team.high is not None:
            axes.plot([learned_from] * 2, [team.low, team.high], color=_EVALUATED, linewidth=1.2)
    label = "team, evaluated (95% interval)"
    (line,) = axes.plot(episodes, means, color=_EVALUATED, linestyle=":", marker="D", markersize=4, label=label)
    return line


def _explain(axes: Axes, lines: Sequence[Line2D]) -> None:
    """A legend whose texts stand as they are: neither formulas, nor left out for a first letter that means so."""
    legend = axes.legend(lines, ["label"] * len(lines), frameon=False, loc="best")
    for text, line in zip(legend.get_texts(), lines, strict=True):
        text.set_parse_math(False)
        text.set_text(str(line.get_label()))


def _smoothed(x: np.ndarray, y: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Means over `window` neighboring points, and the middles of those windows."""
    if window == 1:
        return x, y
    kernel = np.full(window, 1 / window)
    return np.convolve(x, kernel, mode="valid"), np.convolve(y, kernel, mode="valid")
