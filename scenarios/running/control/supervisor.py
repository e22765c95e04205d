"""Lets the faults of processes strike when they are due, and writes them down before anything else happens."""

from __future__ import annotations

from broker.participants.link import LifeConfig
from scenarios.document.plan import Plan
from scenarios.document.process_faults import StrikingConfig
from scenarios.results.observer import Observer
from scenarios.running.control.strikes import ProcessFaults, carry_out
from scenarios.running.substrate import ProcessControl


class Supervisor:
    """What a run does to its own processes.

    Args:
        plan: What runs.
        observer: Knows what has been done already, and takes what is done.
    """

    def __init__(self, plan: Plan, observer: Observer) -> None:
        scenario = plan.scenario
        self._hung_after_s = scenario.recovery.hung_after_s
        self._spared = plan.agents if scenario.recovery.on_crash == "degrade" else ()
        self._observer = observer
        self._faults = ProcessFaults(scenario.process_faults, scenario.stream_seed, plan.strikable, observer.strikes())
        self._began_at: float | None = None

    def late(self) -> dict[str, float]:
        """By how many seconds each that is late starts later than the others, in each life until that is noted."""
        return self._faults.late()

    def note_late(self) -> None:
        """Write down who is late in a life that has begun: whoever is killed before is late once more."""
        if noted := self._faults.note_late():
            self._observer.take([*noted])
            self._observer.flush()

    def add(self, fault: StrikingConfig, *, at_once: bool) -> None:
        """Let one more fault strike when it is due, or at once."""
        self._faults.add(fault, at_once=at_once)

    def prepare(self, life: LifeConfig) -> LifeConfig:
        """A life that waits where something is still to happen, or happens again."""
        after, gone, deaths = life.after_episode, self._observer.gone, self._observer.deaths()
        self._faults.go_back(after, self._hung_after_s, {*self._spared} - deaths.keys())
        for agent, before in deaths.items():
            if agent not in gone:
                self._faults.let_die_again(agent, before)
        return life.model_copy(update={"breakpoints": self._faults.breakpoints()})

    def strike(self, control: ProcessControl, now: float, paused: int | None) -> None:
        """Do what is due.

        Args:
            control: Does it.
            now: In seconds, on any clock.
            paused: The episode before which the environment waits, if it does.
        """
        if self._began_at is None:
            self._began_at = now
        if self._faults.idle:
            return
        for gone in self._observer.gone:
            self._faults.forget(gone)
        due = [*self._faults.added(), *self._faults.until(now - self._began_at)]
        if paused is not None:
            due += self._faults.before(paused)
        for strike in due:
            done = carry_out(strike, control)
            if strike.again:
                self._observer.tell(f"{strike.name} at {strike.occasion} again: {', '.join(strike.victims)}")
            else:
                self._observer.take([*done])
            self._observer.flush()
