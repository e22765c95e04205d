"""Nodes on this host that are a program each, which takes its slice as a file."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from broker.driving.process import DONE
from broker.errors import UserError
from broker.files import write_whole
from broker.own_clock import OwnClock
from broker.servers.leash import end_of_input, leashed
from scenarios.results.folder import RunFolder
from scenarios.running.nodes import NodeEnd, ended_in_order
from scenarios.running.procfs import await_stopped, last_line, size_of

_END_WITHIN_S = 3.0


class ProgramNodes:
    """See `scenarios.running.nodes.Nodes`.

    Args:
        folder: The run's, for their slices and logs.
        command: The command line of a node whose slice lies in a file.
    """

    def __init__(self, folder: RunFolder, command: Callable[[Path], Sequence[str]]) -> None:
        self._folder, self._command = folder, command
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._begins: dict[str, int] = {}

    def start(self, name: str, slice_json: str) -> None:
        """Start the process of a participant.

        Raises:
            UserError: Its slice or its log cannot be written.
        """
        log, place = self._folder.log(name).absolute(), (self._folder.root / f"{name}.json").absolute()
        try:
            write_whole(place, slice_json.encode())
            self._begins[name] = size_of(log)
            with log.open("ab") as said:
                self._processes[name] = subprocess.Popen(  # noqa: S603 - our own command line
                    leashed(self._command(place), "inherit"),
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
                found[name] = NodeEnd(code, last_line(log, code, self._begins[name]) if code > DONE else "", log)
        return found

    def end(self) -> Collection[str]:
        """End whoever still runs; who ended in order."""
        running = [process for name in self._processes if (process := self._running(name)) is not None]
        for process in running:
            process.terminate()
        clock = OwnClock()
        give_up_at = clock() + _END_WITHIN_S
        for process in running:
            end_of_input(process, max(0.0, give_up_at - clock()))
        codes = {name: process.poll() for name, process in self._processes.items()}
        self._processes.clear()
        return [name for name, code in codes.items() if code is not None and ended_in_order(code)]

    def _running(self, name: str) -> subprocess.Popen[bytes] | None:
        process = self._processes.get(name)
        return process if process is not None and process.poll() is None else None
