"""What a launcher can do to the processes of its run."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from scenarios.document.process_faults import BROKER
from scenarios.running.control.recovery import Lives
from scenarios.running.control.strikes import CRASHED, GONE
from scenarios.running.meeting.meeting import Meeting
from scenarios.running.processes.fleet import Fleet
from scenarios.running.processes.procfs import is_alive

_LOOK_EVERY_S = 0.05


class ProcessHands:
    """Does to processes of one life what `scenarios.running.control.strikes.ProcessControl` says.

    Attributes:
        crashed: Whether they have killed anybody.

    Args:
        fleet: The participants' processes.
        found: What stands between them.
        lives: Knows where checkpoints are.
    """

    def __init__(self, fleet: Fleet, found: Meeting, lives: Lives) -> None:
        self.crashed = False
        self._fleet = fleet
        self._found = found
        self._lives = lives
        self._up_at = 0.0

    def crash(self, victims: tuple[str, ...], down_s: float) -> list[str]:
        """Kill all of them at once."""
        self.crashed = True
        killed = self._fleet.kill_some(victims)
        if BROKER in victims and (pid := self._found.pid) is not None:
            self._found.expect_death()
            os.kill(pid, signal.SIGKILL)
            while is_alive(pid):
                time.sleep(_LOOK_EVERY_S)
            killed[BROKER] = pid
        self._up_at = max(self._up_at, time.monotonic() + down_s)
        return [f"{CRASHED} (process {killed[victim]})" if victim in killed else GONE for victim in victims]

    def stop(self, victim: str, for_s: float) -> str:
        """Stop one, and let it go on when its time has come."""
        if victim != BROKER:
            pid = self._fleet.stop(victim, for_s)
        else:
            pid = self._found.pid
            if pid is not None and is_alive(pid):
                self._fleet.stop_process(pid, for_s)
        return f"stopped for {for_s:g} s (process {pid})" if pid is not None else GONE

    def lose_checkpoints(self, victim: str, newest: int) -> str:
        """Delete the newest of its checkpoints."""
        return self._lives.lose(victim, newest)

    def wait_until_up(self, interrupted: Callable[[], bool]) -> None:
        """Stay down for as long as the scenario says."""
        while time.monotonic() < self._up_at and not interrupted():
            time.sleep(_LOOK_EVERY_S)
