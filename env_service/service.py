"""The environment as a process."""

from __future__ import annotations

from functools import partial

from broker.driving.process import serve
from env_service.build import make_environment
from env_service.config import ServiceConfig


def run_environment(config: ServiceConfig) -> int:
    """Be the environment of `config` until its last episode is over; returns the process's exit code."""
    return serve(partial(make_environment, config), config.link)
