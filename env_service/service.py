"""The environment as a process."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from functools import partial

from broker.driving.process import serve
from env_service.build import make_environment_within
from env_service.config import ServiceConfig

_log = logging.getLogger("foretell")


def run_environment(config: ServiceConfig) -> int:
    """Be the environment of `config` until its last episode is over; returns the process's exit code."""
    called = [f"{agent} is {name}" for agent, name in zip(config.neighbors, config.agent_names, strict=True)]
    _log.info("agents: %s", ", ".join(called))
    with ExitStack() as beside:
        return serve(partial(make_environment_within, beside, config), config.link)
