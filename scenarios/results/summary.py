"""What came of a run, in numbers, from the records of its participants."""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import numpy as np

from broker.arithmetic.chosen import kernels
from broker.arithmetic.sums import mean, total
from broker.arithmetic.version import ARITHMETIC
from broker.config import Model
from broker.errors import UserError
from broker.files import write_whole
from broker.wire.records import EpisodeRecord, EventKind, EventRecord, FinishedRecord, Record, RoundRecord
from scenarios.results.edge_account import account_edges
from scenarios.results.reader import RunReader, read_store


class Summary(Model):
    """`summary.json`. Returns are undiscounted sums over an episode, means over its parallel copies.

    First and last are means over the first and last tenth of the episodes; team is the sum over agents. Agents stand
    here by their ids; `agent_names` has what the environment calls them, their ids where it has no names. Shares and
    what was dropped are those between agents; rejected and lost are counted on all edges. Rounds are those that anybody
    closed. Of an agent that died on the way `shares_sent` has what it had told, or what became of its shares where that
    is more; `edge_bytes` is None where it had not told the bytes of all of them. `arithmetic` is the version of what
    was computed, `kernels` names what computed where they were written, which changes none of the numbers. `wall_s` are
    the seconds from the beginning of the last life to its end, and `env_steps_per_s` the steps that were played in it
    by these; `env_steps` are those of all episodes. `processor_s` are the seconds that the process which led the run,
    and those it had waited for, computed, in all lives. `weights_digest` is of what all agents had learned that did not
    die on the way; None where one of these is not through with the run.
    """

    scenario: str
    seed: int
    substrate: str
    complete: bool
    episodes: int
    env_steps: int
    team_return_first: float | None
    team_return_last: float | None
    per_agent_return_last: dict[str, float]
    agent_names: dict[str, str]
    rounds: int
    shares_sent: int
    shares_heard: int
    shares_late: int
    shares_missing: int
    rejected: int
    dropped: int
    lost: int = 0  # older runs did not count it
    missing_actions: int
    faults_applied: int
    edge_bytes: int | None
    env_steps_per_s: float
    wall_s: float
    processor_s: float = 0.0  # older runs did not count it
    arithmetic: int = 0  # older runs did not say it
    kernels: str = ""
    curve_digest: str
    weights_digest: str | None
    ledger_digest: str

    def write(self, path: Path) -> None:
        """Write it as JSON.

        Raises:
            UserError: It cannot be written.
        """
        try:
            write_whole(path, (json.dumps(self.model_dump(), indent=2) + "\n").encode())
        except OSError as error:
            msg = f"cannot write the run's summary to {path}: {error.strerror}"
            raise UserError(msg) from None


