"""The agent as a participant: acts, shares, updates; knows no socket, no clock and no arithmetic.

`PHASES` says what it waits for in each phase, and when it goes on; `agent_node.timesteps` which timesteps it plays, and
`agent_node.sharing` which shares it waits for.

A neighbor that the observer calls gone is waited for no more: its shares are missing, and none is sent to it.

Stop may come in the last episode, and at any time from an environment that goes on without those that do not answer. An
agent that still shares finishes its rounds, no more. Of episodes whose end it has missed it keeps what it knew before.

Loss, duplication and reordering are normal inputs. A timestep seen twice gets the same answer again, unless its mask
says that this is impossible: then the mask seen first was damaged on its way. A timestep that came too early is kept. A
share of an older round is late, and kept only if the scenario reuses such; a share of a round to come is kept. Only
what no correct peer can say is a `ProtocolViolation`. It names the phase only where that is what is wrong: the ledger
says the same of a message whenever it was read.

Round k of an episode closes at the latest `k * patience_s` after the episode's end, counted from 1. All agents count
from the same event, so one that waits in vain for a lost share is not itself given up by those who did hear it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import numpy as np

from agent_node.in_edge import RoundName
from agent_node.sharing import Arrival, Sharing
from agent_node.timesteps import Seen, Timesteps
from broker.counting import counted
from broker.errors import PeerLost, ProtocolViolation, WrongRun
from broker.participants.barrier_times import BarrierTimes
from broker.participants.checkpoint import State
from broker.participants.joining import Joining
from broker.participants.life import is_due
from broker.participants.participant import Command, Forget, Refit, Report, Save, Send
from broker.participants.phases import PhaseTable, Transition
from broker.wire.arrays import Arrays
from broker.wire.messages import (
    ENVIRONMENT,
    OBSERVER,
    Faults,
    Gone,
    Hello,
    Message,
    Share,
    Stop,
    Timestep,
)
from broker.wire.records import (
    EndingRecord,
    Fate,
    FinishedRecord,
    JoinedRecord,
    Record,
    RoundRecord,
)

if TYPE_CHECKING:
    from agent_node.config import AgentConfig

EpisodeT = TypeVar("EpisodeT")
OpenedT = TypeVar("OpenedT", bound="TellsPartners")


class AgentPhase(Enum):
    """What the agent is doing; see `PHASES`."""

    JOINING = "JOINING"
    ACTING = "ACTING"
    SHARING = "SHARING"
    LEAVING = "LEAVING"
    DONE = "DONE"


PHASES = PhaseTable(
    waits_for={
        AgentPhase.JOINING: "answers of the environment and all neighbors",
        AgentPhase.ACTING: "the next timestep",
        AgentPhase.SHARING: "the shares of round k of K",
        AgentPhase.LEAVING: "Stop from the environment",
        AgentPhase.DONE: "nothing",
    },
    transitions=(
        Transition(AgentPhase.JOINING, "all have answered its HELLO", AgentPhase.ACTING),
        Transition(AgentPhase.JOINING, "all have, in a life after the last episode", AgentPhase.LEAVING),
        Transition(AgentPhase.JOINING, "Stop came when it may", AgentPhase.DONE),
        Transition(AgentPhase.ACTING, "the last timestep of an episode came", AgentPhase.SHARING),
        Transition(AgentPhase.ACTING, "Stop came when it may", AgentPhase.DONE),
        Transition(AgentPhase.SHARING, "round K is closed; the environment hears: ready", AgentPhase.ACTING),
        Transition(AgentPhase.SHARING, "round K of the last episode is closed", AgentPhase.LEAVING),
        Transition(AgentPhase.SHARING, "round K is closed, and Stop came before", AgentPhase.DONE),
        Transition(AgentPhase.LEAVING, "it came", AgentPhase.DONE),
    ),
)
"""The phases of an agent. A round closes when all its shares are there, or when its time is over."""


class TellsPartners(Protocol):
    """A round that a learner has opened; what else is in it is the learner's own."""

    @property
    def outgoing(self) -> Mapping[str, Arrays]:
        """By partner, what it shall hear; a partner with nothing to hear is left out."""


