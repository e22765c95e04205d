"""`foretell study`, `sweep`, `twin`, `shrink` and `bench`, as click knows them; what they do is imported late."""

from __future__ import annotations

from pathlib import Path

import click

from scenarios.commands.options import (
    DISCARD_RUNS,
    JOBS,
    ON_CLUSTER,
    ONLY_SHOWN,
    SO_FAR,
    OutPath,
    as_assignments,
    load,
    with_scenario,
)

STUDIES = ("fig1", "fig3", "fig4", "fig5", "latency", "loss", "inaccurate", "calibrated", "search", "theory")


class _Study(click.Command):
    """A command whose help names what its options may choose from, read from the pages of the studies."""

    def format_epilog(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        from scenarios.commands.experiments.study import algorithm_names, task_names  # noqa: PLC0415

        with formatter.section("Studies and their tasks"):
            formatter.write_dl([(study, ", ".join(tasks)) for study, tasks in task_names().items()])
        with formatter.section("Their algorithms"):
            formatter.write_dl([(", ".join(studies), ", ".join(names)) for names, studies in algorithm_names().items()])


@click.command(cls=_Study)
@click.argument("name", metavar="STUDY", type=click.Choice(STUDIES))
@click.option("--quick", is_flag=True, help="The quick scenarios instead of the paper's sizes.")
@click.option(
    "--seeds", type=click.IntRange(min=1), help="Seeds per group; default 3 or fewer with --quick, else 5 or fewer."
)
@JOBS
@ON_CLUSTER
@click.option("--task", "tasks", multiple=True, help="Only this task, of those below; repeatable.")
@click.option("--algorithm", "algorithms", multiple=True, help="Only this algorithm, of those below; repeatable.")
@click.option("--set", "assignments", multiple=True, metavar="PATH=VALUE", help="Any setting, in all runs; repeatable.")
@click.option("--tuned", type=click.Path(path_type=Path), help="fig1, and fig5 at full size: settings from a search.")
@click.option("--instances", type=click.IntRange(min=1), help="theory: how many random problems.")
@click.option("--out", type=OutPath(), help="The study's folder; default studies/STUDY, or studies/STUDY-quick.")
@DISCARD_RUNS
@ONLY_SHOWN
@SO_FAR
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
    discard_runs: bool,
    only_shown: bool,
    so_far: bool,
) -> None:
    """Run an experiment of the paper, or one of ours; what is done already is not run again."""
    from scenarios.commands.experiments.study import Wish, conduct  # noqa: PLC0415

    wish = Wish(
        name,
        quick=quick,
        seeds=seeds,
        jobs=jobs,
        cluster=cluster,
        tasks=tasks,
        algorithms=algorithms,
        assignments=assignments,
        tuned=tuned,
        instances=instances,
        out=out,
        discard_runs=discard_runs,
        only_shown=only_shown,
        so_far=so_far,
    )
    conduct(wish)


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@JOBS
@ON_CLUSTER
@click.option("--out", type=OutPath(), help="The sweep's folder; default sweeps/NAME.")
@DISCARD_RUNS
@ONLY_SHOWN
@SO_FAR
def sweep(
    *,
    file: Path,
    jobs: int | None,
    cluster: str | None,
    out: Path | None,
    discard_runs: bool,
    only_shown: bool,
    so_far: bool,
) -> None:
    """Run and compare scenarios, settings, algorithms and seeds of your own; what is done already is not run again."""
    from scenarios.commands.experiments.sweep import conduct, show, write_so_far  # noqa: PLC0415

    if only_shown:
        show(file, out)
    elif so_far:
        write_so_far(file, out)
    else:
        conduct(file, jobs, out, cluster, discard_runs=discard_runs)


@click.command()
@with_scenario()
@click.option(
    "--seeds", type=click.IntRange(min=1), default=5, show_default=True, help="How many, from the scenario's."
)
@JOBS
@click.option("--out", type=OutPath(), help="Folder of the runs; default twins/NAME.")
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
    from scenarios.commands.experiments.trials import compare_twins  # noqa: PLC0415

    chosen = as_assignments(seed, episodes)
    compare_twins(scenario, (*assignments, *chosen), seeds, jobs, out)


@click.command()
@with_scenario()
@click.option("--until", "condition", required=True, metavar="EXPRESSION", help='Such as "team_return_last < 3".')
@click.option("--out", type=OutPath(dir_okay=False), help="File for the scenario that is left.")
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
    from scenarios.commands.experiments.trials import shrink_faults  # noqa: PLC0415

    shrink_faults(load(scenario, seed, episodes, assignments), condition, out)


class _Benchmarks(click.Group):
    """The commands of `scenarios.commands.bench.group`, imported when one is asked for."""

    def list_commands(self, _context: click.Context) -> list[str]:
        from scenarios.commands.bench.group import COMMANDS  # noqa: PLC0415

        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        from scenarios.commands.bench.group import COMMANDS  # noqa: PLC0415

        return COMMANDS.get(name)


@click.group(cls=_Benchmarks)
def bench() -> None:
    """Measure what messages, protocol and start-up cost on this machine."""
