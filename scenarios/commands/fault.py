"""`foretell fault`: the faults of a run that goes on."""

from __future__ import annotations

from pathlib import Path

import click

from scenarios.commands.screen import say

_RUN = click.argument("run", type=click.Path(path_type=Path))


@click.group()
def fault() -> None:
    """Add faults to a run that goes on, show them, and heal them."""


@fault.command("add")
@_RUN
@click.argument("settings", nargs=-1, required=True, metavar="kind=KIND PATH=VALUE ...")
def fault_add(run: Path, settings: tuple[str, ...]) -> None:
    """Add a fault, such as kind=drop probability=0.3; one of processes strikes at once."""
    from scenarios.commands.planned import hushed  # noqa: PLC0415
    from scenarios.running.control.live_requests import add  # noqa: PLC0415

    with hushed():
        said = add(run, settings)
    say(said)


@fault.command("list")
@_RUN
@click.option("--toml", "as_scenario", is_flag=True, help="The scenario that was really played, to play it again.")
def fault_list(run: Path, *, as_scenario: bool) -> None:
    """Show the faults of a run: those of its scenario, and what was added or healed."""
    from scenarios.running.control.live_requests import describe_faults, played_scenario  # noqa: PLC0415

    if as_scenario:
        say(played_scenario(run).to_toml(), nl=False)
        return
    for line in describe_faults(run):
        say(line)


@fault.command("heal")
@_RUN
@click.argument("name")
def fault_heal(run: Path, name: str) -> None:
    """End a fault of messages, of the scenario or added since; `all` ends every one."""
    from scenarios.running.control.live_requests import heal  # noqa: PLC0415

    say(heal(run, name))
