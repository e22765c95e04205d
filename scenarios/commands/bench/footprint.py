"""What a node takes: `foretell bench footprint`."""

from __future__ import annotations

import click
from rich.table import Table

from scenarios.bench.footprint import (
    ACTING,
    AGENT,
    FORK_SERVER,
    FORWARDER,
    HOST,
    LAUNCHER,
    TRACKER,
    Team,
    measure_footprint,
    node_bytes,
)
from scenarios.commands.bench.showing import figures_table
from scenarios.commands.rich_screen import Screen
from scenarios.commands.screen import say

ACTING_LIMIT_MB = 45.0
_LEARNING = (HOST, FORK_SERVER, TRACKER, AGENT)


@click.command()
def footprint() -> None:
    """Memory and start-up of a learning node, of each further agent, of one that only acts, and of what is around."""
    learning, acting = measure_footprint()
    screen = Screen()
    screen.print(_table("while they learn", learning))
    screen.print(_table("while they only act", acting))
    node, more = sum(learning[role].pss_bytes for role in _LEARNING) / 1e6, learning[AGENT].pss_bytes / 1e6
    say(f"footprint: a learning node takes {node:.0f} MB of PSS, each further agent on its host {more:.0f} MB")
    found = acting[ACTING].rss_bytes / 1e6
    say(f"footprint: an agent that only acts takes {found:.1f} MB of RSS (limit {ACTING_LIMIT_MB:.0f} MB)")
    say(f"footprint: a node takes {node_bytes() / 1e6:.0f} MB on disk, without Python")


def _table(title: str, team: Team) -> Table:
    table = figures_table(title, "process", "RSS MB", "PSS MB", "private MB", "s of processor to join")
    order = (HOST, FORK_SERVER, TRACKER, AGENT, ACTING, "environment", LAUNCHER, FORWARDER)
    for role in (role for role in order if role in team):
        of = team[role]
        memory = (f"{each / 1e6:.1f}" for each in (of.rss_bytes, of.pss_bytes, of.private_bytes))
        table.add_row(role, *memory, f"{of.start_s:.2f}")
    return table
