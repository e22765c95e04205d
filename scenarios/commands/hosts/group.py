"""`foretell doctor`, `bundle`, `host` and `logs`, as click knows them; what they do is imported late."""

from __future__ import annotations

from pathlib import Path

import click

from scenarios.commands.hosts import carrier_option
from scenarios.commands.options import HOSTS, RUN, OutPath, load, with_scenario


@click.command()
@with_scenario()
@HOSTS
@click.option(
    "--on",
    "carrier",
    metavar="ssh|here|socket|ray|ray://HOST:PORT",
    callback=carrier_option.carrier,
    default="ssh",
    show_default=True,
    help="As in run; with socket, the folder of the bundles is the scenario.",
)
@click.option(
    "--profile",
    type=OutPath(),
    metavar="FILE",
    help="Write how long agents compute there, for `foretell simulate --profile FILE`.",
)
def doctor(
    *,
    scenario: str,
    seed: int | None,
    episodes: int | None,
    assignments: tuple[str, ...],
    hosts: Path | None,
    carrier: str,
    profile: Path | None,
) -> None:
    """Look the hosts of a run over: a line for each check, and what to do about a failure."""
    from scenarios.commands.hosts.doctor import doctor as look  # noqa: PLC0415

    if carrier == "socket":
        if any(each is not None for each in (seed, episodes, hosts)) or assignments:
            raise click.UsageError(
                "bundles say what runs, and on which hosts: expected foretell doctor DIR --on socket"
            )
        from scenarios.commands.hosts.bundled import bundled  # noqa: PLC0415

        look(*bundled(Path(scenario)), profile)
        return
    if hosts is None:
        raise click.UsageError("expected --hosts FILE, which says who lives where")
    look(load(scenario, seed, episodes, assignments), (carrier, hosts), profile)


@click.command()
@with_scenario()
@click.option(
    "--hosts", type=click.Path(path_type=Path), required=True, metavar="FILE", help="Who lives where, in TOML."
)
@click.option("--out", type=OutPath(), required=True, metavar="DIR", help="A new folder for them.")
@click.option(
    "--wheels", metavar="DIR|build", help="Add what hosts install from: the wheels of a folder, or those made now."
)
@click.option(
    "--format", "format_", type=click.Choice(("compose", "k8s")), help="Add a file that starts all as containers."
)
@click.option("--image", help="With --format: the image of the containers, which has Foretell.")
def bundle(
    *,
    scenario: str,
    seed: int | None,
    episodes: int | None,
    assignments: tuple[str, ...],
    hosts: Path,
    out: Path,
    wheels: str | None,
    format_: str | None,
    image: str | None,
) -> None:
    """Make a folder for each host of a run, with its keys and the user's code, and one for the launcher."""
    if (format_ is None) != (image is None):
        raise click.UsageError("--image says what the containers of --format are made from: expected both, or neither")
    if format_ is not None and wheels is not None:
        raise click.UsageError("the image of --format has Foretell already: expected no --wheels")
    from scenarios.commands.hosts.bundle import bundle as make  # noqa: PLC0415

    make(load(scenario, seed, episodes, assignments), hosts, out, wheels=wheels, format_=format_, image=image)


@click.command()
@click.argument("bundle", required=False, type=click.Path(path_type=Path))
@click.option("--stdio", is_flag=True, help="A launcher drives it over standard input and output, as over ssh.")
@click.option("--listen", default="", metavar="ADDRESS", help="tcp://HOST:PORT; default what the bundle says.")
@click.option("--folder", type=OutPath(), help="Where runs are kept; default: BUNDLE/runs.")
@click.option("--metrics", metavar="[HOST:]PORT", help="Serve metrics of who lives here, as `foretell run --metrics`.")
@click.option("--counters", type=click.Path(path_type=Path), hidden=True, help="Whom to tell, where another serves.")
@click.option(
    "--act",
    type=click.Path(path_type=Path),
    metavar="POLICY",
    help="Only act, with the policy in this folder (relative: in the home folder), in what `foretell evaluate` plays.",
)
def host(
    *,
    bundle: Path | None,
    stdio: bool,
    listen: str,
    folder: Path | None,
    metrics: str | None,
    counters: Path | None,
    act: Path | None,
) -> None:
    """Be a host of a run: wait for the launcher whose key is in BUNDLE, and obey nobody else."""
    from scenarios.commands.hosts.host import be_host  # noqa: PLC0415

    be_host(bundle, folder, listen, stdio=stdio, act=act, metrics=metrics, counters=counters)


@click.command()
@RUN
@click.argument("who", nargs=-1)
@click.option("--follow", is_flag=True, help="Go on with what is said from now on, until the run ends.")
def logs(run: Path, who: tuple[str, ...], *, follow: bool) -> None:
    """What the processes of a run say, or those of WHO alone, from all of its hosts."""
    from scenarios.commands.hosts.logs import show_logs  # noqa: PLC0415

    show_logs(run, who, follow=follow)
