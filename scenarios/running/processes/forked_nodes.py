"""Nodes on this host: processes that a fork server makes, which has imported what they need."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection, Mapping
from contextlib import suppress
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from broker.counting import shown_bytes
from broker.driving.process import DONE
from broker.errors import UserError
from broker.own_clock import OwnClock
from scenarios.results.folder import RunFolder
from scenarios.running.machine import memory_kills, this_machine
from scenarios.running.nodes import NodeEnd, ended_in_order
from scenarios.running.processes.child import be_participant
from scenarios.running.processes.fork_server_start import forking, start_fork_server
from scenarios.running.procfs import await_stopped, last_line, size_of

_END_WITHIN_S = 3.0
_NOT_STARTED = 255
"""The code that multiprocessing gives a process whose end it cannot know."""


class ForkedNodes:
    """Processes of this host; see `scenarios.running.nodes.Nodes`.

    Args:
        folder: The run's, for their logs.
        counters: Socket of this host that they tell what they have counted; None: nobody asks.
    """

    def __init__(self, folder: RunFolder, counters: Path | None) -> None:
        self._folder, self._counters = folder, counters
        self._processes: dict[str, ForkServerProcess] = {}
        self._ended: dict[str, NodeEnd] = {}
        self._begins: dict[str, int] = {}
        self._memory_kills = memory_kills()

    def start(self, name: str, slice_json: str) -> None:
        """Fork a participant.

        Raises:
            UserError: Its log, or what the fork server needs, cannot be written.
        """
        log = self._folder.log(name).absolute()
        try:
            log.open("ab").close()  # the process could tell nobody
            self._begins[name] = size_of(log)
            server = start_fork_server()
        except OSError as error:
            msg = f"cannot start {name}: {error.strerror}: {error.filename or log}"
            raise UserError(msg) from None
        arguments = (name, slice_json, log, self._counters)
        process = server.Process(target=be_participant, args=arguments, name=f"foretell.{name}", daemon=True)
        self._processes.pop(name, None)
        self._ended.pop(name, None)
        try:
            with forking():
                process.start()
        except (EOFError, OSError) as error:  # of the pipes to the fork server and to the process
            said = f"the server that forks participants died, or could not: {str(error) or 'it said nothing'}"
            self._ended[name] = NodeEnd(_NOT_STARTED, said, log)
            return
        self._processes[name] = process

    def stop(self, name: str) -> int | None:
        """Stop a process."""
        process = self._processes.get(name)
        if process is None or process.pid is None or not process.is_alive():
            return None
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(process.pid, signal.SIGSTOP)
            return process.pid if await_stopped(process.pid) else None
        return None

    def go_on(self, name: str) -> None:
        """Let it go on."""
        process = self._processes.get(name)
        if process is not None and process.pid is not None and process.is_alive():
            with suppress(ProcessLookupError):  # it was killed meanwhile
                os.kill(process.pid, signal.SIGCONT)

    def kill(self, names: Collection[str]) -> dict[str, int]:
        """Kill processes with -9, all at once."""
        victims = {name: self._processes[name] for name in names if name in self._processes}
        victims = {name: process for name, process in victims.items() if process.is_alive()}
        for process in victims.values():
            process.kill()
        for process in victims.values():
            process.join()
        return {name: process.pid or 0 for name, process in victims.items() if process.exitcode == -signal.SIGKILL}

    def ended(self) -> Mapping[str, NodeEnd]:
        """Those that have ended."""
        for name, process in self._processes.items():
            code = process.exitcode
            if code is not None and name not in self._ended:
                log = self._folder.log(name)
                self._ended[name] = NodeEnd(code, self._why(name, log, code), log)
        return self._ended

    def _why(self, name: str, log: Path, code: int) -> str:
        if code == -signal.SIGKILL and (kills := memory_kills()) > self._memory_kills:
            self._memory_kills = kills
            allowed = shown_bytes(this_machine().memory_bytes)
            return f"the kernel has just killed for want of memory here, where {allowed} are allowed"
        return last_line(log, code, self._begins[name]) if code > DONE else ""

    def end(self) -> Collection[str]:
        """End whoever still runs; who ended in order."""
        running = [process for process in self._processes.values() if process.is_alive()]
        for process in running:
            process.terminate()
        clock = OwnClock()
        give_up_at = clock() + _END_WITHIN_S
        for process in running:
            while process.is_alive() and (left_s := clock.left_s(give_up_at)) > 0:
                process.join(left_s)
            if process.is_alive():
                process.kill()
                process.join()
        codes = {name: process.exitcode for name, process in self._processes.items()}
        self._processes.clear()
        self._ended.clear()
        return [name for name, code in codes.items() if code is not None and ended_in_order(code)]
