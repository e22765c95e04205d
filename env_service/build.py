"""From the environment's slice of the scenario to the environment."""

from __future__ import annotations

from contextlib import ExitStack

from broker.counting import counted
from broker.errors import UserCodeRefused
from broker.participants.checkpoint import State
from env_service.config import ServiceConfig
from env_service.environments import make_task
from env_service.environments.task import Task, closing_task
from env_service.protocol import EnvironmentProtocol


def make_environment(config: ServiceConfig, state: State | None = None) -> EnvironmentProtocol:  # noqa: ARG001 - see below
    """The environment, ready for its agents; an episode needs nothing of those before it, so no state either.

    Raises:
        ScenarioError: A PettingZoo environment cannot be had or cannot be served.
        UserCodeFailed: It raised, or it is another than when the run was planned: its agents, their order, what
            they can do, or how much they see.
    """
    return EnvironmentProtocol(config, make_planned_task(config))


def make_environment_within(beside: ExitStack, config: ServiceConfig, state: State | None) -> EnvironmentProtocol:
    """The environment, which is closed with `beside`, however its life ends; raises as `make_environment` does."""
    environment = make_environment(config, state)
    beside.callback(environment.close)
    return environment


def make_planned_task(config: ServiceConfig) -> Task:
    """The task as it was planned; raises as `make_environment` does."""
    task = make_task(config.environment, config.parallel_episodes, config.link.seed, masks=config.masks)
    problem = _changed(config, task)
    if problem is not None:
        with closing_task(task):
            raise UserCodeRefused(config.link.name, problem)
    return task


def _changed(config: ServiceConfig, task: Task) -> str | None:
    """What of a task is not as it was planned, as everybody else in the run was told."""
    names = task.agent_names or tuple(config.neighbors)
    if names != config.agent_names:
        found, planned = (", ".join(each) for each in (names, config.agent_names))
        return f"its agents are {found}, and were {planned} when the run was planned: possible_agents must not change"
    for name, actions, planned_actions in zip(names, task.action_counts, config.action_counts, strict=True):
        if actions != planned_actions:
            return (
                f"{name} has {counted(actions, 'action')}, and had {planned_actions} when the run was planned: "
                "action_space must not change"
            )
    if task.observation_size != config.observation_size:
        seen = counted(task.observation_size, "number")
        return (
            f"an agent sees {seen}, and saw {config.observation_size} when the run was planned: the size of what "
            "agents see must not change"
        )
    return None
