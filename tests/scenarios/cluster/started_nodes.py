"""Ray clusters that are started as a user starts them, with `ray start`, one after the other on this host."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from cluster.ray_cluster import processes_that_name
from runs import children_of, until

_SMALL = ("--num-cpus", "2", "--object-store-memory", "80000000")
_ASKED = (
    "import json, ray, logging; ray.init('auto', log_to_driver=False, logging_level=logging.ERROR); "
    "print(json.dumps([n['NodeManagerAddress'] for n in ray.nodes() if n['Alive']]))"
)


class StartedCluster:
    """A cluster; addresses and ports are those of its number.

    Attributes:
        head: Address of the node that leads.
        others: Addresses of the others.
        client_server: Where Ray's client reaches it, as `--on` has it.

    Args:
        number: From 0; two clusters with different numbers have nothing in common.
        nodes: How many.
        folder: For what Ray writes; sockets lie there, so keep it short.
    """

    def __init__(self, number: int, nodes: int, folder: Path) -> None:
        self.head, *self.others = (f"127.7.{number}.{each}" for each in range(2, nodes + 2))
        self._gcs, clients = 23_400 + 10 * number, 23_401 + 10 * number
        self.client_server = f"ray://{self.head}:{clients}"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        leads = ("--port", str(self._gcs), "--ray-client-server-port", str(clients), "--include-dashboard=false")
        self._start(self.head, "--head", *leads, "--temp-dir", str(folder))
        for address in self.others:
            self._start(address, "--address", f"{self.head}:{self._gcs}")

    @property
    def environment(self) -> dict[str, str]:
        """What commands are started with that use it."""
        return os.environ | {"RAY_ADDRESS": f"{self.head}:{self._gcs}", "RAY_USAGE_STATS_ENABLED": "0"}

    def alive(self) -> list[str]:
        """Addresses of the nodes that Ray calls alive."""
        said = subprocess.run(
            [sys.executable, "-c", _ASKED], env=self.environment, capture_output=True, text=True, check=False
        )
        found: list[str] = json.loads(said.stdout) if said.returncode == 0 else []
        return found

    def processes(self) -> dict[int, str]:
        """All that runs on its nodes, with their command lines."""
        return {pid: words for each in self._processes.values() for pid, words in children_of(each.pid).items()}

    def kill_node(self, address: str) -> None:
        """Kill what makes a node one, with -9."""
        os.kill(self._part(address, "/raylet/raylet "), signal.SIGKILL)

    def behead(self) -> None:
        """Kill what leads it, with -9; the nodes live on."""
        os.kill(self._part(self.head, "/gcs/gcs_server "), signal.SIGKILL)

    def kill(self) -> None:
        """Kill all nodes with all that runs on them, with -9, as a power cut would; nobody is left."""
        for process in self._processes.values():
            for pid in children_of(process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.kill()
            process.wait()
        for pid in processes_that_name(f"{self.head}:{self._gcs}"):  # servers of Ray's clients have no parent
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._processes.clear()

    def _part(self, address: str, mark: str) -> int:
        return next(pid for pid, words in children_of(self._processes[address].pid).items() if mark in words)

    def _start(self, address: str, *role: str) -> None:
        words = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--node-ip-address", address]
        self._processes[address] = subprocess.Popen(
            [*words, *role, *_SMALL],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until(lambda: address in self.alive(), f"node {address}")


def actor_of(folder: Path) -> int:
    """The process of Ray that started the host whose folder this is."""
    found: list[int] = []

    def is_alone() -> bool:
        found[:] = processes_that_name(f"{folder}\0")
        return len(found) == 1  # else one that has lost its launcher hands over just now

    until(is_alone, f"one host in {folder}")
    return parent_of(found[0])


def parent_of(pid: int) -> int:
    """The process that started another."""
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
