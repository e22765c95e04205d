"""The journals of a run: a file for each participant in each of its lives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from broker.errors import UserError
from broker.release import FORETELL
from broker.transports.journal import Closed, Entry, Opened, Polled, Told, read_journal
from broker.wire.codec import read_written
from broker.wire.messages import Envelope
from scenarios.results.folder import RunFolder

_Slice = TypeVar("_Slice", bound=BaseModel)
_NAME = re.compile(r"(?P<participant>environment|agent-\d+)(-(?P<incarnation>\d+))?\.journal")


@dataclass(frozen=True)
class LifeJournal:
    """The journal of one participant in one life.

    Attributes:
        participant: Whose.
        incarnation: Which life.
        path: The file.
        opened: Its first entry.
    """

    participant: str
    incarnation: int
    path: Path
    opened: Opened

    def entries(self) -> Iterator[Entry]:
        """Its entries, to the last that is whole."""
        return read_journal(self.path)

    def arrivals(self) -> Iterator[tuple[float, Envelope]]:
        """Each message that came to the participant, with the moment on its clock at which it had arrived."""
        for entry in self.entries():
            if type(entry) is Polled:
                for frame in entry.frames:
                    yield entry.at_s, read_written(frame)

    def is_closed(self) -> bool:
        """Whether it ends in order."""
        return any(type(entry) is Closed for entry in self.entries())

    def slice(self) -> str | None:
        """What the participant was told, as JSON; None where it ended before that was written."""
        return next((entry.slice for entry in self.entries() if type(entry) is Told), None)

    def told(self, kind: type[_Slice]) -> _Slice | None:
        """The same, as what it is.

        Raises:
            UserError: Another version told it.
        """
        text = self.slice()
        try:
            return None if text is None else kind.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            setting = ".".join(map(str, first["loc"]))
            msg = (
                f"{self.path} was written by Foretell {self.opened.foretell}, which told participants what this one "
                f"({FORETELL}) does not know: {setting}: {first['msg']}. Replay it with that one"
            )
            raise UserError(msg) from None


def journals_of(folder: RunFolder, participant: str | None = None) -> list[LifeJournal]:
    """The journals of a run, or of one participant: by life, and in each by participant.

    Raises:
        UserError: There are none, or one cannot be read.
    """
    found = []
    for path in folder.journals.glob("*.journal"):
        match = _NAME.fullmatch(path.name)
        if match is None or participant not in (None, match["participant"]):
            continue
        opened = next(read_journal(path), None)
        if type(opened) is Opened:
            found.append(LifeJournal(match["participant"], int(match["incarnation"] or 0), path, opened))
    if not found:
        whose, elsewhere = f" of {participant}" if participant else "s", folder.hosts.exists()
        msg = (
            f"{folder.root} has no journal{whose}: expected a run with transport.journal = true "
            f"(--set transport.journal=true), and its journals in {folder.journals}"
            f"{': copy them from journal/ of the run on its hosts' if elsewhere else ''}"
        )
        raise UserError(msg)
    return sorted(found, key=lambda each: (each.incarnation, each.participant))
