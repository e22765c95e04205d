"""One life of a run as processes: started, watched, ended; wherever its nodes are."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import replace

from pydantic import TypeAdapter

from broker.driving.process import DONE, RAISED, REFUSED, WRONG
from broker.errors import ParticipantDied, Unreachable, UserCodeDied, UserError
from broker.faults.config import FaultConfig
from broker.own_clock import OwnClock
from broker.wire.messages import ENVIRONMENT
from scenarios.document.plan import Plan
from scenarios.document.process_faults import BROKER
from scenarios.document.wiring import Wiring
from scenarios.results.observer import Observer
from scenarios.running.launched.inbox import LAST_WORDS_WITHIN_S, Inbox
from scenarios.running.launched.node_control import NodeControl
from scenarios.running.meeting.meeting import Meeting
from scenarios.running.nodes import NodeEnd, Site
from scenarios.running.substrate import THE_BROKER, Moment

_LOOK_EVERY_S = 0.1
_CONNECT_WITHIN_S = 5.0
_EXIT_WITHIN_S = 10.0
"""Who was let go sends what is under way for at most half of that (`LINGER_S`); who stays longer hangs."""
_INCIDENT_S = 10.0
"""Connections that break so soon after each other break for one reason."""
_FAULTS: TypeAdapter[tuple[FaultConfig, ...]] = TypeAdapter(tuple[FaultConfig, ...])


class LaunchedLife:
    """All participants of one life, a process each; see `scenarios.running.substrate.Life`.

    Args:
        plan: What each participant is told.
        wiring: Where they find each other, and which life it is; what stands between them may still have to be started.
        observer: Takes the records.
        site: Where the processes live; none of these participants runs there now.
        found: What stands between them.
        late: Seconds by which some start later than the others.
        clock: The launcher's own.
    """

    takes_orders_at_once = True

    def __init__(
        self,
        plan: Plan,
        wiring: Wiring,
        observer: Observer,
        *,
        site: Site,
        found: Meeting,
        late: Mapping[str, float],
        clock: OwnClock,
    ) -> None:
        self.control = NodeControl(site.nodes, found, site.checkpoints, clock, lambda: observer.played)
        self._clock = clock
        self._plan = plan
        self._wiring = wiring
        self._observer = observer
        self._site, self._nodes = site, site.nodes
        self._found = found
        self._late = late
        self._inbox: Inbox | None = None
        self._names = [name for name in plan.participants if name not in wiring.life.gone]
        self._starts_at: dict[str, float] = {}
        self._in_force: tuple[FaultConfig, ...] | None = None
        self._hung: dict[str, tuple[float, int | None]] = {}
        self._ended_at: dict[str, float] = {}
        self._lost_at = -_INCIDENT_S

    def begin(self) -> None:
        """Connect the observer, then start every participant; those that are late come later."""
        self._wiring = replace(self._wiring, broker=self._found.begin())
        within_s = _CONNECT_WITHIN_S if self._plan.has_own_broker else self._plan.scenario.joining.give_up_s
        self._inbox = open_inbox(
            self._plan, self._wiring, self._observer, self._clock, found=self._found, try_for_s=within_s
        )
        now = self._clock()
        self._starts_at = {name: now + self._late.get(name, 0.0) for name in self._names}
        self._start_who_is_due()

    def advance(self) -> Moment:
        """Wait for records for a moment, and see to processes whose time has come."""
        if self._finished():
            return Moment(self._clock(), finished=True)
        inbox = self._taking
        inbox.take(_LOOK_EVERY_S)
        self._start_who_is_due()
        self._kill_hung()  # before anybody goes on who is stopped for so long
        for name, stopped_s in self.control.let_go_on(self._clock()).items():
            inbox.excuse(self._names if name == BROKER else [name], stopped_s)
        return Moment(self._clock(), inbox.take_breakpoint())

    def deaths(self) -> list[ParticipantDied]:
        """Look at every process, and at what stands between them."""
        deaths = [
            self._death(name, end)
            for name, end in self._nodes.ended().items()
            if name in self._names and self._is_dead(name, end)
        ]
        if self._found.look():
            deaths.append(ParticipantDied(THE_BROKER, "it was started again", self._found.log))
        if lost := self._taking.take_lost():
            self._tell_of_loss(lost)
            deaths.append(ParticipantDied(THE_BROKER, lost, self._found.log))
        return deaths

    def leave(self, name: str) -> None:
        """Look no more after somebody, and let the others go on without."""
        self._names.remove(name)
        life = self._wiring.life
        gone = (*life.gone, name)
        self._wiring = replace(self._wiring, life=life.model_copy(update={"gone": gone}))
        self._taking.leave(name)

    def put_in_force(self, faults: str) -> None:
        """Tell everybody of the faults, and those that start later as they start."""
        self._in_force = _FAULTS.validate_json(faults)
        self._taking.put_in_force(faults)

    def go_on(self, episode: int) -> None:
        """Let the environment begin the episode."""
        self._taking.orders.go_on(episode)

    def settle(self) -> None:
        """Nothing to wait for: every process holds a copy of what it knew."""

    def end(self, *, at_once: bool) -> None:
        """End whoever still runs, and take in the last records."""
        if self._inbox is None:
            return
        try:
            if at_once:
                self._nodes.kill(self._names)  # what they would still say is of a life that is over
            self.control.let_go_on(float("inf"))
            in_order = self._nodes.end()
            self._inbox.take_last_words(() if at_once else in_order)
        finally:
            self._inbox.close()

    def rest(self, interrupted: Callable[[], bool]) -> None:
        """Stay down for as long as the scenario says."""
        self.control.rest(interrupted)

    @property
    def _taking(self) -> Inbox:
        assert self._inbox is not None  # noqa: S101 - it has begun
        return self._inbox

    def _tell_of_loss(self, lost: str) -> None:
        """Say once of an incident that hits all that messages are lost, where no other life makes up for it."""
        now = self._clock()
        if self._plan.scenario.recovery.on_crash != "restart" and now - self._lost_at > _INCIDENT_S:
            self._observer.tell(lost)
        self._lost_at = now

    def _finished(self) -> bool:
        """Whether every process has ended with its work done, or has had long enough to do so."""
        ended, closed = self._nodes.ended(), self._taking.has_closed
        if self._starts_at or not all(map(closed, self._names)):
            return False
        left = [name for name in self._names if name not in ended]
        if left and self._taking.released_s() > _EXIT_WITHIN_S:
            self._observer.tell(
                f"did not end within {_EXIT_WITHIN_S:g} s after their work was done, and are ended: {', '.join(left)}"
            )
            return True
        return not left and all(ended[name].code == DONE for name in self._names)

    def _is_dead(self, name: str, end: NodeEnd) -> bool:
        """Whether somebody who has ended had work to do: its last word may be under way."""
        if end.code != DONE:
            return True
        silent_s = self._clock() - self._ended_at.setdefault(name, self._clock())
        return silent_s > LAST_WORDS_WITHIN_S and not self._taking.has_closed(name)

    def _start_who_is_due(self) -> None:
        now = self._clock()
        there = self._site.there(self._wiring)
        for name in [name for name, starts_at in self._starts_at.items() if starts_at <= now]:
            del self._starts_at[name]
            self._nodes.start(name, self._slice(name, there))

    def _slice(self, name: str, there: Wiring) -> str:
        """What somebody is told at its start, with the faults that are in force by then.

        Its document stays that of the others, with which it is compared.
        """
        told = self._plan.environment(there) if name == ENVIRONMENT else self._plan.agent(name, there)
        if self._in_force is not None:
            told = told.model_copy(update={"link": told.link.model_copy(update={"faults": self._in_force})})
        return told.model_dump_json()

    def _kill_hung(self) -> None:
        """Kill those that have given no sign for too long; they may be stopped, so that nothing less would help."""
        limit_s, stopped = self._plan.scenario.recovery.hung_after_s, self.control.stopped
        for name, silent_s in self._silent().items():
            if silent_s > limit_s and self._nodes.kill([name]):
                self._hung[name] = silent_s, stopped[name].before_episode if name in stopped else None

    def _silent(self) -> dict[str, float]:
        """Seconds without a sign of each that has work to do.

        Of who is stopped none can come; and of nobody, while the broker is: that is no silence of theirs.
        """
        now, stopped = self._clock(), self.control.stopped
        found = self._taking.silent()
        own = {name: stopped[name].had_s(now) for name in found if name in stopped}
        return own if BROKER in stopped else found | own

    def _death(self, name: str, end: NodeEnd) -> ParticipantDied:
        """How somebody died.

        Raises:
            UserError: It refused its settings.
        """
        if end.code == WRONG:
            raise UserError(end.said or f"{name} refused its settings. Its log: {end.log}")
        if end.code in (RAISED, REFUSED) and end.said:
            return UserCodeDied(name, end.said.removeprefix(f"{name}: "), end.log, final=end.code == REFUSED)
        if name in self._hung:
            silent_s, before_episode = self._hung[name]
            how = f"it hung: no sign of its working loop for {silent_s:.0f} s"
            return ParticipantDied(name, how, end.log, before_episode=before_episode)
        if end.code == DONE:
            how = f"it ended with exit code {DONE} before its work was done"
            return ParticipantDied(name, how, end.log)
        how = f"signal {signal.Signals(-end.code).name}" if end.code < 0 else f"exit code {end.code}"
        return ParticipantDied(name, f"{how} ({end.said})" if end.said else how, end.log)


def open_inbox(
    plan: Plan, wiring: Wiring, observer: Observer, clock: OwnClock, *, found: Meeting, try_for_s: float
) -> Inbox:
    """Connect the observer; what it connects to may die meanwhile, and nobody else looks.

    Args:
        plan: What runs.
        wiring: Where everybody is.
        observer: Takes the records.
        clock: The launcher's own.
        found: Looked at before each try.
        try_for_s: How long a try may take.

    Raises:
        ParticipantDied: What stands between the participants keeps dying.
        UserError: It cannot be reached for as long as joining may take, or refuses.
    """
    left_s = plan.scenario.joining.give_up_s
    while True:
        found.look()
        within_s = min(try_for_s, left_s)
        left_s -= within_s
        try:
            return Inbox(plan, wiring, observer, clock, within_s)
        except Unreachable:
            if left_s <= 0:
                raise
