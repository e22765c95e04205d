"""The checkpoints on a host that is lost in the middle of a question about them."""

from __future__ import annotations

from typing import Any

import pytest

from scenarios.running.hosts.client import HostLost
from scenarios.running.hosts.frames import IntactKept, PruneKept, Request
from scenarios.running.hosts.remote_checkpoints import RemoteCheckpoints


class Host:
    """Answers, but for the first so many times."""

    def __init__(self, lost: int) -> None:
        self.lost, self.asked = lost, list[Request]()

    def ask(self, request: Request) -> Any:
        self.asked.append(request)
        if len(self.asked) <= self.lost:
            raise HostLost("its connection is broken")
        return [3, 7]


def test_a_question_is_asked_again_where_the_host_is_lost_just_then() -> None:
    host = Host(1)
    assert RemoteCheckpoints("agent-0", host.ask).intact() == {3, 7}
    assert host.asked == [IntactKept("agent-0")] * 2


def test_a_host_that_stays_lost_is_told_of() -> None:
    with pytest.raises(HostLost):
        RemoteCheckpoints("agent-0", Host(2).ask).forget_after(1)


def test_what_is_not_pruned_now_is_pruned_another_time() -> None:
    host = Host(1)
    RemoteCheckpoints("agent-0", host.ask).prune(4)
    assert host.asked == [PruneKept("agent-0", 4)]
