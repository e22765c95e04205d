"""What a task looks like, as data; and what a foreign environment shows of itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter
from task_cases import cells

from broker.errors import UserCodeFailed
from broker.seeding import generator
from env_service.config import ExchangeTaskConfig, NavigationConfig, PettingZooConfig, PredationConfig
from env_service.environments import make_task
from env_service.environments.exchange import OPEN, STAY, ExchangeTask
from env_service.environments.navigation import NavigationTask
from env_service.environments.predation import PredationTask
from env_service.environments.scene import Mark, Scene, Thing
from env_service.environments.timed import timed

TOY = Path(__file__).parents[2] / "scenarios" / "drawn_toy.py"


def drawn(mode: str | None, **options):
    given = options if mode is None else {"render_mode": mode, **options}
    return PettingZooConfig(env="drawn_toy", file=TOY, observation="own", steps=4, options=given)


def test_exchange_looks_like_agents_and_boxes_in_their_cells():
    task = ExchangeTask(ExchangeTaskConfig(agents=2, grid=3), 2)
    task.place(*(np.repeat(cells(places, 3), 2, axis=0) for places in (((0, 0), (2, 1)), ((2, 1), (1, 2)))))
    task.step(np.array([[STAY, OPEN]] * 2))
    assert task.scene() == Scene(
        "grid",
        3,
        (
            Mark(Thing.AGENT, 0, (0, 0)),
            Mark(Thing.AGENT, 1, (2, 1)),
            Mark(Thing.OPEN_BOX, 0, (2, 1)),
            Mark(Thing.CLOSED_BOX, 1, (1, 2)),
        ),
    )
    assert task.scene().cells[2][1] == (Mark(Thing.AGENT, 1, (2, 1)), Mark(Thing.OPEN_BOX, 0, (2, 1)))


def test_navigation_looks_like_agents_and_landmarks_in_their_cells():
    task = NavigationTask(NavigationConfig(agents=2, grid=3), 1)
    task.place(cells(((0, 1), (0, 1)), 3), cells(((2, 2), (1, 0)), 3))
    agents = (Mark(Thing.AGENT, 0, (0, 1)), Mark(Thing.AGENT, 1, (0, 1)))
    assert task.scene() == Scene("grid", 3, (*agents, Mark(Thing.LANDMARK, 0, (2, 2)), Mark(Thing.LANDMARK, 1, (1, 0))))


def test_predation_looks_like_agents_and_prey_on_their_line_and_time_that_agents_see_changes_nothing():
    config = PredationConfig(agents=2, line_length=6)
    task = PredationTask(config, 1)
    task.place(np.array([[0.25, 5.5]]), np.array([[2.5]]))
    agents = (Mark(Thing.AGENT, 0, (0.25,)), Mark(Thing.AGENT, 1, (5.5,)))
    assert task.scene() == Scene("line", 6, (*agents, Mark(Thing.PREY, None, (2.5,))))
    seeing = timed(task, observed=True)
    assert seeing.scene() == task.scene()
    assert seeing.action_names == task.action_names == ("left", "right")


@pytest.mark.parametrize("config", [ExchangeTaskConfig(), NavigationConfig(), PredationConfig()])
def test_every_action_of_our_own_tasks_has_a_name_and_moves_lead_where_it_says(config):
    task = make_task(config, 1, 0)
    assert set(task.action_counts) == {len(task.action_names)}
    for action, name in enumerate(task.action_names):
        task.reset(generator(1))
        before = task.positions()[0]
        task.step(np.full((1, config.agents), action))
        moved = task.positions()[0] - before
        towards = {"up": (0, -1), "down": (0, 1), "left": (-1, -1), "right": (-1, 1)}.get(name)
        assert (moved == 0).all() if towards is None else (moved[:, towards[0]] * towards[1]).max() > 0


def test_a_foreign_environment_shows_what_it_renders_and_says_how_it_can():
    assert make_task(drawn(None), 1, 0).scene() is None
    for mode in ("ansi", "rgb_array"):
        task = make_task(drawn(mode), 1, 0)
        assert task.render_modes() == ("human", "ansi", "rgb_array")
        task.reset(generator(1))
        task.step(np.array([[1, 2]]))
        shown = task.scene()
        assert (shown.text, shown.pixels is None) == (
            ("\x1b[31mtime\x1b[0m 1", True) if mode == "ansi" else (None, False)
        )
    assert shown.pixels.shape == (40, 60, 3)
    assert (shown.pixels == [0, 128, 60]).all()


def test_what_rendering_draws_of_the_shared_generators_nobody_misses():
    def played(look: bool) -> list[np.ndarray]:
        task, found = make_task(drawn("ansi"), 2, 0), []
        task.reset(generator(3))
        for _ in range(4):
            if look:
                task.scene()
            found += [task.step(np.array([[0, 1], [2, 0]])).rewards, task.observations()]
        return found

    assert [each.tobytes() for each in played(look=True)] == [each.tobytes() for each in played(look=False)]


@pytest.mark.parametrize(
    ("mode", "wrong", "said"),
    [
        ("ansi", "nothing", "render() at step 0 gave NoneType, expected text"),
        ("rgb_array", "nothing", "gave NoneType, expected an array (height, width, 3) of uint8"),
        (
            "rgb_array",
            "floats",
            "gave an array (4, 4, 3) of float64, expected (height, width, 3) of uint8, at most 8192",
        ),
        ("rgb_array", "grey", "gave an array (4, 4) of uint8, expected"),
        ("rgb_array", "empty", "gave an array (0, 4, 3) of uint8, expected"),
    ],
)
def test_what_is_no_picture_is_refused_by_name(mode, wrong, said):
    task = make_task(drawn(mode, wrong=wrong), 1, 0)
    task.reset(generator(1))
    with pytest.raises(UserCodeFailed) as caught:
        task.scene()
    assert said in str(caught.value)


@pytest.mark.parametrize("config", [ExchangeTaskConfig(), NavigationConfig(), PredationConfig()])
def test_a_scene_goes_as_json_to_whoever_draws_it_elsewhere(config):
    task, scenes = make_task(config, 1, 0), TypeAdapter(Scene)
    task.reset(generator(1))
    assert scenes.validate_json(scenes.dump_json(task.scene())) == task.scene()
