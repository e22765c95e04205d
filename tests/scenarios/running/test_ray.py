"""A Ray cluster of two nodes that does a study and a run, and loses a node; all else: tools/ray_campaign.py."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from cluster.ray_cluster import need_ray, processes_that_name, two_nodes
from runs import TINY, Started, simulate_here, start, summary, until

from broker.errors import UserError
from scenarios.results.folder import RunFolder
from scenarios.results.reader import read_store
from scenarios.running.procfs import writers_of

DIGESTS = ("curve_digest", "weights_digest")
RUN = ("exchange-quick", *TINY, "--set", "recovery.checkpoint_every=5", "--episodes", "60")
STUDY = (
    *("study", "fig1", "--quick", "--task", "exchange", "--seeds", "1", "--algorithm", "independent"),
    *(*TINY, "--set", "environment.steps=5", "--set", "episodes=2"),
)


@pytest.mark.processes
@pytest.mark.long
def test_a_study_and_a_run_whose_node_is_gone_give_the_digests_of_this_host(tmp_path: Path) -> None:
    need_ray()
    with two_nodes() as cluster:
        with start(*STUDY, "--on", "ray", "--out", str(tmp_path / "study"), RAY_ADDRESS=cluster.address) as study:
            said = study.communicate()
            assert study.returncode == 0, said
        out, there, fleet = tmp_path / "run", tmp_path / "there", tmp_path / "hosts.toml"
        fleet.write_text(
            f'[left]\nparticipants = ["environment", "agent-0"]\nfolder = "{there}"\n'
            f'[right]\nparticipants = ["agent-1", "agent-2"]\nfolder = "{there}"\n'
        )
        words = ("run", *RUN, "--on", "ray", "--hosts", str(fleet), "--out", str(out))
        with start(*words, RAY_ADDRESS=cluster.address) as run:
            stop_environment(run, out, there / "left", 5)
            cluster.remove()
            said = run.communicate()
            assert run.returncode == 0, said
        assert " ".join(said[1].split()).count(" is lost: Ray says: ") == 1  # lines are folded
        assert not processes_that_name(str(there))
    assert digests(out) == digests_of_simulation(tmp_path / "simulated", *RUN)
    (cell,) = (tmp_path / "study" / "runs").iterdir()
    assert digests(cell) == digests_of_simulation(tmp_path / "cell", str(cell / "scenario.toml"))


def digests(out: Path) -> list[object]:
    return [summary(out)[name] for name in DIGESTS]


def digests_of_simulation(out: Path, *words: str) -> list[object]:
    simulate_here(out, *words)
    return digests(out)


def stop_environment(run: Started, out: Path, host: Path, episode: int) -> None:
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
