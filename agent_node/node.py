"""One agent as a process."""

from __future__ import annotations

from functools import partial

from agent_node.algorithms import (
    anticipation_sharing,
    calibrated_weights,
    independent,
    policy_sharing,
    value_parameter_sharing,
    value_sharing,
)
from agent_node.build import make_agent
from agent_node.config import AgentConfig
from broker.driving.process import serve
from broker.transports import faulty
from broker.transports.zeromq import direct

PRELOADED = (
    *(anticipation_sharing, calibrated_weights, independent, policy_sharing, value_parameter_sharing, value_sharing),
    *(direct, faulty),
)
"""What a parent imports once so that its forked agents need not."""


def run_agent(config: AgentConfig) -> int:
    """Be the agent of `config` until the environment ends the run; returns the process's exit code."""
    return serve(partial(make_agent, config), config.link)
