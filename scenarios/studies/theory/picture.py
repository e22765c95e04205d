"""Histograms of the slack of the three theorems."""

from __future__ import annotations

import math
from io import BytesIO

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from scenarios.studies.theory.bounds import Bound, BoundKind
from scenarios.studies.theory.cases import SHAPES
from scenarios.studies.theory.findings import TheoryFindings

_COLORS = ("#a9cce3", "#2e86c1", "#1b4f72")
_BINS_PER_DECADE = 3


def draw_slacks(findings: TheoryFindings) -> bytes:
    """A PNG with one panel for each theorem: how many cases have which slack, by discount.

    Args:
        findings: Of at least one case.
    """
    figure = Figure(figsize=(12, 4.2), dpi=150, layout="constrained")
    panels = figure.subplots(1, 3)
    for axes, claim in zip(panels, findings.of_kind(BoundKind.THEOREM), strict=True):
        _draw(axes, claim, findings)
    panels[0].set_ylabel("instances")
    panels[-1].legend(title="discount", frameon=False)
    figure.suptitle(f"Slack (larger minus smaller side) on {len(findings.checked)} random tabular MMDPs")
    drawn = BytesIO()
    figure.savefig(drawn, format="png")
    return drawn.getvalue()


def _draw(axes: Axes, claim: Bound, findings: TheoryFindings) -> None:
    discounts = sorted({shape.discount for shape in SHAPES})
    slacks = [
        [each.sides[claim.key].slack for each in findings.checked if each.shape.discount == discount]
        for discount in discounts
    ]
    logs = [np.log10([slack for slack in group if 0 < slack < math.inf]) for group in slacks]
    every = np.concatenate([*logs, [0.0]])
    lowest, highest = math.floor(every.min()), math.ceil(every.max() + 1e-9)
    edges = np.linspace(lowest, highest, (highest - lowest) * _BINS_PER_DECADE + 1)
    axes.hist(
        [10**group for group in logs],
        bins=list(10.0**edges),
        stacked=True,
        color=_COLORS,
        label=[f"{discount:g}" for discount in discounts],
    )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(numticks=8))
    axes.minorticks_off()
    axes.set_xlabel("slack")
    axes.set_title(claim.label)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(y=0.3)
    axes.text(0.02, 0.98, _beside([slack for group in slacks for slack in group]), transform=axes.transAxes, va="top")


def _beside(slacks: list[float]) -> str:
    """What a logarithmic axis cannot show."""
    return "\n".join(
        (
            f"violations: {sum(slack < 0 for slack in slacks)}",
            f"slack 0: {sum(slack == 0 for slack in slacks)}",
            f"bound infinite: {sum(math.isinf(slack) for slack in slacks)}",
        )
    )
