"""What participants report about a run: the rows of its store.

Records go to the observer and nowhere else; no agent ever reads one.
"""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Annotated

import msgspec

from broker.wire.messages import SEQUENCE_LIMIT, MessageKind, Number

_MANY = msgspec.Meta(max_length=1 << 16)
Count = Annotated[int, msgspec.Meta(ge=0, lt=SEQUENCE_LIMIT)]
"""Far beyond any run, and the store can hold the sum of many."""
Text = Annotated[str, _MANY]
"""A name or a sentence, as UTF-8 can hold it."""


@unique
class Fate(StrEnum):
    """How a message ended; its text is what the store holds. Where several apply to a message, the first."""

    DROPPED = "dropped"
    REJECTED = "rejected"
    CORRUPTED = "corrupted"
    DUPLICATED = "duplicated"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    LATE = "late"
    EXPIRED = "expired"


@unique
class EventKind(StrEnum):
    """What an event is about; its text is what the store holds."""

    REJECTED = "rejected"
    """Something that a peer sent was not to be used."""
    REFUSED = "refused"
    """A peer does not let the participant in."""
    MISSING = "missing"
    """An agent's answer was not there in time, and the environment went on."""
    CHECKPOINT = "checkpoint"
    """A checkpoint could not be written."""
    DISCONNECTED = "disconnected"
    """The participant's connection to its broker broke, and it tries again."""
    RECONNECTED = "reconnected"
    """It is connected again."""
    UNDER_WAY_LOST = "under-way-lost"
    """It is connected again, but what was under way to it or from it may be lost."""
    CONTESTED = "contested"
    """Its connections end soon after they began: it seems to run twice."""
    CONNECTION_LOST = "connection-lost"
    """Its broker says that its connection ended without goodbye; it may come back."""
    GONE = "gone"
    """An agent died, and the others go on without it."""
    VANISHED = "vanished"
    """An agent of a task has left it, and no flag says that it has ended."""
    JOINED = "joined"
    """All peers of the participant have answered it; kept of `JoinedRecord`, and said by nobody."""
    NOTE = "note"
    """What the launcher has to say of the run."""


class EpisodeRecord(msgspec.Struct, frozen=True, tag="episode"):
    """One training episode, from the environment.

    Attributes:
        episode: From 0.
        returns: Per agent, the undiscounted return, mean over the parallel copies.
        steps: Environment steps made in it, summed over the copies that were running.
        missing_actions: Actions the environment had to fill in (`noop`, `repeat`).
    """

    episode: Count
    returns: Annotated[tuple[float, ...], _MANY]
    steps: Count
    missing_actions: Count


class RoundRecord(msgspec.Struct, frozen=True, tag="round"):
    """One communication round of one agent.

    Attributes:
        agent: Whose.
        episode: From 0.
        round: From 0 to K - 1.
        partners: Neighbors it was to exchange with.
        heard: Those heard in time.
        losses: By name, such as `gain`, `penalty`, `critic_loss`.
    """

    agent: Text
    episode: Count
    round: Count
    partners: Count
    heard: Count
    losses: Annotated[dict[Text, float], _MANY]


class FaultRecord(msgspec.Struct, frozen=True, tag="fault"):
    """A fault that changed the fate of a message.

    Attributes:
        fault: Its name.
        source: Sender of the message.
        destination: Receiver, where the verdict was carried out.
        kind: Of the message.
        episode: Of the message.
        number: Step or round of the message.
        attempt: Of the message.
        delays_s: The verdict: a delay per delivered copy, empty when the message was lost.
        fate: What this fault did to it: dropped it or a copy of it, delayed, duplicated or corrupted it.
    """

    fault: Text
    source: Text
    destination: Text
    kind: MessageKind
    episode: Number
    number: Number
    attempt: Number
    delays_s: Annotated[tuple[float, ...], _MANY]
    fate: Fate


class DelayRecord(msgspec.Struct, frozen=True, tag="delay"):
    """A message, or a copy of one, that was handed over later than it came.

    Attributes:
        source: Its sender.
        destination: Its receiver.
        kind: Of the message.
        episode: Of the message.
        number: Step or round of the message.
        attempt: Of the message.
        asked_s: What all faults together asked for.
        achieved_s: From when it was received to when it was handed over, on the receiver's clock.
    """

    source: Text
    destination: Text
    kind: MessageKind
    episode: Number
    number: Number
    attempt: Number
    asked_s: float
    achieved_s: float


class EndingRecord(msgspec.Struct, frozen=True, tag="ending"):
    """A message that did not end by being heard in time, as far as no line of a fault says so already.

    Attributes:
        source: Its sender.
        destination: Its receiver, who noticed.
        kind: Of the message.
        episode: Of the message.
        number: Step or round of the message.
        attempt: Of the message.
        fate: Late, rejected or expired.
        cause: Why, a sentence.
    """

    source: Text
    destination: Text
    kind: MessageKind
    episode: Number
    number: Number
    attempt: Number
    fate: Fate
    cause: Text


class EventRecord(msgspec.Struct, frozen=True, tag="event"):
    """Something worth a line: a rejected message, a peer that joined, a peer lost.

    Attributes:
        participant: Who noticed it.
        kind: What it is about.
        peer: The other one concerned, or empty.
        text: One sentence.
    """

    participant: Text
    kind: EventKind
    peer: Text
    text: Text


