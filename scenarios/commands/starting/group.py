"""`foretell list`, `check`, `run`, `simulate` and `resume`, as click knows them; what they do is imported late."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from broker.errors import EnvironmentMissing
from scenarios.commands.hosts import carrier_option
from scenarios.commands.looking.telemetry_options import with_telemetry
from scenarios.commands.options import HOSTS, OUT, TRANSPORT, TRANSPORTS, OutPath, housed_on, load, with_scenario
from scenarios.commands.screen import say

if TYPE_CHECKING:
    from scenarios.telemetry.wish import TelemetryWish


@click.command("list")
def list_() -> None:
    """Scenarios that come with Foretell."""
    from scenarios.document.loading import catalogue_names, load_scenario  # noqa: PLC0415

    names = catalogue_names()
    width = max(map(len, names))
    for name in names:
        say(f"{name:{width}} {load_scenario(name).description}")


@click.command()
@with_scenario()
@click.option(
    "--slices",
    type=OutPath(),
    help="Write each participant's slice to this folder, to start it by hand.",
)
@click.option("--no-play", is_flag=True, help="Do not play the environment, nor need it on this host.")
def check(
    *,
    scenario: str,
    seed: int | None,
    episodes: int | None,
    assignments: tuple[str, ...],
    slices: Path | None,
    no_play: bool,
) -> None:
    """Validate a scenario, play one step of it, and print it with every setting, and who is whose neighbor."""
    from scenarios.commands.check import describe, describe_alone, plan_of, write_slices  # noqa: PLC0415

    document = load(scenario, seed, episodes, assignments)
    try:
        plan, unlike = plan_of(document, play=not no_play)
    except EnvironmentMissing as missing:
        if not no_play or slices is not None:
            raise
        say(describe_alone(document, missing))
        return
    say(describe(plan, unlike))
    if slices is not None:
        say(write_slices(plan, slices))


@click.command()
@with_scenario(required=False)
@TRANSPORT
@OUT
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Go on with the run in this folder; `foretell resume` does so with simulated ones, too.",
)
@click.option(
    "--on",
    "carrier",
    metavar="ssh|here|socket|ray|ray://HOST:PORT",
    callback=carrier_option.carrier,
    help="Reach the hosts of --hosts so; ray: on nodes of a Ray cluster; socket: those that wait with their bundles, "
    "whose folder is the scenario.",
)
@HOSTS
@with_telemetry()
def run(
    *,
    scenario: str | None,
    seed: int | None,
    episodes: int | None,
    assignments: tuple[str, ...],
    transport: str | None,
    out: Path | None,
    resume: Path | None,
    carrier: str | None,
    hosts: Path | None,
    wish: TelemetryWish,
) -> None:
    """Run a scenario as processes, one per participant, in real time."""
    given = (scenario, seed, episodes, transport, out, carrier, hosts)
    if resume is not None and (any(each is not None for each in given) or assignments):
        msg = "--resume goes on with a run as it was begun: it takes no scenario and no other option"
        raise click.UsageError(f"{msg} but --metrics, --sink and --spans")
    if scenario is None and resume is None:
        raise click.UsageError("expected a scenario, or --resume DIR")
    from scenarios.commands import terminal  # noqa: PLC0415

    if scenario is None:
        assert resume is not None  # noqa: S101 - see above
        terminal.resume(resume, None, wish, only="run", carrier=None, hosts=None)
        return
    chosen = TRANSPORTS[transport] if transport is not None else ()
    if carrier == "socket":
        if any(each is not None for each in (seed, episodes, transport, hosts)) or assignments:
            raise click.UsageError("bundles say what runs, and on which hosts: expected foretell run DIR --on socket")
        from scenarios.commands.hosts.bundled import run_bundled  # noqa: PLC0415

        run_bundled(Path(scenario), out, wish)
        return
    housed = housed_on(carrier, hosts)
    terminal.execute("run", load(scenario, seed, episodes, (*assignments, *chosen)), out, hosts=housed, wish=wish)


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--episodes", type=int, help="Go on to so many in all, more than there were to be.")
@click.option(
    "--on",
    "carrier",
    metavar="ssh|here|ray|ray://HOST:PORT",
    callback=carrier_option.carrier,
    help="Reach its hosts so from now on, such as those of another Ray cluster.",
)
@click.option(
    "--hosts", type=click.Path(path_type=Path), metavar="FILE", help="Who lives on which host from now on, in TOML."
)
@with_telemetry()
def resume(*, run: Path, episodes: int | None, carrier: str | None, hosts: Path | None, wish: TelemetryWish) -> None:
    """Go on with a run in its folder, as processes or simulated, whichever it was."""
    from scenarios.commands.terminal import resume as go_on  # noqa: PLC0415

    go_on(run, episodes, wish, only=None, carrier=carrier, hosts=hosts)


@click.command()
@with_scenario()
@OUT
@click.option(
    "--profile",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Let agents compute for as long as `foretell doctor --profile FILE` has measured; else they take no time.",
)
@with_telemetry(spans=False)
def simulate(
    *,
    scenario: str,
    seed: int | None,
    episodes: int | None,
    assignments: tuple[str, ...],
    out: Path | None,
    profile: Path | None,
    wish: TelemetryWish,
) -> None:
    """Run a scenario in one process, in virtual time."""
    from scenarios.commands.terminal import execute  # noqa: PLC0415
    from scenarios.running.simulated.profile import with_profile  # noqa: PLC0415

    document = load(scenario, seed, episodes, assignments)
    execute("simulate", document if profile is None else with_profile(document, profile), out, wish=wish)
