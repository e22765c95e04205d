"""Memory transport: participants in one process, messages as the frames they would be on a wire.

Frames are written and read as on any other transport, so sizes, limits and refusals are the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from broker.transports.transport import FrameTransport
from broker.wire.codec import Codec
from broker.wire.messages import Envelope


class MemoryNetwork:
    """Where frames wait between the memory transports of one process, in the order in which they were sent."""

    def __init__(self) -> None:
        self._inboxes: dict[str, deque[bytes]] = {}
        self._mail: deque[str] = deque()

    def join(self, name: str) -> deque[bytes]:
        """Open the inbox of `name`."""
        return self._inboxes.setdefault(name, deque())

    def deliver(self, destination: str, frame: bytes) -> bool:
        """Put a frame into an inbox; False when nobody of that name has joined."""
        inbox = self._inboxes.get(destination)
        if inbox is None:
            return False
        if not inbox:
            self._mail.append(destination)
        inbox.append(frame)
        return True

    def next_with_mail(self) -> str | None:
        """Whose inbox was filled first of those not yet told, or None; hands the notice over."""
        return self._mail.popleft() if self._mail else None


class MemoryTransport(FrameTransport):
    """One participant's end of a `MemoryNetwork`.

    Args:
        name: The participant.
        network: Shared by all participants of the process.
        codec: Allows this participant's in-edges.
    """

    def __init__(self, name: str, network: MemoryNetwork, codec: Codec) -> None:
        super().__init__(name, codec)
        self._network = network
        self._inbox = network.join(name)

    def send_all(self, envelopes: Sequence[Envelope]) -> None:
        """Hand over envelopes; they arrive at once. See `Transport.send_all`."""
        encode, deliver = self.codec.encode, self._network.deliver
        for envelope in envelopes:
            frame, traffic = encode(envelope), self.traffic[envelope.destination]
            if not deliver(envelope.destination, frame):
                traffic.dropped += 1
            elif envelope.message.numbered:
                traffic.sent += 1
                traffic.sent_bytes += len(frame)

    def poll(self, now: float) -> list[Envelope]:
        """What has arrived; frames that are no messages are counted as rejected."""
        while self._inbox:
            self.take(self._inbox.popleft())
        return super().poll(now)

    def wait(self, timeout_s: float | None, awaited: int = 1) -> None:
        """Return at once: nothing can arrive while the only process waits."""

    def close(self, linger_s: float) -> None:
        """Nothing to release."""
