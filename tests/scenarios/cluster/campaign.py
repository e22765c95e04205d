"""What tools/ray_campaign.py hits: runs and studies on the cluster that there is, and on the next one."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path
from random import Random

from cluster.ray_cluster import processes_that_name
from cluster.started_nodes import StartedCluster, parent_of
from runs import command, until

from broker.errors import UserError
from scenarios.results.folder import RunFolder
from scenarios.results.reader import read_store

RUN = (
    *("exchange-quick", "--set", "parallel_episodes=2", "--set", "learning.hidden=[8]"),
    *("--set", "recovery.checkpoint_every=5", "--episodes", "150"),
)
STUDY = (
    *("study", "fig1", "--quick", "--task", "exchange", "--seeds", "2", "--algorithm", "anticipation-sharing"),
    *("--set", "parallel_episodes=2", "--set", "learning.hidden=[8]", "--set", "episodes=150"),
)


class Campaign:
    """The cluster that there is, and what must come out.

    Args:
        root: For everything.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.there = root, root / "there"
        self.random = Random(1)
        self._clusters = 0
        self.cluster = self._next(3)
        self.fleet = self.write_fleet("hosts.toml")

    def another_cluster(self) -> None:
        """Go on with a new cluster, which has nothing in common with what was there before."""
        self.cluster.kill()
        self.cluster = self._next(2)

    def write_fleet(self, name: str, right: str = "") -> Path:
        """A document of two hosts; the second may want a node."""
        path, wanted = self.root / name, f'node = "{right}"\n' if right else ""
        path.write_text(
            f'[left]\nparticipants = ["environment", "agent-0"]\nfolder = "{self.there}"\n'
            f'[right]\n{wanted}participants = ["agent-1", "agent-2"]\nfolder = "{self.there}"\n'
        )
        return path

    def begin(self, out: Path, *options: str) -> subprocess.Popen[str]:
        """Begin a run."""
        return self.foretell("run", *RUN, "--on", "ray", "--hosts", str(self.fleet), "--out", str(out), *options)

    def foretell(self, *words: str) -> subprocess.Popen[str]:
        """Begin a command."""
        return subprocess.Popen(
            command(*words), env=self.cluster.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def cells_under_way(self) -> dict[int, int]:
        """The processes that run cells, and the workers of Ray above them."""
        found = {}
        for pid in [pid for pid, words in self.cluster.processes().items() if " simulate " in words]:
            with suppress(OSError):  # it has just ended
                found[pid] = parent_of(pid)
        return found

    def worker(self) -> int:
        """A worker of Ray in which a cell is being run."""
        until(self.cells_under_way, "a cell")
        return next(iter(self.cells_under_way().values()))

    def _next(self, nodes: int) -> StartedCluster:
        number, self._clusters = self._clusters, self._clusters + 1
        return StartedCluster(number, nodes, self.root / f"r{number}")


def ended(process: subprocess.Popen[str], code: int = 0) -> str:
    """Wait for a command that shall end so; what it says of its errors, on one line."""
    said = " ".join(process.communicate()[1].split())
    assert process.returncode == code, f"ended with {process.returncode}: {said}"
    return said


def until_episode(out: Path, number: int, run: subprocess.Popen[str]) -> None:
    """Wait until a run has recorded more than so many episodes."""

    def played() -> bool:
        has_ended = run.poll() is not None
        try:
            with read_store(RunFolder(out).store) as store:
                if store.count_episodes() > number:
                    return True
        except UserError:
            pass  # it has hardly begun
        assert not has_ended, run.communicate()
        return False

    until(played, f"episode {number}")


def is_lost(campaign: Campaign, run: subprocess.Popen[str], out: Path) -> None:
    """See that a launcher ends with a sentence about its cluster, keeps what it has, and leaves nobody behind."""
    said = ended(run, 2)
    assert f"the Ray cluster is lost: its head at {campaign.cluster.head}:" in said, said
    assert "does not answer any more" in said, said
    assert "go on with `foretell resume`" in said, said
    assert "Traceback" not in said, said
    with read_store(RunFolder(out).store) as store:
        assert store.count_episodes() > 40
    nobody_is_left(campaign)


def nobody_is_left(campaign: Campaign) -> None:
    """Wait until no host runs any more."""
    until(lambda: not processes_that_name(f"{campaign.there}/"), "the end of the hosts")


def went_on_from(out: Path) -> int:
    """The first episode that a resumed run played again; 0: it began again."""
    with read_store(RunFolder(out).store) as store:
        return store.lives()[-1].after_episode + 1