class Learns(Protocol[EpisodeT, OpenedT]):
    """What the protocol asks of a learner; `agent_node.learning.learner.Learner` documents each."""

    def begin_episode(self, episode: int) -> None: ...  # noqa: D102
    def act(self, step: int, data: memoryview) -> np.ndarray: ...  # noqa: D102
    def see(self, step: int, data: memoryview) -> None: ...  # noqa: D102
    def end_episode(self) -> EpisodeT: ...  # noqa: D102
    def open_round(self, episode: EpisodeT, number: int, partners: tuple[str, ...]) -> OpenedT: ...  # noqa: D102
    def check(self, source: str, arrays: Mapping[str, np.ndarray]) -> None: ...  # noqa: D102
    def close_round(  # noqa: D102
        self, opened: OpenedT, shares: Mapping[str, Arrays], stale: Mapping[str, Arrays]
    ) -> dict[str, float]: ...
    def weights_digest(self) -> str: ...  # noqa: D102
    def state(self) -> Arrays: ...  # noqa: D102
    def restore(self, state: Arrays) -> None: ...  # noqa: D102


@dataclass(frozen=True)
class _Pending(Generic[EpisodeT, OpenedT]):
    """An open round that waits for shares: when its episode ended, since when it waits, and what there is of both."""

    ended_at: float
    since: float
    episode: EpisodeT
    opened: OpenedT


