"""One life of a simulated run, and what can be done in it to processes that are none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from time import monotonic

from agent_node.build import make_agent
from broker.driving.connect import connect, make_codec, refitted
from broker.driving.driver import Driver
from broker.driving.journaled_participant import journaled
from broker.driving.process import GAVE_UP
from broker.driving.virtual_time import VirtualTime
from broker.errors import (
    Deadlock,
    ForetellError,
    ParticipantDied,
    PeerLost,
    UserCodeDied,
    UserCodeFailed,
    UserCodeRefused,
    UserError,
)
from broker.participants.checkpoint import Checkpoints, State
from broker.participants.life import ParticipantLife, begin_life
from broker.participants.link import LinkConfig
from broker.participants.participant import Participant
from broker.transports.memory import MemoryNetwork, MemoryTransport
from broker.user_code import traceback_of
from broker.wire.messages import OBSERVER
from broker.wire.records import EventKind, EventRecord, PausedRecord, Record
from env_service.build import make_environment_within
from scenarios.document.plan import Plan
from scenarios.document.process_faults import BROKER
from scenarios.document.wiring import Wiring
from scenarios.results.answers import CRASHED, GONE
from scenarios.results.observer import Observer
from scenarios.running.control.orders import Orders
from scenarios.running.control.recovery import lose_newest
from scenarios.running.substrate import THE_BROKER, Moment

_LOG = Path("simulation")
_STEPS_IN_A_MOMENT = 10
"""However much is to be read at an instant, a user who interrupts is heard in between."""
_SHOW_EVERY_S = 1.0
"""Seconds of real time from one sign of life to the next, as processes give them."""


class SimulatedLife:
    """All participants of one life on one memory network, which is their own `ProcessControl`.

    It pauses before every episode, when nothing is under way: what users want takes effect there. A moment lasts until
    there is something to look after: a pause, a death, or another instant, at which a fault may be due.

    Attributes:
        crashed: Whether a fault has killed anybody.

    Args:
        plan: What runs.
        wiring: Which life it is.
        observer: Takes the records.
        checkpoints: What each participant keeps.
        log: Where the log of a participant is.
        now: When it begins, in virtual seconds.
        late: Seconds by which some begin later.
    """

    takes_orders_at_once = False

    def __init__(
        self,
        plan: Plan,
        wiring: Wiring,
        observer: Observer,
        checkpoints: Mapping[str, Checkpoints],
        *,
        log: Callable[[str], Path],
        now: float,
        late: Mapping[str, float],
    ) -> None:
        self.crashed = False
        self._observer = observer
        self._checkpoints = checkpoints
        self._log = log
        self._hung_after_s = plan.scenario.recovery.hung_after_s
        self._names = [name for name in plan.participants if name not in wiring.life.gone]
        self._paused: int | None = None
        self._looked_at: float | None = None
        self._shown_at = monotonic()
        self._records: list[Record] = []
        self._deaths: list[ParticipantDied] = []
        self._killed: set[str] = set()
        self._given_up: set[str] = set()
        self._down_s = 0.0
        self._lives: dict[str, ParticipantLife] = {}
        network = MemoryNetwork()
        with ExitStack() as beside:  # who is made before another cannot be is closed
            self._drivers = {name: self._drive(plan, wiring, network, name, beside) for name in self._names}
            self._beside = beside.pop_all()
        self._time = VirtualTime(list(self._drivers.values()), network, now)
        link = plan.observer(wiring)
        self._orders = Orders(MemoryTransport(OBSERVER, network, make_codec(link)), wiring.run, link.life.incarnation)
        for name, by_s in late.items():
            self._time.take_away(name, by_s)

    @property
    def control(self) -> SimulatedLife:
        """Itself."""
        return self

    @property
    def up_at(self) -> float:
        """When the next life may begin, in virtual seconds."""
        return self._time.now + self._down_s

    def begin(self) -> None:
        """Let everybody begin who is not late."""
        try:
            self._time.begin()
        finally:
            self._hand_over()

    def advance(self) -> Moment:
        """Let messages be read, deadlines expire and the clock jump until there is something to look after."""
        self._paused, goes_on = None, True
        step, time, looked_at = self._time.step, self._time, self._looked_at
        try:
            for _ in range(_STEPS_IN_A_MOMENT):
                goes_on = step()
                if not goes_on or self._paused is not None or time.now != looked_at:
                    break
        except (Deadlock, UserError):
            raise
        except ForetellError as failure:
            self._give_up(time.turn_of, failure)
        finally:
            self._show_status()
            self._hand_over()
        self._looked_at = time.now
        return Moment(time.now, self._paused, finished=not goes_on)

    def deaths(self) -> list[ParticipantDied]:
        """Whom faults have killed, and who gave up or ended by code that somebody brought, since the last look."""
        deaths, self._deaths = self._deaths, []
        return deaths

    def leave(self, name: str) -> None:
        """Go on without somebody."""
        self._killed.discard(name)
        self._names.remove(name)
        self._time.take_away(name)
        self._orders.gone(name, self._names)

    def put_in_force(self, faults: str) -> None:
        """Tell everybody of the faults."""
        self._orders.faults(faults, self._names)

    def go_on(self, episode: int) -> None:
        """Let the environment begin the episode."""
        self._orders.go_on(episode)

    def settle(self) -> None:
        """Go on to the end of the episode, if anybody learns: so nobody has to hold a copy of what it knew before."""
        newest = {self._lives[name].newest for name in self._names}
        if len(newest) == 1 and all(map(self._is_settled, self._names)):
            return
        with suppress(ForetellError):  # it is about to end, and goes on from what was kept before
            while not (self._deaths or self._killed):
                moment = self.advance()
                if moment.finished or moment.paused is not None:
                    return

    def end(self, *, at_once: bool) -> None:
        """Take in the totals of those that live, and what they know where it counts."""
        with self._beside:
            for name in self._names:
                if name not in self._given_up:
                    self._drivers[name].finish()
                if not at_once and self._is_settled(name):
                    self._keep_last(name)
            self._hand_over()
        for driver in self._drivers.values():
            driver.transport.close(0.0)

    def rest(self, interrupted: Callable[[], bool]) -> None:
        """The next life begins so much later; nobody has to wait."""

    # ProcessControl

    def crash(self, victims: tuple[str, ...], down_s: float) -> list[str]:
        """Let them do nothing any more."""
        self.crashed = True
        self._down_s = max(self._down_s, down_s)
        dying = self._dying()
        living = [victim for victim in victims if victim in self._names and victim not in dying]
        self._killed.update(living)
        self._deaths += [ParticipantDied(victim, "signal SIGKILL", _LOG) for victim in living]
        if BROKER in victims:
            self._deaths.append(ParticipantDied(THE_BROKER, "it was started again", _LOG))
        return [CRASHED if victim in (*living, BROKER) else GONE for victim in victims]

    def stop(self, victim: str, for_s: float) -> str:
        """Let one do nothing for a time; without what stands between them, nobody hears anything."""
        if victim not in (*self._names, BROKER) or victim in self._dying():
            return GONE
        if for_s > self._hung_after_s and victim != BROKER:
            self._killed.add(victim)
            self._down_s = max(self._down_s, self._hung_after_s)
            why = f"it hung: no sign of its working loop for {self._hung_after_s:.0f} s"
            self._deaths.append(ParticipantDied(victim, why, _LOG))
        for name in self._names if victim == BROKER else [victim]:
            self._time.take_away(name, for_s)
        return f"stopped for {for_s:g} s"

    def _dying(self) -> set[str]:
        return {death.participant for death in self._deaths}

    def lose_checkpoints(self, victim: str, newest: int) -> str:
        """Delete the newest of its checkpoints."""
        return lose_newest(self._checkpoints[victim], newest)

    def _show_status(self) -> None:
        """Let everybody say what it waits for, and what came over its edges, from time to time."""
        if monotonic() - self._shown_at < _SHOW_EVERY_S:
            return
        self._shown_at = monotonic()
        for name in self._names:
            if name not in self._killed | self._given_up and not self._drivers[name].participant.done:
                self._drivers[name].show_status()

    def _is_settled(self, name: str) -> bool:
        participant = self._drivers[name].participant
        return participant.settled and not participant.done and name not in self._killed

    def _keep_last(self, name: str) -> None:
        try:
            self._lives[name].leave()
        except OSError as error:
            why = f"no checkpoint of the last episodes: {error.strerror or error}"
            self._take([EventRecord(name, EventKind.CHECKPOINT, "", why)])

    def _give_up(self, name: str, failure: ForetellError) -> None:
        """Let somebody end as its process would: it tells what it has counted, and says why it ends."""
        self._given_up.add(name)
        self._drivers[name].finish()
        if isinstance(failure, PeerLost):  # any other may have come between what it learned and the keeping of it
            self._keep_last(name)
        self._deaths.append(self._died_of(name, failure))

    def _died_of(self, name: str, failure: ForetellError) -> ParticipantDied:
        log, raised = self._log(name), traceback_of(failure) if isinstance(failure, UserCodeFailed) else ""
        with suppress(OSError), log.open("a", encoding="utf-8") as file:
            file.write(f"{raised}\n{failure}\n".lstrip())
        if isinstance(failure, UserCodeFailed):
            return UserCodeDied(name, failure.problem, log, final=isinstance(failure, UserCodeRefused))
        return ParticipantDied(name, f"exit code {GAVE_UP} ({failure})", log)

    def _take(self, records: list[Record]) -> None:
        for record in records:
            if type(record) is PausedRecord:
                self._paused = record.episode
        self._records += records

    def _hand_over(self) -> None:
        """Give the observer what has been reported in this moment, in one go."""
        records, self._records = self._records, []
        if records:
            self._observer.take(records)

    def _drive(self, plan: Plan, wiring: Wiring, network: MemoryNetwork, name: str, beside: ExitStack) -> Driver:
        make: Callable[[State | None], Participant]
        link: LinkConfig
        if name in plan.agents:
            agent = plan.agent(name, wiring)
            make, link = partial(make_agent, agent), agent.link
        else:
            environment = plan.environment(wiring)
            make, link = partial(make_environment_within, beside, environment), environment.link
        life, state = begin_life(link.life, self._checkpoints[name], together=True, lent=True)
        self._lives[name] = life
        transport = connect(link, network)
        participant = journaled(make(state), transport)
        refit, spared = partial(refitted, link), link.life.spared
        return Driver(link.run, participant, transport, self._take, life, refit=refit, tells_at_once=spared)
