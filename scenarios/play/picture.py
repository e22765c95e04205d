"""Pictures of episodes that are played: an animated GIF, and a strip of frames as a PNG."""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import matplotlib as mpl

mpl.use("Agg")

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from broker.counting import counted
from broker.errors import UserError
from env_service.environments.scene import Scene
from scenarios.play.drawing import GREY, INK, color_of, draw, key_of, palette
from scenarios.play.frame import Frame
from scenarios.play.numbers import shown

MOST_FRAMES = 1000
"""Of a GIF: more would be more than anybody loads, or holds in memory."""
MOST_ROWS = 8
"""Episodes of a strip."""

_MOST_TOLD = 12
"""Agents in the table beside a picture; on a line as many as there are lanes to stand beside."""
_MOST_LANES = 20
_STRIP = 6
_WIDTH, _HEIGHT, _DPI = 8.3, 4.15, 100  # inches; as wide as a page shows a README
_KEY = 0.06  # height of a line of what shapes mean
_HELD_MS = 1500  # by the last frame of an episode
_MOST_COLORS = 256
_LETTERS = 11.0


class Animation:
    """A GIF, frame by frame.

    Args:
        title: Above every frame.
        episodes: How many there will be.
        per_second: Frames.
    """

    def __init__(self, title: str, episodes: int, per_second: float) -> None:
        self._title, self._episodes = title, episodes
        self._each_ms = max(20, round(100 / per_second) * 10)
        self._images: list[Image.Image] = []
        self._durations_ms: list[int] = []
        self._palette = Image.new("P", (1, 1))
        self._palette.putpalette(palette())

    def add(self, frame: Frame) -> None:
        """Draw one more.

        Raises:
            UserError: There are too many.
        """
        if len(self._images) == MOST_FRAMES:
            msg = f"a GIF of more than {MOST_FRAMES} frames is too long: expected fewer or shorter episodes"
            raise UserError(msg)
        figure = Figure(figsize=(_WIDTH, _HEIGHT), dpi=_DPI)
        _compose(figure, frame, self._title, self._episodes)
        image = _image_of(figure)
        if isinstance(frame.scene, Scene):
            self._images.append(image.quantize(palette=self._palette, dither=Image.Dither.NONE))
        else:
            self._images.append(image.quantize(_MOST_COLORS, dither=Image.Dither.NONE))
        self._durations_ms.append(self._each_ms + _HELD_MS * frame.last)

    def content(self) -> bytes:
        """The file, which plays again and again."""
        file, (first, *others) = io.BytesIO(), self._images
        first.save(
            file, "GIF", save_all=True, append_images=others, duration=self._durations_ms, loop=0, optimize=False
        )
        return file.getvalue()


