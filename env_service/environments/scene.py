"""What a task looks like: what stands where, as data, for whoever draws it, on a screen, in a picture or on a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


class Thing(Enum):
    """What stands somewhere."""

    AGENT = "agent"
    CLOSED_BOX = "closed box"
    OPEN_BOX = "open box"
    LANDMARK = "landmark"
    PREY = "prey"


_SIGNS = {Thing.AGENT: "{}", Thing.CLOSED_BOX: "[{}]", Thing.OPEN_BOX: "({})", Thing.LANDMARK: "<{}>", Thing.PREY: "*"}


@dataclass(frozen=True)
class Mark:
    """One thing in its place.

    Attributes:
        thing: What it is.
        agent: Place in agent order of the agent it is, or belongs to; None where it is nobody's.
        at: Row and column in cells, on a grid; the place in units of the line, on a line.
    """

    thing: Thing
    agent: int | None
    at: tuple[float, ...]

    @property
    def sign(self) -> str:
        """It as text: an agent as its number, a box as [owner] or, once open, (owner), a landmark as <owner>."""
        return _SIGNS[self.thing].format(self.agent)


@dataclass(frozen=True)
class Scene:
    """What there is to see of one copy of a task of our own.

    Attributes:
        ground: What things stand on.
        extent: Cells along one side of the grid, or length of the line.
        marks: What stands there: agents first, in their order.
    """

    ground: Literal["grid", "line"]
    extent: float
    marks: tuple[Mark, ...]

    @property
    def cells(self) -> tuple[tuple[tuple[Mark, ...], ...], ...]:
        """What stands in each cell of a grid, row by row."""
        side = range(int(self.extent))
        found: dict[tuple[float, ...], list[Mark]] = {}
        for mark in self.marks:
            found.setdefault(mark.at, []).append(mark)
        return tuple(tuple(tuple(found.get((row, column), ())) for column in side) for row in side)


@dataclass(frozen=True)
class Rendering:
    """What a foreign environment shows of itself: either is there.

    Attributes:
        text: By its render mode "ansi".
        pixels: (height, width, 3) uint8, by "rgb_array".
    """

    text: str | None = None
    pixels: Pixels | None = None


def marks_of(thing: Thing | Sequence[Thing], places: Sequence[Sequence[float]]) -> tuple[Mark, ...]:
    """A mark for each agent, in agent order.

    Args:
        thing: What stands there, or what for each agent.
        places: Where, for each agent.
    """
    things = [thing] * len(places) if isinstance(thing, Thing) else thing
    return tuple(Mark(what, agent, tuple(at)) for agent, (what, at) in enumerate(zip(things, places, strict=True)))


def text_of(scene: Scene) -> str:
    """A scene as text: a line a row of a grid; of a line a column a unit, an agent as its last digit, several as +."""
    if scene.ground == "line":
        return _line(scene)
    texts = [["".join(mark.sign for mark in cell) for cell in row] for row in scene.cells]
    width = max(len(text) for row in texts for text in row)
    return "\n".join(" ".join((text or ".").ljust(width) for text in row).rstrip() for row in texts)


def _line(scene: Scene) -> str:
    line = ["."] * (int(scene.extent) + 1)
    for mark in sorted(scene.marks, key=lambda mark: mark.thing is not Thing.PREY):
        column = int(mark.at[0])
        line[column] = mark.sign[-1] if line[column] in ".*" else "+"
    return "".join(line)
