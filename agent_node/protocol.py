"""The agent as a participant: acts, shares, updates; knows no socket, no clock and no torch.

| phase   | waits for                                    | goes on when                                              |
|---------|----------------------------------------------|-----------------------------------------------------------|
| JOINING | answers of the environment and all neighbors | all have answered its HELLO -> ACTING                     |
| ACTING  | the next timestep                            | the last timestep of an episode came -> SHARING           |
| SHARING | the shares of round k                        | all are there, or the round's time is over -> k + 1;      |
|         |                                              | after round K: "ready" to the environment -> ACTING       |
| LEAVING | Stop from the environment                    | it came -> DONE                                           |

A neighbor that the observer calls gone is waited for no more: its shares are missing, and none is sent to it.

An environment that goes on without an agent may send Stop before the agent is through: it finishes its rounds, no more.

Loss, duplication and reordering are normal inputs. A timestep seen twice gets the same answer again; a share of an
older round is late, and kept only if the scenario reuses such; a share of a round to come is kept; a timestep that came
too early is kept. Only what no correct peer can say is a `ProtocolViolation`.

Round k of an episode closes at the latest `k * patience_s` after the episode's end, counted from 1. All agents count
from the same event, so one that waits in vain for a lost share is not itself given up by those who did hear it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping
from enum import Enum
from typing import Protocol

import numpy as np
from msgspec.structs import replace

from agent_node.config import AgentConfig
from agent_node.in_edge import Arrays, InEdge
from agent_node.partners import ExchangePlan
from broker.errors import PeerLost, ProtocolViolation
from broker.participants.checkpoint import State
from broker.participants.joining import Joining
from broker.participants.participant import Command, Forget, Refit, Report, Save, Send
from broker.wire.messages import (
    ENVIRONMENT,
    OBSERVER,
    Action,
    Faults,
    Gone,
    Hello,
    Message,
    Share,
    Stop,
    Timestep,
    action_layout,
    timestep_layout,
)
from broker.wire.records import (
    EdgeRecord,
    EndingRecord,
    EventKind,
    EventRecord,
    Fate,
    FinishedRecord,
    JoinedRecord,
    Record,
    RoundRecord,
)

_NEWEST = "newest/"


class AgentPhase(Enum):
    """What the agent is doing; see the table above."""

    JOINING = "JOINING"
    ACTING = "ACTING"
    SHARING = "SHARING"
    LEAVING = "LEAVING"
    DONE = "DONE"


class Learns(Protocol):
    """What the protocol asks of a learner; `agent_node.learning.learner.Learner` documents each."""

    def begin_episode(self, episode: int) -> None: ...  # noqa: D102
    def act(self, step: int, data: memoryview) -> np.ndarray: ...  # noqa: D102
    def see(self, step: int, data: memoryview) -> None: ...  # noqa: D102
    def end_episode(self) -> None: ...  # noqa: D102
    def open_round(self, partners: tuple[str, ...]) -> dict[str, Arrays]: ...  # noqa: D102
    def exchanges_with(self, neighbor: str) -> bool: ...  # noqa: D102
    def check(self, source: str, arrays: Mapping[str, np.ndarray]) -> None: ...  # noqa: D102
    def close_round(  # noqa: D102
        self, shares: Mapping[str, Arrays], stale: Mapping[str, Arrays]
    ) -> dict[str, float]: ...
    def weights_digest(self) -> str: ...  # noqa: D102
    def state(self) -> Arrays: ...  # noqa: D102
    def restore(self, state: Arrays) -> None: ...  # noqa: D102


class AgentProtocol:
    """One agent.

    Args:
        config: Its slice of the scenario.
        learner: Its networks.
        state: What it knew after the last episode of an earlier life, or None.
    """

    def __init__(self, config: AgentConfig, learner: Learns, state: State | None = None) -> None:
        self.name = config.link.name
        self.peers = config.link.peers
        self.phase = AgentPhase.JOINING
        self.done = False
        self.awaited = 1
        self.deadline: float | None = None
        self._config = config
        self._give_up_s, self._episodes, self._steps = config.give_up_s, config.episodes, config.steps
        self._learner = learner
        self._neighbors = config.neighbors[self.name]
        self._plan = ExchangePlan(config.link.seed, config.neighbors, config.exchange)
        self._gone = set(config.link.life.gone)
        present = tuple(peer for peer in self.peers if peer not in self._gone)
        self._joining = Joining(self.name, present, config.link.joining, config.link.life.incarnation)
        self._episode = -1
        self._step = -1
        self._answer: Action | None = None
        self._stopped = False
        self._held: deque[Timestep] = deque()
        self._round = -1
        self._episode_ended_at = 0.0
        self._partners: tuple[str, ...] = ()
        self._expected: tuple[str, ...] = ()
        self._reuses = config.exchange.late_shares == "reuse"
        self._shares: dict[str, Arrays] = {}
        self._kept: defaultdict[tuple[int, int], dict[str, Arrays]] = defaultdict(dict)
        self._edges = {neighbor: InEdge() for neighbor in self._neighbors}
        copies, neighbors = config.parallel_episodes, len(self._neighbors) if config.proximity else None
        self._seeing = timestep_layout(copies, config.observation_size, neighbors)
        self._acting, self._ready = action_layout(copies), action_layout(0)
        if state is not None:
            self._restore(state)

    # Participant

    def start(self, now: float) -> list[Command]:
        """Say HELLO."""
        return [*self._joining.start(now), *self._join(now)]

    def receive(self, source: str, message: Message, now: float) -> list[Command]:
        """Take a message; see `Participant.receive`."""
        if type(message) is Timestep and source == ENVIRONMENT:
            return self._take_timestep(message, now)
        if type(message) is Share and source in self._edges:
            return self._take_share(source, message, now)
        if type(message) is Hello:
            return [*self._joining.hear(source, message), *self._join(now)]
        if type(message) is Stop and source == ENVIRONMENT:
            return self._stop(message)
        if type(message) is Gone and source == OBSERVER and message.participant in self._edges:
            return self._go_on_without(message.participant, now)
        if type(message) is Faults and source == OBSERVER:
            return [Refit(message.document)]
        raise ProtocolViolation(f"{self._where()}: {type(message).__name__} from {source}, which never sends one here")

    def expire(self, now: float) -> list[Command]:
        """Ask again while joining; close the round while sharing; give up on a silent environment."""
        if self.phase is AgentPhase.JOINING:
            return [*self._joining.expire(now), *self._join(now)]
        if self.phase is AgentPhase.SHARING:
            return [*self._close_round(), *self._share(now)]
        raise PeerLost(f"{self.waits_for()}, silent for {self._give_up_s} s (service.give_up_s)")

    def waits_for(self) -> str:
        """Whom and what it waits for."""
        match self.phase:
            case AgentPhase.JOINING:
                return self._joining.waits_for()
            case AgentPhase.SHARING:
                missing = [each for each in self._expected if each not in self._shares and each not in self._gone]
                return f"{self._where()} waits for the shares of round {self._round} from {', '.join(missing)}"
            case AgentPhase.LEAVING:
                return f"{self._where()} waits for Stop from {ENVIRONMENT}"
            case _:
                return f"{self._where()} waits for a timestep after {self._step} from {ENVIRONMENT}"

    def totals(self) -> list[Record]:
        """What was counted of each neighbor's shares."""
        return [
            EdgeRecord(
                neighbor,
                self.name,
                heard=edge.heard,
                late=edge.late,
                missing=edge.missing,
                rejected=edge.rejected,
                skipped=edge.skipped,
            )
            for neighbor, edge in self._edges.items()
        ]

    # Joining and leaving

    def _join(self, now: float) -> list[Command]:
        if self.phase is not AgentPhase.JOINING:
            return []
        if not self._joining.complete:
            self.deadline = self._joining.deadline
            return []
        self.phase = AgentPhase.LEAVING if self._episode + 1 == self._episodes else AgentPhase.ACTING
        self.deadline = now + self._give_up_s
        return [Report(JoinedRecord(self.name)), *self._take_held(now)]

    def _stop(self, stop: Stop) -> list[Command]:
        if stop.reason:
            raise PeerLost(f"{self._where()}: {ENVIRONMENT} stopped the run: {stop.reason}")
        latest = max((held.episode for held in self._held), default=self._episode)
        if latest + 1 < self._episodes:
            raise ProtocolViolation(f"{self._where()}: Stop before the last of {self._episodes} episodes")
        self._stopped = True
        return [] if self.phase in (AgentPhase.SHARING, AgentPhase.DONE) else self._finish()

    def _go_on_without(self, neighbor: str, now: float) -> list[Command]:
        self._gone.add(neighbor)
        commands: list[Command] = [Forget(neighbor)]
        if self.phase is AgentPhase.JOINING:
            self._joining.leave_out(neighbor)
            commands += self._join(now)
        elif self.phase is AgentPhase.SHARING and self._all_heard():
            commands += [*self._close_round(), *self._share(now)]
        return commands

    def _finish(self) -> list[Command]:
        self.phase, self.done, self.deadline = AgentPhase.DONE, True, None
        return [Report(FinishedRecord(self.name, self._learner.weights_digest()))]

    # Acting

    def _take_timestep(self, message: Timestep, now: float) -> list[Command]:
        episode, step, latest = message.episode, message.step, self._steps if message.last else self._steps - 1
        if message.layout != self._seeing or not (0 <= step <= latest and 0 <= episode < self._episodes):
            raise self._unexpected(message)
        if self.phase is AgentPhase.ACTING or self.phase is AgentPhase.LEAVING:
            self.deadline = now + self._give_up_s
        if episode < self._episode or (episode == self._episode and step <= self._step):
            return self._answer_again(message)
        if self.phase is not AgentPhase.ACTING:
            if not self._held or (episode, step) > (self._held[-1].episode, self._held[-1].step):
                self._held.append(message)
            return []
        if episode > self._episode:
            self._episode, self._round = episode, -1
            for past in [key for key in self._kept if key[0] < episode]:
                del self._kept[past]
            self._learner.begin_episode(episode)
        self._step = step
        if message.last:
            return self._end_episode(message, now)
        actions = memoryview(self._learner.act(step, message.data).tobytes())
        self._answer = Action(episode, step, message.attempt, self._acting, actions)
        return [Send(ENVIRONMENT, self._answer)]

    def _end_episode(self, message: Timestep, now: float) -> list[Command]:
        self._learner.see(message.step, message.data)
        self._learner.end_episode()
        self._answer = None
        self.phase = AgentPhase.SHARING
        self._episode_ended_at = now
        return self._share(now)

    def _answer_again(self, message: Timestep) -> list[Command]:
        answer = self._answer
        if answer is None or (message.episode, message.step) != (answer.episode, answer.step):
            return []
        return [Send(ENVIRONMENT, replace(answer, attempt=message.attempt))]

    def _take_held(self, now: float) -> list[Command]:
        commands: list[Command] = []
        while self._held and self.phase is AgentPhase.ACTING:
            commands += self._take_timestep(self._held.popleft(), now)
        return commands

    def _unexpected(self, message: Timestep) -> ProtocolViolation:
        if message.layout != self._seeing:
            return ProtocolViolation(f"{self._where()}: timestep with {message.layout!r}, expected {self._seeing!r}")
        return ProtocolViolation(
            f"{self._where()}: timestep {message.step} of episode {message.episode}, "
            f"expected at most {self._steps} steps and {self._episodes} episodes"
        )

    # Sharing

    def _share(self, now: float) -> list[Command]:
        """Go on to the next round, and through all that need not wait; after the last, say that the agent is ready."""
        commands: list[Command] = []
        while True:
            self._round += 1
            if self._round == self._config.learning.rounds:
                return commands + self._get_ready(now)
            commands += self._open_round()
            if not self._all_heard():
                self.deadline = self._episode_ended_at + (self._round + 1) * self._config.exchange.patience_s
                return commands
            commands += self._close_round()

    def _open_round(self) -> list[Command]:
        self._partners = self._plan.partners(self.name, self._episode, self._round)
        outgoing = self._learner.open_round(self._partners)
        self._expected = tuple(partner for partner in self._partners if partner in outgoing)
        self._shares = {}
        for neighbor, edge in self._edges.items():
            edge.skipped += neighbor not in self._partners
        commands: list[Command] = [
            Send(partner, Share.of(self._episode, self._round, arrays))
            for partner, arrays in outgoing.items()
            if partner not in self._gone
        ]
        for source, arrays in self._kept.pop((self._episode, self._round), {}).items():
            try:
                self._hear(source, arrays)
            except ProtocolViolation as violation:
                self._edges[source].rejected += 1
                commands.append(Report(EventRecord(self.name, EventKind.REJECTED, source, str(violation))))
                commands.append(
                    Report(self._ending(source, (self._episode, self._round), Fate.REJECTED, str(violation)))
                )
        return commands

    def _take_share(self, source: str, message: Share, now: float) -> list[Command]:
        key, current = (message.episode, message.round), (self._episode, self._round)
        if not (0 <= message.round < self._config.learning.rounds and 0 <= message.episode <= self._episode + 1):
            raise ProtocolViolation(
                f"{self._where()}: share of round {message.round} of episode {message.episode} from {source}"
            )
        if self.phase is AgentPhase.SHARING and key == current:
            self._hear(source, message.arrays)
            return [*self._close_round(), *self._share(now)] if self._all_heard() else []
        if key < current:
            return self._take_late(source, key, message.arrays)
        self._kept[key].setdefault(source, message.arrays)
        return []

    def _hear(self, source: str, arrays: Arrays) -> None:
        if source not in self._partners:
            raise ProtocolViolation(f"{self._where()}: {source} shares in a round in which the two do not exchange")
        self._check_share(source, arrays)
        if source in self._expected:  # else the two have no samples in common, and only the other one does not know
            self._shares.setdefault(source, arrays)
            if self._reuses:
                self._edges[source].keep_newest((self._episode, self._round), arrays)

    def _check_share(self, source: str, arrays: Arrays) -> None:
        try:
            self._learner.check(source, arrays)
        except ProtocolViolation as violation:
            raise ProtocolViolation(f"{self._where()}: share from {source}: {violation}") from None

    def _close_round(self) -> list[Command]:
        shares = {source: self._shares[source] for source in self._expected if source in self._shares}
        newest = {source: self._edges[source].newest for source in self._expected if source not in shares}
        stale = {source: arrays for source, arrays in newest.items() if arrays is not None}
        losses = self._learner.close_round(shares, stale)
        if self._reuses:
            losses = losses | {"stale": float(len(stale))}
        for source in self._expected:
            edge = self._edges[source]
            if source in shares:
                edge.heard += 1
            else:
                edge.note_missing((self._episode, self._round))
        record = RoundRecord(self.name, self._episode, self._round, len(self._expected), len(shares), losses)
        return [Report(record)]

    def _get_ready(self, now: float) -> list[Command]:
        self._answer = Action(self._episode, self._step, 0, self._ready, memoryview(b""))
        self.deadline = now + self._give_up_s
        if self._stopped and not self._held:
            return [*self._save(), *self._finish()]
        last = self._episode + 1 == self._episodes
        self.phase = AgentPhase.LEAVING if last else AgentPhase.ACTING
        commands: list[Command] = [Send(ENVIRONMENT, self._answer), *self._save(), *self._take_held(now)]
        return commands + self._finish() if self._stopped and self.phase is not AgentPhase.SHARING else commands

    # Lives

    def _save(self) -> list[Command]:
        if (self._episode + 1) % self._config.link.life.checkpoint_every:
            return []
        arrays = dict(self._learner.state())
        for neighbor, edge in self._edges.items():
            arrays |= {f"{_NEWEST}{neighbor}/{name}": array for name, array in (edge.newest or {}).items()}
        facts = {neighbor: edge.facts() for neighbor, edge in self._edges.items()}
        return [Save(self._episode, State(arrays, {"edges": facts}))]

    def _restore(self, state: State) -> None:
        self._episode, self._step = self._config.link.life.after_episode, self._steps
        self._learner.restore({name: each for name, each in state.arrays.items() if not name.startswith(_NEWEST)})
        for neighbor, facts in state.facts["edges"].items():
            own = f"{_NEWEST}{neighbor}/"
            newest = {name.removeprefix(own): each for name, each in state.arrays.items() if name.startswith(own)}
            self._edges[neighbor].restore(facts, newest)

    def _take_late(self, source: str, key: tuple[int, int], arrays: Arrays) -> list[Command]:
        """Count it, and keep it if the scenario reuses such and it is of a round in which the two exchanged."""
        if self._reuses and source in self._plan.partners(self.name, *key):
            self._check_share(source, arrays)
            self._edges[source].keep_newest(key, arrays)
        if not self._edges[source].note_late(key):
            return []
        return [Report(self._ending(source, key, Fate.LATE, "it came after its round had closed"))]

    def _ending(self, source: str, key: tuple[int, int], fate: Fate, cause: str) -> EndingRecord:
        return EndingRecord(source, self.name, "share", *key, 0, fate, cause)

    def _all_heard(self) -> bool:
        if len(self._shares) == len(self._expected):
            return True
        return bool(self._gone) and self._gone.issuperset(each for each in self._expected if each not in self._shares)

    def _where(self) -> str:
        return f"{self.name} in {self.phase.value} (episode {self._episode})"
