"""The environment as a participant: the step barrier.

| phase   | waits for                                  | goes on when                                              |
|---------|--------------------------------------------|-----------------------------------------------------------|
| JOINING | HELLO from every agent                     | all were heard -> STEPPING                                |
| STEPPING| every agent's answer to the timestep       | all are there, or the declared policy fills them in       |
| DONE    |                                            | the last episode's answers came; every agent got Stop     |

A timestep is sent again, with a higher attempt, to those who have not answered by the deadline; an answer that comes
twice counts once. The answer to the last timestep of an episode is empty and means "ready": agents give it when they
have finished learning, so the next episode begins when all have.
"""

from __future__ import annotations

from enum import Enum

import numpy as np

from broker.errors import PeerLost, ProtocolViolation
from broker.joining import Joining
from broker.messages import Action, Hello, Message, Stop, Timestep
from broker.participant import Command, Report, Send
from broker.records import EpisodeRecord, EventRecord, FinishedRecord, JoinedRecord, Record
from broker.seeding import generator
from env_service.config import ServiceConfig
from env_service.environments.task import Task
from env_service.proximity import in_range


class Phase(Enum):
    """What the environment is doing; see the table above."""

    JOINING = "JOINING"
    STEPPING = "STEPPING"
    DONE = "DONE"


