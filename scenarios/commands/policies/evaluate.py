"""`foretell evaluate` from the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from broker.counting import counted
from broker.errors import ForetellError, LedgerMismatch
from scenarios.api.one_run import Onlooker, play_to_the_end
from scenarios.commands.planned import planned
from scenarios.commands.rich_screen import Screen
from scenarios.commands.screen import say
from scenarios.commands.terminal import environment_heard, paths
from scenarios.document.plan import Plan
from scenarios.document.scenario import Scenario
from scenarios.play.evaluate import EvaluationWish, evaluation_of, scenario_of
from scenarios.reports.statistics import RESAMPLED_EPISODES
from scenarios.results.evaluation import Evaluation
from scenarios.results.folder import RunFolder, held, make_run_folder
from scenarios.results.observer import ShowProgress
from scenarios.results.proof.mismatches import mismatches
from scenarios.results.temporary import temporary_folder
from scenarios.running.control.interrupting import interruptible
from scenarios.running.fleet import load_fleet
from scenarios.running.housing import Housing, housing
from scenarios.running.machine import make_ready
from scenarios.running.ways import WayName, is_processes_here, way_for
from scenarios.telemetry.asked import NOTHING_ASKED

_AGENTS_SHOWN = 20


def evaluate(
    wish: EvaluationWish, way: WayName, out: Path | None, *, as_json: bool, hosts: tuple[str, Path] | None
) -> None:
    """Let trained agents act, and show what they earn.

    Args:
        wish: What is evaluated.
        way: On what it runs.
        out: Folder for all that a run leaves, or None to keep nothing.
        as_json: Whether the result is shown as JSON alone.
        hosts: How hosts are reached, and the document that names them; None for this host alone.

    Raises:
        ForetellError: It could not run to its end.
        LedgerMismatch: It did, but its faults are not those that were asked for.
    """
    scenario = scenario_of(wish)
    plan = planned(scenario)
    housed = None if hosts is None else housing(hosts[0], load_fleet(hosts[1]), plan.participants)
    make_ready(plan, as_processes=is_processes_here(way, housed))
    with _folder(out, scenario) as folder:
        found = _played(plan, folder, way, housed)
        found.write(folder.evaluation)
        if as_json:
            say(found.as_json(), nl=False)
        else:
            _show(plan, found)
        if out is not None and not as_json:
            say(paths(folder))
        if sentences := mismatches(plan, folder.store):
            raise LedgerMismatch([*map(plan.names.tell, sentences)])


@contextmanager
def _folder(out: Path | None, scenario: Scenario) -> Iterator[RunFolder]:
    """The folder that was asked for, or one that is gone afterwards."""
    if out is not None:
        yield make_run_folder(out, scenario.name, scenario.seed)
        return
    with temporary_folder() as place:
        yield make_run_folder(place / "evaluation", scenario.name, scenario.seed)


def _played(plan: Plan, folder: RunFolder, way: WayName, housed: Housing | None) -> Evaluation:
    console, episodes = Screen(stderr=True), plan.scenario.episodes
    with held(folder), _bar(episodes, console) as show, interruptible() as interrupted:
        onlooker = Onlooker(
            show,
            lambda note: console.print(note, style="dim", highlight=False),
            interrupted,
            heard=lambda name: environment_heard(name, folder),
        )
        ended = play_to_the_end(plan, folder, way, way_for(way, housed, NOTHING_ASKED), onlooker)
    summary = ended.summary
    if not summary.complete:
        if ended.stopped:
            raise KeyboardInterrupt
        raise ForetellError(f"only {summary.episodes} of {counted(episodes, 'episode')} were recorded")
    return evaluation_of(plan, folder, summary)


@contextmanager
def _bar(episodes: int, console: Screen) -> Iterator[ShowProgress]:
    columns = (TextColumn("episode", markup=False), MofNCompleteColumn(), BarColumn(bar_width=24))
    with Progress(
        *columns, console=console, refresh_per_second=4, transient=True, redirect_stdout=False, redirect_stderr=False
    ) as progress:
        task = progress.add_task("", total=episodes)
        yield lambda now: progress.update(task, completed=now.episode)


def _show(plan: Plan, found: Evaluation) -> None:
    screen = Screen()
    how = "likeliest actions" if found.greedy else "drawn actions"
    learned = f"after {counted(found.learned_from, 'episode')} of {found.algorithm}"
    say(f"{found.scenario}: {learned}, {how}, seed {found.seed}, {found.substrate}")
    table = Table.grid(padding=(0, 2))
    for _ in range(3):
        table.add_column(no_wrap=True)
    table.add_row("team return", screen.bold("", f"{found.team.mean:.2f}", ""), found.interval(found.team))
    for agent, own in list(found.agents.items())[:_AGENTS_SHOWN]:
        table.add_row(plan.names.told(agent), f"{own.mean:.2f}", found.interval(own))
    screen.print(table)
    if len(found.agents) > _AGENTS_SHOWN:
        say("...")
    copies = f" of {counted(found.parallel_episodes, 'copy', 'copies')} each" if found.parallel_episodes > 1 else ""
    say(f"means of {counted(found.episodes, 'episode')}{copies}, {_intervals(found)}")
    for agent, episodes in found.died_after.items():
        knew = counted(episodes, "episode")
        say(f"{plan.names.told(agent)} died in training, and acts with what it had learned from {knew}")
    if plan.scenario.faults:
        faults = f"{counted(found.faults_applied, 'fault')} of messages applied"
        struck = f"{faults}, {counted(found.missing_actions, 'action')} filled in"
        say(f"{struck}, {counted(found.rejected, 'message')} rejected, {found.lost} lost")
    say(f"{'curve digest':15}{found.curve_digest}\n{'weights digest':15}{found.weights_digest}")


def _intervals(found: Evaluation) -> str:
    """What the intervals are."""
    if found.episodes < 2:
        return "too few for intervals"
    kind = "bootstrap" if found.episodes >= RESAMPLED_EPISODES else "t"
    without = any(each.low is None for each in (found.team, *found.agents.values()))
    return f"with 95% {kind} intervals" + (", none of equal returns" if without else "")
