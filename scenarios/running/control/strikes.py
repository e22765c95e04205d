"""Which fault strikes which process when; a `ProcessControl` does it.

A strike that the store knows of is not repeated when a run goes back to an earlier episode or is resumed, unless what
is played again depends on it: who was stopped for a while is stopped again, nobody else, and where the others went on
without an agent that died, it dies again before the same episode. Neither is written down a second time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from broker.faults.config import name_of_fault
from broker.seeding import choice
from broker.wire.messages import ENVIRONMENT
from broker.wire.records import ProcessFaultRecord
from scenarios.document.process_faults import (
    BROKER,
    START,
    CheckpointLossConfig,
    CrashConfig,
    LateJoinConfig,
    ProcessFaultConfig,
    StopConfig,
    StrikingConfig,
    episode_occasion,
    matching,
    second_occasion,
)
from scenarios.running.substrate import ProcessControl

Struck = Mapping[tuple[str, str], tuple[str, ...]]
"""By fault and occasion, whom it has struck."""


class Strike(NamedTuple):
    """One time that a fault strikes.

    Attributes:
        name: Of the fault.
        config: Its settings.
        occasion: When it was to be, such as `episode 10` or `second 60`.
        victims: Whom it strikes.
        again: Whether it has struck before, and been written down.
    """

    name: str
    config: StrikingConfig
    occasion: str
    victims: tuple[str, ...]
    again: bool = False


class ProcessFaults:
    """All faults of processes of a run.

    Args:
        faults: As the scenario has them, in the order in which they apply.
        seed: The scenario's.
        names: Everybody who can be struck.
        struck: The strikes that have been.
    """

    def __init__(
        self,
        faults: Sequence[ProcessFaultConfig],
        seed: int,
        names: tuple[str, ...],
        struck: Struck,
    ) -> None:
        self._seed = seed
        self._names = names
        self._struck = dict(struck)
        self._again: dict[tuple[str, str], tuple[str, ...]] = {}
        self._added: list[StrikingConfig] = []
        self._deaths: dict[str, int] = {}
        self._gone: set[str] = set()
        self._periods: Counter[str] = Counter()
        self._faults = [fault for fault in faults if not isinstance(fault, LateJoinConfig)]
        self._late = [fault for fault in faults if isinstance(fault, LateJoinConfig)]

    @property
    def idle(self) -> bool:
        """Whether nothing will ever strike."""
        return not (self._faults or self._deaths)

    def breakpoints(self) -> tuple[int, ...]:
        """Episodes before which something is still to happen."""
        left = {
            episode
            for fault in self._faults
            for episode in fault.at_episodes
            if self._is_due(name_of_fault(fault), episode_occasion(episode))
        }
        return tuple(sorted({*left, *self._deaths.values()}))

    def late(self) -> dict[str, float]:
        """By how many seconds each that is late, and was not yet, shall start later than the others."""
        found: dict[str, float] = {}
        for fault in self._still_late():
            for name in matching(fault, self._names):
                found[name] = max(found.get(name, 0.0), fault.by_s)
        return found

    def note_late(self) -> list[ProcessFaultRecord]:
        """For the ledger: who starts late, which is no more to come."""
        late = self._still_late()
        self._struck |= {(name_of_fault(fault), START): matching(fault, self._names) for fault in late}
        return [
            ProcessFaultRecord(name_of_fault(fault), START, name, f"started {fault.by_s:g} s later")
            for fault in late
            for name in matching(fault, self._names)
        ]

    def _still_late(self) -> list[LateJoinConfig]:
        return [fault for fault in self._late if (name_of_fault(fault), START) not in self._struck]

    def before(self, episode: int) -> list[Strike]:
        """The strikes that are due before an episode, and have not been."""
        occasion = episode_occasion(episode)
        found = [self._strike(fault, occasion) for fault in self._faults if episode in fault.at_episodes]
        dying = tuple(agent for agent, before in self._deaths.items() if before == episode)
        if dying:
            self._deaths = {agent: before for agent, before in self._deaths.items() if agent not in dying}
            death = CrashConfig(kind="crash", participants=dying, at_episodes=(episode,))
            found.append(Strike("death", death, occasion, dying, again=True))
        return [strike for strike in found if strike is not None]

    def until(self, seconds: float) -> list[Strike]:
        """The strikes that are due by a time since the run began, or was resumed, and have not been."""
        found = []
        for fault in self._faults:
            due = [self._strike(fault, second_occasion(at_s)) for at_s in fault.at_s if at_s <= seconds]
            if (
                fault.every_s is not None
                and (period := int(seconds / fault.every_s)) > self._periods[name_of_fault(fault)]
            ):
                self._periods[name_of_fault(fault)] = period
                due.append(self._aimed(fault, second_occasion(period * fault.every_s)))
            found += [strike for strike in due if strike is not None]
        return found

    def add(self, fault: StrikingConfig, *, at_once: bool) -> None:
        """Let one more strike from now on, or at once, whether there is a pause before its episodes or not."""
        self._faults.append(fault)
        if at_once:
            self._added.append(fault)

    def added(self) -> list[Strike]:
        """The strikes of those that were added to strike at once, and have not."""
        added, self._added = self._added, []
        found = [self._strike(fault, episode_occasion(episode)) for fault in added for episode in fault.at_episodes]
        return [strike for strike in found if strike is not None]

    def go_back(self, after_episode: int, hung_after_s: float, spared: Collection[str]) -> None:
        """Let strike again what changes episodes that are played again: stops that are not taken for a hang.

        One that is, strikes again those whom it was to kill and who live: the run was killed before that was seen.

        Args:
            after_episode: The last that is not played again.
            hung_after_s: How long a stop may last at most.
            spared: Agents that live, of whom some may die: the others go on.
        """
        self._deaths.clear()
        self._again.clear()
        for fault in self._faults:
            if isinstance(fault, StopConfig):
                for episode in fault.at_episodes:
                    stopped = (name_of_fault(fault), episode_occasion(episode))
                    victims = self._struck.get(stopped, ()) if episode > after_episode else ()
                    if fault.for_s > hung_after_s:
                        victims = _dying(victims, spared)
                    if victims:
                        self._again[stopped] = victims

    def let_die_again(self, agent: str, before_episode: int) -> None:
        """Let an agent die, before an episode, that the others went on without from there on."""
        self._deaths[agent] = before_episode

    def forget(self, name: str) -> None:
        """Pick somebody no more who is gone for good."""
        self._gone.add(name)

    def _strike(self, fault: StrikingConfig, occasion: str) -> Strike | None:
        name = name_of_fault(fault)
        if not self._is_due(name, occasion):
            return None
        again = self._again.pop((name, occasion), None)
        if again is not None:
            return Strike(name, fault, occasion, again, again=True)
        strike = self._aimed(fault, occasion)
        self._struck[name, occasion] = () if strike is None else strike.victims
        return strike

    def _is_due(self, name: str, occasion: str) -> bool:
        return (name, occasion) not in self._struck or (name, occasion) in self._again

    def _aimed(self, fault: StrikingConfig, occasion: str) -> Strike | None:
        """The strike, if there is anybody whom it can meet; where all are gone, the ledger says so of one of them."""
        name, victims = name_of_fault(fault), matching(fault, self._names)
        if fault.pick == "one":
            victims = tuple(victim for victim in victims if victim not in self._gone) or victims
            if not victims:
                return None
            victims = (victims[choice(len(victims), self._seed, "process-fault", name, occasion)],)
        return Strike(name, fault, occasion, victims)


def _dying(stopped: tuple[str, ...], spared: Collection[str]) -> tuple[str, ...]:
    """Whom a stop that is taken for a hang stops again; what stands between is never taken for hung."""
    if stopped == (BROKER,):
        return stopped
    dying = {name for name in stopped if name in spared}
    if ENVIRONMENT in stopped or not 0 < len(dying) < len(spared):  # then all go back, or the run ends
        return ()
    return tuple(name for name in stopped if name in dying or name == BROKER)


def carry_out(strike: Strike, control: ProcessControl) -> list[ProcessFaultRecord]:
    """Do what a fault asks for; returns what was done, for the ledger."""

    def record(victim: str, what: str) -> ProcessFaultRecord:
        return ProcessFaultRecord(strike.name, strike.occasion, victim, what)

    match strike.config:
        case CrashConfig():
            done = control.crash(strike.victims, strike.config.down_s)
            return [record(victim, what) for victim, what in zip(strike.victims, done, strict=True)]
        case StopConfig():
            return [record(victim, control.stop(victim, strike.config.for_s)) for victim in strike.victims]
        case CheckpointLossConfig():
            newest = strike.config.newest
            return [record(victim, control.lose_checkpoints(victim, newest)) for victim in strike.victims]
