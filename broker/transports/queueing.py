"""What transports share that hand frames on: what is not taken now waits, in a queue of its edge that has an end."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from broker.transports.transport import FrameTransport, Traffic
from broker.wire.codec import Codec
from broker.wire.messages import OBSERVER, Envelope, Hello, Message

if TYPE_CHECKING:
    from broker.config import TransportConfig


class OutEdge:
    """The way to one peer.

    Attributes:
        traffic: What is counted of the peer.
        waiting: Frames that could not leave so far, oldest first, each with the type of its message.

    Args:
        limit: How many frames may wait.
        traffic: As above.
    """

    def __init__(self, limit: int, traffic: Traffic) -> None:
        self.traffic = traffic
        self.waiting: deque[tuple[bytes, type[Message]]] = deque()
        self._limit = limit

    def keep(self, frame: bytes, kind: type[Message]) -> bool:
        """Keep a frame for later; False when the queue is full, and then it is counted as dropped."""
        if len(self.waiting) >= self._limit:
            self.traffic.dropped += 1
            return False
        self.waiting.append((frame, kind))
        return True

    def take_back(self, size_bytes: int) -> None:
        """Count a message as dropped that was counted as sent."""
        self.traffic.dropped += 1
        self.traffic.sent -= 1
        self.traffic.sent_bytes -= size_bytes

    def give_up(self) -> None:
        """Keep nothing any more, and count it as dropped."""
        for frame, _ in self.waiting:
            self.take_back(len(frame))
        self.waiting.clear()


EdgeT = TypeVar("EdgeT", bound=OutEdge)


class QueueingTransport(FrameTransport, Generic[EdgeT]):
    """A transport with out-edges; a subclass fills `_edges` and says how a frame leaves.

    A HELLO that cannot leave now does not wait: it is repeated.

    Args:
        name: The participant.
        codec: Allows this participant's in-edges.
    """

    def __init__(self, name: str, codec: Codec) -> None:
        super().__init__(name, codec)
        self._edges: Mapping[str, EdgeT] = {}
        self._stuck: list[EdgeT] = []

    def send_all(self, envelopes: Sequence[Envelope]) -> None:
        """Hand over envelopes; all are encoded first, so that they leave together. See `Transport.send_all`."""
        codec, edges = self.codec, self._edges
        for envelope, frame in zip(envelopes, list(map(codec.write, envelopes)), strict=True):
            if len(frame) > codec.max_bytes:
                raise codec.too_long(frame)
            edge, message = edges[envelope.destination], envelope.message
            left = not edge.waiting and self._leave(edge, frame, type(message))
            if (left or self._put_off(edge, frame, message)) and message.numbered:
                traffic = edge.traffic
                traffic.sent += 1
                traffic.sent_bytes += len(frame)

    def queued(self) -> dict[str, int]:
        """By peer, messages that wait to leave, where any do."""
        return {peer: len(edge.waiting) for peer, edge in self._edges.items() if edge.waiting}

    def forget(self, peer: str) -> None:
        """Give up what waits for a peer."""
        self._edges[peer].give_up()
        self._stuck = [edge for edge in self._stuck if edge.waiting]

    @abstractmethod
    def _leave(self, edge: EdgeT, frame: bytes, kind: type[Message]) -> bool:
        """Hand on a frame, of a message of this type; False if it is not taken now."""

    def _hello_refused(self, edge: EdgeT, hello: Hello) -> None:
        """A HELLO could not leave on an edge."""

    def _put_off(self, edge: EdgeT, frame: bytes, message: Message) -> bool:
        """Queue a frame that could not leave; False if it is not."""
        if type(message) is Hello:
            self._hello_refused(edge, message)
            return False
        if not edge.keep(frame, type(message)):
            return False
        if edge not in self._stuck:
            self._stuck.append(edge)
        return True

    def _flush_stuck(self) -> None:
        """Hand on what waits, as far as it is taken."""
        for edge in self._stuck:
            while edge.waiting and self._leave(edge, *edge.waiting[0]):
                edge.waiting.popleft()
        self._stuck = [edge for edge in self._stuck if edge.waiting]


def limit_of(config: TransportConfig, peer: str) -> int:
    """How many messages may wait for a peer."""
    return config.observer_queue_messages if peer == OBSERVER else config.queue_messages
