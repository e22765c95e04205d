"""Who says HELLO in the place of a peer, and belongs to another run, document or Foretell.

One such HELLO may be an echo of something that is over, or forged. Who stands in for a peer goes on saying it, and
answers: then it has also heard to which run this side belongs, so that both end and neither waits for the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from broker.participants.participant import Command, Report
from broker.wire.identity import Identity
from broker.wire.messages import Hello
from broker.wire.records import EdgeRecord, EventKind, EventRecord, Record

_CERTAIN = 10
"""So many answers, or so many HELLOs and then silence for so many turns, are no accident."""
_TOLD = 20


@dataclass
class _Stranger:
    identity: Identity
    heard: int = 0
    answers: int = 0
    silent_turns: int = 0

    @property
    def certain(self) -> bool:
        ended = self.heard >= _CERTAIN and self.silent_turns >= _CERTAIN
        return self.answers >= _CERTAIN or ended


class Strangers:
    """Those heard in the place of peers.

    Args:
        name: Who hears them.
        identity: To which run it belongs.
    """

    def __init__(self, name: str, identity: Identity) -> None:
        self._name, self._identity = name, identity
        self._found: dict[str, _Stranger] = {}
        self._counts: Counter[str] = Counter()

    def hear(self, peer: str, hello: Hello) -> list[Command]:
        """Note what was said in the place of `peer`; returns the report of it, once for each who says it."""
        self._counts[peer] += 1
        found, known = self._found.get(peer), True
        if found is None or found.identity != hello.identity:
            found, known = _Stranger(hello.identity), False
            self._found[peer] = found
        found.heard += 1
        found.answers += not hello.wants_reply
        found.silent_turns = 0
        if known or self._counts[peer] > _TOLD:
            return []
        reason = self._identity.refusal(self._name, peer, hello.identity)
        return [Report(EventRecord(self._name, EventKind.REJECTED, peer, reason))]

    def totals(self) -> list[Record]:
        """How many HELLOs were refused, by peer."""
        return [EdgeRecord(peer, self._name, rejected=count) for peer, count in self._counts.items()]

    def turn(self) -> None:
        """Note that everybody who is missing is asked again."""
        for found in self._found.values():
            found.silent_turns += 1

    def certain(self, peers: Collection[str]) -> bool:
        """Whether it is certain of all these that somebody else is in their place."""
        return bool(peers) and all(peer in self._found and self._found[peer].certain for peer in peers)

    def refusal(self, peers: Collection[str]) -> str:
        """Why it cannot work with the first of these that somebody else is in the place of; empty if there is none."""
        for peer in peers:
            if peer in self._found:
                return self._identity.refusal(self._name, peer, self._found[peer].identity)
        return ""
