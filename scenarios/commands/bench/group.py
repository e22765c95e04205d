"""All of them, by name."""

from __future__ import annotations

import click

from scenarios.commands.bench.computing import arithmetic, episode, overhead
from scenarios.commands.bench.footprint import footprint
from scenarios.commands.bench.messaging import faults, journal, messages
from scenarios.commands.bench.runs import growth, recovery, soak, startup

COMMANDS: dict[str, click.Command] = {
    "arithmetic": arithmetic,
    "episode": episode,
    "faults": faults,
    "footprint": footprint,
    "growth": growth,
    "journal": journal,
    "messages": messages,
    "overhead": overhead,
    "recovery": recovery,
    "soak": soak,
    "startup": startup,
}
