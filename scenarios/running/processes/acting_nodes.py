"""Nodes on this host that only act: a small process for each agent, and no server that forks them."""

from __future__ import annotations

import json
from pathlib import Path

from broker.errors import UserError
from broker.isolated import isolated_module
from broker.wire.messages import ENVIRONMENT
from scenarios.results.folder import RunFolder
from scenarios.running.processes.program_nodes import ProgramNodes


class ActingNodes(ProgramNodes):
    """See `scenarios.running.nodes.Nodes`.

    Args:
        folder: The run's, for their logs.
        policy: The folder of the policy that they act with, whatever else their slices name.
    """

    def __init__(self, folder: RunFolder, policy: Path) -> None:
        super().__init__(folder, lambda place: isolated_module("agent_node.acting", str(place)))
        self._policy = policy

    def start(self, name: str, slice_json: str) -> None:
        """Start an agent.

        Raises:
            UserError: It is none that only acts, or its slice or its log cannot be written.
        """
        told = json.loads(slice_json)
        if name == ENVIRONMENT or told.get("acts_only") is None:
            who = "the environment" if name == ENVIRONMENT else f"{name}, which learns"
            msg = f"it only acts (--act): expected agents of `foretell evaluate`, found {who}"
            raise UserError(msg)
        told["initial_policy"]["path"] = str(self._policy)
        super().start(name, json.dumps(told))
