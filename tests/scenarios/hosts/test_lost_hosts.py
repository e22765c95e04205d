"""What the launcher knows of a host whose connection is lost in the middle of something; over carriers in memory."""

from __future__ import annotations

from pathlib import Path
from queue import SimpleQueue

import pytest

from broker.arithmetic.version import ARITHMETIC
from broker.release import FORETELL
from scenarios.running.hosts.client import LOST, HostClient, HostLost
from scenarios.running.hosts.frames import Answer, Frames, OpenRun, RenewLease, StartNode, StopNode, asked, packed


class Remembered:
    """A host that answers everything with 7, or is lost at a kind of request."""

    def __init__(self, lost_at: type | None = None) -> None:
        self._lost_at = lost_at
        self._frames, self._arrived = Frames(), SimpleQueue[bytes]()

    def write(self, frame: bytes) -> None:
        for each in self._frames.cut(frame):
            request = asked(each)
            lost = self._lost_at is not None and isinstance(request.request, self._lost_at)
            self._arrived.put(b"" if lost else packed(Answer(request.number, 7)))

    def read(self) -> bytes:
        return self._arrived.get()

    def said(self) -> str:
        return "somebody pulled the plug"

    def leave(self) -> None:
        self._arrived.put(b"")

    def close(self) -> None:
        pass


def client_of(*carriers: Remembered, try_for_s: float = 60.0) -> HostClient:
    left = list(carriers)
    opening = OpenRun("tiny", FORETELL, ARITHMETIC, (), 20.0, {})
    made = HostClient("pi1", lambda: left.pop(0), opening, Path("pi1.log"), try_for_s=try_for_s)
    made.dial()
    made.greet()
    return made


def test_whoever_ran_on_a_lost_host_has_ended_though_the_host_is_back_at_once():
    client = client_of(Remembered(lost_at=StopNode), Remembered())
    client.ask(StartNode("agent-0", "{}"))
    with pytest.raises(HostLost):
        client.ask(StopNode("agent-0"))
    assert client.ask(RenewLease()) == 7
    assert client.ended()["agent-0"].code == LOST
    assert "host pi1 is lost: somebody pulled the plug" in client.ended()["agent-0"].said
    client.close()
