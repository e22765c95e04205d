"""One life of an agent, led again from its journal: same calls, same times, same messages."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from agent_node.build import make_agent
from agent_node.config import AgentConfig
from broker.driving.connect import make_judge, refitted
from broker.driving.driver import Driver
from broker.errors import ForetellError
from broker.participants.checkpoint import State
from broker.participants.life import ParticipantLife
from broker.participants.link import LinkConfig
from broker.transports.faulty import FaultyTransport
from broker.transports.journal import Closed, Entry, Polled, Sent, Turn
from broker.transports.transport import Transport
from broker.wire.codec import Codec, read_written
from broker.wire.known_edges import edge_prefix
from broker.wire.messages import OBSERVER, Envelope
from broker.wire.records import Record
from scenarios.replay.differences import called, difference
from scenarios.replay.watched_learner import Reached, Watch, WatchedLearner


class RecordedTransport(Transport):
    """Gives what stands in a journal, and keeps what is sent.

    Attributes:
        arrived: What the next poll gives.
        sent: Frames that were sent and not compared yet.

    Args:
        name: The participant.
        codec: Writes frames.
    """

    def __init__(self, name: str, codec: Codec) -> None:
        super().__init__(name)
        self.arrived: list[Envelope] = []
        self.sent: deque[bytes] = deque()
        self._write = codec.write

    def send_all(self, envelopes: Sequence[Envelope]) -> None:
        """Keep their frames."""
        self.sent.extend(map(self._write, envelopes))

    def poll(self, now: float) -> list[Envelope]:  # noqa: ARG002 - it is the time that stands in the journal
        """What had arrived."""
        arrived, self.arrived = self.arrived, []
        return arrived

    def wait(self, timeout_s: float | None, awaited: int = 1) -> None:
        """Nobody waits in a replay."""

    def close(self, linger_s: float) -> None:
        """Nothing to release."""


def recorded_way(link: LinkConfig) -> tuple[RecordedTransport, Transport]:
    """What a participant has instead of its sockets, and the same behind the faults of its messages."""
    recorded = RecordedTransport(link.name, Codec(link.run, link.transport.max_message_bytes))
    if not link.faults:
        return recorded, recorded
    return recorded, FaultyTransport(recorded, make_judge(link, link.faults))


class ReplayedLife:
    """An agent in one life.

    Attributes:
        messages: How many it has been given.
        sent: How many it has sent.
        parted: Where it first sent something else than in the run, as a clause; empty if nowhere.
        failure: What ended the work, as it may have ended it in the run; None if nothing did.
        reached: The round to which it was to go, once it has closed.
        closed: Whether the journal ends in order.

    Args:
        config: What the agent was told.
        life: Which one, and what it keeps for the next.
        state: What it began with, or None.
        watch: What is looked at.
        observe: Takes its records.
    """

    def __init__(
        self,
        config: AgentConfig,
        life: ParticipantLife,
        state: State | None,
        watch: Watch,
        observe: Callable[[list[Record]], None],
    ) -> None:
        link = config.link
        self.messages = self.sent = 0
        self.parted = ""
        self.failure: ForetellError | None = None
        self.reached: Reached | None = None
        self.closed = False
        self._recorded, transport = recorded_way(link)
        agent = make_agent(config, state, partial(WatchedLearner, watch=watch))
        self._driver = Driver(link.run, agent, transport, observe, life, refit=partial(refitted, link))
        self._life = life
        self._to_observer = edge_prefix(link.run, link.name, OBSERVER)

    def lead(self, entries: Iterable[Entry]) -> None:
        """Do what stands in the journal, to its end or until the goal is reached or the work cannot go on."""
        try:
            for entry in entries:
                self._take(entry)
        except Reached as reached:
            self.reached = reached
        except ForetellError as failure:
            self.failure = failure
        self._life.leave()

    def _take(self, entry: Entry) -> None:
        if type(entry) is Polled:
            self.messages += len(entry.frames)
            self._recorded.arrived = list(map(read_written, entry.frames))
            self._driver.deliver(entry.now_s)
        elif type(entry) is Sent:
            self._compare(entry.frame)
        elif type(entry) is Turn and entry.call == "start":
            self._driver.start(entry.now_s)
        elif type(entry) is Turn and entry.call == "expire":
            self._driver.expire(entry.now_s)
        elif type(entry) is Closed:
            self.closed = True
            if self._recorded.sent and not self.parted:
                more = read_written(self._recorded.sent[0])
                self.parted = f"{called(more.source, more.destination, more.message)} was sent here, and not in the run"

    def _compare(self, frame: bytes) -> None:
        """See whether what was sent in the run was sent here."""
        if self.parted or frame.startswith(self._to_observer):
            return
        recorded = read_written(frame)
        name = called(recorded.source, recorded.destination, recorded.message)
        if not self._recorded.sent:
            self.parted = f"{name} was sent in the run, and not here"
            return
        self.sent += 1
        again = self._recorded.sent.popleft()
        if again == frame:
            return
        other = read_written(again)
        said = difference(recorded, other) if recorded.destination == other.destination else ""
        instead = called(other.source, other.destination, other.message)
        self.parted = f"{name} differs in {said}" if said and instead == name else f"{name} was {instead} here"
