"""The processes of a run: started, watched, stopped and ended."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from broker.driving.process import DONE, WRONG
from broker.errors import ParticipantDied, UserError
from scenarios.document.plan import Plan
from scenarios.document.wiring import Wiring
from scenarios.results.folder import RunFolder
from scenarios.running.processes.child import be_participant
from scenarios.running.processes.fork_server_start import start_fork_server
from scenarios.running.processes.procfs import await_stopped

_END_WITHIN_S = 3.0


class Fleet:
    """The processes of a run.

    Args:
        plan: What each participant is told.
        wiring: Where they find each other.
        folder: For their logs.
        late: Seconds by which some start later than the others.
    """

    def __init__(self, plan: Plan, wiring: Wiring, folder: RunFolder, late: Mapping[str, float]) -> None:
        self._plan = plan
        self._wiring = wiring
        self._folder = folder
        self.processes: dict[str, ForkServerProcess] = {}
        self._hung: dict[str, float] = {}
        self._late = late
        self._starts_at: dict[str, float] = {}
        self._stopped: dict[int, float] = {}
        self._left: set[str] = set()

    def start(self) -> None:
        """Fork every participant from a server that has imported what they need; those that are late come later."""
        self._context = start_fork_server()
        now = time.monotonic()
        for name in self._plan.participants:
            if name in self._wiring.life.gone:
                continue
            if name in self._late:
                self._starts_at[name] = now + self._late[name]
            else:
                self._start(name)

    def look(self) -> None:
        """Start who is late, and let go on who was stopped, when their time has come."""
        now = time.monotonic()
        for name in [name for name, starts_at in self._starts_at.items() if starts_at <= now]:
            del self._starts_at[name]
            self._start(name)
        for pid in [pid for pid, until in self._stopped.items() if until <= now]:
            self._let_go_on(pid)

    def _start(self, name: str) -> None:
        slice_ = (
            self._plan.environment(self._wiring)
            if name not in self._plan.agents
            else self._plan.agent(name, self._wiring)
        )
        arguments = (name, slice_.model_dump_json(), self._folder.log(name).absolute())
        process = self._context.Process(target=be_participant, args=arguments, name=f"foretell.{name}", daemon=True)
        process.start()
        self.processes[name] = process

    def kill_some(self, names: Collection[str]) -> dict[str, int]:
        """Kill participants with -9, all at once; returns the ids of the processes that were killed so."""
        victims = {name: self.processes[name] for name in names if name in self.processes}
        victims = {name: process for name, process in victims.items() if process.is_alive()}
        for process in victims.values():
            process.kill()
        for process in victims.values():
            process.join()
        return {name: process.pid or 0 for name, process in victims.items() if process.exitcode == -signal.SIGKILL}

    def stop(self, name: str, for_s: float) -> int | None:
        """Stop a process for a time; returns its id once the system says that it is stopped, None if it has ended."""
        process = self.processes.get(name)
        if process is None or process.pid is None or not process.is_alive():
            return None
        return self.stop_process(process.pid, for_s)

    def stop_process(self, pid: int, for_s: float) -> int:
        """The same for any process of the run, such as the broker's."""
        os.kill(pid, signal.SIGSTOP)
        await_stopped(pid)
        self._stopped[pid] = time.monotonic() + for_s
        return pid

    def leave(self, name: str) -> None:
        """Look no more after somebody who died."""
        self._left.add(name)

    def _let_go_on(self, pid: int) -> None:
        del self._stopped[pid]
        with suppress(ProcessLookupError):  # it was killed meanwhile
            os.kill(pid, signal.SIGCONT)

    def finished(self) -> bool:
        """Whether every process has ended with its work done."""
        if self._starts_at:
            return False
        return all(process.exitcode == DONE for name, process in self.processes.items() if name not in self._left)

    def kill_hung(self, silent: Mapping[str, float]) -> None:
        """Kill those that have given no sign for too long; they may be stopped, so that nothing less would help.

        Args:
            silent: Seconds since the last sign of each that should give one.
        """
        for name, silent_s in silent.items():
            process = self.processes.get(name)
            if process is not None and silent_s > self._plan.scenario.recovery.hung_after_s and process.is_alive():
                self._hung[name] = silent_s
                process.kill()
                process.join()

    def raise_if_died(self) -> None:
        """Look at every process.

        Raises:
            ParticipantDied: One ended before its work.
            UserError: One refused its settings.
        """
        for name, process in self.processes.items():
            code = process.exitcode
            if code in (None, DONE) or name in self._left:
                continue
            log = self._folder.log(name)
            said = _last_line(log)
            if code == WRONG:
                raise UserError(said or f"{name} refused its settings. Its log: {log}")
            if name in self._hung:
                how = f"it hung: no sign of its working loop for {self._hung[name]:.0f} s"
                raise ParticipantDied(name, how, log)
            how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            raise ParticipantDied(name, f"{how} ({said})" if said and code > 0 else how, log)

    def kill(self) -> None:
        """End everybody at once."""
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.join()

    def end(self) -> None:
        """End whoever still runs: ask, then insist."""
        for pid in list(self._stopped):
            self._let_go_on(pid)
        running = [process for process in self.processes.values() if process.is_alive()]
        for process in running:
            process.terminate()
        give_up_at = time.monotonic() + _END_WITHIN_S
        for process in running:
            process.join(max(0.0, give_up_at - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return ""
    said = next((line for line in reversed(lines) if line.strip()), "")
    return said.split(" ", 2)[-1] if said[:4].isdigit() else said
