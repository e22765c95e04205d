"""`foretell`, the command line."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import click
from click.shell_completion import CompletionItem

from broker.errors import EnvironmentMissing, ForetellError, LedgerMismatch, UserError
from broker.isolated import leave_working_directory
from broker.release import lacking
from broker.threads import limit_threads
from scenarios.commands.exit_codes import ExitCode
from scenarios.commands.fault import fault
from scenarios.commands.hosts import carrier_option
from scenarios.commands.looking.group import diff, replay, trace, watch
from scenarios.commands.looking.telemetry_options import with_telemetry
from scenarios.commands.policies.group import play, policy
from scenarios.commands.screen import guests, say, shown_on

limit_threads()  # before a command imports numpy or torch

if TYPE_CHECKING:
    from scenarios.document.scenario import Scenario
    from scenarios.telemetry.wish import TelemetryWish

STUDIES = ("fig1", "fig3", "fig4", "fig5", "latency", "loss", "inaccurate", "calibrated", "search", "theory")
_SURROUNDINGS = frozenset(
    (
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO),
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR),
    )
)
"""What the machine has not, or a file is not: no bug of ours, wherever it shows."""
_Command = TypeVar("_Command", bound=Callable[..., None])


def _tell_version(context: click.Context, _option: click.Parameter, asked: bool) -> None:
    """Say which Foretell, which arithmetic, and which kernels compute here."""
    if not asked or context.resilient_parsing:
        return
    from broker.arithmetic.chosen import kernels  # noqa: PLC0415
    from broker.arithmetic.version import ARITHMETIC  # noqa: PLC0415
    from broker.release import FORETELL  # noqa: PLC0415

    say(f"foretell, version {FORETELL}, arithmetic {ARITHMETIC}, kernels {kernels.name}")
    context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_tell_version, help="Which Foretell this is."
)
def foretell() -> None:
    """Networked agents with private rewards that learn to cooperate by telling their neighbors what they would like."""


def _scenarios(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """What a shell offers for a scenario: names of the catalogue, else files."""
    from scenarios.document.loading import catalogue_names  # noqa: PLC0415

    names = [CompletionItem(name) for name in catalogue_names() if name.startswith(begun)]
    return names or [CompletionItem(begun, type="file")]


def _with_scenario(*, required: bool = True) -> Callable[[_Command], _Command]:
    """The argument and options that say what runs."""
    options = (
        click.argument("scenario", required=required, shell_complete=_scenarios),
        click.option("--seed", type=int, help="Instead of the scenario's seed."),
        click.option("--episodes", type=int, help="Instead of the scenario's number of training episodes."),
        click.option(
            "--set",
            "assignments",
            multiple=True,
            metavar="PATH=VALUE",
            help="Any setting, such as learning.rounds=5; repeatable.",
        ),
    )

    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_OUT = click.option(
    "--out", type=click.Path(path_type=Path), help="The run's folder; default runs/NAME-seedSEED-NUMBER."
)


_JOBS = click.option("--jobs", type=click.IntRange(min=1), help="Runs at a time; default one per core.")
_ON_CLUSTER = click.option(
    "--on",
    "cluster",
    metavar="ray|ray://HOST:PORT",
    callback=carrier_option.cluster,
    help="Let the nodes of a Ray cluster do the runs.",
)


@foretell.command("list")
def list_() -> None:
    """Scenarios that come with Foretell."""
    from scenarios.document.loading import catalogue_names, load_scenario  # noqa: PLC0415

    for name in catalogue_names():
        say(f"{name:30} {load_scenario(name).description}")


@foretell.command()
@_with_scenario()
@click.option(
    "--slices",
    type=click.Path(path_type=Path),
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

    document = _load(scenario, seed, episodes, assignments)
    try:
        plan = plan_of(document, play=not no_play)
    except EnvironmentMissing as missing:
        if not no_play or slices is not None:
            raise
        say(describe_alone(document, missing))
        return
    say(describe(plan))
    if slices is not None:
        run = write_slices(plan, slices)
        say(f"# slices of {run}: {slices}/")


_TRANSPORTS = {
    "zeromq": ("transport.kind=zeromq", "transport.zeromq.mode=direct"),
    "forwarder": ("transport.kind=zeromq", "transport.zeromq.mode=forwarder"),
    "mqtt": ("transport.kind=mqtt",),
}
_TRANSPORT = click.option(
    "--transport",
    type=click.Choice(tuple(_TRANSPORTS)),
    help="Instead of the scenario's: ZeroMQ from process to process, ZeroMQ through a forwarder, or MQTT.",
)


_ON = click.option("--on", "carrier", type=click.Choice(("ssh", "here")), help="Reach the hosts of --hosts so.")
_HOSTS = click.option(
    "--hosts", type=click.Path(path_type=Path), metavar="FILE", help="Who lives on which host, in TOML."
)


def _housed(carrier: str | None, hosts: Path | None) -> tuple[str, Path] | None:
    """How hosts are reached, and the document that names them; None for this host alone."""
    if (carrier is None) != (hosts is None):
        raise click.UsageError("--on says how the hosts of --hosts are reached: expected both, or neither")
    return None if carrier is None or hosts is None else (carrier, hosts)


@foretell.command()
@_with_scenario(required=False)
@_TRANSPORT
@_OUT
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
@_HOSTS
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
        terminal.resume_processes(resume, wish)
        return
    chosen = _TRANSPORTS[transport] if transport is not None else ()
    if carrier == "socket":
        if any(each is not None for each in (seed, episodes, transport, hosts)) or assignments:
            raise click.UsageError("bundles say what runs, and on which hosts: expected foretell run DIR --on socket")
        from scenarios.commands.hosts.bundled import run_bundled  # noqa: PLC0415

        run_bundled(Path(scenario), out, wish)
        return
    housed = _housed(carrier, hosts)
    terminal.execute("run", _load(scenario, seed, episodes, (*assignments, *chosen)), out, hosts=housed, wish=wish)


@foretell.command()
@_with_scenario()
@click.option(
    "--hosts", type=click.Path(path_type=Path), required=True, metavar="FILE", help="Who lives where, in TOML."
)
@click.option(
    "--on", "carrier", type=click.Choice(("ssh", "here")), default="ssh", show_default=True, help="As in run."
)
@click.option(
    "--profile",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write how long agents compute there, for `foretell simulate --profile FILE`.",
)
def doctor(
    *,
    scenario: str,
    seed: int | None,
    episodes: int | None,
    assignments: tuple[str, ...],
    hosts: Path,
    carrier: str,
    profile: Path | None,
) -> None:
    """Look the hosts of a run over: a line for each check, and what to do about a failure."""
    from scenarios.commands.hosts.doctor import doctor as look  # noqa: PLC0415

    look(_load(scenario, seed, episodes, assignments), hosts, carrier, profile)


@foretell.command()
@_with_scenario()
@click.option(
    "--hosts", type=click.Path(path_type=Path), required=True, metavar="FILE", help="Who lives where, in TOML."
)
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="A new folder for them.")
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

    make(_load(scenario, seed, episodes, assignments), hosts, out, wheels=wheels, format_=format_, image=image)


@foretell.command()
@click.argument("bundle", required=False, type=click.Path(path_type=Path))
@click.option("--stdio", is_flag=True, help="A launcher drives it over standard input and output, as over ssh.")
@click.option("--listen", default="", metavar="ADDRESS", help="tcp://HOST:PORT; default what the bundle says.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where runs are kept; default: BUNDLE/runs.")
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


@foretell.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--episodes", type=int, help="Go on to so many in all, more than there were to be.")
@with_telemetry()
def resume(*, run: Path, episodes: int | None, wish: TelemetryWish) -> None:
    """Go on with a run in its folder, as processes or simulated, whichever it was."""
    from scenarios.commands.terminal import resume as go_on  # noqa: PLC0415

    go_on(run, episodes, wish)


@foretell.command()
@_with_scenario()
@_TRANSPORT
@click.option("--listen", default="", metavar="ADDRESS", help="mqtt://HOST:PORT or tcp://HOST:PORT; default this host.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of its files; default runs/SCENARIO-broker.")
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

    chosen = _TRANSPORTS[transport] if transport is not None else ()
    plan = planned(_load(scenario, seed, episodes, (*assignments, *chosen)))
    serve(plan, listen, out or Path("runs") / f"{plan.scenario.name}-broker")


@foretell.command()
@_with_scenario()
@click.option("--out", type=click.Path(path_type=Path), default=Path("keys"), help="A new folder for them.")
def keys(scenario: str, seed: int | None, episodes: int | None, assignments: tuple[str, ...], out: Path) -> None:
    """Make keys, passwords and permissions for everybody in a scenario, a folder each."""
    from broker.run_name import new_run_name  # noqa: PLC0415
    from scenarios.commands.planned import planned  # noqa: PLC0415
    from scenarios.running.meeting.keys import describe_keys, make_keys  # noqa: PLC0415

    plan = planned(_load(scenario, seed, episodes, assignments))
    make_keys(plan, out, new_run_name(plan.scenario.name))
    say(describe_keys(plan, out))


@foretell.command()
@_with_scenario()
@_OUT
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

    document = _load(scenario, seed, episodes, assignments)
    execute("simulate", document if profile is None else with_profile(document, profile), out, wish=wish)


@foretell.command()
@click.argument("place", metavar="RUN|POLICY", type=click.Path(path_type=Path))
@click.option("--episodes", type=click.IntRange(min=1), default=100, show_default=True, help="How many are played.")
@click.option("--greedy", is_flag=True, help="Agents take their likeliest actions, instead of drawing them.")
@click.option("--seed", type=int, help="Instead of the training's; no episode of training is played either way.")
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="PATH=VALUE",
    help="Any setting, such as faults of timesteps and actions; repeatable.",
)
@click.option("--processes", is_flag=True, help="A process each, in real time, instead of simulated.")
@_ON
@_HOSTS
@click.option("--json", "as_json", is_flag=True, help="Show the result as JSON.")
@click.option("--out", type=click.Path(path_type=Path), help="Keep all that a run leaves, and evaluation.json, there.")
def evaluate(
    *,
    place: Path,
    episodes: int,
    greedy: bool,
    seed: int | None,
    assignments: tuple[str, ...],
    processes: bool,
    carrier: str | None,
    hosts: Path | None,
    as_json: bool,
    out: Path | None,
) -> None:
    """Let trained agents act without learning, and show what they earn, with intervals."""
    from scenarios.commands.policies.evaluate import evaluate as evaluate_policy  # noqa: PLC0415
    from scenarios.document.loading import parse_settings  # noqa: PLC0415
    from scenarios.play.evaluate import EvaluationWish  # noqa: PLC0415

    wish = EvaluationWish(place, episodes, greedy=greedy, seed=seed, settings=parse_settings(assignments))
    housed = _housed(carrier, hosts)
    way: Literal["run", "simulate"] = "run" if processes or housed is not None else "simulate"
    evaluate_policy(wish, way, out, as_json=as_json, hosts=housed)


class _Study(click.Command):
    """A command whose help names what its options may choose from, read from the pages of the studies."""

    def format_epilog(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        from scenarios.commands.study import algorithm_names, task_names  # noqa: PLC0415

        with formatter.section("Studies and their tasks"):
            formatter.write_dl([(study, ", ".join(tasks)) for study, tasks in task_names().items()])
        with formatter.section("Their algorithms"):
            formatter.write_dl([(", ".join(studies), ", ".join(names)) for names, studies in algorithm_names().items()])


@foretell.command(cls=_Study)
@click.argument("name", metavar="STUDY", type=click.Choice(STUDIES))
@click.option("--quick", is_flag=True, help="The quick scenarios instead of the paper's sizes.")
@click.option("--seeds", type=click.IntRange(min=1), help="Seeds per group; default 3 with --quick, else 5.")
@_JOBS
@_ON_CLUSTER
@click.option("--task", "tasks", multiple=True, help="Only this task, of those below; repeatable.")
@click.option("--algorithm", "algorithms", multiple=True, help="Only this algorithm, of those below; repeatable.")
@click.option("--set", "assignments", multiple=True, metavar="PATH=VALUE", help="Any setting, in all runs; repeatable.")
@click.option("--tuned", type=click.Path(path_type=Path), help="fig1: each algorithm's settings, from a search.")
@click.option("--instances", type=click.IntRange(min=1), help="theory: how many random problems.")
@click.option("--out", type=click.Path(path_type=Path), help="The study's folder; default studies/NAME.")
def study(
    *,
    name: str,
    quick: bool,
    seeds: int | None,
    jobs: int | None,
    cluster: str | None,
    tasks: tuple[str, ...],
    algorithms: tuple[str, ...],
    assignments: tuple[str, ...],
    tuned: Path | None,
    instances: int | None,
    out: Path | None,
) -> None:
    """Run an experiment of the paper, or one of ours; what is done already is not run again."""
    from scenarios.commands.study import Wish, conduct  # noqa: PLC0415

    wish = Wish(name, quick, seeds, jobs, tasks, algorithms, assignments, tuned, instances, out, cluster)
    conduct(wish)


@foretell.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@_JOBS
@_ON_CLUSTER
@click.option("--out", type=click.Path(path_type=Path), help="The sweep's folder; default sweeps/NAME.")
@click.option("--dry-run", "--list", "only_shown", is_flag=True, help="Check all, list the runs, and run none.")
def sweep(*, file: Path, jobs: int | None, cluster: str | None, out: Path | None, only_shown: bool) -> None:
    """Run and compare scenarios, settings, algorithms and seeds of your own; what is done already is not run again."""
    from scenarios.commands.experiments.sweep import conduct, show  # noqa: PLC0415

    if only_shown:
        show(file, out)
    else:
        conduct(file, jobs, out, cluster)


@foretell.command()
@_with_scenario()
@click.option(
    "--seeds", type=click.IntRange(min=1), default=5, show_default=True, help="How many, from the scenario's."
)
@_JOBS
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the runs; default twins/NAME.")
def twin(
    *,
    scenario: str,
    seed: int | None,
    episodes: int | None,
    assignments: tuple[str, ...],
    seeds: int,
    jobs: int | None,
    out: Path | None,
) -> None:
    """Simulate a scenario with its faults and without, over the same seeds, and show what the faults cost."""
    from scenarios.commands.trials import compare_twins  # noqa: PLC0415

    chosen = _as_assignments(seed, episodes)
    compare_twins(scenario, (*assignments, *chosen), seeds, jobs, out)


@foretell.command()
@_with_scenario()
@click.option("--until", "condition", required=True, metavar="EXPRESSION", help='Such as "team_return_last < 3".')
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File for the scenario that is left.")
def shrink(
    *,
    scenario: str,
    seed: int | None,
    episodes: int | None,
    assignments: tuple[str, ...],
    condition: str,
    out: Path | None,
) -> None:
    """Find a smallest set of faults and windows with which a condition on the summary still holds."""
    from scenarios.commands.trials import shrink_faults  # noqa: PLC0415

    shrink_faults(_load(scenario, seed, episodes, assignments), condition, out)


_RUN = click.argument("run", type=click.Path(path_type=Path))
_RUNS = click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))


foretell.add_command(fault)
foretell.add_command(play)
foretell.add_command(policy)
foretell.add_command(replay)
foretell.add_command(diff)
foretell.add_command(trace)
foretell.add_command(watch)


@foretell.command()
@_RUN
def why(run: Path) -> None:
    """Who waits for whom in a run, on which edge, and since when."""
    from scenarios.reports.waits import explain  # noqa: PLC0415

    say(explain(run))


@foretell.command()
@_RUN
@click.argument("who", nargs=-1)
@click.option("--follow", is_flag=True, help="Go on with what is said from now on, until the run ends.")
def logs(run: Path, who: tuple[str, ...], *, follow: bool) -> None:
    """What the processes of a run say, or those of WHO alone, from all of its hosts."""
    from scenarios.commands.hosts.logs import show_logs  # noqa: PLC0415

    show_logs(run, who, follow=follow)


@foretell.command()
@_RUN
@click.option("--edges", "by_edge", is_flag=True, help="A line for every edge instead of every kind of message.")
def ledger(run: Path, *, by_edge: bool) -> None:
    """What became of the messages of a run, and why: heard, skipped, lost, late, rejected, struck by faults."""
    from scenarios.commands.rich_screen import Screen  # noqa: PLC0415
    from scenarios.reports.ledger import account_of  # noqa: PLC0415

    Screen().print(account_of(run, by_edge=by_edge))


@foretell.command()
@_RUNS
def report(runs: tuple[Path, ...]) -> None:
    """Compare finished runs: returns, communication bill, faults, digests."""
    from scenarios.commands.rich_screen import Screen  # noqa: PLC0415
    from scenarios.reports.report import same_curves, tables  # noqa: PLC0415
    from scenarios.results.run_result import read_run  # noqa: PLC0415

    found = [read_run(run) for run in runs]
    console = Screen()
    for table in tables(found):
        console.print(table)
    for line in same_curves(found):
        say(line)


@foretell.command()
@_RUNS
@click.option("--format", "format_", type=click.Choice(("csv", "parquet", "marl-eval")), required=True)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="The file; default standard output.")
def export(runs: tuple[Path, ...], format_: str, out: Path | None) -> None:
    """Write the episodes of finished runs for other programs."""
    from scenarios.reports.export import FORMATS, write  # noqa: PLC0415
    from scenarios.results.run_result import read_run  # noqa: PLC0415

    content: bytes = FORMATS[format_]([read_run(run) for run in runs])
    if out is None:
        sys.stdout.buffer.write(content)
    else:
        write(content, out)


class _Benchmarks(click.Group):
    """The commands of `scenarios.commands.bench`, imported when one is asked for."""

    def list_commands(self, _context: click.Context) -> list[str]:
        from scenarios.commands.bench import COMMANDS  # noqa: PLC0415

        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        from scenarios.commands.bench import COMMANDS  # noqa: PLC0415

        return COMMANDS.get(name)


@foretell.group(cls=_Benchmarks)
def bench() -> None:
    """Measure what messages, protocol and start-up cost on this machine."""


def _as_assignments(seed: int | None, episodes: int | None) -> tuple[str, ...]:
    given = {"seed": seed, "episodes": episodes}
    return tuple(f"{name}={value}" for name, value in given.items() if value is not None)


def _load(name: str, seed: int | None, episodes: int | None, assignments: tuple[str, ...]) -> Scenario:
    from scenarios.document.loading import load_scenario, parse_settings  # noqa: PLC0415

    settings = parse_settings(assignments)
    if seed is not None:
        settings["seed"] = seed
    if episodes is not None:
        settings["episodes"] = episodes
    return load_scenario(name, settings)


@contextmanager
def _sentences() -> Iterator[None]:
    """Turns errors made on purpose into one sentence and an exit code."""
    try:
        yield
    except click.ClickException as error:
        error.show(file=shown_on(err=True))
        code = ExitCode.WRONG
    except UserError as error:
        say(f"foretell: {error}", err=True)
        code = ExitCode.WRONG
    except LedgerMismatch as error:
        for sentence in error.sentences:
            say(f"foretell: {sentence}", err=True)
        code = ExitCode.MISMATCH
    except ForetellError as error:
        say(f"foretell: {error}", err=True)
        code = ExitCode.DIED
    except ModuleNotFoundError as error:
        if not (needed := lacking(error)):
            raise
        say(f"foretell: this {needed}", err=True)
        code = ExitCode.WRONG
    except OSError as error:
        if error.errno not in _SURROUNDINGS:
            raise
        say(f"foretell: {error.strerror}{f': {error.filename}' if error.filename else ''}", err=True)
        code = ExitCode.WRONG
    except MemoryError:
        say("foretell: the machine has not enough memory for this", err=True)
        code = ExitCode.WRONG
    except (KeyboardInterrupt, click.Abort):
        say("foretell: interrupted", err=True)
        code = ExitCode.INTERRUPTED
    else:
        return
    sys.exit(code)  # here, where the error holds nothing of somebody's code any more


def main() -> None:
    """Run the command line."""
    with guests(), _sentences():
        foretell(standalone_mode=False)


if __name__ == "__main__":
    leave_working_directory()
    main()
