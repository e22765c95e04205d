"""Agents that only act, on a host of their own: what they do, what they import, and what they refuse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from limits import LIMIT_S
from ports import free_ports
from runs import until

from agent_node.acting.acting_policy import read_acting_policy
from agent_node.acting.acting_slice import ActingSlice, read_acting_slice
from agent_node.build import make_fixed_policy
from agent_node.config import AgentConfig
from broker.driving.process import WRONG
from broker.errors import UserError
from scenarios.commands.main import foretell as commands
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.document.wiring import Wiring
from scenarios.play.evaluate import EvaluationWish, scenario_of
from scenarios.results.folder import RunFolder
from scenarios.running.hosts.process import serve_stdio
from scenarios.running.meeting.addresses import make_addresses
from scenarios.running.processes.acting_nodes import ActingNodes
from scenarios.running.processes.program_nodes import ProgramNodes
from scenarios.trials.quiet_run import try_out

TINY: dict[str, Any] = {"episodes": 3, "parallel_episodes": 2, "environment.steps": 6, "learning.hidden": [5]}
TWICE = ("--set", 'faults=[{kind="duplicate",probability=0.5,messages=["timestep","action"]}]')
HOSTS = """
[launcher]
dial = "127.0.0.1"

[laptop]
dial = "127.0.0.1"
participants = ["environment"]
folder = "{root}"

[board]
dial = "127.0.0.1"
participants = ["agent-*"]
folder = "{root}"
act = "{policy}"
"""
IMPORTED = """
import sys
import agent_node.acting.__main__
from broker.transports.zeromq import direct
print(*(name for name in ("asyncio", "pydantic", "safetensors", "torch", "zmq") if name in sys.modules))
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "run"
    try_out(load_scenario("exchange-quick", TINY), out)
    return out


def slice_of(place: Path, addresses: dict[str, str], *, episodes: int = 2, **settings: object) -> AgentConfig:
    """The slice of an agent in an evaluation."""
    plan = make_plan(scenario_of(EvaluationWish(place, episodes, settings=settings)))
    return plan.agent("agent-1", Wiring("acting", addresses))


def same_settings(lean: object, whole: object) -> None:
    """See that everything that one knows is what the other knows."""
    for field in msgspec.structs.fields(type(lean)):  # type: ignore[arg-type]
        found, expected = getattr(lean, field.name), getattr(whole, field.name)
        if isinstance(found, msgspec.Struct):
            same_settings(found, expected)
        else:
            assert found == expected, field.name


def test_the_slice_that_is_read_without_pydantic_says_the_same(trained: Path) -> None:
    whole = slice_of(trained, {"agent-1": "ipc:///nowhere"})
    lean = read_acting_slice(whole.model_dump_json())
    same_settings(lean, whole)
    assert lean.rounds == whole.rounds == 0
    assert lean.lean
    link = whole.link.model_copy(update={"journal": Path("journal")})
    assert not read_acting_slice(whole.model_copy(update={"link": link}).model_dump_json()).lean


def test_the_policy_is_the_one_that_an_evaluation_acts_with(trained: Path) -> None:
    whole = slice_of(trained, {})
    lean, expected = read_acting_policy(read_acting_slice(whole.model_dump_json())), make_fixed_policy(whole)
    assert lean.weights_digest() == expected.weights_digest()
    ours, theirs = lean._acting.policy, expected._acting.policy
    assert ours.sizes == theirs.sizes
    assert np.array_equal(ours.parameters, theirs.parameters)


@pytest.mark.processes
def test_it_imports_neither_pydantic_nor_torch_nor_an_event_loop() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, timeout=LIMIT_S, check=True)
    assert done.stdout.split() == ["safetensors", "zmq"]


@pytest.mark.processes
@pytest.mark.parametrize("settings", [(), TWICE], ids=["undisturbed", "with messages that come twice"])
def test_agents_that_only_act_on_a_host_of_their_own_earn_what_a_simulation_says(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], settings: tuple[str, ...]
) -> None:
    hosts = tmp_path / "hosts.toml"
    hosts.write_text(HOSTS.format(root=tmp_path / "there", policy=trained / "policy"))
    ports = ("--set", f"transport.zeromq.base_port={free_ports(5)}")
    found = []
    for where in ((), ("--on", "here", "--hosts", str(hosts), *ports)):
        capsys.readouterr()
        words = ["evaluate", str(trained), "--episodes", "6", "--json", *settings, *where]
        commands(words, standalone_mode=False)
        found.append(json.loads(capsys.readouterr().out) | {"policy": "", "substrate": ""})
    if settings:  # whether the answer to a last copy is still met by a fault depends on who ends first
        found = [{**each, "faults_applied": 0, "ledger_digest": ""} for each in found]
    assert found[0] == found[1]


