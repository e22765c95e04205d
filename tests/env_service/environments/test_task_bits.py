"""What happens in an episode is the same to the last bit on every machine."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest

from broker.arithmetic.draws import integers, uniforms
from broker.arithmetic.sums import mean
from broker.seeding import generator
from env_service.config import ExchangeTaskConfig, NavigationConfig, PredationConfig, SimpleSpreadConfig
from env_service.environments import make_task
from env_service.environments.task import Outcome
from env_service.episode import EpisodeUnderWay
from env_service.proximity import in_range

COPIES = 8


@pytest.mark.parametrize(
    ("config", "bits"),
    [
        (ExchangeTaskConfig(kind="exchange"), "2f154e1da3e5ece2"),
        (NavigationConfig(kind="navigation"), "72f37f74afd3dec1"),
        (PredationConfig(kind="predation", agents=4, engagement="approach"), "5fbf9ec058db2066"),
        (PredationConfig(kind="predation", agents=4, engagement="capture"), "ef4430ca3f3da30c"),
        (SimpleSpreadConfig(kind="simple-spread", agents=5), "125a81585e581118"),
    ],
    ids=["exchange", "navigation", "approach", "capture", "simple-spread"],
)
def test_observations_rewards_and_who_is_in_range_have_these_bits(config, bits):
    task, told = make_task(config, COPIES, 0), sha256()
    task.reset(generator(11, "environment", 0))
    actions = generator(11, "actions")
    for _ in range(20):
        outcome = task.step(integers(actions, task.action_counts[0], (COPIES, len(task.action_counts))))
        for array in (task.observations(), outcome.rewards, outcome.ended, task.positions(), in_range(task, 1.3)):
            told.update(np.ascontiguousarray(array).tobytes())
    assert told.hexdigest()[:16] == bits


@pytest.mark.parametrize("agents", [1, 3])
def test_returns_are_means_over_the_copies_added_in_their_order(agents):
    stream = generator(3)
    rewards = uniforms(stream, (500, agents)) * 2.0 ** integers(stream, 90, (500, agents))  # no sum of them is exact
    rewards = rewards.astype(np.float32)
    episode = EpisodeUnderWay.begin(0, 500, agents)
    episode.advance(Outcome(rewards, np.ones(rewards.shape, np.uint8)))
    for found, column in zip(episode.record().returns, rewards.T.tolist(), strict=True):
        expected = 0.0
        for reward in column:
            expected += reward
        assert found == expected / 500
    assert episode.record().returns == tuple(mean(rewards).tolist())
