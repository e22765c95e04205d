"""From the environment's slice of the scenario to the environment."""

from __future__ import annotations

from env_service.config import ServiceConfig
from env_service.environments import make_task
from env_service.protocol import EnvironmentProtocol


def make_environment(config: ServiceConfig) -> EnvironmentProtocol:
    """The environment, ready for its agents."""
    return EnvironmentProtocol(config, make_task(config.environment, config.parallel_episodes))
