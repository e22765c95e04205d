"""An agent of a run, run again alone from its journals: to the same weights, without the others and their faults.

Nothing is waited for: the agent is told the times that it was told then. What it sends goes nowhere, and is compared
with what it sent. The faults of its messages meet them again, as they are part of what the agent was told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent_node.config import AgentConfig
from agent_node.policy_folder import read_document
from broker.arithmetic.version import ARITHMETIC
from broker.errors import CheckpointDamaged, UserError
from broker.participants.checkpoint import FileCheckpoints, State
from broker.participants.life import begin_life
from broker.wire.records import FinishedRecord, Record
from scenarios.replay.journals import LifeJournal, journals_of
from scenarios.replay.replayed_life import ReplayedLife
from scenarios.replay.watched_learner import Goal, Reached, Watch
from scenarios.results.folder import RunFolder, open_run_folder
from scenarios.results.reader import never_begun, read_store

_FROM_THE_BEGINNING = -1


@dataclass
class Replayed:
    """What came of it.

    Attributes:
        agent: Who.
        lives: How many it was led through.
        messages: How many it was given.
        sent: How many of those that it sent were compared with the run's.
        rounds: How many have closed.
        parted: Where it first sent something else than in the run, as a clause; empty if nowhere.
        failure: What ended its work; empty if nothing did.
        reached: The goal, if it was reached.
        closed: Whether its last journal ends in order.
        digest: SHA-256 of its weights at the end, or after `after_episode`; empty if it came to neither.
        recorded_digest: The same, as the run left it; None where the run left none.
        after_episode: After which episode these are its weights; None for the end.
        arithmetic: Of the run.
    """

    agent: str
    lives: int = 0
    messages: int = 0
    sent: int = 0
    rounds: int = 0
    parted: str = ""
    failure: str = ""
    reached: Reached | None = None
    closed: bool = False
    digest: str = ""
    recorded_digest: str | None = None
    after_episode: int | None = None
    arithmetic: int = ARITHMETIC

    @property
    def same(self) -> bool:
        """Whether all that could be compared is as in the run."""
        compared = self.reached is None and self.recorded_digest is not None
        return not self.parted and (not compared or self.digest == self.recorded_digest)


@dataclass
class _KeptStates:
    """What an agent keeps for its next life, in memory: of the episodes after which one begins alone."""

    of: frozenset[int]
    saved: FileCheckpoints
    states: dict[int, State] = field(default_factory=dict)

    def write(self, episode: int, state: State) -> None:
        if episode in self.of:
            self.states[episode] = state

    def read(self, episode: int) -> State:
        if episode in self.states:
            return self.states[episode]
        return self.saved.read(episode)

    def intact(self) -> set[int]:
        return set(self.states)

    def prune(self, keep_from: int) -> None:
        """Few are kept."""

    def forget_after(self, episode: int) -> None:
        self.states = {each: state for each, state in self.states.items() if each <= episode}

    def newest(self, count: int) -> list[int]:
        return sorted(self.states)[-count:]


def replay(root: Path, name: str, goal: Goal | None = None, pause: Callable[[], None] | None = None) -> Replayed:
    """Run an agent of a run again, alone.

    Args:
        root: The run's folder.
        name: The agent's id, or what its environment calls it.
        goal: The round to which to go; None: to the end.
        pause: Lets somebody look in before the goal, or the first round, closes.

    Raises:
        UserError: There is no such agent, it kept no journal, or no journal leads to where a life of it began.
    """
    folder = open_run_folder(root)
    agent = _agent(folder, name)
    lives = [(each, _config(folder, each)) for each in journals_of(folder, agent)]
    told = [(each, config) for each, config in lives if config is not None]
    if not told:
        msg = f"the journal of {agent} ends before anything happened: {lives[0][0].path}"
        raise UserError(msg)
    _require_goal(told[-1][1], goal, pause)
    with read_store(folder.store) as store:
        begun = store.begun()
    together = begun is not None and begun.substrate == "simulate"
    return _Replay(folder, agent, told, goal, pause, together=together).lead_lives()


class _Replay:
    """All lives of an agent, one after the other."""

    def __init__(
        self,
        folder: RunFolder,
        agent: str,
        lives: Sequence[tuple[LifeJournal, AgentConfig]],
        goal: Goal | None,
        pause: Callable[[], None] | None,
        *,
        together: bool,
    ) -> None:
        self._lives, self._goal, self._together = lives, goal, together
        found = _recorded_weights(folder, agent)
        self._found = Replayed(agent, arithmetic=lives[-1][0].opened.arithmetic)
        self._found.after_episode, self._found.recorded_digest = found or (None, None)
        of = frozenset(() if found is None else (found[0],))
        self._watch = Watch(goal or (Goal(0, 0) if pause else None), ends=goal is not None, pause=pause, of=of)
        begun_after = frozenset(config.link.life.after_episode for _, config in lives)
        self._kept = _KeptStates(begun_after - {_FROM_THE_BEGINNING}, FileCheckpoints(folder.checkpoints / agent))

    def lead_lives(self) -> Replayed:
        found = self._found
        for journal, config in self._lives:
            life = self._lead(journal, config)
            found.lives += 1
            found.messages += life.messages
            found.sent += life.sent
            found.closed = life.closed
            found.reached = life.reached
            found.failure = "" if life.failure is None else str(life.failure)
            if life.parted:
                found.parted = life.parted
            if life.parted or life.reached:
                break
        found.rounds = self._watch.rounds
        if found.after_episode is not None:
            found.digest = self._watch.digests.get(found.after_episode, found.digest)
        return found

    def _lead(self, journal: LifeJournal, config: AgentConfig) -> ReplayedLife:
        after = config.link.life.after_episode
        self._kept.forget_after(after)
        try:
            kept = self._kept if self._kept.of else None
            life, state = begin_life(config.link.life, kept, together=self._together)
        except CheckpointDamaged:
            msg = (
                f"cannot replay life {journal.incarnation} of {journal.participant}: it goes on after episode {after}, "
                "and neither the journals of its lives before nor a checkpoint lead there"
            )
            raise UserError(msg) from None
        led = ReplayedLife(config, life, state, self._watch, self._observe)
        led.lead(journal.entries())
        return led

    def _observe(self, records: list[Record]) -> None:
        for record in records:
            if type(record) is FinishedRecord:
                self._found.digest = record.weights_digest


def _agent(folder: RunFolder, name: str) -> str:
    with read_store(folder.store) as store:
        names = store.agent_names().by_id
    for agent, other in names.items():
        if name in (agent, other):
            return agent
    if not names:
        raise never_begun(folder.root)
    msg = f"expected an agent of {folder.root}, one of {', '.join(names)}; found {name!r}"
    raise UserError(msg)


def _config(folder: RunFolder, journal: LifeJournal) -> AgentConfig | None:
    """What the agent was told, with the run's own copy of the policy that it began with, and without its checkpoints.

    Raises:
        UserError: Another version told it.
    """
    config = journal.told(AgentConfig)
    if config is None:
        return None
    life = config.link.life.model_copy(update={"checkpoints": None})  # those of the run stay as they are
    config = config.model_copy(update={"link": config.link.model_copy(update={"life": life})})
    if config.initial_policy is not None and folder.initial_policy.is_dir():
        begun_with = config.initial_policy.model_copy(update={"path": folder.initial_policy})
        config = config.model_copy(update={"initial_policy": begun_with})
    return config


def _require_goal(config: AgentConfig, goal: Goal | None, pause: Callable[[], None] | None) -> None:
    """See that the run can come to the goal.

    Raises:
        UserError: It cannot.
    """
    if (goal is not None or pause is not None) and not config.rounds:
        msg = f"{config.link.name} acted and never learned in this run: it has no round to go to"
        raise UserError(msg)
    if goal is not None and (goal.episode >= config.episodes or (goal.round or 0) >= config.rounds):
        msg = (
            f"expected an episode below {config.episodes} and a round below {config.rounds}, found "
            f"{goal.episode}{'' if goal.round is None else f'/{goal.round}'}"
        )
        raise UserError(msg)


def _recorded_weights(folder: RunFolder, agent: str) -> tuple[int, str] | None:
    """After which episode the run kept the agent's weights, and SHA-256 of them."""
    if not folder.policy.is_dir():
        return None
    learned = read_document(folder.policy)[0].agents[agent]
    if learned.after_episode is None or learned.weights_digest is None:
        return None
    return learned.after_episode, learned.weights_digest