class EnvironmentProtocol:
    """A task that is stepped by the agents' messages.

    Args:
        config: Its slice of the scenario.
        task: Parallel copies of the environment.
        incarnation: Which life of the environment this is.
    """

    def __init__(self, config: ServiceConfig, task: Task, incarnation: int = 0) -> None:
        self.name = config.link.name
        self.peers = config.link.peers
        self.phase = Phase.JOINING
        self._config = config
        self._task = task
        self._agents = tuple(config.neighbors)
        self._index = {agent: position for position, agent in enumerate(self._agents)}
        self._joining = Joining(self.name, self.peers, config.link.joining, incarnation)
        shape = (config.parallel_episodes, len(self._agents))
        self._actions = np.zeros(shape, np.int64)
        self._last_actions = np.zeros(shape, np.int64)
        self._returns = np.zeros(shape, np.float64)
        self._rewards = np.zeros(shape[::-1], np.float32)
        self._ended = np.zeros(shape[::-1], np.uint8)
        self._episode = -1
        self._step = 0
        self._attempt = 0
        self._last = False
        self._waiting: dict[str, None] = {}
        self._asked_at = 0.0
        self._step_began_at = 0.0
        self._copy_steps = 0
        self._missing_actions = 0

    # Participant

    @property
    def done(self) -> bool:
        """Whether all episodes are over."""
        return self.phase is Phase.DONE

    def start(self, now: float) -> list[Command]:
        """Say HELLO."""
        return [*self._joining.start(now), *self._join(now)]

    def receive(self, source: str, message: Message, now: float) -> list[Command]:
        """Take a message; see `Participant.receive`."""
        if type(message) is Action and source in self._index:
            return self._take_action(source, message, now)
        if type(message) is Hello:
            return [*self._joining.hear(source, message), *self._join(now)]
        raise ProtocolViolation(f"{self._where()}: {type(message).__name__} from {source}, which never sends one here")

    def awaited(self) -> int:
        """The answers still missing."""
        return len(self._waiting) or 1

    def deadline(self) -> float | None:
        """When to ask again, or when the policy fills in what is missing."""
        match self.phase:
            case Phase.JOINING:
                return self._joining.deadline()
            case Phase.STEPPING:
                return self._asked_at + self._patience_s()
            case Phase.DONE:
                return None

    def expire(self, now: float) -> list[Command]:
        """Ask again, or fill in missing actions where the scenario says so."""
        if self.phase is Phase.JOINING:
            return self._joining.expire(now)
        if self._config.service.missing_action != "wait" and self._attempt > 0:
            return self._fill_in(now)
        if now >= self._step_began_at + self._config.service.give_up_s:
            raise PeerLost(f"{self.waits_for()}, silent for {self._config.service.give_up_s} s (service.give_up_s)")
        self._attempt += 1
        self._asked_at = now
        return self._ask(tuple(self._waiting))

    def waits_for(self) -> str:
        """Whom and what it waits for."""
        if self.phase is Phase.JOINING:
            return self._joining.waits_for()
        answer = "readiness" if self._last else f"the action of step {self._step}"
        return f"{self._where()} waits for {answer} from {', '.join(self._waiting)}"

    def totals(self) -> list[Record]:
        """Nothing beyond what the transport counts."""
        return []

    # Joining

    def _join(self, now: float) -> list[Command]:
        if self.phase is not Phase.JOINING or not self._joining.complete:
            return []
        self.phase = Phase.STEPPING
        return [Report(JoinedRecord(self.name)), *self._begin_episode(now)]

    # Stepping

    def _begin_episode(self, now: float) -> list[Command]:
        self._episode += 1
        self._step, self._last = 0, False
        self._returns[:] = 0
        self._rewards = np.zeros_like(self._rewards)
        self._ended = np.zeros_like(self._ended)
        self._last_actions[:] = self._task.noop_action or 0
        self._copy_steps = self._missing_actions = 0
        self._task.reset(generator(self._config.link.seed, "environment", self._episode))
        return self._open_step(now)

    def _open_step(self, now: float) -> list[Command]:
        self._attempt = 0
        self._asked_at = self._step_began_at = now
        self._waiting = dict.fromkeys(self._agents)
        return self._ask(self._agents)

    def _ask(self, agents: tuple[str, ...]) -> list[Command]:
        observations = self._task.observations()
        ranges = in_range(self._task, self._config.proximity_distance)
        shared = observations.ndim == 2
        commands: list[Command] = []
        for agent in agents:
            index = self._index[agent]
            timestep = Timestep(
                self._episode,
                self._step,
                self._attempt,
                self._last,
                observations if shared else observations[:, index],
                self._rewards[index],
                self._ended[index],
                None if ranges is None else ranges[index],
            )
            commands.append(Send(agent, timestep))
        return commands

    def _take_action(self, source: str, message: Action, now: float) -> list[Command]:
        if self.phase is Phase.JOINING or (message.episode, message.step) > (self._episode, self._step):
            raise ProtocolViolation(
                f"{self._where()}: action of step {message.step} of episode {message.episode} from {source}, "
                f"expected at most step {self._step} of episode {self._episode}"
            )
        if (message.episode, message.step) < (self._episode, self._step) or source not in self._waiting:
            return []
        self._check_actions(source, message.actions)
        if not self._last:
            self._actions[:, self._index[source]] = message.actions
        del self._waiting[source]
        return [] if self._waiting else self._go_on(now)

    def _check_actions(self, source: str, actions: np.ndarray) -> None:
        shape = (0,) if self._last else (len(self._actions),)
        if actions.shape != shape or actions.dtype != np.int32:
            raise ProtocolViolation(
                f"{self._where()}: {source} acts with {actions.shape} {actions.dtype}, expected {shape} int32"
            )
        count = self._task.action_counts[self._index[source]]
        # Seen as unsigned, a negative action is a huge one: a single look finds both.
        if actions.size and np.maximum.reduce(actions.view(np.uint32)) >= count:
            raise ProtocolViolation(f"{self._where()}: {source} acts outside 0 to {count - 1}")

    def _fill_in(self, now: float) -> list[Command]:
        missing = tuple(self._waiting)
        policy = self._config.service.missing_action
        for agent in missing if not self._last else ():
            column = self._index[agent]
            if policy == "repeat":
                self._actions[:, column] = self._last_actions[:, column]
            else:
                self._actions[:, column] = self._task.noop_action or 0
            self._missing_actions += 1
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

    def _go_on(self, now: float) -> list[Command]:
        if not self._last:
            return self._advance(now)
        record = Report(
            EpisodeRecord(
                self._episode, tuple(self._returns.mean(axis=0).tolist()), self._copy_steps, self._missing_actions
            )
        )
        if self._episode + 1 < self._config.episodes:
            return [record, *self._begin_episode(now)]
        self.phase = Phase.DONE
        self._task.close()
        stops: list[Command] = [Send(agent, Stop("")) for agent in self._agents]
        return [record, *stops, Report(FinishedRecord(self.name, ""))]

    def _advance(self, now: float) -> list[Command]:
        self._copy_steps += self._running()
        outcome = self._task.step(self._actions)
        self._rewards = np.ascontiguousarray(outcome.rewards.T)
        self._ended = np.ascontiguousarray(outcome.ended.T)
        self._returns += outcome.rewards
        self._last_actions[:] = self._actions
        self._step += 1
        self._last = bool(self._ended.all())
        return self._open_step(now)

    def _running(self) -> int:
        """Number of copies in which at least one agent has not ended (`Ended.RUNNING` is 0)."""
        return len(self._actions) - int(np.count_nonzero(self._ended.all(axis=0)))

    def _patience_s(self) -> float:
        service = self._config.service
        return service.ready_patience_s if self._last else service.action_patience_s

    def _where(self) -> str:
        return f"{self.name} in {self.phase.value} (episode {self._episode})"
