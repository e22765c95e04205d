"""Pictures of what is played show what the frames say, and can be read."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from broker.errors import UserError
from env_service.environments.scene import Mark, Rendering, Scene, Thing, marks_of
from scenarios.play import picture
from scenarios.play.drawing import color_of, palette
from scenarios.play.frame import AgentMoment, Frame
from scenarios.play.picture import Animation, Strip

CELLS = ((0, 0), (1, 2), (2, 1))


def frame(
    scene: Scene | Rendering | None, agents: int = 3, step: int = 1, *, last: bool = False, name: str = "agent-{}"
) -> Frame:
    moments = tuple(AgentMoment(name.format(n, n), "right", -1234.5, 0.25 * n) for n in range(agents))
    return Frame(0, step, 9, last, moments, scene)


def grid(things: Thing = Thing.CLOSED_BOX, agents: tuple[tuple[int, int], ...] = CELLS) -> Scene:
    boxes = marks_of(things, [(row, (column + 1) % 3) for row, column in CELLS])
    return Scene("grid", 3, marks_of(Thing.AGENT, agents) + boxes)


def line(agents: int = 3, length: float = 30.0) -> Scene:
    places = [[length * n / max(agents - 1, 1)] for n in range(agents)]
    return Scene("line", length, (*marks_of(Thing.AGENT, places), Mark(Thing.PREY, None, (0.3 * length,))))


def images(content: bytes) -> list[Image.Image]:
    found, file = [], Image.open(io.BytesIO(content))
    for number in range(getattr(file, "n_frames", 1)):
        file.seek(number)
        found.append(file.convert("RGB"))
    return found


def drawn(*frames: Frame) -> list[np.ndarray]:
    animation = Animation("title", 1, 4)
    for each in frames:
        animation.add(each)
    return [np.asarray(image) for image in images(animation.content())]


def where(pixels: np.ndarray, agent: int) -> np.ndarray:
    """Row and column of the middle of what is in an agent's color, left of the table, in parts of the picture."""
    color = [int(color_of(agent)[place : place + 2], 16) for place in (1, 3, 5)]
    left = pixels[:, : int(0.51 * pixels.shape[1])]
    return np.argwhere((left == color).all(axis=2)).mean(axis=0) / pixels.shape[:2]


def test_every_agent_is_seen_in_its_own_color_in_its_cell() -> None:
    here = frame(Scene("grid", 3, marks_of(Thing.AGENT, CELLS)))
    (pixels,) = drawn(here)
    side = 0.8 * picture._HEIGHT / picture._WIDTH
    for agent, (row, column) in enumerate(CELLS):
        down, right = where(pixels, agent)
        assert row < (down - 0.16) / 0.8 * 3 < row + 1
        assert column < (right - 0.02) / side * 3 < column + 1


def test_several_agents_in_one_cell_are_all_seen() -> None:
    (pixels,) = drawn(frame(Scene("grid", 3, marks_of(Thing.AGENT, [(1, 1)] * 7)), agents=7))
    columns = [where(pixels, agent)[1] for agent in range(7)]
    assert len(set(np.round(columns, 3))) >= 4
    assert all(0.15 < column < 0.29 for column in columns)


def test_an_open_box_looks_other_than_a_closed_one_and_than_a_landmark() -> None:
    things = (Thing.CLOSED_BOX, Thing.OPEN_BOX, Thing.LANDMARK)
    closed, opened, landmark = drawn(*(frame(grid(thing)) for thing in things))
    assert (closed != opened).any(axis=2).sum() > 1000
    assert (closed != landmark).any(axis=2).sum() > 1000


def test_on_a_line_every_agent_is_where_it_is_on_a_lane_of_its_own() -> None:
    (pixels,) = drawn(frame(line()))
    middles = [where(pixels, agent) for agent in range(3)]
    (first, second, third) = (column for _, column in middles)
    assert second - first == pytest.approx(third - second, abs=0.01)
    assert third - first == pytest.approx(0.5 / 1.04, abs=0.015)
    assert middles[0][0] < middles[1][0] < middles[2][0]


def test_pixels_of_an_environment_are_shown_as_they_are() -> None:
    pixels = np.full((30, 60, 3), [10, 200, 90], np.uint8)
    (found,) = drawn(frame(Rendering(pixels=pixels)))
    assert ((found == [10, 200, 90]).all(axis=2)).sum() > 20_000


