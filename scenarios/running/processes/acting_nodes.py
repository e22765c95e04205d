"""Nodes on this host that only act: a small process for each agent, and no server that forks them."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path

from broker.driving.process import DONE
from broker.errors import UserError
from broker.files import write_whole
from broker.isolated import isolated_module
from broker.own_clock import OwnClock
from broker.servers.leash import end_of_input, leashed
from broker.wire.messages import ENVIRONMENT
from scenarios.results.folder import RunFolder
from scenarios.running.nodes import NodeEnd
from scenarios.running.procfs import await_stopped, last_line

_END_WITHIN_S = 3.0


class ActingNodes:
    """See `scenarios.running.nodes.Nodes`.

    Args:
        folder: The run's, for their logs.
        policy: The folder of the policy that they act with, whatever else their slices name.
    """

    def __init__(self, folder: RunFolder, policy: Path) -> None:
        self._folder, self._policy = folder, policy
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, slice_json: str) -> None:
        """Start an agent.

        Raises:
            UserError: It is none that only acts, or its log cannot be written.
        """
        told = json.loads(slice_json)
        if name == ENVIRONMENT or told.get("acts_only") is None:
            who = "the environment" if name == ENVIRONMENT else f"{name}, which learns"
            msg = f"it only acts (--act): expected agents of `foretell evaluate`, found {who}"
            raise UserError(msg)
        told["initial_policy"]["path"] = str(self._policy)
        log, place = self._folder.log(name).absolute(), (self._folder.root / f"{name}.json").absolute()
        try:
            write_whole(place, json.dumps(told).encode())
            with log.open("ab") as said:
                self._processes[name] = subprocess.Popen(  # noqa: S603 - our own command line
                    leashed(isolated_module("agent_node.acting", str(place)), "inherit"),
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    start_new_session=True,
                )
        except OSError as error:
            msg = f"cannot start {name}: {error.strerror}: {error.filename or log}"
            raise UserError(msg) from None

    def stop(self, name: str) -> int | None:
        """Stop a process."""
        process = self._running(name)
        if process is None:
            return None
        process.send_signal(signal.SIGSTOP)
        return process.pid if await_stopped(process.pid) else None

    def go_on(self, name: str) -> None:
        """Let it go on."""
        if (process := self._running(name)) is not None:
            process.send_signal(signal.SIGCONT)

    def kill(self, names: Collection[str]) -> dict[str, int]:
        """Kill processes with -9, all at once."""
        victims = {name: process for name in names if (process := self._running(name)) is not None}
        for process in victims.values():
            process.kill()
        for process in victims.values():
            process.wait()
        return {name: process.pid for name, process in victims.items() if process.returncode == -signal.SIGKILL}

    def ended(self) -> Mapping[str, NodeEnd]:
        """Those that have ended."""
        found = {}
        for name, process in self._processes.items():
            if (code := process.poll()) is not None:
                log = self._folder.log(name)
                found[name] = NodeEnd(code, last_line(log, code) if code > DONE else "", log)
        return found

    def end(self) -> None:
        """End whoever still runs."""
        running = [process for name in self._processes if (process := self._running(name)) is not None]
        for process in running:
            process.terminate()
        clock = OwnClock()
        give_up_at = clock() + _END_WITHIN_S
        for process in running:
            end_of_input(process, clock.left_s(give_up_at))
        self._processes.clear()

    def _running(self, name: str) -> subprocess.Popen[bytes] | None:
        process = self._processes.get(name)
        return process if process is not None and process.poll() is None else None
