"""`foretell replay`, `diff`, `trace` and `watch`, as click knows them; what they do is imported when asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from scenarios.commands.options import OutPath

_RUN = click.argument("run", type=click.Path(path_type=Path))


@click.command()
@_RUN
@click.argument("agent")
@click.option("--until", metavar="EPISODE[/ROUND]", help="Go no further than this round, or the last of this episode.")
@click.option("--debug", is_flag=True, help="Open Python's debugger before that round closes; else before the first.")
def replay(run: Path, agent: str, until: str | None, *, debug: bool) -> None:
    """Run one agent of a run again, alone, from its journal, to the same weights."""
    from scenarios.commands.looking.replay import goal_of, replay_agent  # noqa: PLC0415

    replay_agent(run, agent, goal_of(until), debug=debug)


@click.command()
@_RUN
@click.argument("other", type=click.Path(path_type=Path))
def diff(run: Path, other: Path) -> None:
    """Find the first message, decision or number in which two runs differ."""
    from scenarios.commands.looking.diff import tell_parting  # noqa: PLC0415

    tell_parting(run, other)


@click.command()
@_RUN
@click.option(
    "--format", "format_", type=click.Choice(("chrome", "mcap")), required=True, help="For Perfetto, or for Foxglove."
)
@click.option("--out", type=OutPath(dir_okay=False), help="The file; default in the run's folder.")
def trace(run: Path, format_: Literal["chrome", "mcap"], out: Path | None) -> None:
    """Write a run's journals for other programs: lanes with an arrow a message, or messages with their arrays."""
    from scenarios.commands.screen import say  # noqa: PLC0415
    from scenarios.replay.tracing.trace import write_trace  # noqa: PLC0415

    say(write_trace(run, format_, out))


@click.command()
@_RUN
@click.option("--listen", default="127.0.0.1", show_default=True, metavar="HOST", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port to listen on; default any that is free.")
@click.option("--open", "opens", is_flag=True, help="Open the page in this host's browser.")
@click.option("--on", "elsewhere", metavar="ssh://HOST", help="Where RUN is: watch it there, with the page here.")
@click.option("--tui", is_flag=True, help="Show a run in this terminal instead.")
def watch(run: Path, listen: str, port: int, elsewhere: str | None, *, opens: bool, tui: bool) -> None:
    """Show a run that goes on or has ended, or the runs of a folder, as a page on this host."""
    if tui:
        if elsewhere is not None:
            raise click.UsageError("--tui shows a run of this host: expected ssh -t HOST foretell watch --tui RUN")
        from scenarios.watching.terminal.shown import watch_in_terminal  # noqa: PLC0415

        watch_in_terminal(run)
        return
    if elsewhere is not None:
        from scenarios.commands.looking.watch_elsewhere import watch_elsewhere  # noqa: PLC0415

        watch_elsewhere(run, elsewhere, port, opens=opens)
        return
    from scenarios.commands.looking.watch import watch as show  # noqa: PLC0415

    show(run, listen, port, opens=opens)
