"""The environment as a participant: its phases (`PHASES`) and what it says in each.

A timestep is sent again, with a higher attempt, to those who have not answered by the deadline; an answer that comes
twice counts once. The answer to the last timestep of an episode is empty and means "ready": agents give it when they
have finished learning, so the next episode begins when all have.

Before the episodes named as breakpoints, or before every one, the environment pauses: nothing is under way then, so
what happens to a process there happens at the same place on every substrate. An agent that the observer calls gone is
asked no more; its actions are those of the declared policy.
"""

from __future__ import annotations

from contextlib import suppress
from enum import Enum

from broker.errors import PeerLost, ProtocolViolation, UserCodeFailed, WrongRun
from broker.participants.barrier_times import BarrierTimes
from broker.participants.checkpoint import State
from broker.participants.joining import Joining
from broker.participants.life import is_due
from broker.participants.participant import Command, Forget, Refit, Report, Save, Send
from broker.participants.phases import PhaseTable, Transition
from broker.seeding import generator
from broker.wire.messages import OBSERVER, Action, Faults, Gone, GoOn, Hello, Message, MessageName, Stop, Timestep
from broker.wire.records import (
    EndingRecord,
    EventKind,
    EventRecord,
    Fate,
    FinishedRecord,
    JoinedRecord,
    PausedRecord,
    Record,
)
from env_service.barrier import StepBarrier
from env_service.config import ServiceConfig
from env_service.environments.task import Task
from env_service.episode import EpisodeUnderWay
from env_service.masks import masks_of
from env_service.proximity import in_range
from env_service.timesteps import Pages


class EnvironmentPhase(Enum):
    """What the environment is doing; see `PHASES`."""

    JOINING = "JOINING"
    STEPPING = "STEPPING"
    PAUSED = "PAUSED"
    DONE = "DONE"


JOINING, STEPPING, PAUSED, DONE = EnvironmentPhase

PHASES: PhaseTable[EnvironmentPhase] = PhaseTable(
    waits_for={
        JOINING: "an answer to its HELLO from every agent",
        STEPPING: "every agent's answer to the timestep",
        PAUSED: "GoOn from the observer",
        DONE: "nothing: every agent is told to stop",
    },
    transitions=(
        Transition(JOINING, "all have answered", STEPPING),
        Transition(JOINING, "all have answered, and it is to pause before the next episode", PAUSED),
        Transition(JOINING, "all have answered, and an earlier life has played all episodes", DONE),
        Transition(STEPPING, "all answers are there, or the declared policy fills them in", STEPPING),
        Transition(STEPPING, "an episode is over, and it is to pause before the next one", PAUSED),
        Transition(STEPPING, "the last episode is over", DONE),
        Transition(PAUSED, "it came", STEPPING),
    ),
)


