"""One run from the terminal: progress while it goes on, Ctrl-C, and a screen of results at the end."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from broker.arithmetic.chosen import why_not_fast
from broker.counting import counted
from broker.errors import LedgerMismatch, UserError
from broker.wire.messages import ENVIRONMENT
from scenarios.api.one_run import Onlooker, play_to_the_end, require_whole
from scenarios.commands.exit_codes import ExitCode
from scenarios.commands.planned import planned
from scenarios.commands.rich_screen import Screen
from scenarios.commands.screen import output_lent, say
from scenarios.document.agent_names import AgentNames
from scenarios.document.plan import Plan
from scenarios.document.scenario import Scenario
from scenarios.results import observer as observing
from scenarios.results.answers import struck
from scenarios.results.evaluation import Evaluation, forget_policies, read_evaluations
from scenarios.results.folder import RunFolder, held, make_run_folder, open_run_folder, require_text
from scenarios.results.going_on import begun_as, document_for, is_complete, nothing_left
from scenarios.results.observer import Observer
from scenarios.results.proof.mismatches import excused_kept, mismatches_kept
from scenarios.results.reader import read_store
from scenarios.results.run_result import read_run
from scenarios.results.summary import Summary
from scenarios.results.temporary import temporary_file
from scenarios.running.control.interrupting import interruptible
from scenarios.running.fleet import load_fleet
from scenarios.running.housing import Housing, housing, moved, read_housing, write_housing
from scenarios.running.machine import make_ready
from scenarios.running.meeting.meeting import find_given_keys
from scenarios.running.substrate import Substrate
from scenarios.running.ways import WayName, is_processes_here, way_for, way_named
from scenarios.telemetry.telemetry import Telemetry, telemetry
from scenarios.telemetry.wish import NOTHING_WANTED, TelemetryWish

_AGENTS_SHOWN = 8


def resume(
    root: Path,
    episodes: int | None,
    wish: TelemetryWish,
    *,
    only: WayName | None,
    carrier: str | None,
    hosts: Path | None,
) -> None:
    """Go on with a run as it was begun: one that was interrupted, however that happened, or a complete one to more.

    Where nothing is left to play, it ends as the run did.

    Args:
        root: The run's folder.
        episodes: How many there are to be, or None for as many as before.
        wish: What is told to others.
        only: As what alone it goes on, or None for whatever it was begun as.
        carrier: How its hosts are reached now, or None for as before.
        hosts: The document that names them, or None for those of before.

    Raises:
        ForetellError: It holds no run, or one that could not run to its end.
        LedgerMismatch: It did, but its faults are not those that were asked for.
    """
    folder = open_run_folder(root)
    require_text(root)
    way = way_named(begun_as(folder, only))
    wanted = document_for(folder, episodes)
    if is_complete(folder, wanted):
        _end_again(way, folder)
        return
    with _log_of_environment(folder) as said:
        plan = planned(wanted, said)
    housed = read_housing(folder)
    if (carrier, hosts) != (None, None):
        housed = moved(housed, carrier, None if hosts is None else load_fleet(hosts), plan.participants)
    make_ready(plan, as_processes=is_processes_here(way, housed))
    with telemetry(wish) as told:
        _execute(way, plan, folder, housed, told)


def execute(
    way: WayName,
    scenario: Scenario,
    out: Path | None,
    hosts: tuple[str, Path] | Housing | None = None,
    wish: TelemetryWish = NOTHING_WANTED,
) -> None:
    """Run a scenario, show it and keep its results.

    Args:
        way: On what it runs.
        scenario: The document.
        out: The run's folder, or None for the next free one.
        hosts: How hosts are reached, and they or the document that names them; None for this host alone.
        wish: What is told to others.

    Raises:
        ForetellError: It could not run to its end; what was recorded is kept.
        LedgerMismatch: It did, but its faults are not those that were asked for.
    """
    with ExitStack() as stack:
        said = stack.enter_context(temporary_file())
        plan = planned(scenario, said)  # first: a wrong scenario leaves no folder behind
        housed = housing(hosts[0], load_fleet(hosts[1]), plan.participants) if isinstance(hosts, tuple) else hosts
        processes = is_processes_here(way, housed)
        make_ready(plan, as_processes=processes)
        if processes:
            find_given_keys(plan)  # as a wrong scenario, wrong keys leave no folder behind
        told = stack.enter_context(telemetry(wish))
        folder = make_run_folder(out, scenario.name, scenario.seed)
        said.seek(0)
        with _log_of_environment(folder) as log:
            shutil.copyfileobj(said, log)
        _execute(way, plan, folder, housed, told)


def _execute(way: WayName, plan: Plan, folder: RunFolder, housed: Housing | None, told: Telemetry) -> None:
    scenario = plan.scenario
    console = Screen(stderr=True)
    agents, edges = counted(len(plan.agents), "agent"), counted(len(plan.graph.edges), "edge")
    said = f": {scenario.algorithm.name}, {agents}, {edges}"
    console.print(console.bold("", scenario.name, f"{said}, seed {scenario.seed}, {way}"))
    if plan.names.own:
        console.print(f"agents: {plan.names.listed(_AGENTS_SHOWN)}", style="dim", highlight=False)
    if why := why_not_fast():
        console.print(f"computed by the reference, many times slower than compiled kernels: {why}", style="dim")
    with held(folder), _bar(scenario.episodes, console) as show, interruptible() as interrupted:
        if housed is not None:
            write_housing(folder, housed)
        tell = partial(console.print, style="dim", highlight=False)

        def told_way(plan: Plan, folder: RunFolder, observer: Observer) -> AbstractContextManager[Substrate]:
            asked = told.begin(plan, folder, observer, way, tell)
            return way_for(way, housed, asked)(plan, folder, observer)

        onlooker = Onlooker(
            show,
            tell,
            interrupted,
            heard=lambda name: environment_heard(name, folder),
            left=lambda returns: _draw(way, folder, scenario, plan.names, returns),
        )
        ended = play_to_the_end(plan, folder, way, told_way, onlooker)
    summary = ended.summary
    _show_results(folder, summary, plan.names)
    if ended.stopped:
        played = f"{summary.episodes} of {counted(scenario.episodes, 'episode')}"
        console.print(f"foretell: interrupted after {played}", style="yellow")
        more = "" if ended.more_episodes is None else f" --episodes {ended.more_episodes}"
        console.print(f"go on with: foretell resume {folder.root}{more}", style="yellow", soft_wrap=True)
        sys.exit(ExitCode.INTERRUPTED)
    require_whole(plan, folder, summary)


def _end_again(way: WayName, folder: RunFolder) -> None:
    """End as a complete run did, which may have been killed when all was written but its picture, and nothing said.

    The picture is always drawn: the one that is there may be of the time before the run went on to its end. What is
    left of policies on the way was being removed.

    Raises:
        UserError: It cannot be read, or somebody works on it.
        LedgerMismatch: Its faults are not those that were asked for.
    """
    console = Screen(stderr=True)
    with held(folder):
        found = read_run(folder.root)
        forget_policies(folder)
        _draw(way, folder, found.scenario, found.names, found.returns)
    for sentence in excused_kept(folder):
        console.print(sentence, style="dim", highlight=False)
    _show_results(folder, found.summary, found.names)
    console.print(nothing_left(folder, found.scenario), style="dim", soft_wrap=True, highlight=False)
    if sentences := mismatches_kept(folder):
        raise LedgerMismatch(sentences)


def _show_results(folder: RunFolder, summary: Summary, names: AgentNames) -> None:
    """The screen at the end of a run."""
    screen = Screen()
    with read_store(folder.store) as store:
        strikes = len(struck(store.strikes()))
    screen.print(_numbers(screen, summary, names, strikes))
    if (best := read_evaluations(folder).best) is not None:
        say(_best(best))
    say(_digests(summary))
    say(paths(folder))


@contextmanager
def environment_heard(way: WayName, folder: RunFolder) -> Iterator[None]:
    """Let what the environment prints go to its log, as it does where it is a process of its own."""
    if way != "simulate":
        yield
        return
    with _log_of_environment(folder) as log, output_lent(log):
        yield


def _log_of_environment(folder: RunFolder) -> BinaryIO:
    """Its log, to be written on.

    Raises:
        UserError: It cannot be written.
    """
    path = folder.log(ENVIRONMENT)
    try:
        return path.open("ab")
    except OSError as error:
        msg = f"cannot write {path}: {error.strerror}"
        raise UserError(msg) from None


def _draw(way: WayName, folder: RunFolder, scenario: Scenario, names: AgentNames, returns: NDArray[np.float64]) -> None:
    """Draw the learning curve, if anything was learned."""
    if len(returns):
        from scenarios.reports.learning_curve import draw_learning_curve  # noqa: PLC0415 - matplotlib takes half a second

        title = f"{scenario.name}, {scenario.algorithm.name}, seed {scenario.seed} ({way})"
        told = tuple(map(names.told, names.by_id))
        evaluations = read_evaluations(folder).in_run(scenario.episodes_before)
        draw_learning_curve(folder.learning_curve, title, told, returns, evaluations)


@contextmanager
def _bar(episodes: int, console: Screen) -> Iterator[observing.ShowProgress]:
    """A live progress bar; yields what updates it."""
    columns = (
        MofNCompleteColumn(),
        BarColumn(bar_width=8),
        TextColumn("team {task.fields[team]}", markup=False),
        TextColumn("{task.fields[rate]} rounds/s", markup=False),
        TextColumn("heard {task.fields[heard]} missing {task.fields[missing]}", markup=False),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, refresh_per_second=4, redirect_stdout=False, redirect_stderr=False
    ) as progress:
        task = progress.add_task("", total=episodes, team="-", rate="-", heard=0, missing=0)

        def show(now: observing.Progress) -> None:
            progress.update(
                task,
                completed=now.episode,
                team="-" if now.team_return is None else f"{now.team_return:.2f}",
                rate="-" if now.rounds_per_s is None else f"{now.rounds_per_s:.0f}",
                heard=now.heard,
                missing=now.missing,
            )

        yield show


def _numbers(screen: Screen, summary: Summary, names: AgentNames, strikes: int) -> Table:
    """The numbers a user asks for first."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    first, last = summary.team_return_first, summary.team_return_last
    if first is not None and last is not None:
        of = counted(summary.episodes, "episode")
        table.add_row(
            "team return", screen.bold(f"{first:.2f} -> ", f"{last:.2f}", f"  (first and last tenth of {of})")
        )
        own = list(summary.per_agent_return_last.items())
        agents = ", ".join(f"{names.told(agent)} {value:.2f}" for agent, value in own[:_AGENTS_SHOWN])
        table.add_row("per agent, last", agents + (" ..." if len(own) > _AGENTS_SHOWN else ""))
    shares = f"{summary.shares_sent} sent, {summary.shares_heard} heard, {summary.shares_missing} missing"
    size = "bytes unknown" if summary.edge_bytes is None else f"{summary.edge_bytes / 1e6:.1f} MB"
    table.add_row("shares", f"{shares}, {summary.shares_late} late, {size}")
    trouble = f"{summary.rejected} rejected, {summary.dropped} dropped, {summary.lost} lost"
    table.add_row("messages", f"{trouble}, {counted(summary.faults_applied, 'fault')} applied")
    if strikes:
        table.add_row("processes", f"{counted(strikes, 'fault')} applied")
    table.add_row("speed", f"{summary.env_steps_per_s:.0f} environment steps/s, {summary.wall_s:.1f} s")
    return table


def _best(best: Evaluation) -> str:
    """What the best of the policies on the way is worth."""
    team = best.team
    interval = best.interval(team)
    told = f"best policy    after {counted(best.learned_from, 'episode')}: team return {team.mean:.2f}"
    return f"{told} ({interval})" if interval else told


def _digests(summary: Summary) -> str:
    """What any other machine ends with too, whole, never folded or cut."""
    weights = "" if summary.weights_digest is None else f"\n{'weights digest':15}{summary.weights_digest}"
    return f"{'curve digest':15}{summary.curve_digest}{weights}"


def paths(folder: RunFolder) -> str:
    """Where the results are, never folded or cut."""
    lines = [f"results          {folder.root}"]
    if folder.learning_curve.exists():
        lines.append(f"learning curve   {folder.learning_curve}")
    return "\n".join(lines)
