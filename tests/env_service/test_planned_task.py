"""The task that is served is the one that was planned."""

from __future__ import annotations

import random
import re
import sys
from types import ModuleType

import numpy as np
import pytest
from environment_cases import slice_
from gymnasium.spaces import Box, Discrete

from broker.errors import UserCodeRefused
from env_service.build import make_planned_task
from env_service.config import ExchangeTaskConfig
from env_service.environments import make_task
from scenarios.document.planning import make_plan
from scenarios.document.scenario import Scenario
from scenarios.document.wiring import Wiring


class Drawing:
    """It draws how many actions it has, and how much its agents see, while it is made."""

    metadata = {"name": "drawing"}
    possible_agents = ("left", "right")

    def __init__(self):
        self.agents = list(self.possible_agents)
        self.actions, self.size = 2 + random.randrange(1000), 1 + random.randrange(1000)

    def observation_space(self, _agent):
        return Box(0, 1, (self.size,), np.float32)

    def action_space(self, _agent):
        return Discrete(self.actions)

    def reset(self, seed=None, options=None):
        return {agent: np.zeros(self.size, np.float32) for agent in self.agents}, {agent: {} for agent in self.agents}

    def step(self, actions):
        seen, infos = self.reset()
        return seen, dict.fromkeys(actions, 0.0), dict.fromkeys(actions, False), dict.fromkeys(actions, False), infos

    def close(self):
        pass


@pytest.fixture
def drawing(monkeypatch):
    module = ModuleType("drawing")
    module.parallel_env = Drawing
    monkeypatch.setitem(sys.modules, "drawing", module)


@pytest.mark.parametrize("seed", range(1, 6))
def test_what_an_environment_draws_while_it_is_made_is_planned_as_it_is_served(drawing, seed):
    environment = {"kind": "pettingzoo", "env": "drawing", "observation": "own"}
    document = {"name": "drawn", "seed": seed, "episodes": 2, "parallel_episodes": 2, "environment": environment}
    plan = make_plan(Scenario.model_validate(document | {"topology": {"kind": "complete"}}))
    served = make_planned_task(plan.environment(Wiring("drawn-1")))
    assert served.action_counts == tuple(plan.action_counts.values())
    assert served.observation_size == plan.observation_size


def planned(**others):
    task = make_task(ExchangeTaskConfig(), 1, 0)
    as_it_is = {"action_counts": task.action_counts, "observation_size": task.observation_size}
    return slice_(environment=ExchangeTaskConfig()).model_copy(update=as_it_is | others)


def test_a_task_that_is_as_it_was_planned_is_served():
    assert make_planned_task(planned()).action_counts == (6, 6, 6)


ANOTHER_ORDER = (
    "its agents are agent-0, agent-1, agent-2, and were agent-1, agent-0, agent-2 when the run was planned: "
    "possible_agents must not change"
)
OTHER_ACTIONS = "agent-1 has 6 actions, and had 5 when the run was planned: action_space must not change"
SEES_MORE = "an agent sees 15 numbers, and saw 14 when the run was planned: the size of what agents see must not change"


@pytest.mark.parametrize(
    ("others", "sentence"),
    [
        ({"agent_names": ("agent-1", "agent-0", "agent-2")}, ANOTHER_ORDER),
        ({"action_counts": (6, 5, 6)}, OTHER_ACTIONS),
        ({"observation_size": 14}, SEES_MORE),
    ],
)
def test_a_task_that_is_another_than_was_planned_is_refused(others, sentence):
    with pytest.raises(UserCodeRefused, match=re.escape(f"environment: {sentence}")):
        make_planned_task(planned(**others))