class EdgeRecord(msgspec.Struct, frozen=True, tag="edge"):
    """Totals of one directed edge, as seen from one of its ends; the other end adds the rest.

    Attributes:
        source: Sender.
        destination: Receiver.
        sent: Messages handed to the transport (Hello not counted), by the sender.
        sent_bytes: Their frames' bytes.
        dropped: Messages the sender gave up because the peer did not read.
        heard: Shares used in their round, by the receiver.
        late: Shares that came after their round had closed.
        missing: Shares not there when their round closed.
        rejected: Frames and messages that failed validation.
        lost: Messages left out when a later one came, by the receiver.
        skipped: Rounds in which the two did not exchange, so that nothing was sent.
    """

    source: Text
    destination: Text
    sent: Count = 0
    sent_bytes: Count = 0
    dropped: Count = 0
    heard: Count = 0
    late: Count = 0
    missing: Count = 0
    rejected: Count = 0
    lost: Count = 0
    skipped: Count = 0


EDGE_COUNTS = EdgeRecord.__struct_fields__[2:]
"""What is counted on an edge; the store has a column for each."""
SENDERS_COUNTS = ("sent", "sent_bytes", "dropped")
"""Those that only the sender can know; the receiver knows the others."""
RECEIVERS_COUNTS = tuple(name for name in EDGE_COUNTS if name not in SENDERS_COUNTS)


class TrafficRecord(msgspec.Struct, frozen=True, tag="traffic"):
    """What one end of an edge has counted so far, in all lives; the final totals come as `EdgeRecord`.

    Attributes:
        edge: Totals that no later record of this kind falls below.
    """

    edge: EdgeRecord


class FaultCount(msgspec.Struct, frozen=True, tag="fault-count"):
    """How often a fault looked at messages of an edge, in its window, and how often it changed their fate.

    Attributes:
        fault: Its name.
        source: Sender of the messages.
        destination: Their receiver.
        examined: Messages it looked at.
        applied: Messages it changed.
        chances: Copies of messages that it could strike: none of a message that was lost already, or met before.
        hits: Copies that it struck.
    """

    fault: Text
    source: Text
    destination: Text
    examined: Count
    applied: Count
    chances: Count = 0
    hits: Count = 0


class FateCount(msgspec.Struct, frozen=True, tag="fate-count"):
    """How the messages of one kind ended on an edge that faults looked at; each is counted once.

    Attributes:
        source: Sender of the messages.
        destination: Their receiver.
        kind: Of the messages.
        delivered: Handed over at once, as they came.
        dropped: Lost.
        delayed: Handed over later.
        duplicated: Handed over in several copies.
        corrupted: Handed over with other content; the participant may still have rejected them.
        rejected: Not handed over, because what a fault had made of them was no message any more.
        expired: Held back until the receiver was gone.
    """

    source: Text
    destination: Text
    kind: MessageKind
    delivered: Count = 0
    dropped: Count = 0
    delayed: Count = 0
    duplicated: Count = 0
    corrupted: Count = 0
    rejected: Count = 0
    expired: Count = 0


class JoinedRecord(msgspec.Struct, frozen=True, tag="joined"):
    """All peers of a participant have answered its HELLO."""

    participant: Text


class PausedRecord(msgspec.Struct, frozen=True, tag="paused"):
    """The environment waits before an episode until it is told to go on; said again and again while it does.

    Attributes:
        episode: Which.
    """

    episode: Count


class ProcessFaultRecord(msgspec.Struct, frozen=True, tag="process-fault"):
    """What was done to a process, or to what it keeps, because the scenario asks for it.

    Attributes:
        fault: Its name.
        occasion: When it was to strike, such as `episode 10` or `second 60`.
        participant: Whom it struck.
        what: What was done, and seen to be done.
    """

    fault: Text
    occasion: Text
    participant: Text
    what: Text


class FinishedRecord(msgspec.Struct, frozen=True, tag="finished"):
    """A participant has done its work.

    Attributes:
        participant: Who.
        weights_digest: SHA-256 over its final parameters, empty for the environment.
    """

    participant: Text
    weights_digest: Text


class ClosingRecord(msgspec.Struct, frozen=True, tag="closing"):
    """A participant begins its last account: its totals, and what its end brought, up to a `ClosedRecord`.

    The whole account may be said again, until the observer lets the participant go: it counts once.

    Attributes:
        participant: Who.
    """

    participant: Text


class ClosedRecord(msgspec.Struct, frozen=True, tag="closed"):
    """The last word of a participant: its account is whole.

    Attributes:
        participant: Who.
        records: How many records its account has, this one and the first not counted.
    """

    participant: Text
    records: Count


class StatusRecord(msgspec.Struct, frozen=True, tag="status"):
    """A participant's working loop is at work.

    Attributes:
        participant: Who.
        phase: What it is doing, such as SHARING.
        waits_for: Whom and what it waits for, as a clause.
    """

    participant: Text
    phase: Text
    waits_for: Text


Record = (
    EpisodeRecord
    | RoundRecord
    | FaultRecord
    | DelayRecord
    | EndingRecord
    | EventRecord
    | EdgeRecord
    | TrafficRecord
    | FaultCount
    | FateCount
    | JoinedRecord
    | StatusRecord
    | PausedRecord
    | ProcessFaultRecord
    | FinishedRecord
    | ClosingRecord
    | ClosedRecord
)

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[Record])


def pack(records: list[Record]) -> bytes:
    """The records as the body of a `Metrics` message."""
    return _ENCODER.encode(records)


def unpack(body: bytes) -> list[Record]:
    """The records in the body of a `Metrics` message.

    Raises:
        msgspec.DecodeError: The body is not a list of records.
    """
    return _DECODER.decode(body)
