"""From the environment's slice of the scenario to the environment."""

from __future__ import annotations

from broker.participants.checkpoint import State
from env_service.config import ServiceConfig
from env_service.environments import make_task
from env_service.protocol import EnvironmentProtocol


def make_environment(config: ServiceConfig, state: State | None = None) -> EnvironmentProtocol:  # noqa: ARG001 - see below
    """The environment, ready for its agents; an episode needs nothing of those before it, so no state either."""
    return EnvironmentProtocol(config, make_task(config.environment, config.parallel_episodes, config.link.seed))
