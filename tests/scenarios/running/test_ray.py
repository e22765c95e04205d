"""A Ray cluster of two nodes: it carries hosts and whole runs, and loses actors and nodes."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
import test_nodes
from cluster.ray_cluster import OTHER, RayNodes, need_ray, processes_that_name, two_nodes
from hosted_nodes import HOMES, HostedNodes
from pages.door import Door
from pages.page import ROOT, blocks_of
from pages.story import tell_page
from ports import free_ports
from runs import TINY, foretell, simulate_here, start, summary, until
from test_nodes import Stage

from broker.arithmetic.version import ARITHMETIC
from broker.errors import UserError
from broker.release import FORETELL
from scenarios.results.folder import RunFolder
from scenarios.results.reader import read_store
from scenarios.running.cluster.connected import RayCluster, connected
from scenarios.running.cluster.ray_hosts import ActorCarrier
from scenarios.running.hosts.client import HostClient
from scenarios.running.hosts.frames import OpenRun
from scenarios.running.hosts.remote_nodes import RemoteNodes
from scenarios.running.procfs import writers_of

pytestmark = [pytest.mark.processes, pytest.mark.long]

CLAIMS = [claim for name, claim in vars(test_nodes).items() if name.startswith("test_")]
DIGESTS = ("curve_digest", "weights_digest")
ARGUMENTS = ("exchange-quick", *TINY, "--set", "recovery.checkpoint_every=5", "--episodes", "120")
STUDY = (
    *("study", "fig1", "--quick", "--task", "exchange", "--seeds", "2", "--algorithm", "anticipation-sharing"),
    *(*TINY, "--set", "environment.steps=5", "--set", "episodes=4"),
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayNodes]:
    need_ray()
    with two_nodes() as nodes:
        yield nodes


class NodesOnRay(HostedNodes):
    """Two hosts, a node of the cluster each."""

    def __init__(self, root: Path, cluster: RayCluster) -> None:
        self._root, self._stack = root, ExitStack()
        nodes = {node.address == OTHER: node for node in cluster.nodes()}
        clients = {}
        for name in dict.fromkeys(HOMES.values()):
            there, log = str(root / "there" / name), root / f"{name}.log"
            begin = partial(ActorCarrier, cluster, nodes[name == "right"], there, log)
            opening = OpenRun("tiny", FORETELL, ARITHMETIC, (), 20.0, {})
            clients[name] = HostClient(name, begin, opening, log, try_for_s=10.0)
            clients[name].dial()
            self._stack.callback(clients[name].close)
            clients[name].greet()
        RemoteNodes.__init__(self, {name: clients[home] for name, home in HOMES.items()})


def test_nodes_on_ray_do_what_all_nodes_do(cluster: RayNodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    with connected("ray") as there:
        nodes = NodesOnRay(tmp_path, there)
        try:
            for number, claim in enumerate(CLAIMS):
                claim(Stage(nodes, make(tmp_path / str(number))))
                nodes.end()
        finally:
            nodes.close()
    assert len(CLAIMS) >= 10


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_study_on_a_cluster_gives_the_files_of_a_local_one(cluster: RayNodes, tmp_path: Path) -> None:
    for name, options in {"far": ("--on", "ray"), "here": ()}.items():
        result = foretell(*STUDY, *options, "--out", str(tmp_path / name), RAY_ADDRESS=cluster.address)
        assert result.returncode == 0, result.stderr
    for name in ("fig1.md", "fig1.json", "fig1.png"):
        assert (tmp_path / "far" / name).read_bytes() == (tmp_path / "here" / name).read_bytes(), name


def test_the_doctor_looks_over_hosts_on_nodes_and_says_which_node_is_not_there(
    cluster: RayNodes, tmp_path: Path
) -> None:
    fleet = tmp_path / "hosts.toml"
    fleet.write_text(
        f'[left]\nparticipants = ["environment", "agent-0"]\nfolder = "{tmp_path}/there"\n'
        f'[right]\nnode = "{OTHER}"\nparticipants = ["agent-1", "agent-2"]\nfolder = "{tmp_path}/there"\n'
    )
    words = ("doctor", "exchange-quick", *TINY, *own_ports(), "--on", "ray", "--hosts", str(fleet))
    looked = foretell(*words, RAY_ADDRESS=cluster.address)
    assert looked.returncode == 0, looked
    lines = [line.split()[:3] for line in looked.stdout.splitlines()]
    whats = ("reach", "software", "memory", "disk", "clock", "ports", "names")
    assert lines == [
        *(["ok", host, what] for host in ("left", "right") for what in whats),
        ["ok", "all", "edges"],
    ]
    fleet.write_text(fleet.read_text().replace(OTHER, "127.0.0.9"))
    looked = foretell(*words, RAY_ADDRESS=cluster.address)
    assert looked.returncode == 2
    assert "host right: expected `node` = '127.0.0.9', an address or a resource of a node of the Ray" in looked.stderr


def test_the_page_about_clusters_is_so(cluster: RayNodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    with Door() as door:
        tell_page("docs/cluster.md", door, tmp_path, monkeypatch)
    beginning = next(block for block in blocks_of(ROOT / "docs" / "cluster.md") if "ray start" in block.text)
    start_command = pytest.importorskip("ray.scripts.scripts").start
    for line in beginning.lines:
        start_command.make_context("ray start", shlex.split(line, comments=True)[2:])


def test_an_actor_that_is_killed_and_a_node_that_is_gone_change_no_digest(cluster: RayNodes, tmp_path: Path) -> None:
    out, there = tmp_path / "run", tmp_path / "there"
    fleet = tmp_path / "hosts.toml"
    fleet.write_text(
        f'[left]\nparticipants = ["environment", "agent-0"]\nfolder = "{there}"\n'
        f'[right]\nparticipants = ["agent-1", "agent-2"]\nfolder = "{there}"\n'
    )
    options = ("--on", "ray", "--hosts", str(fleet), "--out", str(out))
    with start("run", *ARGUMENTS, *options, RAY_ADDRESS=cluster.address) as run:
        stop_environment(run, out, there / "left", 5)
        os.kill(actor_of(there / "left"), signal.SIGKILL)
        stop_environment(run, out, there / "left", 20)
        cluster.remove()
        said = run.communicate()
    assert run.returncode == 0, said
    assert " ".join(said[1].split()).count(" is lost: Ray says: ") == 2  # lines are folded
    simulated = simulate_here(tmp_path / "simulated", *ARGUMENTS)
    assert {name: summary(out)[name] for name in DIGESTS} == {name: simulated[name] for name in DIGESTS}
    assert not processes_that_name(str(there))


def own_ports() -> tuple[str, str]:
    """Other tests may run beside this one, whose nodes have the same addresses."""
    return "--set", f"transport.zeromq.base_port={free_ports(5)}"


def stop_environment(run: subprocess.Popen[str], out: Path, host: Path, episode: int) -> None:
    """Let a run wait once it has recorded more than so many episodes, so that it does not end before it is hit."""

    def played() -> bool:
        try:
            with read_store(RunFolder(out).store) as store:
                return store.count_episodes() > episode
        except UserError:
            return False  # it has hardly begun

    until(lambda: run.poll() is not None or played(), f"episode {episode}")
    assert run.poll() is None, run.communicate()
    (log,) = host.glob("*/logs/environment.log")
    (environment,) = set(writers_of(log)) - {*processes_that_name(f"{host}\0")}
    os.kill(environment, signal.SIGSTOP)


def actor_of(folder: Path) -> int:
    """The process of Ray that started the host whose folder this is."""
    (host,) = processes_that_name(f"{folder}\0")
    return int(Path(f"/proc/{host}/stat").read_text().rsplit(")", 1)[1].split()[1])


def test_a_head_that_is_gone_ends_the_run_with_a_sentence_and_what_was_recorded_is_kept(tmp_path: Path) -> None:
    need_ray()
    out, there, fleet = tmp_path / "run", tmp_path / "there", tmp_path / "hosts.toml"
    fleet.write_text(f'[left]\nparticipants = ["*"]\nfolder = "{there}"\n')
    words = ("run", *ARGUMENTS, *own_ports(), "--on", "ray", "--hosts", str(fleet), "--out", str(out))
    with two_nodes() as doomed, start(*words, RAY_ADDRESS=doomed.address) as run:
        stop_environment(run, out, there / "left", 5)
        doomed.behead()
        said = " ".join(" ".join(run.communicate()).split())
    assert run.returncode == 2, said
    assert f"the Ray cluster is lost: its head at {doomed.address} does not answer any more" in said
    assert "go on with `foretell resume`" in said
    assert "Traceback" not in said
    assert summary(out)["episodes"] > 5
