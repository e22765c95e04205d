"""One life of a simulated run, and what can be done in it to processes that are none."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from agent_node.build import make_agent
from broker.config import LinkConfig
from broker.driving.connect import connect, make_codec
from broker.driving.driver import Driver
from broker.driving.virtual_time import VirtualTime
from broker.errors import ParticipantDied
from broker.participants.checkpoint import State
from broker.participants.life import begin_life
from broker.participants.participant import Participant
from broker.transports.memory import MemoryNetwork, MemoryTransport
from broker.wire.messages import OBSERVER
from broker.wire.records import PausedRecord, Record
from env_service.build import make_environment
from scenarios.document.plan import Plan
from scenarios.document.process_faults import BROKER
from scenarios.document.wiring import Wiring
from scenarios.results.observer import Observer
from scenarios.running.control.orders import Orders
from scenarios.running.control.recovery import Lives
from scenarios.running.control.strikes import CRASHED, GONE
from scenarios.running.control.supervisor import Supervisor

_LOG = Path("simulation")


class SimulatedLife:
    """All participants of one life on one memory network; it can be struck, see `ProcessControl`.

    Attributes:
        time: Runs them.
        crashed: Whether a fault has killed anybody.

    Args:
        plan: What runs.
        wiring: Which life it is.
        observer: Takes the records.
        lives: Keeps the checkpoints.
        now: When it begins, in virtual seconds.
    """

    def __init__(self, plan: Plan, wiring: Wiring, observer: Observer, lives: Lives, now: float) -> None:
        self.crashed = False
        self._observer = observer
        self._lives = lives
        self._hung_after_s = plan.scenario.recovery.hung_after_s
        self._names = [name for name in plan.participants if name not in wiring.life.gone]
        self._paused: int | None = None
        self._death: ParticipantDied | None = None
        self._down_s = 0.0
        network = MemoryNetwork()
        self._drivers = {name: self._drive(plan, wiring, network, name) for name in self._names}
        self.time = VirtualTime(list(self._drivers.values()), network, now)
        link = plan.observer(wiring)
        self._orders = Orders(MemoryTransport(OBSERVER, network, make_codec(link)), wiring.run, link.life.incarnation)

    @property
    def up_at(self) -> float:
        """When the next life may begin, in virtual seconds."""
        return self.time.now + self._down_s

    def lead(self, supervisor: Supervisor, interrupted: Callable[[], bool]) -> None:
        """Go on until all are done or `interrupted` says so.

        Raises:
            ParticipantDied: Somebody did, and cannot be spared.
        """
        self.time.run(partial(self._goes_on, supervisor, interrupted))

    def end(self) -> None:
        """Take in the totals of those that live."""
        for name in self._names:
            self._drivers[name].finish()
        for driver in self._drivers.values():
            driver.transport.close(0.0)

    def crash(self, victims: tuple[str, ...], down_s: float) -> list[str]:
        """Let them do nothing any more."""
        self.crashed = True
        self._down_s = max(self._down_s, down_s)
        living = [victim for victim in victims if victim in self._names]
        for victim in living:
            self._die(victim, "signal SIGKILL")
        if BROKER in victims and self._lives.mends and self._death is None:
            self._death = ParticipantDied("the broker", "it was started again", _LOG)
        return [CRASHED if victim in (*living, BROKER) else GONE for victim in victims]

    def stop(self, victim: str, for_s: float) -> str:
        """Let one do nothing for a time; without what stands between them, nobody hears anything."""
        if victim not in (*self._names, BROKER):
            return GONE
        if for_s > self._hung_after_s and victim != BROKER:
            self._down_s = max(self._down_s, self._hung_after_s)
            self._die(victim, f"it hung: no sign of its working loop for {self._hung_after_s:.0f} s")
        for name in self._names if victim == BROKER else [victim]:
            self.time.take_away(name, for_s)
        return f"stopped for {for_s:g} s"

    def lose_checkpoints(self, victim: str, newest: int) -> str:
        """Delete the newest of its checkpoints."""
        return self._lives.lose(victim, newest)

    def _goes_on(self, supervisor: Supervisor, interrupted: Callable[[], bool]) -> bool:
        paused, self._paused = self._paused, None
        supervisor.strike(self, self.time.now, paused)
        if self._death is not None:
            raise self._death
        if paused is not None:
            self._orders.go_on(paused)
        self._lives.tidy()
        return interrupted()

    def _die(self, name: str, cause: str) -> None:
        """Somebody dies: either the others go on without, or this life is over once all is written down."""
        death = ParticipantDied(name, cause, _LOG)
        try:
            self._lives.leave(death)
        except ParticipantDied:
            self._death = self._death or death
            return
        self._names.remove(name)
        self.time.take_away(name)
        self._orders.gone(name, self._names)

    def _take(self, records: list[Record]) -> None:
        for record in records:
            if type(record) is PausedRecord:
                self._paused = record.episode
        self._observer.take(records)

    def _drive(self, plan: Plan, wiring: Wiring, network: MemoryNetwork, name: str) -> Driver:
        make: Callable[[State | None], Participant]
        link: LinkConfig
        if name in plan.agents:
            agent = plan.agent(name, wiring)
            make, link = partial(make_agent, agent), agent.link
        else:
            environment = plan.environment(wiring)
            make, link = partial(make_environment, environment), environment.link
        life, state = begin_life(link.life, self._lives.checkpoints[name])
        return Driver(link.run, make(state), connect(link, network), self._take, life)
