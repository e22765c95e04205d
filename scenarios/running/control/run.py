"""The loop of a run, the same on every substrate: lives begin, faults strike, the dead are buried, and all go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from broker.errors import ForetellError, ParticipantDied, UserError
from scenarios.document.agent_names import AgentNames
from scenarios.document.plan import Plan
from scenarios.results.document import with_kept_policy
from scenarios.results.folder import RunFolder
from scenarios.results.observer import Observer
from scenarios.results.policy import keep_policy
from scenarios.running.control.live_faults import LiveFaults
from scenarios.running.control.milestones import Milestones
from scenarios.running.control.recovery import Recovery
from scenarios.running.control.supervisor import Supervisor
from scenarios.running.substrate import Life, Moment, Substrate, Way

Interrupted = Callable[[], bool]


def run(plan: Plan, folder: RunFolder, observer: Observer, way: Way, interrupted: Interrupted) -> None:
    """Run all participants of `plan` until they are done or `interrupted` says so, and keep what they have learned.

    Errors speak of agents by their names. Agents that begin with a policy read the run's own copy of it.

    Args:
        plan: What runs.
        folder: For its logs, journals, checkpoints, orders and policy; its document is written.
        observer: Takes the records.
        way: On what it runs.
        interrupted: Asked again and again; may raise `ParticipantDied`, as if somebody had.

    Raises:
        ParticipantDied: Somebody did, and the scenario lets nobody go on.
        Deadlock: Nobody can go on.
        UserError: A participant refused its settings, an address is in use, or the policy cannot be written.
    """
    plan = replace(plan, scenario=with_kept_policy(folder, plan.scenario))
    with _told(plan.names), way(plan, folder, observer) as substrate:
        whole = _Run(plan, folder, observer, substrate, interrupted)
        try:
            whole.lead_lives()
        except ForetellError:
            with suppress(UserError):  # what ended the run is said
                whole.keep_policy()
            raise
        whole.keep_policy()


@contextmanager
def _told(names: AgentNames) -> Iterator[None]:
    """Let errors speak of agents as people are told of them."""
    try:
        yield
    except ForetellError as error:
        error.args = (names.tell(str(error)),)
        raise


class _Run:
    """What a run knows beyond its single lives."""

    def __init__(
        self, plan: Plan, folder: RunFolder, observer: Observer, substrate: Substrate, interrupted: Interrupted
    ) -> None:
        self._plan = plan
        self._observer = observer
        self._folder = folder
        self._substrate = substrate
        self._interrupted = interrupted
        self._recovery = Recovery(plan, observer, substrate.checkpoints)
        self._supervisor = Supervisor(plan, observer)
        self._milestones = Milestones(plan, folder, observer, substrate.checkpoints)
        self._live = LiveFaults(plan, folder, observer, self._supervisor)

    def lead_lives(self) -> None:
        """Let one life follow another until the work is done."""
        why = ""
        while True:
            config = self._supervisor.prepare(self._recovery.begin(why))
            life = self._substrate.life(self._live.plan(), config, self._supervisor.late())
            death = self._lead(life)
            if death is None:
                return
            why = self._recovery.bury(death, asked=life.control.crashed)
            life.rest(self._interrupted)

    def keep_policy(self) -> None:
        """Write down what has been learned, as far as everybody has kept it.

        That is nothing in an evaluation, and nothing new where a run that was to go on has not.

        Raises:
            UserError: It cannot be written.
        """
        if self._plan.scenario.acts_only is None and not self._observer.is_as_it_was:
            keep_policy(self._plan, self._folder.policy, self._recovery.kept(), self._observer.gone)
            self._milestones.look(ended=True)

    def _lead(self, life: Life) -> ParticipantDied | None:
        """Lead one life to its end; the death that ended it, if one did."""
        death = None
        try:
            life.begin()
            self._supervisor.note_late()
            while not self._interrupted() and not (moment := life.advance()).finished:
                self._look_after(life, moment)
            life.settle()
        except ParticipantDied as error:
            death = error
        finally:
            life.end(at_once=death is not None and self._recovery.mends)
        return death

    def _look_after(self, life: Life, moment: Moment) -> None:
        """Do to a life what is due in this moment.

        Raises:
            ParticipantDied: Somebody has died and cannot be spared.
        """
        if life.takes_orders_at_once or moment.paused is not None:
            faults = self._live.changed(moment.paused)
            if faults is not None:
                life.put_in_force(faults)
        self._supervisor.strike(life.control, moment.now, moment.paused)
        for death in life.deaths():
            if self._recovery.spare(death):
                life.leave(death.participant)
        if moment.paused is not None:
            life.go_on(moment.paused)
        self._milestones.look()
        self._recovery.tidy(self._milestones.needed_from)
