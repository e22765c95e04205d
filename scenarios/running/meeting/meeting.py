"""Where the participants of a run meet: their addresses, the process between them if there is one, and their keys."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from broker.counting import counted
from broker.errors import ParticipantDied, UserError
from scenarios.document.plan import Plan
from scenarios.document.wiring import Wiring
from scenarios.results.folder import RunFolder
from scenarios.running.meeting.addresses import make_addresses
from scenarios.running.meeting.keys import given_keys, needs_keys, own_keys, run_of_keys, used_alone
from scenarios.running.meeting.running_broker import RunningBroker, given_addresses, start_broker
from scenarios.running.procfs import await_stopped, is_alive

Tell = Callable[[str], None]

_QUICK_DEATHS = 3
_QUICK_S = 30.0
_LOOK_EVERY_S = 0.05


class Meeting:
    """Where a run's participants meet.

    Attributes:
        wiring: What they are told of it; the address of what is still to be started is not there yet.

    Args:
        wiring: As above.
        start: Starts what stands between them, at this address or, where it is empty, at any; None where that is
            nothing, or runs already.
        tell: Takes a sentence for the user.
    """

    def __init__(self, wiring: Wiring, start: Callable[[str], RunningBroker] | None, tell: Tell) -> None:
        self.wiring = wiring
        self._start = start
        self._between: RunningBroker | None = None
        self._tell = tell
        self._deaths: list[float] = []
        self._asked = False
        self._turned_away = 0
        self._first_at = ""

    def move(self, wiring: Wiring, broker_at: str) -> None:
        """Meet elsewhere.

        Args:
            wiring: What participants are told.
            broker_at: Where what stands between them shall listen; empty for where it would by itself.
        """
        self.wiring, self._first_at = wiring, broker_at

    @property
    def log(self) -> Path:
        """What stands between the participants says there."""
        return self._between.log if self._between is not None else Path()

    def begin(self) -> str:
        """Start what stands between the participants, unless that was done; where they connect to, if anything does.

        Raises:
            ParticipantDied: It was killed before it listened, again and again.
            UserError: It is not installed, or its address is in use.
        """
        if self._between is None and self._start is not None:
            self._between = self._start(self._first_at)
            self._tell(self._between.note)
        return self.wiring.broker if self._between is None else self._between.address

    def look(self) -> bool:
        """Start what stands between the participants again if it has died: it holds nothing that they need.

        Returns whether it had died.

        Raises:
            ParticipantDied: It keeps dying.
        """
        between = self._between
        if self._start is None or between is None or between.alive():
            return False
        now = time.monotonic()
        recent = [death for death in self._deaths if now - death < _QUICK_S]
        self._deaths, self._asked = recent if self._asked else [*recent, now], False
        between.close()
        if len(self._deaths) >= _QUICK_DEATHS:
            self._deaths.clear()  # whoever lets all begin anew grants it as many again
            raise ParticipantDied(
                "broker", f"it died {counted(_QUICK_DEATHS, 'time')} within {_QUICK_S:.0f} s", between.log
            )
        self._between = self._start(between.address)
        self._turned_away += between.turned_away()
        self._tell(f"the broker at {between.address} died and was started again; messages under way are lost")
        return True

    def kill(self) -> int | None:
        """Kill the process between the participants because the scenario asks for it, which is no bad sign.

        Returns:
            Its id, once it has ended; None if there is none that was started for this run.
        """
        if self._between is None:
            return None
        self._asked = True
        pid = self._between.pid
        os.kill(pid, signal.SIGKILL)
        while is_alive(pid):
            time.sleep(_LOOK_EVERY_S)
        return pid

    def stop(self) -> int | None:
        """Let it do nothing; its id, once it is stopped, or None if none runs."""
        if self._between is None or not is_alive(self._between.pid):
            return None
        os.kill(self._between.pid, signal.SIGSTOP)
        await_stopped(self._between.pid)
        return self._between.pid

    def go_on(self) -> None:
        """Let it go on."""
        if self._between is not None:
            with suppress(ProcessLookupError):
                os.kill(self._between.pid, signal.SIGCONT)

    def close(self) -> None:
        """End what was started, and say whom it turned away."""
        if self._between is None:
            return
        self._between.close()
        if strangers := self._turned_away + self._between.turned_away():
            self._tell(f"the broker at {self._between.address} turned away {strangers}: see {self._between.log}")


@contextmanager
def meeting(plan: Plan, folder: RunFolder, sockets: Path, name: str, tell: Tell) -> Iterator[Meeting]:
    """Find what the participants of a run need to meet, and end what was started of it afterwards.

    Args:
        plan: What runs.
        folder: The run's, for logs and journals, and for keys where the scenario names none.
        sockets: For the socket files of `ipc`.
        name: Of the run, with its id.
        tell: Takes a sentence for the user.

    Raises:
        UserError: Something that stands elsewhere cannot know the run's keys, or another run uses them.
    """
    keys, given = find_keys(plan, folder.keys, name), given_addresses(plan)
    with used_alone(keys if given else None):
        run = run_of_keys(keys) if keys is not None else name
        if given:
            tell(f"all meet at {' and '.join(given)}, as {run}")
        wiring = Wiring(
            run,
            make_addresses(plan.participants, plan.scenario.transport.zeromq, sockets),
            name=name,
            broker=given[0] if given else "",
            observed=True,
            keys=keys,
            journals=folder.journals if plan.scenario.transport.journal else None,
        )

        def start(address: str) -> RunningBroker:
            started = start_broker(plan, folder.logs, sockets, keys, address, run=run)
            assert started is not None  # noqa: S101 - the plan says that there is something
            return started

        found = Meeting(wiring, start if plan.has_own_broker else None, tell)
        try:
            yield found
        finally:
            found.close()


def find_keys(plan: Plan, own: Path, name: str) -> Path | None:
    """The folder of a run's keys, or None where it needs none.

    Args:
        plan: What runs.
        own: Where its own keys are, or are made, where the scenario names none.
        name: Of the run, with its id.

    Raises:
        UserError: What stands between the participants runs already and cannot know keys made now, or the keys cannot
            be used.
    """
    if not needs_keys(plan.scenario.transport):
        return None
    return find_given_keys(plan) or own_keys(plan, own, name)


def find_given_keys(plan: Plan) -> Path | None:
    """The folder of keys that a run is given, or None where it needs none or makes its own.

    Raises:
        UserError: What stands between the participants runs already and cannot know keys made now, or the keys cannot
            be used.
    """
    transport = plan.scenario.transport
    if not needs_keys(transport):
        return None
    if transport.security.keys is not None:
        folder = given_keys(transport.security.keys)
        run_of_keys(folder)
        return folder
    if given := given_addresses(plan):
        msg = (
            f"{given[0]} is there already, so keys made now would be strange to it. Make them with `foretell keys`, "
            "give it its part, and set transport.security.keys; or set transport.security.mode to off."
        )
        raise UserError(msg)
    return None
