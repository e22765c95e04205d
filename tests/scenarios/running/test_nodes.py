"""What every kind of nodes does for the life of a run above it; a new kind passes this by standing in `KINDS`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path

import pytest
from hosted_nodes import HostedNodes
from runs import until
from thread_nodes import ThreadNodes

from broker.driving.process import DONE, GAVE_UP, WRONG
from broker.wire.messages import ENVIRONMENT
from scenarios.document.loading import load_scenario
from scenarios.document.plan import Plan
from scenarios.document.planning import make_plan
from scenarios.document.wiring import Wiring
from scenarios.results.folder import RunFolder
from scenarios.running.meeting.addresses import make_addresses
from scenarios.running.nodes import Nodes
from scenarios.running.processes.forked_nodes import ForkedNodes

KINDS: dict[str, Callable[[RunFolder], Nodes] | None] = {
    "forked": partial(ForkedNodes, counters=None),
    "threads": ThreadNodes,
    "hosts over pipe": None,
    "hosts over SSH": None,
    "hosts over socket": None,
}
IN_PROCESSES = KINDS.keys() - {"threads"}
TINY = {"parallel_episodes": 1, "environment.agents": 2, "environment.steps": 2, "learning.hidden": [4]}


class Stage:
    """Nodes, and the slices of a tiny run that nobody observes."""

    def __init__(self, nodes: Nodes, folder: Path) -> None:
        self.nodes = nodes
        self.folder = folder

    def plan(self, **settings: object) -> Plan:
        dotted = {name.replace("__", "."): value for name, value in settings.items()}
        return make_plan(load_scenario("exchange-quick", TINY | dotted))

    def start(self, plan: Plan, *names: str) -> None:
        wiring = Wiring("tiny", make_addresses(plan.participants, plan.scenario.transport.zeromq, self.folder))
        for name in names or plan.participants:
            told = plan.environment(wiring) if name == ENVIRONMENT else plan.agent(name, wiring)
            self.nodes.start(name, told.model_dump_json())

    def until_ended(self, *names: str) -> dict[str, int]:
        until(lambda: set(names) <= set(self.nodes.ended()), f"the end of {names}")
        return {name: self.nodes.ended()[name].code for name in names}


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Nodes]]:
    """Nodes that stand on hosts, which are there for all tests."""
    with ExitStack() as stack:

        @cache
        def standing(kind: str) -> Nodes:
            nodes = HostedNodes(tmp_path_factory.mktemp("hosts"), kind.rpartition(" ")[2])
            stack.callback(nodes.close)
            return nodes

        yield standing


@pytest.fixture(params=[pytest.param(kind, marks=[pytest.mark.processes] * (kind in IN_PROCESSES)) for kind in KINDS])
def stage(request: pytest.FixtureRequest, tmp_path: Path, hosts: Callable[[str], Nodes]) -> Iterator[Stage]:
    folder = RunFolder(tmp_path)
    folder.logs.mkdir()
    make = KINDS[request.param]
    nodes = hosts(request.param) if make is None else make(folder)
    yield Stage(nodes, tmp_path)
    nodes.end()


def test_who_has_done_its_work_ends_with_0_and_says_nothing_more(stage: Stage) -> None:
    plan = stage.plan(episodes=3)
    stage.start(plan)
    assert stage.until_ended(*plan.participants) == dict.fromkeys(plan.participants, DONE)
    assert {end.said for end in stage.nodes.ended().values()} == {""}


def test_whoever_still_works_has_not_ended(stage: Stage) -> None:
    plan = stage.plan(episodes=1_000_000)
    stage.start(plan, ENVIRONMENT, "agent-0")
    assert stage.nodes.ended() == {}
    stage.start(plan, "agent-1")
    assert stage.nodes.kill(plan.participants).keys() == set(plan.participants)


def test_a_slice_that_cannot_work_ends_with_2_and_a_sentence(stage: Stage) -> None:
    stage.nodes.start("agent-0", stage.plan().agent("agent-0", Wiring("tiny")).model_dump_json())
    assert stage.until_ended("agent-0") == {"agent-0": WRONG}
    assert "agent-0 has no address of agent-0, environment" in stage.nodes.ended()["agent-0"].said
    assert stage.nodes.ended()["agent-0"].log.read_text()


def test_who_gives_up_ends_with_1_and_its_last_line_says_why(stage: Stage) -> None:
    stage.start(stage.plan(joining__give_up_s=0.2), "agent-0")
    assert stage.until_ended("agent-0") == {"agent-0": GAVE_UP}
    assert "waits for HELLO from environment, agent-1 and gave up" in stage.nodes.ended()["agent-0"].said


def test_who_is_killed_ends_with_its_signal_and_only_those_are_named_that_this_has_killed(stage: Stage) -> None:
    stage.start(stage.plan(episodes=1_000_000))
    killed = stage.nodes.kill(["agent-0", ENVIRONMENT])
    assert killed.keys() == {"agent-0", ENVIRONMENT}
    assert all(number > 0 for number in killed.values())
    assert stage.nodes.kill(["agent-0", "nobody"]) == {}
    assert {name: end.code for name, end in stage.nodes.ended().items()} == {"agent-0": -9, ENVIRONMENT: -9}


def test_who_is_stopped_does_nothing_until_it_goes_on(stage: Stage) -> None:
    plan = stage.plan(episodes=3)
    stage.start(plan, ENVIRONMENT, "agent-0")
    assert (stage.nodes.stop("agent-0") or 0) > 0
    stage.start(plan, "agent-1")
    assert "agent-1" not in stage.nodes.ended()
    stage.nodes.go_on("agent-0")
    assert set(stage.until_ended(*plan.participants).values()) == {DONE}
    assert stage.nodes.stop("agent-0") is None
    assert stage.nodes.stop("nobody") is None
    stage.nodes.go_on("agent-0")


def test_who_is_stopped_can_be_killed(stage: Stage) -> None:
    stage.start(stage.plan(episodes=1_000_000), "agent-0")
    stage.nodes.stop("agent-0")
    assert stage.nodes.kill(["agent-0"]).keys() == {"agent-0"}
    assert stage.until_ended("agent-0") == {"agent-0": -9}


def test_a_name_is_started_anew_once_its_process_has_ended(stage: Stage) -> None:
    plan = stage.plan(episodes=3)
    stage.start(plan)
    stage.nodes.kill(plan.participants)
    stage.start(plan)
    assert set(stage.until_ended(*plan.participants).values()) == {DONE}


def test_at_the_end_nobody_is_left(stage: Stage) -> None:
    plan = stage.plan(episodes=1_000_000)
    stage.start(plan)
    stage.nodes.end()
    assert stage.nodes.ended() == {}
    assert stage.nodes.kill(plan.participants) == {}
    stage.start(stage.plan(episodes=2))
    assert set(stage.until_ended(*plan.participants).values()) == {DONE}


def test_at_the_end_it_is_said_who_ended_in_order(stage: Stage) -> None:
    stage.start(stage.plan(episodes=1_000_000), "agent-0", "agent-1")
    until(lambda: all(stage.folder.joinpath(name).exists() for name in ("agent-0", "agent-1")), "their sockets")
    stage.nodes.kill(["agent-1"])
    assert [*stage.nodes.end()] == ["agent-0"]


def test_who_is_asked_to_end_does_so_in_order(stage: Stage) -> None:
    stage.start(stage.plan(episodes=1_000_000), "agent-0")
    until(lambda: stage.folder.joinpath("agent-0").exists(), "the socket of agent-0")
    stage.nodes.end()
    nodes = stage.nodes
    log = nodes.log("agent-0") if isinstance(nodes, HostedNodes) else RunFolder(stage.folder).log("agent-0")
    assert "interrupted: agent-0 in JOINING" in log.read_text()
