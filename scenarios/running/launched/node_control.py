"""What can be done to the processes of a run while it goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from broker.own_clock import OwnClock
from broker.participants.checkpoint import Checkpoints
from scenarios.document.process_faults import BROKER
from scenarios.results.answers import CRASHED, GONE
from scenarios.running.control.recovery import lose_newest
from scenarios.running.meeting.meeting import Meeting
from scenarios.running.nodes import Nodes

_LOOK_EVERY_S = 0.05


class Stopped(NamedTuple):
    """Somebody who is stopped.

    Attributes:
        since_s: From when on, in seconds of the launcher's clock.
        until_s: When it goes on.
        before_episode: The first episode that was not over by then.
    """

    since_s: float
    until_s: float
    before_episode: int

    def had_s(self, now: float) -> float:
        """For how long it has been stopped, in seconds; never longer than it shall be."""
        return min(now, self.until_s) - self.since_s


class NodeControl:
    """Does to nodes, in one life, what `scenarios.running.substrate.ProcessControl` says.

    Attributes:
        crashed: Whether it has killed anybody.
        stopped: Who is stopped now.

    Args:
        nodes: The participants' processes.
        found: What stands between them.
        checkpoints: What each participant kept.
        clock: The launcher's own.
        played: How many episodes are over.
    """

    def __init__(
        self,
        nodes: Nodes,
        found: Meeting,
        checkpoints: Mapping[str, Checkpoints],
        clock: OwnClock,
        played: Callable[[], int],
    ) -> None:
        self.crashed = False
        self.stopped: dict[str, Stopped] = {}
        self._nodes = nodes
        self._found = found
        self._checkpoints = checkpoints
        self._clock = clock
        self._played = played
        self._up_at = 0.0

    def crash(self, victims: tuple[str, ...], down_s: float) -> list[str]:
        """Kill all of them at once."""
        self.crashed = True
        killed = self._nodes.kill([victim for victim in victims if victim != BROKER])
        if BROKER in victims and (pid := self._found.kill()) is not None:
            killed[BROKER] = pid
            self._end_stop(BROKER)  # another comes in its place
        self._up_at = max(self._up_at, self._clock() + down_s)
        return [f"{CRASHED} (process {killed[victim]})" if victim in killed else GONE for victim in victims]

    def stop(self, victim: str, for_s: float) -> str:
        """Stop one, and let it go on when its time has come."""
        pid = self._found.stop() if victim == BROKER else self._nodes.stop(victim)
        if pid is None:
            return GONE
        now = self._clock()
        before = self.stopped.get(victim) or Stopped(now, now, self._played())
        self.stopped[victim] = before._replace(until_s=max(before.until_s, now + for_s))
        return f"stopped for {for_s:g} s (process {pid})"

    def lose_checkpoints(self, victim: str, newest: int) -> str:
        """Delete the newest of its checkpoints."""
        return lose_newest(self._checkpoints[victim], newest)

    def let_go_on(self, until: float) -> dict[str, float]:
        """Let those go on whose time has come by `until`, in seconds of the launcher's clock.

        Returns:
            For how many seconds each was to be stopped.
        """
        due = {name: stopped for name, stopped in self.stopped.items() if stopped.until_s <= until}
        for name in due:
            del self.stopped[name]
            if name == BROKER:
                self._found.go_on()
            else:
                self._nodes.go_on(name)
        return {name: stopped.had_s(until) for name, stopped in due.items()}

    def _end_stop(self, name: str) -> None:
        """Let the stop of somebody end by now, if there is one; who goes on is told of it as of all others."""
        if (stopped := self.stopped.get(name)) is not None:
            self.stopped[name] = stopped._replace(until_s=min(stopped.until_s, self._clock()))

    def rest(self, interrupted: Callable[[], bool]) -> None:
        """Stay down for as long as the scenario says."""
        while self._clock() < self._up_at and not interrupted():
            time.sleep(_LOOK_EVERY_S)
