"""The tasks: pure rooms that turn actions into rewards, many copies at a time.

`make_task` is the only door. Our own tasks are vectorized numpy; PettingZoo and gymnasium are imported only for a
scenario that names a PettingZoo environment, or by `parallel_env()` of one of our tasks; VMAS and torch only for one
that names a scenario of VMAS.
"""

from __future__ import annotations

from broker.errors import EnvironmentMissing
from broker.release import lacking
from env_service.config import (
    EnvironmentConfig,
    ExchangeTaskConfig,
    NavigationConfig,
    PredationConfig,
    SimpleSpreadConfig,
    VmasConfig,
)
from env_service.environments.exchange import ExchangeTask
from env_service.environments.navigation import NavigationTask
from env_service.environments.predation import PredationTask
from env_service.environments.simple_spread import SimpleSpreadTask
from env_service.environments.task import Task
from env_service.environments.timed import timed


def make_task(config: EnvironmentConfig, copies: int, seed: int, *, masks: bool | None = None) -> Task:
    """Build the task that `config` names.

    Args:
        config: The scenario's `environment`.
        copies: E, the episodes played at once; at least 1.
        seed: Of what an environment of others draws while it is made; ours draw nothing then.
        masks: Whether a PettingZoo environment masks actions, if that is known; else a first reset shows it.

    Returns:
        The task, to be reset before its first step.

    Raises:
        EnvironmentMissing: What an environment of others needs is not installed.
        ScenarioError: An environment of others cannot be had or cannot be served.
        UserCodeFailed: It raised.
    """
    if isinstance(config, ExchangeTaskConfig):
        return timed(ExchangeTask(config, copies), observed=config.observe_time)
    if isinstance(config, NavigationConfig):
        return timed(NavigationTask(config, copies), observed=config.observe_time)
    if isinstance(config, PredationConfig):
        return timed(PredationTask(config, copies), observed=config.observe_time)
    if isinstance(config, SimpleSpreadConfig):
        return SimpleSpreadTask(config, copies)
    if isinstance(config, VmasConfig):
        from env_service.environments.vmas.task import VmasTask  # noqa: PLC0415 - pulls in torch

        return VmasTask(config, copies, seed)
    try:
        from env_service.environments.pettingzoo import PettingZooTask  # noqa: PLC0415 - pulls in gymnasium
    except ModuleNotFoundError as error:
        if not (needed := lacking(error)):
            raise
        raise EnvironmentMissing(f"an environment of PettingZoo's kind {needed}") from None
    return PettingZooTask(config, copies, seed, masks=masks)