class Strip:
    """A few frames of each episode side by side, an episode a row; of a task on a line below one another.

    Args:
        title: Above all.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._rows: list[_Thinned] = []

    def add(self, frame: Frame) -> None:
        """Take one more."""
        if frame.step == 0:
            self._rows.append(_Thinned())
        self._rows[-1].add(frame)

    def content(self) -> bytes:
        """The file."""
        rows = [row.chosen(_STRIP) for row in self._rows]
        scene = rows[0][0].scene
        lines = isinstance(scene, Scene) and scene.ground == "line"
        figure = _stacked(rows, self._title) if lines else _side_by_side(rows, self._title)
        file = io.BytesIO()
        with _any_text():
            figure.savefig(file, format="png", metadata={"Software": "Foretell"})
        return file.getvalue()


class _Thinned:
    """Some frames of an episode, evenly apart, however long it is; the last is always among them."""

    _MOST = 4 * _STRIP

    def __init__(self) -> None:
        self._kept: list[Frame] = []
        self._apart = 1
        self._last: Frame | None = None

    def add(self, frame: Frame) -> None:
        self._last = frame
        if frame.step % self._apart == 0:
            self._kept.append(frame)
        if len(self._kept) > self._MOST:
            self._kept, self._apart = self._kept[::2], 2 * self._apart

    def chosen(self, count: int) -> list[Frame]:
        """At most so many of them, the first and the last included."""
        kept = self._kept if self._kept[-1] is self._last or self._last is None else [*self._kept, self._last]
        if len(kept) <= count:
            return kept
        return [kept[round(place * (len(kept) - 1) / (count - 1))] for place in range(count)]


# Frames of an animation


def _compose(figure: Figure, frame: Frame, title: str, episodes: int) -> None:
    """A picture on the left, what the agents do and gain on the right."""
    which = f"episode {frame.episode + 1} of {episodes}, " if episodes > 1 else ""
    _text(figure, 0.02, 0.965, title, size=_LETTERS + 1, weight="bold")
    _text(figure, 0.02, 0.895, f"{which}step {frame.step} of at most {frame.steps}")
    lanes = isinstance(frame.scene, Scene) and frame.scene.ground == "line" and len(frame.agents) <= _MOST_LANES
    told = len(frame.agents) if lanes or len(frame.agents) <= _MOST_TOLD else _MOST_TOLD - 1
    rows = told + 2 if told == len(frame.agents) else told + 3  # and the head, the team, those that are left out
    bottom, top = 0.04, 0.84
    height = (top - bottom) / rows if lanes else min(0.075, (top - bottom) / rows)
    box = (0.02, top - (told + 1) * height, 0.5, told * height) if lanes else (0.02, 0.04, 0.4, 0.8)
    axes = figure.add_axes(box)
    draw(axes, frame)
    _tell(figure, frame, told, top, height)
    if lanes:
        _text(
            figure, 0.02, top - 0.5 * height, key_of(frame), size=min(_LETTERS - 2, 54 * _HEIGHT * height), color=GREY
        )
        return
    key = textwrap.fill(key_of(frame), 50)
    if top - rows * height - 0.04 > _KEY * (1 + key.count("\n")):
        figure.text(0.535, 0.04, key, fontsize=_LETTERS - 2, color=GREY, va="bottom", linespacing=1.3)


def _tell(figure: Figure, frame: Frame, told: int, top: float, height: float) -> None:
    """A row for each agent, one for the team."""
    size = min(_LETTERS, 72 * _HEIGHT * height * 0.8)
    columns, rooms, ends = (0.555, 0.73), (0.17, 0.075), (0.875, 0.98)

    def row(number: int, cells: Sequence[str], color: str = INK, weight: str = "normal") -> None:
        y = top - (number + 0.5) * height
        for x, cell, room in zip(columns, cells[:2], rooms, strict=True):
            _shorten(_text(figure, x, y, cell, size=size, color=color, weight=weight), room)
        for x, cell in zip(ends, cells[2:], strict=True):
            _text(figure, x, y, cell, size=size, color=color, weight=weight, align="right")

    row(0, ("", "action", "reward", "return"), GREY)
    for place, agent in enumerate(frame.agents[:told]):
        row(place + 1, (agent.name, agent.action or "", shown(agent.reward), shown(agent.gained)))
        y = top - (place + 1.5) * height
        _dot(figure, 0.538, y, size, color_of(place))
    if told < len(frame.agents):
        row(told + 1, (f"and {counted(len(frame.agents) - told, 'other')}", "", "", ""), GREY)
    last = told + 1 + (told < len(frame.agents))
    together = sum(agent.reward for agent in frame.agents)
    row(last, ("team", "", shown(together), shown(frame.team_return)), weight="bold")


def _dot(figure: Figure, x: float, y: float, size: float, color: str) -> None:
    _text(figure, x, y, "●", size=size, color=color, align="center")


def _text(
    figure: Figure,
    x: float,
    y: float,
    text: str,
    *,
    size: float = _LETTERS,
    color: str = INK,
    weight: str = "normal",
    align: str = "left",
) -> Text:
    return figure.text(
        x, y, text, fontsize=size, color=color, fontweight=weight, ha=align, va="center", parse_math=False
    )


def _shorten(text: Text, room: float) -> None:
    """Cut a text to a part of the figure's width."""
    words, most = text.get_text(), room * _WIDTH * _DPI
    if len(words) * float(text.get_fontsize()) < most / _DPI * 72:  # no letter is wider than it is high
        return
    with _any_text():
        while len(words) > 1 and text.get_window_extent(dpi=_DPI).width > most:
            words = words[:-1]
            text.set_text(f"{words}…")


