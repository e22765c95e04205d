"""Runs and a study on a Ray cluster of three nodes of this host, which are hit in all ways that end them.

    .venv/bin/python tools/ray_campaign.py > docs/results/ray.md

Exits with 1 where a digest or a page differs from what a simulation, or a study on this host, gives.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path += [str(ROOT), str(ROOT / "tests" / "scenarios"), str(ROOT / "tests")]

from cluster.ray_cluster import processes_that_name  # noqa: E402
from runs import children_of, command, until  # noqa: E402

from broker.errors import UserError  # noqa: E402
from scenarios.results.folder import RunFolder  # noqa: E402
from scenarios.results.reader import read_store  # noqa: E402

HEAD, OTHERS = "127.0.0.2", ("127.0.0.3", "127.0.0.4")
GCS, CLIENTS = 23_400, 23_401
SMALL = ("--num-cpus", "2", "--object-store-memory", "80000000")
RUN = (
    *("exchange-quick", "--set", "parallel_episodes=2", "--set", "learning.hidden=[8]"),
    *("--set", "recovery.checkpoint_every=5", "--episodes", "150"),
)
STUDY = (
    *("study", "fig1", "--quick", "--task", "exchange", "--seeds", "2", "--algorithm", "anticipation-sharing"),
    *("--set", "parallel_episodes=2", "--set", "learning.hidden=[8]", "--set", "episodes=150"),
)
Case = Callable[["Campaign", Path], str]


class Campaign:
    """The cluster, and what must come out.

    Args:
        root: For everything.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.nodes: dict[str, subprocess.Popen[bytes]] = {}
        self.random = Random(1)  # noqa: S311 - chance that comes again
        self.fleet = root / "hosts.toml"
        self.fleet.write_text(
            f'[left]\nparticipants = ["environment", "agent-0"]\nfolder = "{root}/there"\n'
            f'[right]\nparticipants = ["agent-1", "agent-2"]\nfolder = "{root}/there"\n'
        )

    def start_node(self, address: str) -> None:
        """Add a node, or the head if it is the first."""
        head = ("--head", "--port", str(GCS), "--ray-client-server-port", str(CLIENTS), "--include-dashboard=false")
        role = head if address == HEAD else ("--address", f"{HEAD}:{GCS}")
        words = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--node-ip-address", address]
        self.nodes[address] = subprocess.Popen(
            [*words, *role, *SMALL],
            env=os.environ | {"RAY_USAGE_STATS_ENABLED": "0"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until(lambda: address in self.alive(), f"node {address}")

    def alive(self) -> list[str]:
        """Addresses of the nodes that Ray calls alive."""
        asked = (
            "import json, ray, logging; ray.init('auto', log_to_driver=False, logging_level=logging.ERROR); "
            "print(json.dumps([n['NodeManagerAddress'] for n in ray.nodes() if n['Alive']]))"
        )
        said = subprocess.run(
            [sys.executable, "-c", asked], env=environment(), capture_output=True, text=True, check=False
        )
        found: list[str] = json.loads(said.stdout) if said.returncode == 0 else []
        return found

    def raylet(self, address: str) -> int:
        """The process that is a node for Ray."""
        return next(pid for pid, words in children_of(self.nodes[address].pid).items() if "/raylet/raylet " in words)

    def actor(self, host: str) -> int:
        """The process of Ray in which a host's actor is."""
        (there,) = processes_that_name(f"{self.root}/there/{host}\0")
        return int(Path(f"/proc/{there}/stat").read_text().rsplit(")", 1)[1].split()[1])

    def begin(self, out: Path, *options: str) -> subprocess.Popen[str]:
        """Begin a run."""
        return self.foretell("run", *RUN, "--on", "ray", "--hosts", str(self.fleet), "--out", str(out), *options)

    def foretell(self, *words: str) -> subprocess.Popen[str]:
        """Begin a command."""
        return subprocess.Popen(
            command(*words), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def close(self) -> None:
        """End all nodes, the head last."""
        for address in reversed(self.nodes):
            process = self.nodes[address]
            for pid in children_of(process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.kill()
            process.wait()


def environment() -> dict[str, str]:
    """What commands are started with."""
    return os.environ | {"RAY_ADDRESS": f"{HEAD}:{GCS}", "RAY_USAGE_STATS_ENABLED": "0"}


def ended(process: subprocess.Popen[str]) -> None:
    """Wait for a command that shall end well."""
    _, said = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(said)


def until_episode(out: Path, number: int) -> None:
    """Wait until a run has recorded more than so many episodes."""

    def played() -> bool:
        try:
            with read_store(RunFolder(out).store) as store:
                return store.count_episodes() > number
        except UserError:
            return False

    until(played, f"episode {number}")


def undisturbed(campaign: Campaign, out: Path) -> str:
    """Nothing happens."""
    ended(campaign.begin(out))
    return "a driver in the cluster"


def through_the_client_server(campaign: Campaign, out: Path) -> str:
    """Ray's client, from outside the cluster."""
    ended(campaign.begin(out, "--on", f"ray://{HEAD}:{CLIENTS}"))
    return f"`--on ray://{HEAD}:{CLIENTS}`"


def through_a_forwarder(campaign: Campaign, out: Path) -> str:
    """Another transport, with keys."""
    ended(campaign.begin(out, "--transport", "forwarder"))
    return "`--transport forwarder`, with keys"


def actors_killed(campaign: Campaign, out: Path) -> str:
    """An actor is killed again and again."""
    run = campaign.begin(out)
    for episode in (10, 40, 70, 100, 130):
        until_episode(out, episode)
        os.kill(campaign.actor(campaign.random.choice(("left", "right"))), signal.SIGKILL)
    ended(run)
    return "5 actors killed with -9"


def node_killed(campaign: Campaign, out: Path) -> str:
    """A node is killed; its host moves."""
    run = campaign.begin(out)
    until_episode(out, 40)
    os.kill(campaign.raylet(OTHERS[0]), signal.SIGKILL)
    hit = time.monotonic()
    until_episode(out, 60)
    back_s = time.monotonic() - hit
    ended(run)
    return f"a node killed with -9; 20 episodes on after {back_s:.0f} s, its host on another node"


def launcher_killed(campaign: Campaign, out: Path) -> str:
    """The launcher is killed, and the run resumed."""
    run = campaign.begin(out)
    until_episode(out, 40)
    run.kill()
    run.communicate()
    until(lambda: not processes_that_name(f"{campaign.root}/there/"), "the end of the hosts")
    ended(campaign.foretell("resume", str(out)))
    return "the launcher killed with -9, nobody left on the nodes; `foretell resume`"


def study_undisturbed(campaign: Campaign, out: Path) -> str:
    """Nothing happens."""
    ended(campaign.foretell(*STUDY, "--on", "ray", "--out", str(out)))
    return "a study of two cells"


def worker_of_a_study_killed(campaign: Campaign, out: Path) -> str:
    """Ray's process dies while a cell is run in it; Ray begins the cell anew."""
    study = campaign.foretell(*STUDY, "--on", "ray", "--out", str(out))
    os.kill(worker(campaign), signal.SIGKILL)
    ended(study)
    return "the worker of a cell killed with -9"


def study_interrupted(campaign: Campaign, out: Path) -> str:
    """Ctrl-C in mid-cell, then the same command again."""
    study = campaign.foretell(*STUDY, "--on", "ray", "--jobs", "1", "--out", str(out))
    until(lambda: list((out / "runs").glob("*/summary.json")), "the first cell")
    worker(campaign)
    study.send_signal(signal.SIGINT)
    study.communicate()
    until(lambda: not cells_under_way(campaign), "the end of the cells")
    ended(campaign.foretell(*STUDY, "--on", "ray", "--out", str(out)))
    return "Ctrl-C in the second cell, nobody left on the nodes; the same command again"


def cells_under_way(campaign: Campaign) -> dict[int, int]:
    """The processes that run cells, and the workers of Ray above them."""
    below = {pid: words for node in campaign.nodes.values() for pid, words in children_of(node.pid).items()}
    cells = [pid for pid, words in below.items() if " simulate " in words]
    found = {}
    for pid in cells:
        with suppress(OSError):
            found[pid] = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    return found


def worker(campaign: Campaign) -> int:
    """A worker of Ray in which a cell is being run."""
    until(lambda: cells_under_way(campaign), "a cell")
    return next(iter(cells_under_way(campaign).values()))


RUNS: tuple[Case, ...] = (
    *(undisturbed, through_the_client_server, through_a_forwarder),
    *(actors_killed, launcher_killed, node_killed),
)
STUDIES: tuple[Case, ...] = (study_undisturbed, worker_of_a_study_killed, study_interrupted)


def digests(out: Path) -> dict[str, Any]:
    """Of a run."""
    summed = json.loads((out / "summary.json").read_text())
    return {name: summed[name] for name in ("curve_digest", "weights_digest")}


def pages(out: Path) -> list[bytes]:
    """Of a study."""
    return [(out / name).read_bytes() for name in ("fig1.md", "fig1.json", "fig1.png")]


@contextmanager
def campaign_on_three_nodes() -> Iterator[Campaign]:
    """A cluster, cleared away afterwards."""
    root = Path(tempfile.mkdtemp(prefix="ft"))
    campaign = Campaign(root)
    try:
        for address in (HEAD, *OTHERS):
            campaign.start_node(address)
        yield campaign
    finally:
        campaign.close()
        shutil.rmtree(root, ignore_errors=True)


def main() -> int:
    """Do all cases, and print the page."""
    rows, well = [], True
    with campaign_on_three_nodes() as campaign:
        ended(campaign.foretell("simulate", *RUN, "--out", str(campaign.root / "simulated")))
        ended(campaign.foretell(*STUDY, "--out", str(campaign.root / "studied")))
        for cases, found_of, name in ((STUDIES, pages, "studied"), (RUNS, digests, "simulated")):
            for case in cases:
                began = time.monotonic()
                out = campaign.root / case.__name__
                said = case(campaign, out)
                same = found_of(out) == found_of(campaign.root / name)
                well = well and same
                rows.append(f"| {said} | {'the same' if same else 'OTHERS'} | {time.monotonic() - began:.0f} |")
                sys.stderr.write(f"{rows[-1]}\n")
    sys.stdout.write("\n".join([PAGE, *rows, ""]))
    return 0 if well else 1


PAGE = """# Ray: `.venv/bin/python tools/ray_campaign.py`

A cluster of three nodes on one host, started with `ray start`. Runs are `exchange-quick` with small networks, 150
episodes and a checkpoint every five, on two hosts; digests are compared with those of `foretell simulate`. Studies are
two cells of Figure 1, 150 episodes each; page, numbers and picture are compared byte for byte with those of the same
study on this host. The machine has two cores and did other work.

| what was done | digests, or files | seconds |
|---|---|---|"""


if __name__ == "__main__":
    sys.exit(main())
