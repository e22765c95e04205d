"""The picture of a run: there, of the right size, and of these returns."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from matplotlib.figure import Figure
from runs import TINY, simulate_here

from broker.errors import ForetellError
from scenarios.reports.learning_curve import draw_learning_curve
from scenarios.results.reader import read_store


def names(count):
    return tuple(f"agent-{index}" for index in range(count))


def returns(episodes, agents, seed=0):
    return np.random.default_rng(seed).normal(size=(episodes, agents)).cumsum(axis=0)


@pytest.fixture
def lines(monkeypatch):
    """label -> (x, y) of every line of the last picture."""
    drawn = {}
    save = Figure.savefig

    def spy(figure, *arguments, **options):
        [axes] = figure.axes
        drawn.update({line.get_label(): line.get_data() for line in axes.lines})
        drawn["title"] = axes.get_title()
        figure.canvas.draw()
        drawn["ticks"] = [tick.get_text() for tick in axes.get_xticklabels() if tick.get_text()]
        drawn["markers"] = [line.get_marker() for line in axes.lines]
        return save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", spy)
    return drawn


@pytest.mark.parametrize("agents", [3, 20])
@pytest.mark.parametrize("episodes", [1, 2, 500])
def test_a_png_is_written(tmp_path, episodes, agents):
    path = tmp_path / "curve.png"
    draw_learning_curve(path, "a run", names(agents), returns(episodes, agents), ())
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", content[16:24]) == (1200, 675)
    assert len(content) > 10_000


@pytest.mark.parametrize("episodes", [1, 2, 3, 7])
def test_the_episodes_of_a_short_run_are_whole_numbers(tmp_path, lines, episodes):
    draw_learning_curve(tmp_path / "curve.png", "short", names(2), returns(episodes, 2), ())
    assert lines["ticks"]
    assert all(tick.isdecimal() for tick in lines["ticks"])


def test_a_run_of_one_episode_is_drawn_as_points(tmp_path, lines):
    draw_learning_curve(tmp_path / "curve.png", "one", names(2), returns(1, 2), ())
    assert lines["markers"].count("o") == 3


def test_few_agents_are_drawn_one_by_one_and_many_as_a_team(tmp_path, lines):
    draw_learning_curve(tmp_path / "few.png", "few", names(3), returns(5, 3), ())
    assert set(lines) >= {"team (sum over agents)", *names(3)}
    lines.clear()
    draw_learning_curve(tmp_path / "many.png", "many", names(20), returns(5, 20), ())
    assert "team (sum over agents)" in lines
    assert not set(lines) & set(names(20))
    assert lines["title"] == "many"


def test_a_short_run_is_drawn_as_it_is(tmp_path, lines):
    curve = returns(7, 2)
    draw_learning_curve(tmp_path / "curve.png", "", names(2), curve, ())
    np.testing.assert_array_equal(lines["team (sum over agents)"], [np.arange(1, 8), curve.sum(axis=1)])
    np.testing.assert_array_equal(lines["agent-1"], [np.arange(1, 8), curve[:, 1]])


def test_a_long_run_is_smoothed_over_a_fiftieth_of_its_episodes(tmp_path, lines):
    curve = returns(500, 2)
    draw_learning_curve(tmp_path / "curve.png", "", names(2), curve, ())
    x, y = lines["agent-0"]
    windows = [range(start, start + 10) for start in range(491)]
    np.testing.assert_allclose(x, [np.mean([episode + 1 for episode in window]) for window in windows])
    np.testing.assert_allclose(y, [curve[list(window), 0].mean() for window in windows], atol=1e-9)


def test_a_run_in_which_nothing_happened_can_be_drawn(tmp_path):
    draw_learning_curve(tmp_path / "flat.png", "flat", names(3), np.zeros((30, 3)), ())
    assert (tmp_path / "flat.png").stat().st_size > 10_000


def test_the_curve_of_a_run_is_drawn_with_its_returns_under_its_name(tmp_path, lines):
    simulate_here(tmp_path / "run", "exchange-quick", "--episodes", "3", "--seed", "7", *TINY, drawn=True)
    assert (tmp_path / "run" / "learning_curve.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert lines["title"] == "exchange-quick, anticipation-sharing, seed 7 (simulate)"
    with read_store(tmp_path / "run" / "run.sqlite") as store:
        returns = [row.value for row in store.episodes()]
    np.testing.assert_array_equal(lines["team (sum over agents)"][1], np.reshape(returns, (3, 3)).sum(axis=1))
    np.testing.assert_array_equal(lines["agent-2"][1], returns[2::3])


def test_a_run_in_which_nothing_was_learned_has_no_picture(tmp_path):
    deaf = 'faults=[{kind="drop",probability=1.0,messages=["timestep"],destination="agent-1"}]'
    with pytest.raises(ForetellError, match="waits for the action of step 0 from agent-1"):
        simulate_here(tmp_path / "run", "exchange-quick", "--episodes", "3", *TINY, "--set", deaf)
    assert (tmp_path / "run" / "summary.json").exists()
    assert not (tmp_path / "run" / "learning_curve.png").exists()
