"""A run of the real command over hosts of a network of their own, while it goes on, and what can be done to it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hosts.network import LAUNCHER, Network
from limits import LIMIT_S
from runs import TINY, command, until

from broker.errors import UserError
from scenarios.reports.ledger import accounts
from scenarios.results.folder import RunFolder
from scenarios.results.reader import RunReader, read_store

HOMES = {"box": ["environment"], "pi1": ["agent-0"], "pi2": ["agent-1"], "pi3": ["agent-*2"]}
DOCUMENT = ("exchange-quick", *TINY, "--set", "recovery.checkpoint_every=5", "--episodes", "60")
DIGESTS = ("curve_digest", "weights_digest")
NODE = b"forkserver"
"""Stands in the command line of every participant's process."""
_Found = TypeVar("_Found")


def digests(summed: dict[str, object]) -> dict[str, object]:
    return {name: summed[name] for name in DIGESTS}


class OverSsh:
    """One run over the hosts.

    Args:
        net: The hosts.
        out: Its folder.
        arguments: More of them than those of `DOCUMENT`.
        lease_s: Of every host.
    """

    def __init__(self, net: Network, out: Path, *arguments: str, lease_s: float = 60.0) -> None:
        self.net, self.out = net, out
        document = out.parent / f"{out.name}.toml"
        document.write_text(net.fleet(HOMES, lease_s=lease_s))
        place = ("--on", "ssh", "--hosts", str(document), "--out", str(out))
        self.process = self._start("run", *DOCUMENT, *place, *arguments)

    def resume(self) -> None:
        self.process = self._start("resume", str(self.out))

    def ask(self, question: Callable[[RunReader], _Found], before: _Found) -> _Found:
        """What the run's store says now; before there is one, `before`."""
        try:
            with read_store(RunFolder(self.out).store) as store:
                return question(store)
        except UserError:
            return before  # it has hardly begun

    def until_episode(self, number: int) -> None:
        def is_played() -> bool:
            has_ended = self.process.poll() is not None
            if self.ask(RunReader.count_episodes, 0) > number:
                return True
            assert not has_ended, self.process.communicate()
            return False

        until(is_played, f"episode {number}")

    def until_another_episode(self) -> None:
        self.until_episode(self.ask(RunReader.count_episodes, 0))

    def until_started(self) -> None:
        """Until every host has the processes of its participants, which may not have joined yet."""
        until(lambda: all(self.pids(host, NODE) for host in HOMES), "the start of all")

    def pids(self, host: str, mark: bytes) -> list[int]:
        """The processes of a host with this in their command line, the youngest last."""
        return sorted(pid for pid in self.net.processes(host) if mark in _command_line(pid))

    def kill_node(self, host: str) -> None:
        os.kill(self.pids(host, NODE)[-1], signal.SIGKILL)

    def kill_broker(self, mark: bytes) -> None:
        """Kill what stands between the participants, beside the launcher."""
        os.kill(self.pids(LAUNCHER, mark)[-1], signal.SIGKILL)

    def kill_launcher(self) -> None:
        self.process.kill()
        self.process.communicate()

    def end(self) -> str:
        """What it says on its way to a good end."""
        said, notes = self.process.communicate(timeout=LIMIT_S)
        assert self.process.returncode == 0, (said, notes)
        return notes

    def logs(self) -> str:
        """What `foretell logs` shows, asked beside the launcher."""
        words = [*self.net.here, *command("logs", str(self.out))]
        return subprocess.run(words, env=self.net.environment, capture_output=True, text=True, check=True).stdout

    def unaccounted(self) -> dict[str, int]:
        """By edge, how many shares of those that were sent are neither heard nor late nor lost; of none, nothing."""
        with read_store(RunFolder(self.out).store) as store:
            rows = [row for row in accounts(store) if row.kind == "share"]
        left = {f"{row.source}->{row.destination}": row.sent - row.heard - row.late - row.lost for row in rows}
        return {edge: count for edge, count in left.items() if count}

    def _start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.net.here, *command(*words)],
            env=self.net.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""  # it has just ended
