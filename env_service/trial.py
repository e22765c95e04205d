"""The shortest game there is, one reset and one step: whoever looks at a scenario sees whether it can be played.

It is played twice from one seed, so that it shows whether the environment repeats itself.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from broker.arithmetic.draws import integers, uniforms
from broker.seeding import generator
from env_service.config import EnvironmentConfig
from env_service.environments import make_task
from env_service.environments.task import Integer, Outcome, Task, closing_task

SeenNow = dict[str, NDArray[np.generic]]
"""What a task shows at one moment, by what it is: (1, N, ...), or (1, S) of a state that all see."""


def play_once(config: EnvironmentConfig, seed: int) -> str:
    """Make one copy of an environment, reset it, take one step with actions that are there, all twice, and close it.

    Args:
        config: The scenario's `environment`.
        seed: The scenario's.

    Returns:
        What was another the second time, although seed and actions were the same, such as `observation of "a" after
        reset`; empty where all was the same.

    Raises:
        ScenarioError: It cannot be had or cannot be served.
        UserCodeFailed: It raised, or gave what nobody can use.
    """
    task = make_task(config, 1, seed)
    with closing_task(task):
        begun = _begun(task, seed)
        actions = _some_actions(task, generator(seed, "check"))
        stepped = _seen(task, task.step(actions))
        if unlike := _unlike(begun, _begun(task, seed), task):
            return f"{unlike} after reset"
        unlike = _unlike(stepped, _seen(task, task.step(actions)), task)
        return f"{unlike} after step 1" if unlike else ""


def _begun(task: Task, seed: int) -> SeenNow:
    """What an episode begins with."""
    task.reset(generator(seed, "environment", 0))
    return _seen(task)


def _seen(task: Task, outcome: Outcome | None = None) -> SeenNow:
    """What a task shows now, after a reset or after a step with its outcome."""
    observations, masks = task.observations(), task.action_masks()
    seen: SeenNow = {"state" if observations.ndim == 2 else "observation": observations}
    if masks is not None:
        seen["action mask"] = masks
    if outcome is not None:
        seen |= {"reward": outcome.rewards, "end": outcome.ended}
    return seen


def _unlike(first: SeenNow, second: SeenNow, task: Task) -> str:
    """What is another the second time, the first that is, and of whom; empty where nothing is."""
    for what, array in first.items():
        if not np.array_equal(array, second[what]):
            if what == "state":
                return what
            agent = int(np.argmax((array != second[what]).reshape(array.shape[1], -1).any(axis=1)))
            return f'{what} of "{task.agent_names[agent]}"' if task.agent_names else f"{what} of agent-{agent}"
    return ""


def _some_actions(task: Task, draws: Generator) -> Integer:
    """An action of each agent that is possible, (1, N) int64."""
    masks = task.action_masks()
    if masks is not None:
        likes: Integer = (uniforms(draws, masks.shape) * masks).argmax(axis=-1)
        return likes
    return np.concatenate([integers(draws, count, (1, 1)) for count in task.action_counts], axis=1)
