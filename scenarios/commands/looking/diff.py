"""`foretell diff`: where two runs begin to differ."""

from __future__ import annotations

import sys
from pathlib import Path

from scenarios.commands.exit_codes import ExitCode
from scenarios.commands.screen import say
from scenarios.replay.comparing.parting import compare


def tell_parting(one: Path, other: Path) -> None:
    """Say it in a sentence; ends with 4 where they differ."""
    found = compare(one, other)
    say(found.sentence)
    for note in found.notes:
        say(f"({note})")
    if found.parts:
        sys.exit(ExitCode.MISMATCH)