class EnvironmentProtocol:
    """A task that is stepped by the agents' messages.

    Args:
        config: Its slice of the scenario.
        task: Parallel copies of the environment.
    """

    settled = True  # an episode needs nothing of those before it

    def __init__(self, config: ServiceConfig, task: Task) -> None:
        self.name, self.peers = config.link.name, config.link.peers
        self.phase = JOINING
        self.done = False
        self.awaited = 1
        self.deadline: float | None = None
        self.barriers = BarrierTimes()
        self._config, self._task = config, task
        life, agents, copies = config.link.life, tuple(config.neighbors), config.parallel_episodes
        self._failure: PeerLost | WrongRun | None = None
        self._gone = {agent: None for agent in agents if agent in life.gone}
        present = tuple(peer for peer in self.peers if peer not in self._gone)
        self._joining = Joining(self.name, present, config.link.joining, life.incarnation, config.link.identity)
        proximity = config.proximity_distance is not None
        actions = None if task.action_masks() is None else max(task.action_counts)
        self._pages = Pages(len(agents), copies, task.observation_size, proximity=proximity, actions=actions)
        repeats = config.service.missing_action == "repeat"
        self._barrier = StepBarrier(agents, task.action_counts, copies, noop=task.noop_action, repeats=repeats)
        self._episode = EpisodeUnderWay.begin(life.after_episode, copies, len(agents))

    # Participant

    def start(self, now: float) -> list[Command]:
        """Say HELLO."""
        return [*self._joining.start(now), *self._join(now)]

    def receive(self, source: str, message: Message, now: float) -> list[Command]:
        """Take a message; see `Participant.receive`."""
        if type(message) is not Action or source not in self._barrier.rows:
            return self._take_rare(source, message, now)
        episode, barrier = self._episode, self._barrier
        if message.episode != episode.number or message.step != episode.step or self.phase is not STEPPING:
            return self._take_other(source, message)
        if source not in barrier.waiting:
            return []  # it has answered already, or is gone
        if problem := barrier.hear(source, message):
            raise ProtocolViolation(f"{self._where()}: {source} {problem}")
        self.awaited = len(barrier.waiting)
        return [] if self.awaited else self._go_on(now)

    def expire(self, now: float) -> list[Command]:
        """Ask again, or fill in missing actions where the scenario says so."""
        service, episode = self._config.service, self._episode
        if self.phase is JOINING:
            return self._ask_who_is_missing(now)
        if self.phase is PAUSED:
            return self._ask_to_go_on(now)
        if service.missing_action != "wait" and episode.attempt > 0:
            return self._fill_in(now)
        if now >= episode.step_began_at + service.give_up_s:
            raise PeerLost(f"{self.waits_for()}, silent for {service.give_up_s} s (service.give_up_s)")
        episode.attempt += 1
        return self._ask(now)

    def told(self) -> str:
        """Its slice of the scenario, as JSON."""
        return self._config.model_dump_json()

    def waits_for(self) -> str:
        """Whom and what it waits for."""
        if self.phase is JOINING:
            return self._joining.waits_for()
        if self.phase is PAUSED:
            return f"{self._where()} waits for {OBSERVER} to let episode {self._episode.number + 1} begin"
        if self.phase is DONE:
            return f"{self._where()} waits for nothing"
        answer = "readiness" if self._episode.last else f"the action of step {self._episode.step}"
        return f"{self._where()} waits for {answer} from {', '.join(self._barrier.waiting)}"

    def totals(self) -> list[Record]:
        """What was refused of those who are of another run; all else the transport counts."""
        return self._joining.totals()

    def _take_rare(self, source: str, message: Message, now: float) -> list[Command]:
        """All but an agent's action."""
        if type(message) is Hello:
            return [*self._joining.hear(source, message), *self._join(now)]
        if type(message) is GoOn and source == OBSERVER:
            return self._resume(message, now)
        if type(message) is Gone and source == OBSERVER and message.participant in self._barrier.rows:
            return self._go_on_without(message.participant, now)
        if type(message) is Faults and source == OBSERVER:
            return [Refit(message.document)]
        raise ProtocolViolation(f"{self._where()}: {type(message).__name__} from {source}, which never sends one here")

    # Joining

    def _join(self, now: float) -> list[Command]:
        if self.phase is not JOINING or self._failure is not None:
            return []
        if not self._joining.complete:
            self.deadline = self._joining.deadline
            return []
        return [Report(JoinedRecord(self.name)), *self._next_episode(now)]

    def _ask_who_is_missing(self, now: float) -> list[Command]:
        """Where it gives up, it first tells all agents why: those who have joined would wait for it for long.

        Raises:
            PeerLost: Told so the time before.
            WrongRun: Told so the time before.
        """
        if self._failure is not None:
            raise self._failure
        try:
            return [*self._joining.expire(now), *self._join(now)]
        except (PeerLost, WrongRun) as failure:
            self._failure, self.deadline = failure, now
            return self._stop_all(str(failure), mistake=isinstance(failure, WrongRun))

    def _stop_all(self, reason: str, *, mistake: bool = False) -> list[Command]:
        return [Send(agent, Stop(reason, mistake)) for agent in self._barrier.rows if agent not in self._gone]

    def _go_on_without(self, agent: str, now: float) -> list[Command]:
        self._gone[agent] = None
        commands: list[Command] = [Forget(agent)]
        if self.phase is JOINING:
            self._joining.leave_out(agent)
            commands += self._join(now)
        elif self.phase is STEPPING and agent in self._barrier.waiting:
            self._leave_out(agent)
            commands += [] if self.awaited else self._go_on(now)
        return commands

    # Stepping

    def _begin_episode(self, now: float) -> list[Command]:
        self.phase = PHASES.enter(self.phase, STEPPING)
        number = self._episode.number + 1
        self._episode = EpisodeUnderWay.begin(number, self._config.parallel_episodes, len(self._barrier.rows))
        self._barrier.begin_episode()
        link = self._config.link
        self._task.reset(generator(link.seed, "environment", link.episodes_before + number))
        return self._open_step(now)

    def _open_step(self, now: float) -> list[Command]:
        self._episode.attempt, self._episode.step_began_at = 0, now
        self._episode.masks = masks_of(self._task, self._episode.outcome.ended)
        self._barrier.open(last=self._episode.last, masks=self._episode.masks)
        for agent in self._gone:
            self._leave_out(agent)
        self.awaited = len(self._barrier.waiting)
        return self._ask(now)

    def _ask(self, now: float) -> list[Command]:
        """Tell those who have not answered where the task stands."""
        service, task, episode = self._config.service, self._task, self._episode
        outcome, last = episode.outcome, episode.last
        self.deadline = now + (service.ready_patience_s if last else service.action_patience_s)
        near = in_range(task, self._config.proximity_distance)
        pages = self._pages.write(task.observations(), outcome.rewards, outcome.ended, near, episode.masks)
        number, step, attempt, layout = episode.number, episode.step, episode.attempt, self._pages.layout
        return [
            Send(agent, Timestep(number, step, attempt, last, layout, pages[row]))
            for agent, row in self._barrier.waiting.items()
        ]

    def _take_other(self, source: str, message: Action) -> list[Command]:
        """An action of another step: one of the past came twice or too late, one of the future cannot be."""
        number, step = self._episode.number, self._episode.step
        if self.phase is JOINING or (message.episode, message.step) > (number, step):
            raise ProtocolViolation(
                f"{self._where()}: action of step {message.step} of episode {message.episode} from {source}, "
                f"expected at most step {step} of episode {number}"
            )
        if not self._barrier.hear_late(source, message):
            return []
        name = MessageName("action", message.episode, message.step, message.attempt)
        return [Report(EndingRecord(source, self.name, *name, Fate.LATE, "it came after the environment had gone on"))]

    def _fill_in(self, now: float) -> list[Command]:
        """Wait no more for those who are missing, and say so."""
        number, step = self._episode.number, self._episode.step
        what = "readiness" if self._episode.last else f"action of step {step}"
        text = f"no {what} of episode {number} in time; went on ({self._config.service.missing_action})"
        missing = tuple(self._barrier.waiting)
        for agent in missing:
            self._leave_out(agent)
            self._barrier.expect_late(agent, number, step)
        events: list[Command] = [Report(EventRecord(self.name, EventKind.MISSING, agent, text)) for agent in missing]
        return events + self._go_on(now)

    def _leave_out(self, agent: str) -> None:
        """Wait no more for an agent; where it had to act, the barrier acts for it. Nobody has to be ready for it."""
        self._barrier.leave_out(agent)
        if not self._episode.last:
            self._episode.missing_actions += 1
        self.awaited = len(self._barrier.waiting)

    def _go_on(self, now: float) -> list[Command]:
        self.barriers.add("ready" if self._episode.last else "action", now - self._episode.step_began_at)
        if self._episode.last:
            return [Report(self._episode.record()), *self._save(), *self._next_episode(now)]
        outcome = self._task.step(self._barrier.actions())
        self._episode.advance(outcome)
        notes: list[Command] = [Report(EventRecord(self.name, EventKind.VANISHED, "", note)) for note in outcome.notes]
        return notes + self._open_step(now)

    def _save(self) -> list[Command]:
        ended = self._episode.number + 1
        return [Save(ended - 1, State(), is_due(self._config.link.life, ended, self._config.episodes))]

    def _next_episode(self, now: float) -> list[Command]:
        following, life = self._episode.number + 1, self._config.link.life
        if following < self._config.episodes:
            pauses = life.pauses or following in life.breakpoints
            return self._pause(now) if pauses else self._begin_episode(now)
        self.phase, self.done, self.deadline = PHASES.enter(self.phase, DONE), True, None
        self._task.close()
        return [*self._stop_all(""), Report(FinishedRecord(self.name, ""))]

    def close(self) -> None:
        """Release what the environment holds where its work was not done; why that was so is what a user hears."""
        if not self.done:
            with suppress(UserCodeFailed):
                self._task.close()

    def _pause(self, now: float) -> list[Command]:
        self.phase = PHASES.enter(self.phase, PAUSED)
        return self._ask_to_go_on(now)

    def _ask_to_go_on(self, now: float) -> list[Command]:
        self.deadline = now + self._config.link.joining.hello_interval_s
        return [Report(PausedRecord(self._episode.number + 1))]

    def _resume(self, message: GoOn, now: float) -> list[Command]:
        if self.phase is not PAUSED or message.episode != self._episode.number + 1:
            return []
        return self._begin_episode(now)

    def _where(self) -> str:
        return f"{self.name} in {self.phase.value} (episode {self._episode.number})"
