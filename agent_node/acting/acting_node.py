"""An agent that only acts, as a process."""

from __future__ import annotations

from typing import NoReturn

from agent_node.acting.acting_policy import read_acting_policy
from agent_node.acting.acting_slice import ActingSlice
from agent_node.protocol import AgentProtocol
from broker.driving.process import serve
from broker.participants.checkpoint import State


def run_acting(text: str, slice_: ActingSlice) -> int:
    """Be the agent of a slice until the environment ends the run; returns the process's exit code.

    Args:
        text: The slice as it was written, for settings that take all of it.
        slice_: The same, read.
    """
    if not slice_.lean:
        from agent_node.config import AgentConfig  # noqa: PLC0415 - see acting_slice
        from agent_node.node import run_agent  # noqa: PLC0415

        return run_agent(AgentConfig.model_validate_json(text))

    def make(state: State | None) -> AgentProtocol[None, NoReturn]:
        return AgentProtocol(slice_.config, read_acting_policy(slice_), state)

    return serve(make, slice_.config.link)
