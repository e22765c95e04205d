"""The shortest game there is, one reset and one step: whoever looks at a scenario sees whether it can be played."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from broker.arithmetic.draws import integers, uniforms
from broker.seeding import generator
from env_service.config import EnvironmentConfig
from env_service.environments import make_task
from env_service.environments.task import Integer, Task, closing_task


def play_once(config: EnvironmentConfig, seed: int) -> None:
    """Make one copy of an environment, reset it, take one step with actions that are there, and close it.

    Args:
        config: The scenario's `environment`.
        seed: The scenario's.

    Raises:
        ScenarioError: It cannot be had or cannot be served.
        UserCodeFailed: It raised, or gave what nobody can use.
    """
    task = make_task(config, 1, seed)
    with closing_task(task):
        task.reset(generator(seed, "environment", 0))
        task.observations()
        task.step(_some_actions(task, generator(seed, "check")))
        task.observations()


def _some_actions(task: Task, draws: Generator) -> Integer:
    """An action of each agent that is possible, (1, N) int64."""
    masks = task.action_masks()
    if masks is not None:
        likes: Integer = (uniforms(draws, masks.shape) * masks).argmax(axis=-1)
        return likes
    return np.concatenate([integers(draws, count, (1, 1)) for count in task.action_counts], axis=1)
