"""What a frame shows, on the axes of a figure: things on a grid, agents on a line, or what an environment has drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.patches import Circle, Polygon, Rectangle

from env_service.environments.scene import Mark, Rendering, Scene, Thing
from scenarios.play.frame import AgentMoment, Frame

# Okabe and Ito's colors, which color-blind readers can tell apart, without yellow, which a light ground swallows.
_COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#555555")
_DARK = frozenset(("#0072B2", "#009E73", "#D55E00", "#555555"))
INK, GREY, FAINT, _GROUND, _PREY = "#222222", "#666666", "#D0D0D0", "#FFFFFF", "#000000"
_SMALLEST_LETTERS = 5.0
_APART = 8
"""Of two colors that are closer, Pillow may take either."""
_MOST_SIDE_LINES = 40
"""Of a larger grid the lines between cells would be all one sees."""


def color_of(agent: int) -> str:
    """What an agent and all that is its own is drawn in; numbers tell apart those of one color."""
    return _COLORS[agent % len(_COLORS)]


def palette() -> list[int]:
    """What pictures of our own tasks are made of: red, green and blue of at most 256 colors, one behind the other.

    Each color also mixed with the ground, as translucent areas and smoothed edges show it, and with ink.
    """
    bases = (*_COLORS, INK, GREY, FAINT, _PREY)
    light = [mixed(base, _GROUND, part / 12) for base in bases for part in range(1, 12)]
    dark = [mixed(base, INK, part / 4) for base in _COLORS for part in range(1, 4)]
    found: list[tuple[int, ...]] = []
    for color in (_GROUND, *bases, *light, *dark):
        parts = tuple(int(color[place : place + 2], 16) for place in (1, 3, 5))
        if all(max(abs(one - two) for one, two in zip(parts, other, strict=True)) >= _APART for other in found):
            found.append(parts)
    return [part for parts in found for part in parts]


def mixed(color: str, other: str, part: float) -> str:
    """A color with a part of another, each as #rrggbb."""
    pairs = [(int(color[place : place + 2], 16), int(other[place : place + 2], 16)) for place in (1, 3, 5)]
    return "#" + "".join(f"{round(one + part * (two - one)):02X}" for one, two in pairs)


def key_of(frame: Frame) -> str:
    """What the shapes of a frame mean; empty where an environment has drawn itself."""
    scene = frame.scene
    things = {mark.thing for mark in scene.marks} if isinstance(scene, Scene) else set()
    if Thing.PREY in things:
        return "a lane an agent; triangle: the way it went; dashed: the prey"
    if Thing.LANDMARK in things:
        return "circle: agent; diamond: its landmark"
    if things:
        return "circle: agent; square: the box that holds its food, dashed once it is open"
    return ""


def draw(axes: Axes, frame: Frame) -> None:
    """Show on axes what a frame looks like, if it looks like anything."""
    scene = frame.scene
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_facecolor(_GROUND)
    axes.spines[:].set_color(FAINT)
    if isinstance(scene, Scene):
        _draw_grid(axes, scene) if scene.ground == "grid" else _draw_line(axes, scene, frame.agents)
    elif isinstance(scene, Rendering) and scene.pixels is not None:
        axes.imshow(scene.pixels, interpolation="antialiased")
        axes.set_anchor("C")


def _points_of(axes: Axes, cells: float) -> float:
    """Points (1/72 inch) of one of so many cells along the shorter side of the axes."""
    box, figure = axes.get_position(), axes.figure
    width, height = figure.get_figwidth(), figure.get_figheight()  # type: ignore[union-attr]  # no subfigures here
    return 72 * min(box.width * width, box.height * height) / cells


# Grids


def _draw_grid(axes: Axes, scene: Scene) -> None:
    side = int(scene.extent)
    axes.set_xlim(-0.5, side - 0.5)
    axes.set_ylim(side - 0.5, -0.5)  # row 0 is the upper one
    axes.set_aspect("equal")
    if side <= _MOST_SIDE_LINES:
        between = [line - 0.5 for line in range(1, side)]
        axes.hlines(between, -0.5, side - 0.5, color=FAINT, linewidth=0.8, zorder=0)
        axes.vlines(between, -0.5, side - 0.5, color=FAINT, linewidth=0.8, zorder=0)
    points = _points_of(axes, side)
    for row, cells in enumerate(scene.cells):
        for column, cell in enumerate(cells):
            _draw_cell(axes, row, column, cell, points)


