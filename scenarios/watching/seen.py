"""What is to be seen of a run at a moment: plain values, for whoever draws them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, unique
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenarios.document.agent_names import AgentNames
from scenarios.document.scenario import Scenario
from scenarios.reports.references import References
from scenarios.results.edge_account import EdgeAccount, SharesAccount
from scenarios.results.evaluation import TrainingEvaluations
from scenarios.results.summary import Summary


@unique
class RunState(StrEnum):
    """Whether a run goes on."""

    GOES_ON = "goes on"
    COMPLETE = "complete"
    STOPPED = "stopped"
    """It was interrupted or killed, and can be resumed."""


@unique
class Health(StrEnum):
    """How shares came over an edge lately; where several apply, the last."""

    QUIET = "quiet"
    """None was expected."""
    HEARD = "heard"
    """All came in time, or all but a rare one."""
    LATE = "late"
    """Some came after their round had closed."""
    MISSING = "missing"
    """Some did not come."""
    REJECTED = "rejected"
    """Some were not to be used."""
    CUT = "cut"
    """None came."""


@unique
class HappeningKind(StrEnum):
    """What a happening is about."""

    LIFE = "life"
    """All participants begin anew after a death, or when the run is resumed."""
    JOINED = "joined"
    DEATH = "death"
    """An agent died, and the others go on without it."""
    STRIKE = "strike"
    """A fault of the scenario, or of a user, did something to a process."""
    FAULT_ADDED = "fault added"
    FAULT_HEALED = "fault healed"
    CONNECTION = "connection"
    """A connection to a broker broke, or is there again."""
    TROUBLE = "trouble"
    """Something else that a user may want to know."""


@dataclass(frozen=True)
class Happening:
    """Something that happened once.

    Attributes:
        kind: What it is about.
        after_episode: The last episode before it; -1 for none.
        who: Participants it is about; empty for all or none.
        text: A sentence, with ids.
        date_s: When, in seconds since 1970; None where nobody knows.
    """

    kind: HappeningKind
    after_episode: int
    who: tuple[str, ...]
    text: str
    date_s: float | None


@dataclass(frozen=True)
class ParticipantSeen:
    """The environment or an agent.

    Attributes:
        participant: Its id.
        phase: What it does, such as SHARING; empty before its first sign of life.
        waits_for: Whom and what it waits for, a sentence with ids; empty before its first sign.
        awaited: Ids of those that the sentence names.
        waits_s: For how long it has said so, in seconds.
        silent_s: Seconds since its last sign of life; one comes every second. None before the first.
        host: Where it lives; empty where it lives on this host, or nobody knows.
        deaths: How often a death of it ended a life of the run.
        gone: Whether it died and the others go on without it.
    """

    participant: str
    phase: str
    waits_for: str
    awaited: tuple[str, ...]
    waits_s: float
    silent_s: float | None
    host: str
    deaths: int
    gone: bool


@dataclass(frozen=True)
class AgentSeen(ParticipantSeen):
    """An agent.

    Attributes:
        name: What its environment calls it; its id where that has no names.
        episode: Of its newest round; -1 before the first.
        round: Its newest round in that episode; -1 before the first.
        partners: Neighbors it was to exchange with in that round.
        heard: Those of them that it heard in time.
        value: Its return in the newest episode; None before the first.
        mean: Mean of its returns in the newest episodes, at most 20; None before the first.
    """

    name: str
    episode: int
    round: int
    partners: int
    heard: int
    value: float | None
    mean: float | None


@dataclass(frozen=True)
class EdgeSeen:
    """A directed edge between two agents, or between an agent and the environment.

    Attributes:
        total: What was counted since the run began.
        recent: The same since a few seconds ago; of a run that does not go on: all.
        recent_s: How many seconds that is; 0 where nobody knows.
        health: How shares came in that time.
        held: Copies of messages that faults held back.
        delay_s: Mean time for which they were; None for none.
        longest_delay_s: For how long at most; None for none.
    """

    total: EdgeAccount
    recent: EdgeAccount
    recent_s: float
    health: Health
    held: int
    delay_s: float | None
    longest_delay_s: float | None

    @property
    def source(self) -> str:
        """Id of the sender."""
        return self.total.source

    @property
    def destination(self) -> str:
        """Id of the receiver."""
        return self.total.destination


@dataclass(frozen=True)
class FaultSeen:
    """A fault of the scenario, or one that was added while the run went on.

    Attributes:
        name: What the ledger calls it.
        kind: Such as drop or partition.
        settings: What its document says beyond defaults, without name and kind.
        is_added: Whether it was added while the run went on.
        of_processes: Whether it strikes processes, and not messages.
        added_after: The last episode before it was added; None for one of the scenario.
        healed_after: The last episode with it; None while nobody healed it.
        in_force: Whether it may strike in the episode that is played now.
        edges: The edges whose messages it looks at, (source, destination) by ids.
        participants: The participants that it may strike.
        struck: How often it has: messages changed, or strikes at processes.
        struck_edges: How many messages it has changed, by edge.
    """

    name: str
    kind: str
    settings: Mapping[str, object]
    is_added: bool
    of_processes: bool
    added_after: int | None
    healed_after: int | None
    in_force: bool
    edges: frozenset[tuple[str, str]]
    participants: tuple[str, ...]
    struck: int
    struck_edges: Mapping[tuple[str, str], int]


@dataclass(frozen=True)
class RunSeen:
    """A run at a moment.

    Attributes:
        root: Its folder.
        scenario: Its document, as it was begun.
        played: The same as it was played so far: with what was added or healed while it went on.
        names: What the environment calls the agents.
        substrate: On what it runs: `simulate` or `run`; empty before it has begun.
        state: Whether it goes on.
        version: Greater where anything is new but waits.
        run: Its name, which no other run has.
        life: Number of the life, from 0; where it changes, episodes may have been taken back.
        environment: The environment.
        agents: In agent order.
        edges: All edges that can be used, sorted by source and destination.
        shares: What is known of all shares between agents.
        team: (episodes,) float64, team return of every recorded episode.
        evaluations: Of policies on the way.
        references: What team returns of the task are measured by; None where nothing is known.
        faults: Of the scenario, then those that were added.
        happenings: By episode.
        summary: That of a run that has ended or was interrupted.
    """

    root: Path
    scenario: Scenario
    played: Scenario
    names: AgentNames
    substrate: str
    state: RunState
    version: int
    run: str
    life: int
    environment: ParticipantSeen
    agents: tuple[AgentSeen, ...]
    edges: tuple[EdgeSeen, ...]
    shares: SharesAccount
    team: NDArray[np.float64]
    evaluations: TrainingEvaluations
    references: References | None
    faults: tuple[FaultSeen, ...]
    happenings: tuple[Happening, ...]
    summary: Summary | None
