"""A run over four hosts that only a network connects, and what becomes of it when they and their links fail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts.network import Network, network
from limits import LIMIT_S
from runs import TINY, command, simulate_here, summary, until

from broker.errors import UserError
from scenarios.results.folder import RunFolder
from scenarios.results.reader import read_store

pytestmark = [pytest.mark.processes, pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")]

HOMES = {"box": ["environment"], "pi1": ["agent-0"], "pi2": ["agent-1"], "pi3": ["agent-*2"]}
ARGUMENTS = ("exchange-quick", *TINY, "--set", "recovery.checkpoint_every=5", "--episodes", "60")
DIGESTS = ("curve_digest", "weights_digest")


@pytest.fixture(scope="module")
def four_hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with network(tmp_path_factory.mktemp("net"), tuple(HOMES)) as net:
        yield net


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    return digests(simulate_here(tmp_path_factory.mktemp("simulated") / "run", *ARGUMENTS))


def digests(summed: dict[str, object]) -> dict[str, object]:
    return {name: summed[name] for name in DIGESTS}


class OverSsh:
    """One run over the hosts, while it goes on."""

    def __init__(self, net: Network, out: Path, *arguments: str, lease_s: float = 60.0) -> None:
        self.net, self.out = net, out
        document = out.parent / f"{out.name}.toml"
        document.write_text(net.fleet(HOMES, lease_s=lease_s))
        self.process = self._start(
            "run", *ARGUMENTS, "--on", "ssh", "--hosts", str(document), "--out", str(out), *arguments
        )

    def resume(self) -> None:
        self.process = self._start("resume", str(self.out))

    def until_episode(self, number: int) -> None:
        def played() -> bool:
            try:
                with read_store(RunFolder(self.out).store) as store:
                    return store.count_episodes() > number
            except UserError:
                return False  # it has hardly begun

        until(played, f"episode {number}")

    def end(self) -> dict[str, object]:
        said = self.process.communicate(timeout=LIMIT_S)
        assert self.process.returncode == 0, said
        return digests(summary(self.out))

    def _start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.net.here, *command(*words)],
            env=self.net.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def test_four_hosts_decide_what_a_simulation_decides_whatever_is_killed(four_hosts, simulated, tmp_path):
    run = OverSsh(four_hosts, tmp_path / "run")
    run.until_episode(5)
    nodes = [pid for pid in four_hosts.processes("pi2") if b"forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(max(nodes), signal.SIGKILL)
    run.until_episode(15)
    four_hosts.kill("pi1")
    four_hosts.serve("pi1")
    run.until_episode(25)
    run.process.kill()
    run.process.communicate()
    run.resume()
    assert run.end() == simulated
    assert {host: len(four_hosts.processes(host)) for host in HOMES} == dict.fromkeys(HOMES, 1)
