"""Who imports torch: a node whose algorithm leaves its gradient to torch, before it joins, and no other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from limits import LIMIT_S
from packages import install
from runs import TINY, summary

from agent_node.registry import BUILT_IN
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.document.wiring import Wiring

pytestmark = pytest.mark.processes

NODES = """
import json
import sys

import agent_node.node
from agent_node.build import make_agent
from agent_node.config import AgentConfig
from broker.driving.connect import connect
from broker.driving.driver import Driver
from broker.driving.virtual_time import VirtualTime
from broker.transports.memory import MemoryNetwork
from broker.wire.records import RoundRecord
from env_service.build import make_environment
from env_service.config import ServiceConfig

for environment, *agents in map(json.loads, sys.argv[1:]):
    configs = [AgentConfig.model_validate_json(agent) for agent in agents]
    participants = [(make_agent(config), config.link) for config in configs]
    before_joining = "torch" in sys.modules
    config = ServiceConfig.model_validate_json(environment)
    participants.append((make_environment(config), config.link))
    records, network = [], MemoryNetwork()
    drivers = [Driver(link.run, each, connect(link, network), records.extend) for each, link in participants]
    VirtualTime(drivers, network).run()
    learned = [record for record in records if type(record) is RoundRecord and "gain" in record.losses]
    print(configs[0].algorithm.name, len(learned), before_joining, "torch" in sys.modules)
"""
"""Lives of nodes, all in one process: what they are given stands in the arguments, a run each."""
STILL = """
from agent_node.learning.differentiated import Differentiated

class Still(Differentiated):
    name = "still"

    def fields(self, edge):
        return ()

    def share(self, now, neighbor, edge):
        return {}

    def torch_loss(self, now, log_probabilities, shares):
        loss = log_probabilities.square().mean()
        return loss, {"gain": -loss}
"""


SIMULATED = """
import sys
from scenarios.commands.main import foretell

for run in map(str.split, sys.argv[1:]):
    foretell(run, standalone_mode=False)
    print("torch" in sys.modules)
"""
"""Simulations one after another: once torch is there, it stays."""


def said_by_python(code: str, *arguments: str) -> list[str]:
    """The lines that a fresh interpreter prints."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def given(algorithm: str) -> str:
    """What three agents and their environment are given of two episodes of two rounds."""
    small = {"parallel_episodes": 2, "episodes": 2, "learning.hidden": [4], "learning.rounds": 2}
    plan = make_plan(load_scenario("exchange-quick", small | {"environment.steps": 3, "algorithm.name": algorithm}))
    wiring = Wiring("test", {})
    slices = plan.environment(wiring), *(plan.agent(agent, wiring) for agent in plan.agents)
    return json.dumps([each.model_dump_json() for each in slices])


def test_no_node_that_learns_by_an_algorithm_of_our_own_ever_imports_torch() -> None:
    found = said_by_python(NODES, *map(given, BUILT_IN))
    assert found == [f"{algorithm} {3 * 2 * 2} False False" for algorithm in BUILT_IN]


def test_a_node_whose_algorithm_leaves_its_gradient_to_torch_imports_it_before_it_joins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, STILL, {"still": "still:Still"}, "still")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    assert said_by_python(NODES, given("independent"), given("still")) == [
        "independent 12 False False",
        "still 12 True True",
    ]


def test_a_simulation_of_an_algorithm_of_our_own_imports_no_torch(tmp_path: Path) -> None:
    tiny = " ".join(("simulate exchange-quick --episodes 2", *TINY))
    runs = [f"{tiny} --set algorithm.name={algorithm} --out {tmp_path / algorithm}" for algorithm in BUILT_IN]
    said = said_by_python(SIMULATED, *runs)
    assert [line for line in said if line in ("True", "False")] == ["False"] * len(BUILT_IN)
    assert [summary(tmp_path / algorithm)["episodes"] for algorithm in BUILT_IN] == [2] * len(BUILT_IN)
