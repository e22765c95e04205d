"""Pictures of runs."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

_TEAM = "#1b4f72"
_AGENTS = ("#d35400", "#7d3c98", "#1e8449", "#b7950b", "#c0392b", "#117a65", "#5d6d7e", "#a04000")


def draw_learning_curve(path: Path, title: str, agents: tuple[str, ...], returns: np.ndarray) -> None:
    """Team return (and single agents' if there are few) against episodes, raw and smoothed.

    Args:
        path: Where the PNG goes.
        title: Above the axes.
        agents: Their names.
        returns: (episodes, N) float64.
    """
    figure = Figure(figsize=(8, 4.5), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    episodes = np.arange(1, len(returns) + 1)
    window = max(1, len(returns) // 50)
    team = returns.sum(axis=1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    alone = "o" if len(returns) == 1 else ""  # of one episode there is no line
    axes.plot(episodes, team, color=_TEAM, alpha=0.2, linewidth=0.7)
    axes.plot(
        *_smoothed(episodes, team, window), color=_TEAM, linewidth=2, marker=alone, label="team (sum over agents)"
    )
    if len(agents) <= len(_AGENTS):
        for column, agent in enumerate(agents):
            line = _smoothed(episodes, returns[:, column], window)
            axes.plot(*line, color=_AGENTS[column], linewidth=1, marker=alone, label=agent)
    axes.set_xlabel("training episode")
    axes.set_ylabel("return per episode")
    axes.set_title(title)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="best")
    figure.savefig(path)


def _smoothed(x: np.ndarray, y: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Means over `window` neighboring points, and the middles of those windows."""
    if window == 1:
        return x, y
    kernel = np.full(window, 1 / window)
    return np.convolve(x, kernel, mode="valid"), np.convolve(y, kernel, mode="valid")
