"""Takes the records of a run as they come: store, sinks, progress, and in the end the summary."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from broker.arithmetic.sums import added
from broker.wire.records import (
    EpisodeRecord,
    EventKind,
    EventRecord,
    FinishedRecord,
    JoinedRecord,
    ProcessFaultRecord,
    Record,
    RoundRecord,
    StatusRecord,
)
from scenarios.document.plan import Plan
from scenarios.results.answers import LiveFault
from scenarios.results.document import begun_before, let_go_on, write_document
from scenarios.results.folder import RunFolder
from scenarios.results.sinks.curves import Curves
from scenarios.results.sinks.scalars_log import ScalarsLog
from scenarios.results.sinks.sink import Sinks
from scenarios.results.store import Store
from scenarios.results.summary import RunTotals, Summary


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        episode: Episodes done.
        team_return: Of the last episodes, smoothed; None before the first.
        rounds: Communication rounds done.
        heard: Shares heard in time.
        missing: Shares that were not.
        rounds_per_s: Rounds of this life a second of it; None before anybody has joined it.
    """

    episode: int
    team_return: float | None
    rounds: int
    heard: int
    missing: int
    rounds_per_s: float | None = None


ShowProgress = Callable[[Progress], None]
Say = Callable[[str], None]
_SMOOTHING = 0.05
_LONGEST_SETTINGS = 500
_OF_WHO_HAS_JOINED = (JoinedRecord, EpisodeRecord, RoundRecord, FinishedRecord)
_OF_WHO_JOINS = (StatusRecord, EventRecord, ProcessFaultRecord)


class _Joining(NamedTuple):
    """A life of which nobody has met the others yet."""

    incarnation: int
    after_episode: int
    why: str


