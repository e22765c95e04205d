"""Simple spread: the rules by hand, and MPE2's own game, which must agree with the vectorized one step by step."""

from __future__ import annotations

import numpy as np
import pytest
from mpe2 import simple_spread_v3
from pydantic import ValidationError
from task_cases import step

from broker.arithmetic.draws import integers
from broker.seeding import generator
from broker.wire.messages import Ended
from env_service.config import SimpleSpreadConfig
from env_service.environments.simple_spread import SimpleSpreadTask

STAY, LEFT, RIGHT, DOWN, UP = range(5)
EPISODES = 4
ALIKE = {"rtol": 1e-5, "atol": 1e-6}


def placed(agents, landmarks, **settings):
    """One copy with agents and landmarks at the given places."""
    task = SimpleSpreadTask(SimpleSpreadConfig(agents=len(agents), **settings), 1)
    task.place(np.array([agents], float), np.array([landmarks], float))
    return task


def mpe(agents, starts, **settings):
    """MPE2's game with the same settings, an episode begun at agents' and landmarks' places `starts`, (2N, 2)."""
    config = SimpleSpreadConfig(agents=agents, **settings)
    game = simple_spread_v3.parallel_env(N=agents, local_ratio=config.local_ratio, max_cycles=config.steps)
    game.reset(seed=0)
    for entity, place in zip(game.unwrapped.world.entities, starts, strict=True):
        entity.state.p_pos = place.copy()
    return game


def episode(game, actions):
    """All that MPE2 gives in an episode: states (T + 1, S), own observations (T, N, S) and rewards (T, N)."""
    names = game.possible_agents
    states, own, rewards, cut = [game.state()], [], [], False
    for row in actions:
        assert not cut
        seen, gained, _, truncated, _ = game.step({name: int(action) for name, action in zip(names, row, strict=True)})
        states.append(game.state())
        own.append([seen[name] for name in names])
        rewards.append([gained[name] for name in names])
        cut = all(truncated.values())
    assert cut
    return np.array(states), np.array(own), np.array(rewards)


@pytest.mark.parametrize("side", [1.0, 0.2], ids=["as MPE2 begins", "all in contact"])
@pytest.mark.parametrize("agents", [1, 2, 3, 6])
@pytest.mark.parametrize("local_ratio", [0.0, 0.5, 1.0])
def test_whole_episodes_are_those_of_mpe2(agents, local_ratio, side):
    config = SimpleSpreadConfig(agents=agents, local_ratio=local_ratio)
    task = SimpleSpreadTask(config, EPISODES)
    alone = SimpleSpreadTask(config.model_copy(update={"observation": "own"}), EPISODES)
    random = generator(agents, "episodes")
    starts = side * (2 * random.random((EPISODES, 2 * agents, 2)) - 1)
    actions = integers(random, 5, (config.steps, EPISODES, agents))
    for each in (task, alone):
        each.place(starts[:, :agents], starts[:, agents:])
    games = [mpe(agents, places, local_ratio=local_ratio) for places in starts]
    expected = [episode(game, actions[:, copy]) for copy, game in enumerate(games)]
    for number in range(config.steps):
        np.testing.assert_allclose(task.observations(), [states[number] for states, _, _ in expected], **ALIKE)
        outcome = task.step(actions[number])
        alone.step(actions[number])
        np.testing.assert_allclose(outcome.rewards, [rewards[number] for _, _, rewards in expected], **ALIKE)
        np.testing.assert_allclose(alone.observations(), [own[number] for _, own, _ in expected], **ALIKE)
    assert (outcome.ended == Ended.TRUNCATED).all()


def test_episodes_begin_anywhere_on_the_square_and_at_rest():
    task = SimpleSpreadTask(SimpleSpreadConfig(agents=2, observation="own"), 1000)
    task.reset(generator(1))
    seen = task.observations()
    assert not seen[:, :, :2].any()
    places = np.concatenate((seen[:, :, 2:4], seen[:, :, 4:6] + seen[:, :, 2:4], seen[:, :, 6:8] + seen[:, :, 2:4]))
    assert -1 <= places.min() < -0.99
    assert 0.99 < places.max() <= 1.00001
    assert abs(places.mean()) < 0.03


def test_an_action_is_seen_in_the_speed_now_and_in_the_place_a_step_later():
    task = placed([[0, 0]], [[1, 1]])
    step(task, RIGHT)
    assert task.observations()[0].tolist() == [0.5, 0, 0, 0, 1, 1]
    step(task, UP)  # three quarters of the speed are left
    np.testing.assert_allclose(task.observations()[0], [0.375, 0.5, 0.05, 0, 0.95, 1], rtol=1e-6)


@pytest.mark.parametrize(
    ("action", "speed"), [(STAY, (0, 0)), (LEFT, (-0.5, 0)), (RIGHT, (0.5, 0)), (DOWN, (0, -0.5)), (UP, (0, 0.5))]
)
def test_each_action_accelerates_its_way(action, speed):
    task = placed([[0, 0]], [[1, 1]])
    step(task, action)
    assert tuple(task.observations()[0, :2].tolist()) == speed


def test_each_landmark_costs_all_the_distance_of_the_agent_that_is_nearest_to_it():
    task = placed([[0, 0], [3, 4]], [[0, 1], [3, 2]], local_ratio=0.0)
    assert step(task, STAY, STAY)[0] == [-3, -3]
    assert step(placed([[0, 0], [3, 4]], [[0, 1], [3, 2]], local_ratio=0.25), STAY, STAY)[0] == [-2.25, -2.25]


def test_who_touches_others_loses_one_for_each_of_them():
    task = placed([[0, 0], [0.25, 0], [-0.25, 0]], [[0, 0], [1, 1], [2, 2]], local_ratio=1.0)
    assert step(task, STAY, STAY, STAY)[0] == [-2, -1, -1]


def test_agents_that_overlap_push_each_other_off():
    task = placed([[0, 0], [0.2, 0]], [[0, 0], [1, 1]], observation="own")
    step(task, STAY, STAY)  # an overlap of 0.1 pushes with 10, for a tenth of a second
    np.testing.assert_allclose(task.observations()[0, :, 0], [-1, 1], rtol=1e-6)


def test_two_in_exactly_one_place_do_not_push_and_do_touch():
    task = placed([[0.5, 0.5], [0.5, 0.5]], [[0, 0], [1, 1]], observation="own", local_ratio=1.0)
    assert step(task, STAY, STAY)[0] == [-1, -1]
    assert not task.observations()[0, :, :2].any()


@pytest.mark.parametrize(
    "settings", [{"agents": 0}, {"agents": 101}, {"local_ratio": -0.1}, {"local_ratio": 1.1}, {"observation": "padded"}]
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValidationError):
        SimpleSpreadConfig(**settings)
