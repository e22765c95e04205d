"""Cooperative navigation: every rule by hand, and a slow scalar game that must agree with the vectorized one."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError
from task_cases import cells, step

from broker.seeding import generator
from broker.wire.messages import Ended
from env_service.config import NavigationConfig
from env_service.environments.navigation import NavigationTask

UP, DOWN, LEFT, RIGHT, STAY = range(5)


def placed(agents, landmarks, *, grid=5, **settings):
    """One copy with agents and landmarks in the given (row, column) cells."""
    task = NavigationTask(NavigationConfig(agents=len(agents), grid=grid, **settings), 1)
    task.place(cells(agents, grid), cells(landmarks, grid))
    return task


@pytest.mark.parametrize(
    ("action", "cell"), [(UP, [1, 2]), (DOWN, [3, 2]), (LEFT, [2, 1]), (RIGHT, [2, 3]), (STAY, [2, 2])]
)
def test_each_move_goes_one_cell(action, cell):
    task = placed([(2, 2)], [(0, 0)])
    step(task, action)
    assert task.positions()[0].tolist() == [cell]


@pytest.mark.parametrize(("action", "corner"), [(UP, (0, 4)), (LEFT, (4, 0)), (DOWN, (4, 0)), (RIGHT, (0, 4))])
def test_a_move_off_the_grid_stays(action, corner):
    task = placed([corner], [(2, 2)])
    step(task, action)
    assert task.positions()[0].tolist() == [list(corner)]


def test_the_reward_is_minus_the_l1_distance_to_the_own_landmark_over_the_grid_size():
    task = placed([(0, 0), (4, 4)], [(3, 1), (4, 3)])
    assert step(task, STAY, STAY)[0] == pytest.approx([-4 / 5, -1 / 5])


def test_the_reward_counts_the_place_after_the_move():
    task = placed([(0, 0), (4, 4)], [(0, 1), (0, 0)])
    assert step(task, RIGHT, UP)[0] == pytest.approx([0, -7 / 5])


def test_each_agent_pays_one_for_every_other_in_its_cell_after_the_move():
    task = placed([(1, 1), (1, 3), (2, 2), (4, 4)], [(1, 2), (1, 2), (1, 2), (4, 4)])
    assert step(task, RIGHT, LEFT, UP, STAY)[0] == pytest.approx([-2, -2, -2, 0])


def test_agents_that_swap_cells_do_not_collide():
    task = placed([(1, 1), (1, 2)], [(1, 2), (1, 1)])
    assert step(task, RIGHT, LEFT)[0] == pytest.approx([0, 0])


def test_standing_on_the_landmark_of_another_is_no_collision():
    task = placed([(1, 1), (0, 0)], [(1, 1), (1, 1)])
    assert step(task, STAY, STAY)[0] == pytest.approx([0, -2 / 5])


def test_only_the_time_limit_ends_an_episode_and_freezes_it():
    task = placed([(1, 1)], [(1, 1)], steps=2)
    assert step(task, STAY)[1] == [Ended.RUNNING]
    assert step(task, RIGHT) == (pytest.approx([-0.2]), [Ended.TRUNCATED])
    assert step(task, RIGHT) == ([0.0], [Ended.TRUNCATED])
    assert task.positions()[0].tolist() == [[1, 2]]


def test_the_observation_lists_agents_then_landmarks():
    task = placed([(0, 2), (4, 3)], [(1, 0), (2, 2)])
    assert task.observations()[0].tolist() == [-1, 0, 1, 0.5, -0.5, -1, 0, 0]


@pytest.mark.parametrize("seed", range(10))
def test_agents_start_apart_and_landmarks_lie_apart(seed):
    task = NavigationTask(NavigationConfig(agents=8, grid=3), 16)
    task.reset(generator(seed))
    for places in task.observations().reshape(32, 8, 2):
        assert len(np.unique(places, axis=0)) == 8


def test_agents_and_landmarks_are_drawn_apart_from_each_other():
    task = NavigationTask(NavigationConfig(agents=3), 64)
    task.reset(generator(1))
    agents, landmarks = task.observations().reshape(64, 2, 6).transpose(1, 0, 2)
    assert not np.array_equal(agents, landmarks)
    assert (agents.reshape(64, 3, 1, 2) == landmarks.reshape(64, 1, 3, 2)).all(axis=-1).any()


def test_defaults_are_those_of_the_specification():
    config = NavigationConfig()
    assert (config.agents, config.grid, config.steps) == (3, 5, 25)
    assert NavigationTask(config, 1).action_counts == (5, 5, 5)
    assert NavigationTask(config, 1).noop_action == STAY


@pytest.mark.parametrize("settings", [{"agents": 5, "grid": 2}, {"agents": 0}, {"grid": 1}])
def test_a_game_that_cannot_be_laid_out_is_refused(settings):
    with pytest.raises(ValidationError):
        NavigationConfig(**settings)


def test_a_full_grid_can_be_laid_out():
    assert NavigationConfig(agents=4, grid=2).agents == 4


def test_rendering_shows_agents_and_landmarks():
    task = placed([(0, 0), (0, 0)], [(1, 1), (0, 0)], grid=2)
    assert task.render() == "01<1> .\n.     <0>"


class ScalarNavigation:
    """One copy, plain Python."""

    def __init__(self, config, state):
        half = (config.grid - 1) / 2
        cells = [tuple(round((x + 1) * half) for x in pair) for pair in state.reshape(-1, 2)]
        self.config, self.agents, self.landmarks = config, cells[: config.agents], cells[config.agents :]

    def step(self, actions):
        for agent, action in enumerate(actions):
            row, column = self.agents[agent]
            row += {UP: -1, DOWN: 1}.get(action, 0)
            column += {LEFT: -1, RIGHT: 1}.get(action, 0)
            if 0 <= row < self.config.grid and 0 <= column < self.config.grid:
                self.agents[agent] = (row, column)
        rewards = []
        for (row, column), (goal_row, goal_column) in zip(self.agents, self.landmarks, strict=True):
            distance = abs(row - goal_row) + abs(column - goal_column)
            rewards.append(-distance / self.config.grid - (self.agents.count((row, column)) - 1))
        return rewards

    def observation(self):
        half = (self.config.grid - 1) / 2
        return [x / half - 1 for cell in self.agents + self.landmarks for x in cell]


@pytest.mark.parametrize("seed", range(8))
def test_the_vectorized_game_agrees_with_the_scalar_one(seed):
    config = [NavigationConfig(), NavigationConfig(agents=5, grid=3)][seed % 2]
    task, random = NavigationTask(config, 8), generator(seed, "actions")
    task.reset(generator(seed))
    games = [ScalarNavigation(config, state) for state in task.observations()]
    for time in range(config.steps):
        actions = random.integers(5, size=(8, config.agents))
        outcome = task.step(actions)
        expected = [game.step(row) for game, row in zip(games, actions.tolist(), strict=True)]
        assert outcome.rewards == pytest.approx(np.array(expected), abs=1e-6)
        assert (outcome.ended == (Ended.TRUNCATED if time == config.steps - 1 else Ended.RUNNING)).all()
        assert task.observations() == pytest.approx(np.array([game.observation() for game in games]), abs=1e-6)
        assert task.positions().tolist() == [[list(cell) for cell in game.agents] for game in games]


def test_a_thousand_agents_can_play():
    agents, grid = 1000, 32
    task = NavigationTask(NavigationConfig(agents=agents, grid=grid), 1)
    task.place(np.zeros((1, agents), np.int64), np.zeros((1, agents), np.int64))
    assert step(task, *[STAY] * agents)[0] == [1.0 - agents] * agents