class AgentProtocol(Generic[EpisodeT, OpenedT]):
    """One agent.

    Args:
        config: Its slice of the scenario.
        learner: Its networks.
        state: What it knew after the last episode of an earlier life, or None.
    """

    awaited = 1

    def __init__(self, config: AgentConfig, learner: Learns[EpisodeT, OpenedT], state: State | None = None) -> None:
        self.name = config.link.name
        self.peers = config.link.peers
        self.phase = AgentPhase.JOINING
        self.deadline: float | None = None
        self.barriers = BarrierTimes()
        self._config = config
        self._learner = learner
        self._timesteps = Timesteps(config)
        self._sharing = Sharing(config, learner.check)
        present = tuple(peer for peer in self.peers if peer not in self._sharing.gone)
        link = config.link
        self._joining = Joining(self.name, present, link.joining, link.life.incarnation, link.identity)
        self._pending: _Pending[EpisodeT, OpenedT] | None = None
        self._stopped = False
        self._saved = -1
        if state is not None:
            self._restore(state)

    @property
    def done(self) -> bool:
        """Whether its work is finished."""
        return self.phase is AgentPhase.DONE

    @property
    def settled(self) -> bool:
        """Whether it has learned nothing since it last wanted its state saved."""
        return self.phase is not AgentPhase.SHARING

    # Participant

    def start(self, now: float) -> list[Command]:
        """Say HELLO."""
        return [*self._joining.start(now), *self._join(now)]

    def receive(self, source: str, message: Message, now: float) -> list[Command]:
        """Take a message; see `Participant.receive`."""
        if type(message) is Timestep and source == ENVIRONMENT:
            return self._take_timestep(message, now)  # one that is played at once comes after all that were held
        return [*self._take(source, message, now), *self._play_held(now)]

    def _take(self, source: str, message: Message, now: float) -> list[Command]:
        """All but a timestep."""
        if type(message) is Share and source in self._sharing.edges:
            return self._take_share(source, message, now)
        if type(message) is Hello:
            return [*self._joining.hear(source, message), *self._join(now)]
        if type(message) is Stop and source == ENVIRONMENT:
            return self._stop(message)
        if type(message) is Gone and source == OBSERVER and message.participant in self._sharing.edges:
            return self._go_on_without(message.participant, now)
        if type(message) is Faults and source == OBSERVER:
            return [Refit(message.document)]
        raise ProtocolViolation(f"{self._where()}: {type(message).__name__} from {source}, which never sends one here")

    def expire(self, now: float) -> list[Command]:
        """Ask again while joining; close the round while sharing; give up on a silent environment."""
        if self.phase is AgentPhase.JOINING:
            return [*self._joining.expire(now), *self._join(now), *self._play_held(now)]
        if self.phase is AgentPhase.SHARING:
            return [*self._go_on(now), *self._play_held(now)]
        raise PeerLost(f"{self.waits_for()}, silent for {self._config.give_up_s} s (service.give_up_s)")

    def told(self) -> str:
        """Its slice of the scenario, as JSON."""
        return self._config.model_dump_json()

    def waits_for(self) -> str:
        """Whom and what it waits for."""
        match self.phase:
            case AgentPhase.JOINING:
                return self._joining.waits_for()
            case AgentPhase.SHARING:
                number, missing = self._sharing.current.number, ", ".join(self._sharing.missing)
                return f"{self._where()} waits for the shares of round {number} from {missing}"
            case AgentPhase.LEAVING:
                return f"{self._where()} waits for Stop from {ENVIRONMENT}"
            case AgentPhase.DONE:
                return f"{self._where()} waits for nothing"
            case AgentPhase.ACTING:
                return f"{self._where()} waits for a timestep after {self._timesteps.step} from {ENVIRONMENT}"

    def totals(self) -> list[Record]:
        """What was counted of each neighbor's shares, and refused of those who are of another run."""
        return [*self._sharing.totals(), *self._joining.totals()]

    # Joining and leaving

    def _join(self, now: float) -> list[Command]:
        if self.phase is not AgentPhase.JOINING:
            return []
        if not self._joining.complete:
            self.deadline = self._joining.deadline
            return []
        self._act_or_leave(now)
        return [Report(JoinedRecord(self.name))]

    def _stop(self, stop: Stop) -> list[Command]:
        if stop.reason:
            said = f"{self._where()}: {ENVIRONMENT} stopped the run: {stop.reason}"
            before_all = self._timesteps.episode == self._config.link.life.after_episode
            raise WrongRun(said) if stop.mistake and before_all else PeerLost(said)
        if self._config.environment_waits and self._timesteps.newest_episode + 1 < self._config.episodes:
            raise ProtocolViolation(
                f"{self._where()}: Stop before the last of {counted(self._config.episodes, 'episode')}"
            )
        self._stopped = True
        return [] if self.phase in (AgentPhase.SHARING, AgentPhase.DONE) else self._finish()

    def _go_on_without(self, neighbor: str, now: float) -> list[Command]:
        self._sharing.gone.add(neighbor)
        commands: list[Command] = [Forget(neighbor)]
        if self.phase is AgentPhase.JOINING:
            self._joining.leave_out(neighbor)
            commands += self._join(now)
        elif self.phase is AgentPhase.SHARING and self._sharing.complete:
            commands += self._go_on(now)
        return commands

    def _finish(self) -> list[Command]:
        self._enter(AgentPhase.DONE)
        self.deadline = None
        finished = Report(FinishedRecord(self.name, self._learner.weights_digest()))
        return [*self._save_missed(self._config.episodes), finished]

    def _act_or_leave(self, now: float) -> None:
        """Wait for the next timestep, or after the last episode for Stop."""
        last = self._timesteps.episode + 1 == self._config.episodes
        self._enter(AgentPhase.LEAVING if last else AgentPhase.ACTING)
        self.deadline = now + self._config.give_up_s

    # Acting

    def _take_timestep(self, message: Timestep, now: float) -> list[Command]:
        acts = self.phase is AgentPhase.ACTING
        seen = self._timesteps.take(message, acts=acts)
        if acts or self.phase is AgentPhase.LEAVING:
            self.deadline = now + self._config.give_up_s
        if seen is Seen.PLAY:
            return self._play(message, now)
        if seen is Seen.ANEW:
            return self._act(message)
        return [Send(ENVIRONMENT, self._timesteps.again(message.attempt))] if seen is Seen.AGAIN else []

    def _play(self, message: Timestep, now: float) -> list[Command]:
        missed: list[Command] = []
        if message.episode > self._timesteps.episode:
            missed = self._save_missed(message.episode)
            self._sharing.begin_episode(message.episode)
            self._learner.begin_episode(message.episode)
        commands = self._end_episode(message, now) if message.last else self._act(message)
        return missed + commands if missed else commands

    def _play_held(self, now: float) -> list[Command]:
        """Catch up as far as that goes; who was stopped meanwhile is done then."""
        commands: list[Command] = []
        while self._timesteps.held and self.phase is AgentPhase.ACTING:
            commands += self._play(self._timesteps.held.popleft(), now)
        through = self.phase is AgentPhase.ACTING or self.phase is AgentPhase.LEAVING
        return commands + self._finish() if self._stopped and through else commands

    def _act(self, message: Timestep) -> list[Command]:
        actions = memoryview(self._learner.act(message.step, message.data).tobytes())
        return [Send(ENVIRONMENT, self._timesteps.acted(message, actions))]

    def _end_episode(self, message: Timestep, now: float) -> list[Command]:
        self._timesteps.end(message)
        self._learner.see(message.step, message.data)
        episode = self._learner.end_episode()
        self._enter(AgentPhase.SHARING)
        return self._share(now, episode, now)

    # Sharing

    def _share(self, ended_at: float, episode: EpisodeT, now: float) -> list[Command]:
        """Go on to the next round, and through all that need not wait; after the last, say that the agent is ready."""
        commands: list[Command] = []
        for number in range(self._sharing.current.number + 1, self._config.rounds):
            opened, shares = self._open_round(episode, number)
            commands += shares
            if not self._sharing.complete:
                self._pending = _Pending(ended_at, now, episode, opened)
                self.deadline = ended_at + (number + 1) * self._config.exchange.patience_s
                return commands
            self.barriers.add("share", 0.0)
            commands += self._close_round(opened)
        return commands + self._get_ready(now)

    def _open_round(self, episode: EpisodeT, number: int) -> tuple[OpenedT, list[Send]]:
        name = RoundName(self._timesteps.episode, number)
        partners = self._sharing.partners(name)
        opened = self._learner.open_round(episode, number, partners)
        self._sharing.open(name, partners, opened.outgoing)
        shares = [
            Send(partner, Share.of(*name, arrays))
            for partner, arrays in opened.outgoing.items()
            if partner not in self._sharing.gone
        ]
        return opened, shares

    def _take_share(self, source: str, message: Share, now: float) -> list[Command]:
        name, episodes = RoundName(message.episode, message.round), self._config.episodes
        newest = min(self._timesteps.episode + 1, episodes - 1) if self._config.environment_waits else episodes - 1
        if not (0 <= name.number < self._config.rounds and 0 <= name.episode <= newest):
            raise ProtocolViolation(
                f"{self._where()}: share of round {name.number} of episode {name.episode} from {source}"
            )
        arrival = self._sharing.hear(source, name, message.arrays)
        if arrival is Arrival.LATE:
            return [Report(self._ending(source, name, Fate.LATE, "it came after its round had closed"))]
        return self._go_on(now) if arrival is Arrival.HEARD and self._sharing.complete else []

    def _go_on(self, now: float) -> list[Command]:
        """Close the open round, and share on."""
        pending, self._pending = self._pending, None
        assert pending is not None  # noqa: S101 - in SHARING a round waits
        self.barriers.add("share", now - pending.since)
        return [*self._close_round(pending.opened), *self._share(pending.ended_at, pending.episode, now)]

    def _close_round(self, opened: OpenedT) -> list[Command]:
        closed = self._sharing.close()
        losses = self._learner.close_round(opened, closed.shares, closed.stale)
        if self._sharing.reuses:
            losses = losses | {"stale": float(len(closed.stale))}
        record = RoundRecord(self.name, *self._sharing.current, closed.expected, len(closed.shares), losses)
        return [Report(record)]

    def _get_ready(self, now: float) -> list[Command]:
        ready = self._timesteps.ready()
        if self._stopped and not self._timesteps.held:
            return [*self._save(), *self._finish()]
        self._act_or_leave(now)
        return [Send(ENVIRONMENT, ready), *self._save()]

    # Lives

    def _save(self) -> list[Command]:
        self._saved = self._timesteps.episode
        # What waits is played before this is carried out, and may be a whole episode.
        return [Save(self._saved, self._state(copied=bool(self._timesteps.held)), self._is_due(self._saved))]

    def _save_missed(self, before: int) -> list[Command]:
        """Save what it knew once more for each episode that has ended without it: those due, and the last two."""
        missed = [each for each in range(self._saved + 1, before) if each >= before - 2 or self._is_due(each)]
        self._saved = before - 1
        return [Save(episode, self._state(copied=True), self._is_due(episode)) for episode in missed]

    def _is_due(self, episode: int) -> bool:
        ended, life = episode + 1, self._config.link.life
        besides = life.kept_every is not None and ended % life.kept_every == 0
        return besides or is_due(life, ended, self._config.episodes)

    def _state(self, *, copied: bool) -> State:
        learned, sharing = self._learner.state(), self._sharing.state()
        if copied:
            learned = {name: array.copy() for name, array in learned.items()}
        return State(learned | sharing.arrays, sharing.facts)

    def _restore(self, state: State) -> None:
        after = self._config.link.life.after_episode
        self._timesteps.go_on_after(after)
        self._saved = after
        self._sharing.begin_episode(after)
        self._learner.restore(self._sharing.restore(state))

    def _ending(self, source: str, name: RoundName, fate: Fate, cause: str) -> EndingRecord:
        return EndingRecord(source, self.name, "share", *name, 0, fate, cause)

    def _enter(self, phase: AgentPhase) -> None:
        self.phase = PHASES.enter(self.phase, phase)

    def _where(self) -> str:
        return f"{self.name} in {self.phase.value} (episode {self._timesteps.episode})"