@contextmanager
def _any_text() -> Iterator[None]:
    """Draw letters that the font has not, as boxes, without a word."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def _image_of(figure: Figure) -> Image.Image:
    canvas = FigureCanvasAgg(figure)
    with _any_text():
        canvas.draw()  # type: ignore[no-untyped-call]  # matplotlib's own
    pixels = bytes(canvas.buffer_rgba())  # type: ignore[no-untyped-call]  # the same
    return Image.frombytes("RGBA", canvas.get_width_height(), pixels).convert("RGB")


# Strips


def _side_by_side(rows: Sequence[Sequence[Frame]], title: str) -> Figure:
    columns = max(map(len, rows))
    width, each = _WIDTH, _WIDTH / max(columns, 4)
    head, below = _head_height(rows), 0.5
    height = head + len(rows) * (each + below) - 0.1
    figure = Figure(figsize=(width, height), dpi=2 * _DPI)
    _head(figure, height, title, rows[0][0])
    for row, frames in enumerate(rows):
        top = 1 - (head + row * (each + below)) / height
        for column, frame in enumerate(frames):
            left, inner = (column * each + 0.08) / width, each - 0.16
            draw(figure.add_axes((left, top - inner / height, inner / width, inner / height)), frame)
            for line, text in enumerate(_captions(frame, len(rows), column)):
                y = top - (inner + 0.14 + 0.19 * line) / height
                _text(figure, left, y, text, size=_LETTERS - 2.5, weight="bold" if line == 0 else "normal")
    return figure


def _stacked(rows: Sequence[Sequence[Frame]], title: str) -> Figure:
    agents = min(len(rows[0][0].agents), _MOST_LANES)
    head, lane, gap = _head_height(rows), max(0.11, 0.9 / agents), 0.14
    each = agents * lane + gap
    frames = [(frame, column) for row in rows for column, frame in enumerate(row)]
    height = head + len(frames) * each + 0.05
    figure = Figure(figsize=(_WIDTH, height), dpi=2 * _DPI)
    _head(figure, height, title, rows[0][0])
    for place, (frame, column) in enumerate(frames):
        top = 1 - (head + place * each) / height
        draw(figure.add_axes((0.21, top - (each - gap) / height, 0.77, (each - gap) / height)), frame)
        for line, text in enumerate(_captions(frame, len(rows), column)):
            y = top - (0.14 + 0.19 * line) / height
            _text(figure, 0.08 / _WIDTH, y, text, size=_LETTERS - 1.5, weight="bold" if line == 0 else "normal")
    return figure


def _head_height(rows: Sequence[Sequence[Frame]]) -> float:
    """In inches: of the title, and of what shapes mean where there is anything to say."""
    return 0.62 if key_of(rows[0][0]) else 0.4


def _head(figure: Figure, height: float, title: str, frame: Frame) -> None:
    """The title, and what shapes mean; `height` is that of the figure in inches."""
    _text(figure, 0.08 / _WIDTH, 1 - 0.19 / height, title, size=_LETTERS, weight="bold")
    _text(figure, 0.08 / _WIDTH, 1 - 0.43 / height, key_of(frame), size=_LETTERS - 2.5, color=GREY)


def _captions(frame: Frame, episodes: int, column: int) -> Iterator[str]:
    """What stands under a frame of a strip: which it is, and what the team has gained."""
    which = f"episode {frame.episode + 1}, " if episodes > 1 and column == 0 else ""
    yield f"{which}step {frame.step}"
    yield f"return {shown(frame.team_return)}"
