"""What happened in a run, in the order in which one thing follows from another, so that two runs can be compared.

In an episode: each timestep, the answers to it, and what became of them; round by round the shares, what became of
them, and what each agent made of the round; then the returns. Time is no part of it: it is never twice the same. So
whether a message that nobody heard in time came late, or its receiver was done before, makes no difference.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from broker.wire.messages import Envelope, Share, Timestep
from broker.wire.records import Fate
from scenarios.replay.differences import called, called_by_name, difference
from scenarios.results.answers import EpisodeRow, FateRow, RoundRow

_NOT_IN_TIME = (Fate.LATE, Fate.EXPIRED)
_HEARD = "1"


class FactPlace(NamedTuple):
    """Where something stands among all that happened in an episode; the first of these decide.

    Attributes:
        stage: 0 for steps, 1 for rounds, 2 for what came of the episode.
        number: Of the step, doubled and with one more for answers; or of the round.
        part: 0 for what was sent, 1 for what became of it, 2 for what was made of it.
        who: Sender or agent.
        what: Receiver, or name of a number.
    """

    stage: int
    number: int
    part: int
    who: str
    what: str


class Fact(Protocol):
    """Something that happened."""

    def alone(self) -> str:
        """That it happened, as a clause."""

    def apart(self, other: Fact, names: tuple[str, str]) -> str:
        """How it differs from what stands at its place in another run, as a clause; empty if it does not.

        Args:
            other: That.
            names: What this and the other run are called.
        """


@dataclass(frozen=True)
class Said:
    """A message that was sent.

    Attributes:
        envelope: It, as it was sent first.
    """

    envelope: Envelope

    def alone(self) -> str:
        """That it was sent."""
        return f"{self._name} was sent"

    def apart(self, other: Fact, names: tuple[str, str]) -> str:
        """In which array it differs."""
        assert isinstance(other, Said)  # noqa: S101 - it stands at the same place
        said = difference(self.envelope, other.envelope)
        return f"{self._name} differs in {said}, in {names[0]} and {names[1]}" if said else ""

    @property
    def _name(self) -> str:
        return called(self.envelope.source, self.envelope.destination, self.envelope.message)


@dataclass(frozen=True)
class Fates:
    """What became of a message.

    Attributes:
        rows: All that did.
    """

    rows: tuple[FateRow, ...]

    def alone(self) -> str:
        """What became of it."""
        return f"{self._name} was {self.told}"

    def apart(self, other: Fact, names: tuple[str, str]) -> str:
        """What became of it here and there."""
        assert isinstance(other, Fates)  # noqa: S101 - it stands at the same place
        if self.but(_NOT_IN_TIME) == other.but(_NOT_IN_TIME) and self.has(_NOT_IN_TIME) == other.has(_NOT_IN_TIME):
            return ""
        here, there = self.told, other.told
        if here == there:
            here, there = (f"{each.told} {each.rows[0].delays_s}" for each in (self, other))
        return f"{self._name} was {here} in {names[0]}, and {there} in {names[1]}"

    @property
    def _name(self) -> str:
        first = self.rows[0]
        return called_by_name(first.source, first.destination, first.kind, first.episode, first.number)

    def but(self, fates: Container[str]) -> frozenset[FateRow]:
        """All that became of it but these; what several copies met, once."""
        return frozenset(row for row in self.rows if row.fate not in fates)

    def has(self, fates: Container[str]) -> bool:
        """Whether any of these became of it."""
        return any(row.fate in fates for row in self.rows)

    @property
    def told(self) -> str:
        """What became of it, as a clause."""
        return " and ".join(f"{row.fate}{f' by the fault {row.fault!r}' if row.fault else ''}" for row in self.rows)


@dataclass(frozen=True)
class Counted:
    """A number.

    Attributes:
        name: What it is, as a clause.
        value: It.
    """

    name: str
    value: float | str

    def alone(self) -> str:
        """That there is one."""
        return f"{self.name} is known ({self.value})"

    def apart(self, other: Fact, names: tuple[str, str]) -> str:
        """What it is here and there."""
        assert isinstance(other, Counted)  # noqa: S101 - it stands at the same place
        if repr(self.value) == repr(other.value):
            return ""
        return f"{self.name} is {self.value} in {names[0]}, and {other.value} in {names[1]}"


def said(envelope: Envelope) -> tuple[FactPlace, Fact]:
    """A message, and where it stands."""
    message = envelope.message
    place = _place(message.kind or "", _number(envelope), 0, envelope.source, envelope.destination)
    return place, Said(envelope)


def fates(rows: tuple[FateRow, ...]) -> tuple[FactPlace, Fact]:
    """What became of one message, and where that stands."""
    first = rows[0]
    return _place(first.kind, first.number, 1, first.source, first.destination), Fates(rows)


def counts_of_round(row: RoundRow, losses: dict[str, float]) -> list[tuple[FactPlace, Fact]]:
    """What an agent made of a round."""
    numbers: dict[str, float] = {"0": row.partners, _HEARD: row.heard} | losses
    names = {"0": "partners", _HEARD: "shares heard in time"}
    where = f"of {row.agent} in round {row.round} of episode {row.episode}"
    return [
        (FactPlace(1, row.round, 2, row.agent, key), Counted(f"{names.get(key, key)} {where}", value))
        for key, value in numbers.items()
    ]


def counts_of_episode(row: EpisodeRow) -> list[tuple[FactPlace, Fact]]:
    """What came of an episode for one agent."""
    numbers = {"return": row.value, "steps": row.steps, "missing actions": row.missing_actions}
    return [
        (FactPlace(2, 0, 0, row.agent, name), Counted(f"{name} of {row.agent} in episode {row.episode}", value))
        for name, value in numbers.items()
    ]


def was_heard_by_nobody(place: FactPlace, one: Mapping[FactPlace, Fact], other: Mapping[FactPlace, Fact]) -> bool:
    """Whether all that differs at a place is how a share ended that was heard in time in neither run.

    Of a share of which one run alone tells anything, this is known where that run tells of all that the other tells of,
    to this receiver in this round, and the same number was heard.

    Args:
        place: Where something differs.
        one: What happened in an episode of one run.
        other: The same of the other.
    """
    found = [facts[place] for facts in (one, other) if place in facts]
    told = [fact for fact in found if isinstance(fact, Fates)]
    if len(told) < len(found) or told[0].rows[0].kind != Share.kind:
        return False
    heard = place._replace(part=2, who=place.what, what=_HEARD)
    looked_at = not any(fact.has((Fate.EXPIRED,)) for fact in told)
    of_the_clock = _NOT_IN_TIME if looked_at else (*_NOT_IN_TIME, Fate.REJECTED)
    decided = {fact.but(of_the_clock) for fact in told} | {frozenset[FateRow]() for _ in range(2 - len(told))}
    if len(decided) > 1 or one.get(heard) != other.get(heard):
        return False
    of_one, of_other = (_senders_told_of(facts, place) for facts in (one, other))
    return of_one <= of_other or of_other <= of_one  # as many were heard: so the same ones


def _senders_told_of(facts: Mapping[FactPlace, Fact], place: FactPlace) -> set[str]:
    """Whose shares to a receiver in a round became something that is told."""
    return {each.who for each in facts if each == place._replace(who=each.who)}


def _number(envelope: Envelope) -> int:
    message = envelope.message
    number = getattr(message, "step", None)
    return int(getattr(message, "round", 0) if number is None else number)


def _place(kind: str, number: int, part: int, source: str, destination: str) -> FactPlace:
    if kind == "share":
        return FactPlace(1, number, part, source, destination)
    return FactPlace(0, 2 * number + (kind != Timestep.kind), part, source, destination)
