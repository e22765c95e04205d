"""One agent as a process."""

from __future__ import annotations

from functools import partial

from agent_node.algorithms import calibrated_weights
from agent_node.build import make_agent
from agent_node.config import AgentConfig
from agent_node.registry import BUILT_IN, load_algorithm
from broker.driving.process import serve
from broker.transports import faulty
from broker.transports.zeromq import direct

PRELOADED = (*map(load_algorithm, BUILT_IN), calibrated_weights, direct, faulty)
"""What a parent imports once so that its forked agents need not; one of the algorithms imports its other page late."""


def run_agent(config: AgentConfig) -> int:
    """Be the agent of `config` until the environment ends the run; returns the process's exit code."""
    return serve(partial(make_agent, config), config.link)