@dataclass(frozen=True)
class _Spot:
    """Where one thing goes: its middle, how large it may be, both in cells, and how many points a cell has."""

    x: float
    y: float
    size: float
    points: float


def _draw_cell(axes: Axes, row: int, column: int, cell: Sequence[Mark], points: float) -> None:
    """What stands in one cell: agents in its lower half, all else in the upper one, as large as there is room."""
    still = [mark for mark in cell if mark.thing is not Thing.AGENT]
    agents = [mark for mark in cell if mark.thing is Thing.AGENT]
    for marks, top, height, put in ((still, 0.04, 0.42, _put_still), (agents, 0.48, 0.48, _put_agent)):
        size, columns = max(
            ((min(0.92 / wide, height / math.ceil(len(marks) / wide)), wide) for wide in range(1, len(marks) + 1)),
            default=(0.0, 1),
        )
        for place, mark in enumerate(marks):
            line, in_line = divmod(place, columns)
            together = min(columns, len(marks) - line * columns)
            x = column + (in_line - (together - 1) / 2) * size
            put(axes, mark, _Spot(x, row - 0.5 + top + (line + 0.5) * size, size, points))


def _put_agent(axes: Axes, mark: Mark, spot: _Spot) -> None:
    color = color_of(mark.agent or 0)
    axes.add_patch(Circle((spot.x, spot.y), 0.46 * spot.size, facecolor=color, edgecolor=INK, linewidth=0.8))
    _write(axes, mark, spot, 0.55, "white" if color in _DARK else "black")


def _put_still(axes: Axes, mark: Mark, spot: _Spot) -> None:
    """A closed box is full, an open one an outline; a landmark is a diamond."""
    color, half, x, y = color_of(mark.agent or 0), 0.42 * spot.size, spot.x, spot.y
    if mark.thing is Thing.LANDMARK:
        corners = [(x, y - half), (x + half, y), (x, y + half), (x - half, y)]
        axes.add_patch(Polygon(corners, closed=True, facecolor=f"{color}40", edgecolor=color, linewidth=1.4))
        _write(axes, mark, spot, 0.42, INK)
        return
    half *= 0.95
    closed = mark.thing is Thing.CLOSED_BOX
    box = Rectangle((x - half, y - half), 2 * half, 2 * half, facecolor=f"{color}59", edgecolor=color, linewidth=1.4)
    if not closed:
        box.set_facecolor("none")
        box.set_linestyle((0, (2, 1.5)))
    axes.add_patch(box)
    _write(axes, mark, spot, 0.5, INK if closed else GREY)


def _write(axes: Axes, mark: Mark, spot: _Spot, part: float, color: str) -> None:
    """The number of an agent, over a part of its spot, where it can be read."""
    number = str(mark.agent)
    letters = min(part * spot.size * spot.points, 15.0) * min(1.0, 2.2 / len(number))
    if letters >= _SMALLEST_LETTERS:
        text = axes.text(spot.x, spot.y, number, fontsize=letters, color=color, fontweight="bold")
        text.set_horizontalalignment("center")
        text.set_verticalalignment("center_baseline")


# Lines


def _draw_line(axes: Axes, scene: Scene, agents: Sequence[AgentMoment]) -> None:
    """A lane for each agent, in agent order from above; a triangle points to where it went. The prey crosses all."""
    axes.set_xlim(-0.02 * scene.extent, 1.02 * scene.extent)
    axes.set_ylim(len(agents) - 0.5, -0.5)
    points = min(13.0, max(2.5, 0.8 * 72 * axes.get_position().height * _height_of(axes) / len(agents)))
    lanes = range(len(agents))
    axes.hlines(lanes, 0, scene.extent, color=FAINT, linewidth=min(0.8, points / 8), zorder=0)
    for mark in scene.marks:
        if mark.thing is Thing.PREY:
            axes.axvline(mark.at[0], color=_PREY, linewidth=1.6, linestyle=(0, (4, 2)), zorder=1)
        else:
            place = mark.agent or 0
            shape = {"left": "<", "right": ">"}.get(agents[place].action or "", "o")
            (marker,) = axes.plot(mark.at[0], place, shape, color=color_of(place), markersize=points, clip_on=False)
            marker.set_markeredgecolor(INK)
            marker.set_markeredgewidth(min(0.8, points / 12) if points > 5 else 0)


def _height_of(axes: Axes) -> float:
    figure = axes.figure
    return figure.get_figheight()  # type: ignore[union-attr]  # no subfigures here