@pytest.mark.processes
def test_a_host_that_only_acts_says_that_nobody_learns_there(trained: Path, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts.toml"
    hosts.write_text(HOSTS.format(root=tmp_path / "there", policy=trained / "policy"))
    words = ["run", "exchange-quick", "--on", "here", "--hosts", str(hosts), "--out", str(tmp_path / "run")]
    with pytest.raises(UserError) as raised:
        commands([*words, "--set", f"transport.zeromq.base_port={free_ports(5)}"], standalone_mode=False)
    assert str(raised.value) == (
        "host board: it only acts (--act): expected agents of `foretell evaluate`, found agent-0, which learns"
    )


@pytest.mark.processes
def test_the_doctor_finds_hosts_that_only_act_well_or_without_their_policy(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hosts, ports = tmp_path / "hosts.toml", f"transport.zeromq.base_port={free_ports(5)}"
    words = ["doctor", "exchange-quick", "--on", "here", "--hosts", str(hosts), "--set", ports]
    hosts.write_text(HOSTS.format(root=tmp_path / "there", policy=trained / "policy"))
    commands(words, standalone_mode=False)
    assert "not tried: agents on board only act, in `foretell evaluate --on here`" in capsys.readouterr().out
    hosts.write_text(HOSTS.format(root=tmp_path / "there", policy=tmp_path / "no-policy"))
    with pytest.raises(SystemExit):
        commands(words, standalone_mode=False)
    assert "no-policy holds no policy: expected policy.json in it" in capsys.readouterr().out


def test_a_host_without_the_policy_that_it_is_to_act_with_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no-policy holds no policy: expected policy\.json in it\. Copy a run's"):
        serve_stdio(tmp_path, None, tmp_path / "no-policy", metrics=None, counters=None)


def test_another_policy_than_the_one_that_is_evaluated_is_refused(trained: Path, tmp_path: Path) -> None:
    try_out(load_scenario("exchange-quick", TINY | {"seed": 2}), tmp_path / "other")
    told = json.loads(slice_of(trained, {}).model_dump_json())
    told["initial_policy"]["path"] = str(tmp_path / "other" / "policy")
    with pytest.raises(UserError, match=r"other/policy holds another policy: expected that of SHA-256 \w{16}, which"):
        read_acting_policy(read_acting_slice(json.dumps(told)))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: next(folder.glob("weights-*")).write_bytes(b"garbage"), "is not what was written"),
        (lambda folder: next(folder.glob("weights-*")).unlink(), "cannot read .*weights-.*: No such file"),
        (lambda folder: (folder / "policy.json").unlink(), r"cannot read .*policy\.json: No such file"),
    ],
    ids=["garbage", "no arrays", "nothing"],
)
def test_a_damaged_policy_is_told_in_a_sentence(
    trained: Path, tmp_path: Path, damage: Callable[[Path], object], said: str
) -> None:
    copied = tmp_path / "policy"
    copied.mkdir()
    for path in (trained / "policy").iterdir():
        (copied / path.name).write_bytes(path.read_bytes())
    told = json.loads(slice_of(trained, {}).model_dump_json())
    told["initial_policy"]["path"] = str(copied)
    damage(copied)
    with pytest.raises(UserError, match=said):
        read_acting_policy(read_acting_slice(json.dumps(told)))


@pytest.mark.parametrize("text", ["", "[]", '{"link": {}}', "{" * 5000])
def test_what_is_no_slice_of_an_evaluation_is_told_in_a_sentence(text: str) -> None:
    with pytest.raises(UserError, match=r"^the slice is wrong: expected that of an agent of `foretell evaluate`"):
        read_acting_slice(text)


def test_with_faults_or_mqtt_all_settings_are_read(trained: Path) -> None:
    def lean(**settings: object) -> ActingSlice:
        dotted = {name.replace("__", "."): value for name, value in settings.items()}
        return read_acting_slice(slice_of(trained, {}, **dotted).model_dump_json())

    assert not lean(faults=[{"kind": "drop", "probability": 0.1, "messages": ["timestep"]}]).lean
    assert not lean(transport__kind="mqtt").lean


# As processes


@pytest.fixture
def nodes(trained: Path, tmp_path: Path) -> Iterator[ActingNodes]:
    folder = RunFolder(tmp_path)
    folder.logs.mkdir()
    made = ActingNodes(folder, trained / "policy")
    yield made
    made.end()


@pytest.mark.processes
def test_they_are_stopped_killed_and_ended_like_any_other(trained: Path, tmp_path: Path, nodes: ActingNodes) -> None:
    plan = make_plan(scenario_of(EvaluationWish(trained, 2)))
    wiring = Wiring("acting", make_addresses(plan.participants, plan.scenario.transport.zeromq, tmp_path))
    for agent in plan.agents:
        nodes.start(agent, plan.agent(agent, wiring).model_dump_json())
    stopped = nodes.stop("agent-0")
    assert stopped is not None
    nodes.go_on("agent-0")
    assert nodes.kill(["agent-0", "nobody"]) == {"agent-0": stopped}
    assert {name: end.code for name, end in nodes.ended().items()} == {"agent-0": -9}
    assert nodes.stop("agent-0") is None
    nodes.end()
    assert nodes.ended() == {}
    with pytest.raises(ProcessLookupError):
        os.kill(stopped, 0)


SLOW = """\
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.6), sys.exit(3)))
print("up", flush=True)
time.sleep(60)
"""


@pytest.mark.processes
def test_a_program_has_time_to_end_in_order(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.logs.mkdir()
    nodes = ProgramNodes(folder, lambda _: [sys.executable, "-c", SLOW])
    nodes.start("agent-0", "{}")
    until(lambda: "up" in folder.log("agent-0").read_text(), "its first word")
    assert [*nodes.end()] == ["agent-0"]


@pytest.mark.processes
def test_one_that_cannot_begin_ends_with_2_and_a_sentence(trained: Path, nodes: ActingNodes) -> None:
    nodes.start("agent-1", slice_of(trained, {}).model_dump_json())
    until(nodes.ended, "the end of agent-1")
    end = nodes.ended()["agent-1"]
    assert (end.code, end.said.split(":")[0]) == (
        WRONG,
        "agent-1 has no address of agent-1, environment",
    )


def test_the_environment_has_no_place_there(nodes: ActingNodes) -> None:
    with pytest.raises(UserError, match="expected agents of `foretell evaluate`, found the environment"):
        nodes.start("environment", "{}")
