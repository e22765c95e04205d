"""What a run's store answers, where a row is not one of the records that participants send."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeVar

from broker.wire.records import ProcessFaultRecord

CRASHED, GONE, NONE_TO_LOSE = "killed with -9", "was gone already", "had no checkpoint to lose"
"""What is said of a fault of a process when it strikes."""
NOTHING_DONE = (GONE, NONE_TO_LOSE)
"""It came to somebody to whom it could do nothing."""


class EpisodeRow(NamedTuple):
    """One agent's return in one episode.

    Attributes:
        episode: From 0.
        agent: Whose.
        value: Its return: undiscounted, mean over the parallel copies.
        steps: Environment steps made in the episode, summed over its copies.
        missing_actions: Actions that the environment filled in, of all agents.
    """

    episode: int
    agent: str
    value: float
    steps: int
    missing_actions: int


class RoundRow(NamedTuple):
    """One communication round of one agent.

    Attributes:
        episode: From 0.
        round: From 0 to K - 1.
        agent: Whose.
        partners: Neighbors it was to exchange with.
        heard: Those heard in time.
        losses: By name, as JSON.
    """

    episode: int
    round: int
    agent: str
    partners: int
    heard: int
    losses: str


class FaultRow(NamedTuple):
    """A fault that changed the fate of a message; fields as in `FaultRecord`, the delays as JSON."""

    fault: str
    source: str
    destination: str
    kind: str
    episode: int
    number: int
    attempt: int
    delays_s: str
    fate: str


class FateRow(NamedTuple):
    """What became of a message.

    Attributes:
        episode: Of the message.
        kind: Of the message.
        number: Its step or round.
        attempt: Of the message.
        source: Its sender.
        destination: Its receiver.
        fate: What became of it.
        fault: Which fault was to blame; empty where none was.
        delays_s: What the fault decided, as JSON; empty where none was.
    """

    episode: int
    kind: str
    number: int
    attempt: int
    source: str
    destination: str
    fate: str
    fault: str
    delays_s: str


class EdgeFates(NamedTuple):
    """How the messages of all kinds ended on an edge that faults looked at; fields as in `FateCount`."""

    source: str
    destination: str
    delivered: int
    dropped: int
    delayed: int
    duplicated: int
    corrupted: int
    rejected: int
    expired: int


class EdgeDeeds(NamedTuple):
    """What faults did to the messages of an edge; to one of them they may have done several things.

    Attributes:
        source: Their sender.
        destination: Their receiver.
        dropped: Messages that were lost in all their copies.
        corrupted: Messages whose content was changed.
        duplicated: Messages of which there was more than one copy.
        delayed: Messages of which the first copy was held back.
    """

    source: str
    destination: str
    dropped: int
    corrupted: int
    duplicated: int
    delayed: int


class EndingCount(NamedTuple):
    """How often messages of an edge ended in one way.

    Attributes:
        source: Their sender.
        destination: Their receiver.
        fate: `late`, `rejected` or `expired`.
        lines: How often that was noticed.
        messages: How many messages it was.
    """

    source: str
    destination: str
    fate: str
    lines: int
    messages: int


class CauseCount(NamedTuple):
    """What was to blame for one fate of one kind of message.

    Attributes:
        kind: Of the messages.
        fate: What became of them.
        often: Lines of the ledger.
        causes: How many different causes these lines name.
        example: One of them.
    """

    kind: str
    fate: str
    often: int
    causes: int
    example: str


class StrikeRow(NamedTuple):
    """Something that was done to a process.

    Attributes:
        fault: As in `ProcessFaultRecord`.
        occasion: As there.
        participant: As there.
        what: As there.
        date_s: When, in seconds since 1970.
        after_episode: The last episode that was recorded before; -1 for none.
    """

    fault: str
    occasion: str
    participant: str
    what: str
    date_s: float
    after_episode: int


class EventRow(NamedTuple):
    """Something worth a sentence.

    Attributes:
        row: Its number in the table; later ones have greater numbers.
        participant: Who noticed it.
        kind: What it is about, as in `EventKind`.
        peer: The other one concerned, or empty.
        text: One sentence; may be empty.
        date_s: When, in seconds since 1970.
        after_episode: The last episode that was recorded before; -1 for none.
    """

    row: int
    participant: str
    kind: str
    peer: str
    text: str
    date_s: float
    after_episode: int


class TeamReturn(NamedTuple):
    """What all agents earned together in one episode.

    Attributes:
        row: Of the last of them in the table.
        episode: From 0.
        value: Sum over agents of their returns.
    """

    row: int
    episode: int
    value: float


class EdgeDelays(NamedTuple):
    """How messages of an edge were held back.

    Attributes:
        source: Their sender.
        destination: Their receiver.
        copies: How many copies of messages were.
        sum_s: For how long in all.
        longest_s: For how long at most.
    """

    source: str
    destination: str
    copies: int
    sum_s: float
    longest_s: float


class EdgeChanges(NamedTuple):
    """How often a fault changed the fate of messages of an edge.

    Attributes:
        fault: Its name.
        source: Their sender.
        destination: Their receiver.
        messages: Lines of the ledger.
    """

    fault: str
    source: str
    destination: str
    messages: int


class LiveFault(NamedTuple):
    """A fault that was added to a run, or ended, while it went on.

    Attributes:
        name: It.
        document: Its settings as JSON; None for one of the scenario.
        added_after: The last episode before it; None for one of the scenario.
        healed_after: The last episode with it; None while it is in force.
    """

    name: str
    document: str | None
    added_after: int | None
    healed_after: int | None


class DocumentRow(NamedTuple):
    """Which document a run was begun with.

    Attributes:
        digest: `Scenario.digest` of it.
        episodes: How many there are to be.
        substrate: On what it runs: `simulate` or `run`.
        arithmetic: Version of the arithmetic that it computes with.
    """

    digest: str
    episodes: int
    substrate: str
    arithmetic: int


class LifeRow(NamedTuple):
    """One life of all participants.

    Attributes:
        incarnation: From 0.
        after_episode: The episode after which it began; -1 at the beginning.
        why: What ended the life before; empty where the run was resumed.
        date_s: When it began, in seconds since 1970.
        processor_s: Seconds that the process which led it, and those it had waited for, computed in it.
    """

    incarnation: int
    after_episode: int
    why: str
    date_s: float
    processor_s: float


class StatusRow(NamedTuple):
    """What a participant last said it waits for.

    Attributes:
        participant: Who.
        phase: What it was doing, such as SHARING.
        waits_for: Whom and what, as a clause.
        since: When it first said so, in seconds of the monotonic clock of the host it runs on.
        seen: When it last said so.
    """

    participant: str
    phase: str
    waits_for: str
    since: float
    seen: float


StrikeT = TypeVar("StrikeT", "ProcessFaultRecord", "StrikeRow")


def struck(strikes: Iterable[StrikeT]) -> list[StrikeT]:
    """The faults of processes that did anything."""
    return [strike for strike in strikes if strike.what not in NOTHING_DONE]