@pytest.mark.parametrize("scene", [grid(), line()], ids=["grid", "line"])
def test_colors_of_frames_are_those_that_were_drawn(scene: Scene) -> None:
    """A palette that lacked one would show agents in a color of others."""
    assert len(palette()) // 3 <= 256
    figure = Figure(figsize=(picture._WIDTH, picture._HEIGHT), dpi=picture._DPI)
    picture._compose(figure, frame(scene), "title", 1)
    before, after = np.asarray(picture._image_of(figure)).astype(int), drawn(frame(scene))[0].astype(int)
    assert np.abs(before - after).max() < 60
    assert np.abs(before - after).mean() < 0.5


def test_an_animation_holds_every_frame_as_long_as_was_asked_and_the_last_one_longer() -> None:
    animation = Animation("title", 1, 5)
    for step in range(4):
        animation.add(frame(grid(agents=((0, 0), (1, 2), (2, step % 3))), step=step, last=step == 3))
    file = Image.open(io.BytesIO(animation.content()))
    durations = []
    for number in range(file.n_frames):
        file.seek(number)
        durations.append(file.info["duration"])
    assert durations == [200, 200, 200, 1700]
    assert file.info["loop"] == 0


def test_an_animation_that_nobody_could_load_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "MOST_FRAMES", 2)
    with pytest.raises(UserError, match="more than 2 frames is too long: expected fewer or shorter episodes"):
        drawn(*[frame(None)] * 3)


@pytest.mark.parametrize("steps", [1, 5, 6, 25, 1000])
def test_a_strip_shows_the_first_frame_the_last_and_some_evenly_between(steps: int) -> None:
    row = picture._Thinned()
    for step in range(steps + 1):
        row.add(frame(None, step=step, last=step == steps))
    assert len(row._kept) <= row._MOST
    chosen = [each.step for each in row.chosen(6)]
    assert (chosen[0], chosen[-1], len(chosen)) == (0, steps, min(6, steps + 1))
    apart = np.diff(chosen)
    assert apart.min() >= 1
    assert apart.max() - apart.min() <= max(1, steps / 8)


@pytest.mark.parametrize("scene", [grid(), line()], ids=["grid", "line"])
def test_a_strip_grows_with_its_episodes_and_is_as_wide_as_ever(scene: Scene) -> None:
    sizes = []
    for episodes in (1, 2):
        strip = Strip("title")
        for _ in range(episodes):
            for step in range(2):
                strip.add(frame(scene, step=step))
        sizes.append(images(strip.content())[0].size)
    assert sizes[0][0] == sizes[1][0] == 1660
    assert sizes[1][1] > 1.5 * sizes[0][1]


LONG = "adversary_with_a_long_name_{} (agent-{})"


@pytest.mark.parametrize(
    ("agents", "name"), [(1, "a"), (3, LONG), (12, "agent-{}"), (20, "agent-{}"), (200, "agent-{}")]
)
@pytest.mark.parametrize("ground", ["grid", "line"])
def test_no_text_beside_a_picture_is_cut_off_or_covers_another(agents: int, name: str, ground: str) -> None:
    places = [(n // 15, n % 15) for n in range(agents)]
    scene = line(agents) if ground == "line" else Scene("grid", 15, marks_of(Thing.AGENT, places))
    figure = Figure(figsize=(picture._WIDTH, picture._HEIGHT), dpi=picture._DPI)
    picture._compose(figure, frame(scene, agents, name=name), "title", 3)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in figure.texts if text.get_text()]
    for box in boxes:
        assert box.x0 >= 0
        assert box.x1 <= canvas.get_width_height()[0]
        assert -2 <= box.y0 < box.y1 <= canvas.get_width_height()[1]
    for place, one in enumerate(boxes):
        for other in boxes[place + 1 :]:
            across = min(one.x1, other.x1) - max(one.x0, other.x0)
            down = min(one.y1, other.y1) - max(one.y0, other.y0)
            assert across <= 0 or down <= 3, (one, other)  # letters without tails leave so much room below


def test_names_that_look_like_formulas_or_have_no_glyph_are_drawn_as_they_are() -> None:
    (pixels,) = drawn(frame(grid(), name="$x_{}$ \u4e2d"))
    assert pixels.shape == (415, 830, 3)
