"""What became of the messages that faults looked at, at their receiver."""

from __future__ import annotations

from collections import Counter, defaultdict

from broker.faults.judge import Look
from broker.faults.verdicts import Verdict
from broker.wire.messages import MessageKind, MessageName
from broker.wire.records import Fate, FateCount, FaultCount

_MET = (Fate.DROPPED, Fate.REJECTED, Fate.CORRUPTED, Fate.DUPLICATED, Fate.DELAYED, Fate.DELIVERED)
"""What a message may meet here; what waits may still expire, and the participant alone knows what is late."""


def fate_of(verdict: Verdict, *, corrupted: bool) -> Fate:
    """How a message ends once this verdict has been carried out."""
    if not verdict:
        return Fate.DROPPED
    if corrupted:
        return Fate.CORRUPTED
    if len(verdict) > 1:
        return Fate.DUPLICATED
    return Fate.DELAYED if verdict[0] else Fate.DELIVERED


def deed_of(before: Verdict, after: Verdict) -> Fate:
    """What a fault that changed this verdict into that one did to the message, whatever others had done before.

    Where it took one of several copies, that one was dropped.
    """
    if len(after) < len(before):
        return Fate.DROPPED
    return Fate.DUPLICATED if len(after) > len(before) else Fate.DELAYED


class _Met:
    """The messages of one episode of an edge that a fault could strike already."""

    __slots__ = ("_episode", "_names")

    def __init__(self) -> None:
        self._episode, self._names = -1, set[MessageName]()

    def is_new(self, name: MessageName) -> bool:
        """Whether a message is met for the first time; a sender names those of one episode after another."""
        if name.episode != self._episode:
            self._episode, self._names = name.episode, set()
        known = name in self._names
        self._names.add(name)
        return not known


class Tally:
    """Counts at one receiver.

    A message that is sent again under its name, such as the answer to each copy of a timestep, meets the same draws:
    it tells nothing more of a rate, and is no chance of its own.

    Args:
        name: The receiver.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._examined: Counter[tuple[str, str]] = Counter()
        self._applied: Counter[tuple[str, str]] = Counter()
        self._chances: Counter[tuple[str, str]] = Counter()
        self._hits: Counter[tuple[str, str]] = Counter()
        self._met: defaultdict[tuple[str, str], _Met] = defaultdict(_Met)
        self._fates: Counter[tuple[str, MessageKind, Fate]] = Counter()
        self._kinds: dict[tuple[str, MessageKind], None] = {}

    def examine(self, look: Look, source: str, chances: int, hits: int) -> None:
        """A fault looked at a message that it could strike `chances` times, and struck it `hits` times."""
        key = look.fault, source
        self._examined[key] += 1
        self._applied[key] += hits > 0 or look.struck
        if chances and self._met[key].is_new(look.case.message):
            self._chances[key] += chances
            self._hits[key] += hits

    def end(self, source: str, kind: MessageKind, fate: Fate) -> None:
        """A message from `source` has met its fate."""
        self._kinds[source, kind] = None
        self._fates[source, kind, fate] += 1

    def totals(self, waiting: Counter[tuple[str, MessageKind]]) -> list[FaultCount | FateCount]:
        """All counts.

        Args:
            waiting: By source and kind, messages of which no copy has been handed over yet: they never will be.
        """
        counts = [
            FaultCount(fault, source, self._name, examined, applied, self._chances[key], self._hits[key])
            for key, examined in sorted(self._examined.items())
            for (fault, source), applied in [(key, self._applied[key])]
        ]
        edges = sorted({*self._kinds, *(edge for edge, count in waiting.items() if count)})
        fates = [
            FateCount(
                source,
                self._name,
                kind,
                expired=waiting[source, kind],
                **{fate.value: self._fates[source, kind, fate] for fate in _MET},
            )
            for source, kind in edges
        ]
        return [*counts, *fates]
