"""What nobody may leave out by mistake has no default: without it, a run is another one, or sends what it must not."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from agent_node.policy_folder import write_policy
from broker.faults.chains import Chains
from env_service.environments import make_task
from scenarios.running.control.strikes import ProcessFaults
from scenarios.running.hosts.fleet_site import clients_of, fleet_site
from scenarios.running.hosts.health.doctor import look_over
from scenarios.running.hosts.health.profile import fleet_profile
from scenarios.running.hosts.process import serve_stdio
from scenarios.running.hosts.remote_nodes import RemoteNodes
from scenarios.running.hosts.server import Host
from scenarios.running.hosts.ssh import local_command, ssh_command
from scenarios.running.processes.forked_nodes import ForkedNodes
from scenarios.running.processes.this_host import this_host


@pytest.mark.parametrize(
    ("made", "names"),
    [
        (make_task, ("seed",)),
        (write_policy, ("training",)),
        (Chains, ("longest_episode",)),
        (ProcessFaults, ("struck",)),
        (clients_of, ("held",)),
        (fleet_site, ("held", "look")),
        (look_over, ("held",)),
        (fleet_profile, ("held",)),
        (serve_stdio, ("bundle", "act", "metrics", "counters")),
        (Host, ("bundle",)),
        (RemoteNodes, ("look",)),
        (ForkedNodes, ("counters",)),
        (this_host, ("counters",)),
        (ssh_command, ("act", "metrics")),
        (local_command, ("act", "metrics")),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_a_caller_must_decide_has_no_default(made: Callable[..., Any], names: tuple[str, ...]) -> None:
    parameters = inspect.signature(made).parameters
    assert [name for name in names if parameters[name].default is not inspect.Parameter.empty] == []
