"""Runs a scenario as processes, a participant each, over sockets, and watches them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from broker.errors import ParticipantDied, Unreachable
from scenarios.document.plan import Plan
from scenarios.document.wiring import Wiring
from scenarios.results.folder import RunFolder
from scenarios.results.observer import Observer
from scenarios.running.control.live_faults import LiveFaults
from scenarios.running.control.recovery import Lives
from scenarios.running.control.supervisor import Supervisor
from scenarios.running.launched.hands import ProcessHands
from scenarios.running.launched.inbox import Inbox
from scenarios.running.meeting.meeting import Meeting, meeting
from scenarios.running.processes.fleet import Fleet

_LOOK_EVERY_S = 0.1
_CONNECT_WITHIN_S = 5.0


def launch(plan: Plan, folder: RunFolder, observer: Observer, interrupted: Callable[[], bool]) -> None:
    """Run every participant of `plan` as a process until all are done or `interrupted` says so.

    Args:
        plan: What runs.
        folder: For logs and journals.
        observer: Takes the records.
        interrupted: Asked ten times a second.

    Raises:
        ParticipantDied: A process ended before its work; all others have been ended.
        UserError: A participant refused its settings, or an address is in use.
    """
    lives = Lives(plan, observer, folder.checkpoints)
    supervisor = Supervisor(plan, observer)
    live = LiveFaults(plan, folder, observer, supervisor)
    with (
        tempfile.TemporaryDirectory(prefix="foretell-") as sockets,
        meeting(plan, folder, Path(sockets), observer.tell) as found,
    ):
        why, late = "", supervisor.late()
        while True:
            life = supervisor.prepare(lives.begin(why))
            wiring = replace(found.wiring, checkpoints=folder.checkpoints.absolute(), life=life)
            fleet = Fleet(live.plan(), wiring, folder, late)
            hands = ProcessHands(fleet, found, lives)
            try:
                inbox = _open_inbox(plan, wiring, observer, found)
                _live(fleet, inbox, lives, found, partial(_goes_on, supervisor, hands, inbox, live, interrupted))
            except ParticipantDied as death:
                why, late = lives.bury(death, asked=hands.crashed), {}
                hands.wait_until_up(interrupted)
            else:
                return


def _open_inbox(plan: Plan, wiring: Wiring, observer: Observer, found: Meeting) -> Inbox:
    """Connect the observer; what it connects to may die meanwhile, and nobody else looks.

    Raises:
        ParticipantDied: What stands between the participants keeps dying.
        UserError: It cannot be reached for as long as joining may take, or refuses.
    """
    joining = plan.scenario.joining.give_up_s
    give_up_at = time.monotonic() + joining
    while True:
        found.look()
        try:
            return Inbox(plan, wiring, observer, min(_CONNECT_WITHIN_S, joining))
        except Unreachable:
            if time.monotonic() >= give_up_at:
                raise


def _live(
    fleet: Fleet,
    inbox: Inbox,
    lives: Lives,
    found: Meeting,
    goes_on: Callable[[], bool],
) -> None:
    """Lead one life of all participants."""
    try:
        fleet.start()
        while not fleet.finished():
            inbox.take(_LOOK_EVERY_S)
            if not goes_on():
                return
            fleet.look()
            fleet.kill_hung(inbox.silent())
            _look_after(fleet, inbox, lives)
            _look_between(found, lives)
            lives.tidy()
    except ParticipantDied:
        if lives.mends:
            fleet.kill()  # what they would still say is of a life that is over
        raise
    finally:
        fleet.end()
        inbox.take(0)
        inbox.close()


def _look_after(fleet: Fleet, inbox: Inbox, lives: Lives) -> None:
    """See whether somebody has died, and go on without, where the scenario says so.

    Raises:
        ParticipantDied: Somebody has, and cannot be spared.
    """
    while True:
        try:
            fleet.raise_if_died()
        except ParticipantDied as death:
            lives.leave(death)
            fleet.leave(death.participant)
            inbox.leave(death.participant)
        else:
            return


def _goes_on(
    supervisor: Supervisor, hands: ProcessHands, inbox: Inbox, live: LiveFaults, interrupted: Callable[[], bool]
) -> bool:
    """Do to processes what the scenario asks for, and let the environment go on that has waited for it."""
    if interrupted():
        return False
    if (faults := live.changed()) is not None:
        inbox.put_in_force(faults)
    paused = inbox.take_breakpoint()
    supervisor.strike(hands, time.monotonic(), paused)
    if paused is not None:
        inbox.orders.go_on(paused)
    return True


def _look_between(found: Meeting, lives: Lives) -> None:
    """See to what stands between the participants.

    Raises:
        ParticipantDied: It had died: what was under way is lost, and all must go back to where nothing was.
    """
    if found.look() and lives.mends:
        raise ParticipantDied("the broker", "it was started again", found.log)