class RunTotals:
    """Adds up the records of a run.

    Attributes:
        recorded: Number of episodes, from the first, of which all is recorded.
        rounds: Number of communication rounds that anybody has closed.
        gone: Agents that died and are not replaced.

    Args:
        agents: Their ids, in the order of an episode's returns.
        rounds: Communication rounds of an episode.
    """

    def __init__(self, agents: tuple[str, ...], rounds: int) -> None:
        self.agents = agents
        self.returns: list[tuple[float, ...]] = []
        self.env_steps = self._steps_before = 0
        self.missing_actions = 0
        self.rounds = 0
        self.heard = self.missing = 0
        self.weights: dict[str, str] = {}
        self.recorded = 0
        self._rounds = rounds
        self._rounds_of: defaultdict[int, Counter[str]] = defaultdict(Counter)
        self._closed_in: dict[int, int] = {}
        self._next: dict[str, int] = {}
        self._through: set[str] = set()
        self.gone: dict[str, None] = {}

    def add(self, records: Iterable[Record]) -> None:
        """Take records in."""
        for record in records:
            match record:
                case EpisodeRecord():
                    self.returns.append(record.returns)
                    self.env_steps += record.steps
                    self.missing_actions += record.missing_actions
                case RoundRecord():
                    self._add_round(record.agent, record.episode, record.partners, record.heard)
                case FinishedRecord() if record.weights_digest:
                    self.weights[record.participant] = record.weights_digest
                    self._note_through(record.participant, sys.maxsize)
                case EventRecord(kind=EventKind.GONE):
                    self.gone[record.peer] = None

        while self._is_whole(self.recorded):
            self._rounds_of.pop(self.recorded, None)
            self.recorded += 1
            self._through = {agent for agent, following in self._next.items() if following > self.recorded}

    def recall(self, store: RunReader, after_episode: int | None = None) -> None:
        """Take in what earlier lives have recorded.

        Args:
            store: Where.
            after_episode: Where the next life begins, to which agents that died later are alive; None: none begins.
        """
        returns: defaultdict[int, dict[str, float]] = defaultdict(dict)
        counts = {}
        for row in store.episodes():
            if after_episode is not None and row.episode > after_episode:
                continue
            returns[row.episode][row.agent] = row.value
            counts[row.episode] = (row.steps, row.missing_actions)
        for episode in sorted(returns):
            own = tuple(returns[episode][agent] for agent in self.agents)
            self.add([EpisodeRecord(episode, own, *counts[episode])])
        self._steps_before = self.env_steps
        self.gone |= {
            agent: None
            for agent, before in store.deaths().items()
            if after_episode is None or before <= after_episode + 1
        }
        for found in store.rounds():
            if after_episode is None or found.episode <= after_episode:
                self._add_round(found.agent, found.episode, found.partners, found.heard)
        for agent in self.agents:  # of one that begins another life it is known what it knew then
            self._note_through(agent, 0 if after_episode is None else after_episode + 1)
        if after_episode is None:
            self.add(FinishedRecord(agent, digest) for agent, digest in store.finished().items())

    @property
    def _all_through(self) -> bool:
        """Whether everybody who lives has said what it has learned in all."""
        return {*self.weights, *self.gone}.issuperset(self.agents)

    def _is_whole(self, episode: int) -> bool:
        if episode >= len(self.returns):
            return False
        if not self._rounds:
            return True
        if len(self._through) < len(self.agents) - len(self.gone):
            return False  # most records are not the last of an episode: to look at every agent at each would square
        return all(agent in self._through for agent in self.agents if agent not in self.gone)

    def _note_through(self, agent: str, following: int) -> None:
        """Nothing more comes of an agent's episodes before this one."""
        self._next[agent] = max(following, self._next.get(agent, 0))
        if self._next[agent] > self.recorded:
            self._through.add(agent)

    def _add_round(self, agent: str, episode: int, partners: int, heard: int) -> None:
        self._rounds_of[episode][agent] += 1
        closed = self._rounds_of[episode][agent]
        if closed > self._closed_in.get(episode, 0):
            self._closed_in[episode] = closed
            self.rounds += 1
        self._note_through(agent, episode + (closed == self._rounds))  # it may have missed the end of episodes before
        self.heard += heard
        self.missing += partners - heard

    def summary(
        self, scenario: str, seed: int, episodes: int, *, substrate: str, wall_s: float, store: Path
    ) -> Summary:
        """The summary so far.

        Args:
            scenario: Its name.
            seed: Its seed.
            episodes: How many there were to be.
            substrate: `simulate` or `run`.
            wall_s: Seconds that the last life took; what was recalled was played before it.
            store: The run's store, for the ledger, the account of the edges and what agents are called.
        """
        returns = np.array(self.returns, np.float64).reshape(len(self.returns), len(self.agents))
        tenth, team = max(1, len(returns) // 10), total(returns, axis=1)
        with read_store(store) as reader:
            names, lives, account = dict(reader.agent_names().by_id), reader.lives(), account_edges(reader)
            faults, ledger_digest = _ledger(reader)
        last = mean(returns[-tenth:]).tolist() if len(returns) else []
        return Summary(
            scenario=scenario,
            seed=seed,
            substrate=substrate,
            complete=len(returns) == episodes and self._all_through,
            episodes=len(returns),
            env_steps=self.env_steps,
            team_return_first=float(mean(team[:tenth])) if len(returns) else None,
            team_return_last=float(mean(team[-tenth:])) if len(returns) else None,
            per_agent_return_last=dict(zip(self.agents, last, strict=False)),
            agent_names=names,
            rounds=self.rounds,
            shares_sent=account.shares.sent,
            shares_heard=self.heard,
            shares_late=account.shares.late,
            shares_missing=self.missing,
            rejected=account.rejected,
            dropped=account.shares.dropped,
            lost=account.lost,
            missing_actions=self.missing_actions,
            faults_applied=faults,
            edge_bytes=account.shares.sent_bytes,
            env_steps_per_s=(self.env_steps - self._steps_before) / wall_s if wall_s > 0 else 0.0,
            wall_s=wall_s,
            processor_s=sum(life.processor_s for life in lives),
            arithmetic=ARITHMETIC,
            kernels=kernels.name,
            curve_digest=sha256(returns.astype("<f8").tobytes()).hexdigest(),
            weights_digest=_joint_digest(self.weights) if self._all_through else None,
            ledger_digest=ledger_digest,
        )


def _joint_digest(weights: dict[str, str]) -> str:
    return sha256("\n".join(f"{agent} {weights[agent]}" for agent in sorted(weights)).encode()).hexdigest()


def _ledger(reader: RunReader) -> tuple[int, str]:
    """Number of lines of the fault ledger, and SHA-256 over them in an order that does not depend on time."""
    digest, lines = sha256(), 0
    for row in reader.faults():
        digest.update(json.dumps(row[:-1]).encode())  # all but its fate
        lines += 1
    return lines, digest.hexdigest()
