"""The environment as a participant: the step barrier.

| phase   | waits for                                  | goes on when                                              |
|---------|--------------------------------------------|-----------------------------------------------------------|
| JOINING | an answer from every agent                 | all have answered its HELLO -> STEPPING                   |
| STEPPING| every agent's answer to the timestep       | all are there, or the declared policy fills them in       |
| PAUSED  | GoOn from the observer                     | it came -> STEPPING; only before a breakpoint's episode   |
| DONE    |                                            | the last episode's answers came; every agent got Stop     |

A timestep is sent again, with a higher attempt, to those who have not answered by the deadline; an answer that comes
twice counts once. The answer to the last timestep of an episode is empty and means "ready": agents give it when they
have finished learning, so the next episode begins when all have.

Before an episode that the scenario names as a breakpoint the environment pauses: nothing is under way then, so what
happens to a process there happens at the same place on every substrate. An agent that the observer calls gone is asked
no more; its actions are those of the declared policy.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

import numpy as np

from broker.errors import PeerLost, ProtocolViolation
from broker.participants.checkpoint import State
from broker.participants.joining import Joining
from broker.participants.participant import Command, Forget, Refit, Report, Save, Send
from broker.seeding import generator
from broker.wire.messages import (
    OBSERVER,
    Action,
    Faults,
    Gone,
    GoOn,
    Hello,
    Message,
    MessageName,
    Stop,
    Timestep,
    action_layout,
)
from broker.wire.records import (
    EndingRecord,
    EpisodeRecord,
    EventRecord,
    FinishedRecord,
    JoinedRecord,
    PausedRecord,
    Record,
)
from env_service.config import ServiceConfig
from env_service.environments.task import Outcome, Task
from env_service.proximity import in_range
from env_service.timesteps import Pages

_REMEMBERED_STEPS = 64


class EnvironmentPhase(Enum):
    """What the environment is doing; see the table above."""

    JOINING = "JOINING"
    STEPPING = "STEPPING"
    PAUSED = "PAUSED"
    DONE = "DONE"


class EnvironmentProtocol:
    """A task that is stepped by the agents' messages.

    Args:
        config: Its slice of the scenario.
        task: Parallel copies of the environment.
    """

    def __init__(self, config: ServiceConfig, task: Task) -> None:
        self.name = config.link.name
        self.peers = config.link.peers
        self.phase = EnvironmentPhase.JOINING
        self.done = False
        self.awaited = 1
        self.deadline: float | None = None
        self._config = config
        self._task, self._action_counts = task, task.action_counts
        self._agents = tuple(config.neighbors)
        self._index = {agent: position for position, agent in enumerate(self._agents)}
        self._waiting: dict[str, int] = {}
        self._gone = {agent: None for agent in self._agents if agent in config.link.life.gone}
        present = tuple(peer for peer in self.peers if peer not in self._gone)
        self._joining = Joining(self.name, present, config.link.joining, config.link.life.incarnation)
        copies, agents = config.parallel_episodes, len(self._agents)
        proximity = config.proximity_distance is not None
        self._pages = Pages(agents, copies, task.observation_size, proximity=proximity)
        self._acting, self._ready = action_layout(copies), action_layout(0)
        self._actions = np.zeros((agents, copies), np.int32)
        self._said = [row.data.cast("B") for row in self._actions]
        self._last_actions = np.zeros_like(self._actions)
        self._rewards: list[np.ndarray] = []
        self._outcome = self._nothing_yet = Outcome(
            np.zeros((copies, agents), np.float32), np.zeros((copies, agents), np.uint8)
        )
        self._episode = config.link.life.after_episode
        self._step = 0
        self._attempt = 0
        self._last = False
        self._step_began_at = 0.0
        self._running = copies
        self._copy_steps = 0
        self._missing_actions = 0
        self._filled_in: dict[str, deque[tuple[int, int]]] = {
            agent: deque(maxlen=_REMEMBERED_STEPS) for agent in self._agents
        }

    # Participant

    def start(self, now: float) -> list[Command]:
        """Say HELLO."""
        return [*self._joining.start(now), *self._join(now)]

    def receive(self, source: str, message: Message, now: float) -> list[Command]:
        """Take a message; see `Participant.receive`."""
        if type(message) is Action and source in self._index:
            return self._take_action(source, message, now)
        if type(message) is Hello:
            return [*self._joining.hear(source, message), *self._join(now)]
        if type(message) is GoOn and source == OBSERVER:
            return self._resume(message, now)
        if type(message) is Gone and source == OBSERVER and message.participant in self._index:
            return self._go_on_without(message.participant, now)
        if type(message) is Faults and source == OBSERVER:
            return [Refit(message.document)]
        raise ProtocolViolation(f"{self._where()}: {type(message).__name__} from {source}, which never sends one here")

    def expire(self, now: float) -> list[Command]:
        """Ask again, or fill in missing actions where the scenario says so."""
        if self.phase is EnvironmentPhase.JOINING:
            return [*self._joining.expire(now), *self._join(now)]
        if self.phase is EnvironmentPhase.PAUSED:
            return self._pause(now)
        if self._config.service.missing_action != "wait" and self._attempt > 0:
            return self._fill_in(now)
        if now >= self._step_began_at + self._config.service.give_up_s:
            raise PeerLost(f"{self.waits_for()}, silent for {self._config.service.give_up_s} s (service.give_up_s)")
        self._attempt += 1
        return self._ask(now)

    def waits_for(self) -> str:
        """Whom and what it waits for."""
        if self.phase is EnvironmentPhase.JOINING:
            return self._joining.waits_for()
        if self.phase is EnvironmentPhase.PAUSED:
            return f"{self._where()} waits for {OBSERVER} to let episode {self._episode + 1} begin"
        answer = "readiness" if self._last else f"the action of step {self._step}"
        return f"{self._where()} waits for {answer} from {', '.join(self._waiting)}"

    def totals(self) -> list[Record]:
        """Nothing beyond what the transport counts."""
        return []

    # Joining

    def _join(self, now: float) -> list[Command]:
        if self.phase is not EnvironmentPhase.JOINING:
            return []
        if not self._joining.complete:
            self.deadline = self._joining.deadline
            return []
        return [Report(JoinedRecord(self.name)), *self._next_episode(now)]

    def _go_on_without(self, agent: str, now: float) -> list[Command]:
        self._gone[agent] = None
        commands: list[Command] = [Forget(agent)]
        if self.phase is EnvironmentPhase.JOINING:
            self._joining.leave_out(agent)
            commands += self._join(now)
        elif self.phase is EnvironmentPhase.STEPPING and agent in self._waiting:
            self._fill(agent)
            del self._waiting[agent]
            self.awaited -= 1
            commands += [] if self._waiting else self._go_on(now)
        return commands

    # Stepping

    def _begin_episode(self, now: float) -> list[Command]:
        self.phase = EnvironmentPhase.STEPPING
        self._episode += 1
        self._step, self._last = 0, False
        self._rewards.clear()
        self._outcome = self._nothing_yet
        self._last_actions[:] = self._task.noop_action or 0
        self._running = self._config.parallel_episodes
        self._copy_steps = self._missing_actions = 0
        self._task.reset(generator(self._config.link.seed, "environment", self._episode))
        return self._open_step(now)

    def _open_step(self, now: float) -> list[Command]:
        self._attempt = 0
        self._step_began_at = now
        self._waiting = self._index.copy()
        for agent in self._gone:
            self._fill(agent)
            del self._waiting[agent]
        self.awaited = len(self._waiting)
        return self._ask(now)

    def _ask(self, now: float) -> list[Command]:
        """Tell those who have not answered where the task stands."""
        service = self._config.service
        self.deadline = now + (service.ready_patience_s if self._last else service.action_patience_s)
        task, outcome = self._task, self._outcome
        near = in_range(task, self._config.proximity_distance)
        pages = self._pages.write(task.observations(), outcome.rewards, outcome.ended, near)
        episode, step, attempt, last, layout = self._episode, self._step, self._attempt, self._last, self._pages.layout
        return [
            Send(agent, Timestep(episode, step, attempt, last, layout, pages[index]))
            for agent, index in self._waiting.items()
        ]

    def _take_action(self, source: str, message: Action, now: float) -> list[Command]:
        if (
            message.episode != self._episode
            or message.step != self._step
            or self.phase is not EnvironmentPhase.STEPPING
        ):
            return self._take_other(source, message)
        index = self._waiting.get(source)
        if index is None:
            return []
        data, expected = message.data, self._ready if self._last else self._acting
        if message.layout != expected:
            raise ProtocolViolation(f"{self._where()}: {source} acts with {message.layout!r}, expected {expected!r}")
        if not self._last:
            count = self._action_counts[index]
            # Seen as unsigned, a negative action is a huge one: a single look finds both.
            if max(data.cast("I")) >= count:
                raise ProtocolViolation(f"{self._where()}: {source} acts outside 0 to {count - 1}")
            self._said[index][:] = data
        del self._waiting[source]
        self.awaited -= 1
        return [] if self._waiting else self._go_on(now)

    def _take_other(self, source: str, message: Action) -> list[Command]:
        """An action of another step: one of the past came twice or too late, one of the future cannot be."""
        if self.phase is EnvironmentPhase.JOINING or (message.episode, message.step) > (self._episode, self._step):
            raise ProtocolViolation(
                f"{self._where()}: action of step {message.step} of episode {message.episode} from {source}, "
                f"expected at most step {self._step} of episode {self._episode}"
            )
        if (message.episode, message.step) not in self._filled_in[source]:
            return []
        self._filled_in[source].remove((message.episode, message.step))
        name = MessageName("action", message.episode, message.step, message.attempt)
        return [Report(EndingRecord(source, self.name, *name, "late", "it came after the environment had gone on"))]

    def _fill_in(self, now: float) -> list[Command]:
        missing = tuple(self._waiting)
        policy = self._config.service.missing_action
        for agent in missing:
            self._fill(agent)
            self._filled_in[agent].append((self._episode, self._step))
        what = "readiness" if self._last else f"action of step {self._step}"
        events: list[Command] = [
            Report(
                EventRecord(
                    self.name, "missing", agent, f"no {what} of episode {self._episode} in time; went on ({policy})"
                )
            )
            for agent in missing
        ]
        self._waiting = {}
        return events + self._go_on(now)

    def _fill(self, agent: str) -> None:
        """Act for an agent, as the scenario says; nobody has to be ready for it."""
        if self._last:
            return
        row, policy = self._index[agent], self._config.service.missing_action
        self._actions[row] = self._last_actions[row] if policy == "repeat" else self._task.noop_action or 0
        self._missing_actions += 1

    def _go_on(self, now: float) -> list[Command]:
        if not self._last:
            return self._advance(now)
        returns = np.zeros(self._outcome.rewards.shape, np.float64)
        for rewards in self._rewards:
            returns += rewards
        means = tuple(returns.mean(axis=0).tolist())
        record = Report(EpisodeRecord(self._episode, means, self._copy_steps, self._missing_actions))
        return [record, *self._save(), *self._next_episode(now)]

    def _save(self) -> list[Command]:
        if (self._episode + 1) % self._config.link.life.checkpoint_every:
            return []
        return [Save(self._episode, State())]

    def _next_episode(self, now: float) -> list[Command]:
        if self._episode + 1 < self._config.episodes:
            life = self._config.link.life
            pauses = life.pauses or self._episode + 1 in life.breakpoints
            return self._pause(now) if pauses else self._begin_episode(now)
        self.phase, self.done, self.deadline = EnvironmentPhase.DONE, True, None
        self._task.close()
        stops: list[Command] = [Send(agent, Stop("")) for agent in self._agents if agent not in self._gone]
        return [*stops, Report(FinishedRecord(self.name, ""))]

    def _pause(self, now: float) -> list[Command]:
        self.phase = EnvironmentPhase.PAUSED
        self.deadline = now + self._config.link.joining.hello_interval_s
        return [Report(PausedRecord(self._episode + 1))]

    def _resume(self, message: GoOn, now: float) -> list[Command]:
        if self.phase is not EnvironmentPhase.PAUSED or message.episode != self._episode + 1:
            return []
        return self._begin_episode(now)

    def _advance(self, now: float) -> list[Command]:
        self._copy_steps += self._running
        if self._config.service.missing_action == "repeat":
            self._last_actions[:] = self._actions
        self._outcome = self._task.step(self._actions.T.astype(np.int64))
        self._rewards.append(self._outcome.rewards)
        self._running = _running(self._outcome.ended)
        self._last = not self._running
        self._step += 1
        return self._open_step(now)

    def _where(self) -> str:
        return f"{self.name} in {self.phase.value} (episode {self._episode})"


def _running(ended: np.ndarray) -> int:
    """Number of copies in which at least one agent has not ended (`Ended.RUNNING` is 0), of (E, N)."""
    if not np.count_nonzero(ended):
        return len(ended)
    return len(ended) - int(np.count_nonzero(ended.all(axis=1)))
