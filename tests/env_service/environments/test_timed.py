"""`environment.observe_time`: the step over the time limit as one more number in what agents see."""

from __future__ import annotations

import numpy as np
import pytest

from broker.seeding import generator
from env_service.config import ExchangeTaskConfig, NavigationConfig, PredationConfig
from env_service.environments import exchange, make_task, navigation, predation
from env_service.environments.timed import TimedTask

CONFIGS = [ExchangeTaskConfig(steps=8), NavigationConfig(steps=5), PredationConfig(steps=5)]
every_own_task = pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)


@every_own_task
def test_time_stands_behind_the_state_and_changes_nothing_else(config):
    plain, task = make_task(config, 3, 0), make_task(config.model_copy(update={"observe_time": True}), 3, 0)
    assert task.observation_size == plain.observation_size + 1
    for name in ("action_counts", "steps", "noop_action", "agent_names"):
        assert getattr(task, name) == getattr(plain, name)
    random = generator(1, "actions")
    for episode in range(2):
        for each in (plain, task):
            each.reset(generator(episode, "start"))
        for step in range(config.steps + 1):
            seen = task.observations()
            assert (seen.dtype, seen.shape) == (np.float32, (3, task.observation_size))
            np.testing.assert_array_equal(seen[:, :-1], plain.observations())
            np.testing.assert_array_equal(seen[:, -1], np.float32(2 * step / config.steps - 1))
            np.testing.assert_array_equal(task.positions(), plain.positions())
            actions = np.stack([random.integers(count, size=3) for count in plain.action_counts], axis=1)
            one, other = task.step(actions), plain.step(actions)
            np.testing.assert_array_equal(one.rewards, other.rewards)
            np.testing.assert_array_equal(one.ended, other.ended)


@every_own_task
def test_it_goes_from_minus_one_to_one(config):
    task = make_task(config.model_copy(update={"observe_time": True}), 1, 0)
    task.reset(generator(0))
    assert task.observations()[0, -1] == -1
    for _ in range(config.steps):
        task.step(np.zeros((1, len(task.action_counts)), np.int64))
    assert task.observations()[0, -1] == 1


@every_own_task
def test_without_it_the_task_is_the_one_it_was(config):
    assert not isinstance(make_task(config, 1, 0), TimedTask)


@pytest.mark.parametrize("module", [exchange, navigation, predation], ids=lambda module: module.__name__)
def test_pettingzoo_users_see_time_too_and_read_it(module):
    environment = module.parallel_env(steps=4, observe_time=True)
    seen, _ = environment.reset(seed=0)
    size = environment.observation_space("agent_0").shape
    environment.step(dict.fromkeys(environment.agents, 0))
    assert seen["agent_0"].shape == environment.state().shape == size
    assert environment.state()[-1] == -0.5
    assert environment.render().endswith("step 1 of 4")
