"""Phases of a participant and the ways between them, as data: a participant goes no other way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Generic, NamedTuple, TypeVar

PhaseT = TypeVar("PhaseT", bound=Enum)


class Transition(NamedTuple, Generic[PhaseT]):
    """One way from a phase to another.

    Attributes:
        source: The phase it leaves.
        event: What happens, as a clause.
        target: The phase it enters.
    """

    source: PhaseT
    event: str
    target: PhaseT


@dataclass(frozen=True)
class PhaseTable(Generic[PhaseT]):
    """All phases of a kind of participant.

    Attributes:
        waits_for: What each phase waits for, as a clause.
        transitions: Every way from one to another.
    """

    waits_for: Mapping[PhaseT, str]
    transitions: tuple[Transition[PhaseT], ...]

    def enter(self, source: PhaseT, target: PhaseT) -> PhaseT:
        """`target`, if a way leads there from `source`.

        Raises:
            ValueError: None does: the participant itself is at fault.
        """
        if not any(way.source is source and way.target is target for way in self.transitions):
            msg = f"no transition leads from {source.value} to {target.value}"
            raise ValueError(msg)
        return target

    def markdown(self) -> str:
        """The table of the documents: a row for each way, and one for each phase that is never left."""
        ways = {phase: [way for way in self.transitions if way.source is phase] for phase in self.waits_for}
        rows = [
            (phase.value if first else "", waits if first else "", way.event, way.target.value)
            for phase, waits in self.waits_for.items()
            for first, way in ((way is ways[phase][0], way) for way in ways[phase])
        ]
        rows += [(phase.value, waits, "", "") for phase, waits in self.waits_for.items() if not ways[phase]]
        head = ("phase", "waits for", "goes on when", "to")
        return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * 4, *rows))
