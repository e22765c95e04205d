"""Cooperative predation: every rule by hand, and a slow scalar game that must agree with the vectorized one."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError
from task_cases import step

from broker.seeding import generator
from broker.wire.messages import Ended
from env_service.config import PredationConfig
from env_service.environments.predation import PredationTask

LEFT, RIGHT = range(2)


def placed(agents, prey, **settings):
    """One copy with agents and prey at the given places of the line."""
    task = PredationTask(PredationConfig(agents=len(agents), **settings), 1)
    task.place(np.array([agents], float), np.array([[prey]], float))
    return task


def test_left_and_right_move_by_one():
    task = placed([10.25, 20.5], 15)
    step(task, LEFT, RIGHT)
    assert task.positions()[0].tolist() == [[9.25], [21.5]]


def test_the_ends_of_the_line_stop_a_move():
    task = placed([0.25, 29.5], 15)
    step(task, LEFT, RIGHT)
    assert task.positions()[0].tolist() == [[0], [30]]


def test_when_all_approach_each_loses_one():
    assert step(placed([10, 20, 4], 15), RIGHT, LEFT, RIGHT)[0] == [-1, -1, -1]


def test_when_none_approaches_each_loses_three():
    assert step(placed([10, 20, 4], 15), LEFT, RIGHT, LEFT)[0] == [-3, -3, -3]


def test_when_some_approach_they_lose_four_and_the_rest_nothing():
    assert step(placed([10, 20, 4], 15), RIGHT, RIGHT, LEFT)[0] == [-4, 0, 0]
    assert step(placed([10, 20, 4], 15), RIGHT, LEFT, LEFT)[0] == [-4, -4, 0]


@pytest.mark.parametrize("action", [LEFT, RIGHT])
def test_an_agent_on_the_prey_engages_with_either_action(action):
    assert step(placed([15, 20], 15), action, RIGHT)[0] == [-4, 0]


def test_approaching_counts_from_where_the_agent_stood_before_the_move():
    task = placed([14.75, 15.25], 15)  # each steps over the prey
    assert step(task, RIGHT, LEFT)[0] == [-1, -1]


def test_a_move_away_that_the_end_of_the_line_stops_is_still_a_defection():
    assert step(placed([0, 30], 15), LEFT, RIGHT)[0] == [-3, -3]


def test_with_capture_an_agent_engages_within_the_radius_after_the_move():
    task = placed([13, 13, 17.5], 15, engagement="capture")
    assert step(task, RIGHT, LEFT, RIGHT)[0] == [-4, 0, 0]  # 14 is at distance 1
    assert step(placed([12.9, 17], 15, engagement="capture"), RIGHT, LEFT)[0] == [0, -4]  # 13.9 is not


def test_with_capture_direction_does_not_matter():
    assert step(placed([15, 15.5], 15, engagement="capture"), LEFT, LEFT)[0] == [-1, -1]


def test_the_capture_radius_is_a_setting():
    assert step(placed([10, 20], 15, engagement="capture", capture_radius=4), RIGHT, LEFT)[0] == [-1, -1]
    assert step(placed([10, 20], 15, engagement="capture", capture_radius=3.9), RIGHT, LEFT)[0] == [-3, -3]


def test_the_line_length_is_a_setting():
    task = placed([4.5, 1], 2, line_length=5)
    step(task, RIGHT, LEFT)
    assert task.positions()[0].tolist() == [[5], [0]]
    assert task.observations()[0] == pytest.approx([0.6, -0.4])


def test_the_observation_is_the_scaled_offset_from_the_prey():
    assert placed([15, 0, 30], 15).observations()[0].tolist() == [0, -0.5, 0.5]


def test_only_the_time_limit_ends_an_episode_and_freezes_it():
    task = placed([15, 15], 15, steps=2)
    assert step(task, LEFT, LEFT)[1] == [Ended.RUNNING] * 2
    assert step(task, LEFT, LEFT) == ([-3, -3], [Ended.TRUNCATED] * 2)
    assert step(task, LEFT, LEFT) == ([0, 0], [Ended.TRUNCATED] * 2)
    assert task.positions()[0].tolist() == [[13], [13]]


def test_prey_and_agents_start_anywhere_on_the_line():
    task = PredationTask(PredationConfig(agents=4), 5000)
    task.reset(generator(0))
    agents = task.positions()[..., 0].astype(float)
    prey = agents[:, 0] - 30 * task.observations()[:, 0]
    for places in (prey, agents[:, 0], agents[:, 3]):
        assert 0 <= places.min() + 1e-4 < 0.1
        assert 29.9 < places.max() <= 30 + 1e-4
        assert np.mean(places) == pytest.approx(15, abs=0.4)
        assert np.std(places) == pytest.approx(30 / 12**0.5, abs=0.2)
    assert abs(np.corrcoef(agents.T)).sum() == pytest.approx(4, abs=0.5)


def test_one_prey_is_shared_by_all_agents_of_a_copy_and_differs_between_copies():
    task = PredationTask(PredationConfig(agents=4), 8)
    task.reset(generator(0))
    prey = task.positions()[..., 0] - 30 * task.observations()
    assert prey == pytest.approx(np.tile(prey[:, :1], 4), abs=1e-4)
    assert len(np.unique(prey[:, 0])) == 8


def test_defaults_are_those_of_the_specification():
    config = PredationConfig()
    assert (config.steps, config.line_length, config.engagement, config.capture_radius) == (30, 30, "approach", 1)
    assert PredationTask(config, 1).action_counts == (2,) * 6
    assert PredationTask(config, 1).noop_action is None


@pytest.mark.parametrize(
    "settings",
    [{"agents": 1}, {"engagement": "flee"}, {"line_length": 0}, {"engagement": "capture", "capture_radius": 30}],
)
def test_a_game_without_a_dilemma_is_refused(settings):
    with pytest.raises(ValidationError):
        PredationConfig(**settings)


def test_a_short_line_needs_no_smaller_radius_where_none_is_used():
    assert PredationConfig(line_length=0.5).capture_radius == 1


def test_rendering_shows_prey_and_agents():
    assert placed([0.2, 5.5, 5.0], 2.9, line_length=6).render() == "0.*..+."


class ScalarPredation:
    """One copy, plain Python."""

    def __init__(self, config, agents, prey):
        self.config, self.agents, self.prey = config, agents, prey

    def step(self, actions):
        engaged = []
        for agent, action in enumerate(actions):
            before = self.agents[agent]
            after = min(max(before + (1 if action == RIGHT else -1), 0), self.config.line_length)
            toward = (self.prey >= before) if action == RIGHT else (self.prey <= before)
            near = abs(after - self.prey) <= self.config.capture_radius
            engaged.append(toward if self.config.engagement == "approach" else near)
            self.agents[agent] = after
        if all(engaged):
            return [-1] * len(engaged)
        if not any(engaged):
            return [-3] * len(engaged)
        return [-4 if one else 0 for one in engaged]


@pytest.mark.parametrize("engagement", ["approach", "capture"])
@pytest.mark.parametrize("seed", range(6))
def test_the_vectorized_game_agrees_with_the_scalar_one(seed, engagement):
    config = PredationConfig(agents=2 + seed % 3, engagement=engagement, line_length=6)
    task, starts, random = PredationTask(config, 8), generator(seed), generator(seed, "actions")
    agents, prey = starts.uniform(0, 6, (8, config.agents)), starts.uniform(0, 6, (8, 1))
    task.place(agents, prey)
    games = [ScalarPredation(config, *start) for start in zip(agents.tolist(), prey[:, 0].tolist(), strict=True)]
    for time in range(config.steps):
        actions = random.integers(2, size=(8, config.agents))
        outcome = task.step(actions)
        expected = [game.step(row) for game, row in zip(games, actions.tolist(), strict=True)]
        assert outcome.rewards.tolist() == expected
        assert (outcome.ended == (Ended.TRUNCATED if time == config.steps - 1 else Ended.RUNNING)).all()
        assert task.positions()[..., 0] == pytest.approx(np.array([game.agents for game in games]), abs=1e-5)
        offsets = [[(agent - game.prey) / 6 for agent in game.agents] for game in games]
        assert task.observations() == pytest.approx(np.array(offsets), abs=1e-6)
