"""What the fork server has imported: a name that nothing bears would be passed over without a word."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from limits import LIMIT_S

from agent_node.registry import BUILT_IN
from scenarios.document.loading import parse_scenario
from scenarios.document.planning import make_plan
from scenarios.document.wiring import Wiring
from scenarios.running.meeting.addresses import make_addresses
from scenarios.running.processes.child import PRELOADED

pytestmark = pytest.mark.processes

DOCUMENT = """
name = "preloaded"
seed = 1
episodes = 1
environment = { kind = "exchange", agents = 2, grid = 3 }
topology = { kind = "complete" }
algorithm = { name = "anticipation-sharing" }
faults = [{ kind = "drop", probability = 0.5 }]
"""
FORKED = """
import importlib, json, sys

for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
preloaded = set(sys.modules)

from agent_node.build import make_agent
from agent_node.config import AgentConfig
from broker.driving.connect import connect
from env_service.build import make_environment
from env_service.config import ServiceConfig

for make, slice_type, text in ((make_agent, AgentConfig, sys.argv[2]), (make_environment, ServiceConfig, sys.argv[3])):
    config = slice_type.model_validate_json(text)
    make(config, None)
    connect(config.link).close(0.0)
print(json.dumps([sorted(preloaded), sorted(set(sys.modules) - preloaded)]))
"""


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    """What a fresh process imports by name as the fork server does, and what being a participant then adds."""
    plan = make_plan(parse_scenario(DOCUMENT, {}))
    addresses = make_addresses(plan.participants, plan.scenario.transport.zeromq, tmp_path_factory.mktemp("p"))
    wiring = Wiring("preloaded", addresses)
    slices = [plan.agent(plan.agents[0], wiring), plan.environment(wiring)]
    arguments = [json.dumps(PRELOADED), *(each.model_dump_json() for each in slices)]
    command = [sys.executable, "-c", FORKED, *arguments]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIMIT_S).stdout
    return json.loads(said)


@pytest.mark.parametrize(
    "name",
    [
        "agent_node.learning.learner",
        *(place.partition(":")[0] for place in BUILT_IN.values()),
        "agent_node.algorithms.calibrated_weights",
        "broker.arithmetic.chosen",
        "broker.driving.real_time",
        "broker.transports.zeromq.direct",
        "broker.transports.zeromq.sockets",
        "broker.wire.codec",
        "env_service.environments.exchange",
        "env_service.protocol",
        "scenarios.running.processes.frozen",
        *("msgspec", "numpy", "pydantic", "safetensors", "zmq"),
    ],
)
def test_every_name_is_imported_and_brings_what_participants_run(modules, name):
    preloaded, _ = modules
    assert name in preloaded


def test_becoming_a_participant_imports_nothing_more_of_ours(modules):
    _, added = modules
    ours = ("agent_node", "broker", "env_service", "scenarios")
    assert [name for name in added if name.split(".")[0] in ours] == []


def test_neither_the_fork_server_nor_a_participant_imports_torch(modules):
    preloaded, added = modules
    assert "torch" not in preloaded + added


def test_the_leash_is_put_on_first_and_the_heap_frozen_last():
    assert PRELOADED[0] == "scenarios.running.processes.fork_server"
    assert PRELOADED[-1] == "scenarios.running.processes.frozen"
