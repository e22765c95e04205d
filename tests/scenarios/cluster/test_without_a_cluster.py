"""What is said where there is no Ray or no cluster, and what travels to one and back."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from ports import free_port
from runs import TINY, simulate_here, until

from broker.arithmetic.version import ARITHMETIC
from broker.errors import UserError
from scenarios.commands.main import foretell as commands
from scenarios.document.loading import load_scenario, parse_scenario
from scenarios.results.folder import RunFolder
from scenarios.running.cluster import host_actor, ray_hosts
from scenarios.running.cluster.cell_task import play_cell, write_files
from scenarios.running.cluster.connected import RayCluster, connected
from scenarios.running.cluster.head import Head
from scenarios.running.cluster.placing import RayNode
from scenarios.running.cluster.ray_crew import Homecoming, parcel, unpack
from scenarios.running.cluster.ray_hosts import RayHosts, sentence
from scenarios.running.fleet import parse_fleet
from scenarios.running.hosts.client import LOST
from scenarios.running.hosts.remote_nodes import RemoteNodes
from scenarios.running.housing import housing

FOREIGN = """
name = "toy"
seed = 4
parallel_episodes = 1
topology.kind = "complete"
environment = { kind = "pettingzoo", env = "drawn_toy", observation = "own", steps = 4 }
"""
TOY = Path(__file__).parents[1] / "drawn_toy.py"


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(UserError, match=r"^--on ray needs the extra `ray`: pip install 'foretell\[ray\]'$"),
        connected("ray"),
    ):
        pass


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_a_cluster_that_does_not_answer_is_told_by_its_address(monkeypatch, scheme):
    pytest.importorskip("ray")
    where = f"{scheme}127.0.0.1:{free_port()}"
    monkeypatch.setenv("RAY_ADDRESS", where)
    with (
        pytest.raises(UserError, match=rf"^no Ray cluster answers at {where}: Connection refused\. Start one with"),
        connected(where if scheme else "ray"),
    ):
        pass


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "exchange-quick", "--on", "slurm"), "expected ssh, here, socket, ray or ray://HOST:PORT, found 'slu"),
        (
            ("run", "exchange-quick", "--on", "ray://head"),
            "expected ssh, here, socket, ray or ray://HOST:PORT, found 'ray://head'",
        ),
        (("study", "fig1", "--on", "ssh"), "expected ray or ray://HOST:PORT, found 'ssh'"),
        (("sweep", "mine.toml", "--on", "here"), "expected ray or ray://HOST:PORT, found 'here'"),
    ],
)
def test_what_cannot_be_meant_by_on_is_refused_with_what_can(words, said):
    result = CliRunner().invoke(commands, words)
    assert (result.exit_code, said in result.output) == (2, True), result.output


def test_a_host_whose_place_ray_decides_says_no_address():
    fleet = parse_fleet('[pi1]\ndial = "10.0.0.2"\nparticipants = ["*"]\n')
    with pytest.raises(UserError, match=r"^host pi1: `dial` says where it is, expected `node` too"):
        housing("ray", fleet, ("environment",))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            "The actor died unexpectedly.\n\tclass_name: X\nThe actor is dead because its worker has died. Perhaps",
            "Ray says: The actor is dead because its worker has died",
        ),
        ("The worker died.\n  ModuleNotFoundError: No module named 'scenarios'\n", "Ray says: ModuleNotFoundError: No"),
        ("", "Ray says: RuntimeError"),
    ],
)
def test_what_ray_says_of_an_end_is_cut_to_why(error, said):
    assert sentence(RuntimeError(error)).startswith(said)


def test_code_and_policy_of_a_user_travel_along_and_the_document_that_comes_home_names_them_where_they_were(tmp_path):
    simulate_here(tmp_path / "before", "exchange-quick", *TINY, "--episodes", "1")
    scenario = load_scenario("exchange-quick", {"initial_policy": str(tmp_path / "before")})
    (tmp_path / "toy.toml").write_text(FOREIGN)
    own = load_scenario(str(tmp_path / "toy.toml"), {"environment.file": str(TOY), "episodes": 1})
    for number, each in enumerate((scenario, own)):
        (tmp_path / f"{number}.toml").write_text(each.to_toml())
    with_policy, with_code = parcel(tmp_path / "0.toml"), parcel(tmp_path / "1.toml")
    assert with_policy["initial-policy/policy.json"] == (tmp_path / "before" / "policy" / "policy.json").read_bytes()
    assert with_code["code/drawn_toy.py"] == TOY.read_bytes()
    write_files(tmp_path / "there", with_code)
    there = load_scenario(str(tmp_path / "there" / "scenario.toml"))
    assert there.environment.file == tmp_path / "there" / "code" / "drawn_toy.py"
    assert there.digest == own.digest
    run = RunFolder(tmp_path / "run")
    unpack({"scenario.toml": there.to_toml().encode(), "logs/a.log": b"said"}, run, tmp_path / "1.toml")
    assert parse_scenario(run.scenario.read_text(), {}).environment.file == TOY
    assert (run.root / "logs" / "a.log").read_bytes() == b"said"


@pytest.mark.parametrize(
    ("code", "goes_on", "left"), [(3, True, b"here"), (0, True, b"there"), (3, False, b"there"), (0, False, b"there")]
)
def test_a_run_that_goes_on_here_stays_until_one_that_is_whole_comes_home(code, goes_on, left, tmp_path):
    run, log = RunFolder(tmp_path / "run"), tmp_path / "log"
    run.root.mkdir()
    run.store.write_bytes(b"here")
    log.write_bytes(b"before\n")
    (tmp_path / "given.toml").write_text(load_scenario("exchange-quick").to_toml())
    homecoming = Homecoming(run, tmp_path / "given.toml", log, goes_on=goes_on)
    homecoming.take(LOST, b"no node\n", {})
    assert run.store.read_bytes() == b"here"
    homecoming.take(code, b"after\n", {"run.sqlite": b"there"})
    assert (run.store.read_bytes(), log.read_bytes()) == (left, b"before\nno node\nafter\n")
    assert {path.name for path in tmp_path.iterdir()} == {"run", "log", "given.toml"}


def test_another_foretell_on_a_node_runs_nothing_and_names_both_versions():
    code, said, files = play_cell((), ("0.0.9", ARITHMETIC), {})
    assert (code, files) == (2, {})
    assert said.startswith(b"expected Foretell 0.0.9 with arithmetic")


def test_a_head_that_answers_no_more_is_told_of_in_a_sentence_wherever_the_cluster_is_asked(monkeypatch):
    monkeypatch.setattr("scenarios.running.cluster.head._LOOK_EVERY_S", 0.01)
    server = socket.create_server(("127.0.0.1", 0))
    head = Head(server.getsockname())
    cluster = RayCluster(None, head)
    nodes = RemoteNodes({}, cluster.require)
    with head.watched():
        with cluster.asked():
            pass
        assert nodes.ended() == {}
        server.close()
        until(lambda: head.lost, "the loss of the head")
        with pytest.raises(UserError, match=r"does not answer any more \(Connection refused\)\. Start a cluster"):
            nodes.ended()
        with pytest.raises(UserError, match=r"go on with `foretell resume`$"):
            cluster.nodes()


def test_a_host_on_a_node_is_told_what_its_agents_act_with_and_where_it_serves_metrics(monkeypatch, tmp_path):
    told = []
    node = RayNode("a", "10.0.0.7", frozenset(), 4)
    monkeypatch.setattr(ray_hosts, "ActorCarrier", lambda _cluster, _node, words, _log: told.append(words))
    fleet = parse_fleet('[pi]\nparticipants = ["*"]\nact = "team"\nmetrics = "9464"\nfolder = "runs"')
    hosts = RayHosts(SimpleNamespace(nodes=lambda: [node]), fleet)
    hosts.dial("pi", fleet.hosts["pi"], tmp_path / "log")
    assert told == [("runs/pi", "team", "9464")]
    monkeypatch.setattr(host_actor.subprocess, "Popen", lambda words, **_: told.append(words) or Started())
    host_actor.HostActor(*told[0])
    assert told[1][-8:] == ["host", "--stdio", "--folder", "runs/pi", "--act", "team", "--metrics", "9464"]


class Started:
    """A process with pipes to nobody."""

    stdin = stdout = stderr = SimpleNamespace(fileno=lambda: 0)
