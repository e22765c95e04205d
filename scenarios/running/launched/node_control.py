"""What can be done to the processes of a run while it goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from broker.own_clock import OwnClock
from broker.participants.checkpoint import Checkpoints
from scenarios.document.process_faults import BROKER
from scenarios.results.answers import CRASHED, GONE
from scenarios.running.control.recovery import lose_newest
from scenarios.running.meeting.meeting import Meeting
from scenarios.running.nodes import Nodes

_LOOK_EVERY_S = 0.05


class NodeControl:
    """Does to nodes, in one life, what `scenarios.running.substrate.ProcessControl` says.

    Attributes:
        crashed: Whether it has killed anybody.

    Args:
        nodes: The participants' processes.
        found: What stands between them.
        checkpoints: What each participant kept.
        clock: The launcher's own.
    """

    def __init__(self, nodes: Nodes, found: Meeting, checkpoints: Mapping[str, Checkpoints], clock: OwnClock) -> None:
        self.crashed = False
        self._nodes = nodes
        self._found = found
        self._checkpoints = checkpoints
        self._clock = clock
        self._up_at = 0.0
        self._stopped_until: dict[str, float] = {}

    def crash(self, victims: tuple[str, ...], down_s: float) -> list[str]:
        """Kill all of them at once."""
        self.crashed = True
        killed = self._nodes.kill([victim for victim in victims if victim != BROKER])
        if BROKER in victims and (pid := self._found.kill()) is not None:
            killed[BROKER] = pid
        self._up_at = max(self._up_at, self._clock() + down_s)
        return [f"{CRASHED} (process {killed[victim]})" if victim in killed else GONE for victim in victims]

    def stop(self, victim: str, for_s: float) -> str:
        """Stop one, and let it go on when its time has come."""
        pid = self._found.stop() if victim == BROKER else self._nodes.stop(victim)
        if pid is None:
            return GONE
        self._stopped_until[victim] = max(self._stopped_until.get(victim, 0.0), self._clock() + for_s)
        return f"stopped for {for_s:g} s (process {pid})"

    def lose_checkpoints(self, victim: str, newest: int) -> str:
        """Delete the newest of its checkpoints."""
        return lose_newest(self._checkpoints[victim], newest)

    def let_go_on(self, until: float) -> None:
        """Let those go on whose time has come by `until`, in seconds of the launcher's clock."""
        for name in [name for name, due in self._stopped_until.items() if due <= until]:
            del self._stopped_until[name]
            if name == BROKER:
                self._found.go_on()
            else:
                self._nodes.go_on(name)

    def rest(self, interrupted: Callable[[], bool]) -> None:
        """Stay down for as long as the scenario says."""
        while self._clock() < self._up_at and not interrupted():
            time.sleep(_LOOK_EVERY_S)