class Observer:
    """The one who watches a run.

    A run that goes on is what it was until somebody of its next life has met all others: document, summary and what is
    recorded are left alone, as that life may never come about. Then, in this order: the document, which may ask for
    more episodes, the summary, which is removed, and the store, in which later episodes and all totals are forgotten.
    Whoever is killed in between leaves a run that goes on from the same episode.

    Attributes:
        run_name: Name of the run, with the id that it has from its beginning on.
        sinks: Who is told of the run besides; TensorBoard's curves are there from the beginning.

    Args:
        plan: What runs.
        folder: Where the results go.
        substrate: On what it runs: `simulate` or `run`.
        show: Called after every batch of records.
        say: Shows a sentence.
        clock: Real time in seconds, for the wall time alone.

    Raises:
        UserError: The results cannot be written, or the folder holds a run of another document.
    """

    def __init__(
        self,
        plan: Plan,
        folder: RunFolder,
        substrate: str,
        show: ShowProgress,
        say: Say = lambda _: None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._substrate = substrate
        self._show = show
        self._show_sentence = say
        self._clock = clock
        self._store, self._goes_on = _opened(plan, folder, substrate)
        self._joining: _Joining | None = None
        self._held: list[Record] = []
        try:
            self.run_name = self._named()
            self._store.introduce(plan.names)
            self._totals = self._recalled()
            curves = Curves(plan.names, plan.scenario.rounds, ScalarsLog(folder.tensorboard))
        except BaseException:
            self._store.close()
            raise
        self.sinks = Sinks(self._say)
        self.sinks.add("TensorBoard", curves)
        self._team_return: float | None = None
        self._began_at: float | None = None
        self._rounds_before = 0

    def take(self, records: list[Record]) -> None:
        """Take records in; those of a life that nobody has joined yet are held until somebody has."""
        if self._joining is not None:
            if any(isinstance(record, _OF_WHO_HAS_JOINED) for record in records):
                self._go_on()
            else:
                self._held += [record for record in records if not isinstance(record, _OF_WHO_JOINS)]
                records = [record for record in records if isinstance(record, _OF_WHO_JOINS)]
        self._store.write(records)
        self._totals.add(records)
        for record in records:
            match record:
                case JoinedRecord() if self._began_at is None:
                    self._began_at = self._clock()
                case ProcessFaultRecord():
                    self._say(f"fault {record.fault} at {record.occasion}: {record.participant} {record.what}")
                case EventRecord(kind=EventKind.CHECKPOINT | EventKind.VANISHED):
                    self._say(f"{record.participant}: {record.text}")
                case EpisodeRecord():
                    self._smooth(record)
        self.sinks.take(records)
        self._show(self.progress())

    @property
    def recorded(self) -> int:
        """Number of episodes, from the first, of which all is recorded."""
        return self._totals.recorded

    @property
    def played(self) -> int:
        """Number of episodes that are over; of some not all may be recorded."""
        return len(self._totals.returns)

    @property
    def returns(self) -> NDArray[np.float64]:
        """(episodes, N) float64: the agents' returns of each episode that has come."""
        found = self._totals.returns
        return np.array(found, np.float64).reshape(len(found), len(self._totals.agents))

    @property
    def gone(self) -> tuple[str, ...]:
        """Agents that died before this life or in it and are not replaced, in the order of their deaths."""
        return tuple(self._totals.gone)

    @property
    def is_as_it_was(self) -> bool:
        """Whether the run was begun before, and nothing of it is changed yet."""
        return self._goes_on

    def leave(self, agent: str, why: str, before_episode: int) -> None:
        """Take note that the run goes on without an agent, from an episode on."""
        self._go_on()
        self._store.leave(agent, before_episode)
        self.take([EventRecord(agent, EventKind.GONE, agent, why)])
        self.flush()
        self.tell(f"{agent} died: {why}; the others go on without it")

    def deaths(self) -> dict[str, int]:
        """Agents that died in any life, and the first episode that the others played without each."""
        return self._store.reader.deaths()

    def strikes(self) -> dict[tuple[str, str], tuple[str, ...]]:
        """By fault and occasion, whom everything has struck that has been done to processes."""
        found: dict[tuple[str, str], tuple[str, ...]] = {}
        for strike in self._store.reader.strikes():
            found[strike.fault, strike.occasion] = (*found.get((strike.fault, strike.occasion), ()), strike.participant)
        return found

    def live_faults(self) -> list[LiveFault]:
        """Faults that were added, or ended, while the run went on, in that order."""
        return self._store.reader.live_faults()

    def add_fault(self, name: str, document: str) -> None:
        """Take note of a fault that is added now."""
        self._go_on()
        self._store.add_live_fault(name, document, self.played - 1)
        settings = document if len(document) <= _LONGEST_SETTINGS else f"{document[:_LONGEST_SETTINGS]}..."
        self.tell(f"fault {name} is added after episode {self.played - 1}: {settings}")

    def heal_fault(self, name: str) -> None:
        """Take note of a fault that ends now."""
        self._go_on()
        self._store.heal_fault(name, self.played - 1)
        self.tell(f"fault {name} is healed after episode {self.played - 1}")

    def flush(self) -> None:
        """Bring everything to the disk."""
        self._store.flush()

    def begin_life(self, after_episode: int, why: str) -> int:
        """Let a life begin, which forgets what came after an episode; returns which it is."""
        incarnation = self._store.begin_life(after_episode, why)
        self._joining, self._held = _Joining(incarnation, after_episode, why), []
        if self._goes_on:
            self._totals = self._recalled(after_episode)
        else:
            self._go_on()
        return incarnation

    def _go_on(self) -> None:
        """Go on with the run, in the life that begins; see above for the order."""
        if self._joining is None:
            return
        incarnation, after_episode, why = self._joining
        if self._goes_on:
            let_go_on(self._folder, self._plan.scenario)
            self._store.begin(self._plan.scenario, self._substrate)
            self._goes_on = False
        self._store.forget_after(after_episode)
        self._joining = None
        if incarnation:
            self._totals, self._began_at = self._recalled(after_episode), None
            self._rounds_before = self._totals.rounds
            self.sinks.begin_life(after_episode)
            where = f"episode {after_episode + 1}" if after_episode >= 0 else "the beginning"
            self.tell(f"{why or 'the run is resumed'}; all go on from {where} (life {incarnation})")
        if self._held:
            held, self._held = self._held, []
            self.take(held)

    def tell(self, sentence: str) -> None:
        """Keep what the launcher has to say of a run, and show it."""
        self._store.write([EventRecord("launcher", EventKind.NOTE, "", sentence)])
        self._say(sentence)

    def progress(self) -> Progress:
        """How far the run is."""
        totals, lasted_s = self._totals, self._lasted_s
        rate = (totals.rounds - self._rounds_before) / lasted_s if lasted_s > 0 else None
        return Progress(len(totals.returns), self._team_return, totals.rounds, totals.heard, totals.missing, rate)

    def finish(self) -> Summary:
        """Write all but the picture and give the summary; one that is as it was keeps the summary that it has.

        Raises:
            UserError: They cannot be written.
        """
        wall_s = self._lasted_s
        try:
            self._store.close()
        finally:
            self.sinks.close()
        scenario, totals = self._plan.scenario, self._totals
        summary = totals.summary(
            scenario.name,
            scenario.seed,
            scenario.episodes,
            substrate=self._substrate,
            wall_s=wall_s,
            store=self._folder.store,
        )
        if not (self._goes_on and self._folder.summary.exists()):
            summary.write(self._folder.summary)
        return summary

    @property
    def _lasted_s(self) -> float:
        """Seconds since the first participant had joined this life."""
        return 0.0 if self._began_at is None else self._clock() - self._began_at

    def _say(self, sentence: str) -> None:
        """Show a sentence as people are told it; the store keeps ids."""
        self._show_sentence(self._plan.names.tell(sentence))

    def _named(self) -> str:
        """The run's name; one that begins has it from now on."""
        known = self._store.reader.run_name() if self._goes_on else None
        return known or self._store.begin(self._plan.scenario, self._substrate)

    def _recalled(self, after_episode: int | None = None) -> RunTotals:
        totals = RunTotals(self._plan.agents, self._plan.scenario.rounds)
        totals.recall(self._store.reader, after_episode)
        return totals

    def _smooth(self, record: EpisodeRecord) -> None:
        team_return = added(record.returns)
        before = team_return if self._team_return is None else self._team_return
        self._team_return = before + _SMOOTHING * (team_return - before)


def _opened(plan: Plan, folder: RunFolder, substrate: str) -> tuple[Store, bool]:
    """The store of a run that begins, beside its document, or of one that goes on; and whether it does.

    Raises:
        UserError: They cannot be written, or the run was begun with another document or on another substrate.
    """
    goes_on = folder.store.exists() and begun_before(folder, plan.scenario, substrate)
    if not folder.store.exists():
        write_document(folder, plan.scenario)
    return Store(folder.store, plan.agents), goes_on
