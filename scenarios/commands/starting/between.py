"""`foretell broker` and `keys`, as click knows them; what they do is imported late."""

from __future__ import annotations

from pathlib import Path

import click

from scenarios.commands.options import TRANSPORT, TRANSPORTS, OutPath, load, with_scenario
from scenarios.commands.screen import say


@click.command()
@with_scenario()
@TRANSPORT
@click.option("--listen", default="", metavar="ADDRESS", help="mqtt://HOST:PORT or tcp://HOST:PORT; default this host.")
@click.option("--out", type=OutPath(), help="Folder of its files; default runs/SCENARIO-broker.")
def broker(
    *,
    scenario: str,
    seed: int | None,
    episodes: int | None,
    assignments: tuple[str, ...],
    transport: str | None,
    listen: str,
    out: Path | None,
) -> None:
    """Run what stands between a scenario's participants alone: the MQTT broker, or the forwarder."""
    from scenarios.commands.broker import serve  # noqa: PLC0415
    from scenarios.commands.planned import planned  # noqa: PLC0415

    chosen = TRANSPORTS[transport] if transport is not None else ()
    plan = planned(load(scenario, seed, episodes, (*assignments, *chosen)))
    serve(plan, listen, out or Path("runs") / f"{plan.scenario.name}-broker")


@click.command()
@with_scenario()
@click.option("--out", type=OutPath(), default=Path("keys"), help="A new folder for them.")
def keys(scenario: str, seed: int | None, episodes: int | None, assignments: tuple[str, ...], out: Path) -> None:
    """Make keys, passwords and permissions for everybody in a scenario, a folder each."""
    from broker.run_name import new_run_name  # noqa: PLC0415
    from scenarios.commands.planned import planned  # noqa: PLC0415
    from scenarios.running.meeting.keys import describe_keys, make_keys  # noqa: PLC0415

    plan = planned(load(scenario, seed, episodes, assignments))
    make_keys(plan, out, new_run_name(plan.scenario.name))
    say(describe_keys(plan, out))
