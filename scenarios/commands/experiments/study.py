"""`foretell study`: one command an experiment."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, replace
from importlib import import_module
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from broker.counting import counted
from broker.errors import UserError
from scenarios.commands.experiments.crews import crew_on
from scenarios.commands.experiments.listing import list_cells
from scenarios.commands.experiments.so_far import told_so_far
from scenarios.commands.rich_screen import Screen
from scenarios.commands.screen import plain, say
from scenarios.document.loading import parse_settings
from scenarios.running.batch.cell import Cell
from scenarios.running.batch.folder import Folder
from scenarios.running.batch.outcomes import Outcomes
from scenarios.running.batch.runner import Runner, ShowStanding, Standing, document
from scenarios.running.control.interrupting import interruptible
from scenarios.studies.cells import study_cells
from scenarios.studies.conduct import done_so_far, known_references, refuse_unmeasured, write_study
from scenarios.studies.names import check_algorithms, check_tasks, check_tuned
from scenarios.studies.search import TASKS as SEARCH_TASKS
from scenarios.studies.search import TUNED, count_cells, count_games, read_tuned, search, write_search
from scenarios.studies.sizes import THEORY_SEED
from scenarios.studies.study import SEARCHED, Choice, Study

PAGES = {
    name: f"scenarios.studies.pages.{name}"
    for name in ("fig1", "fig3", "fig4", "fig5", "latency", "loss", "inaccurate", "calibrated")
}
_OF_THE_SEARCH = ("search", SEARCHED)


@dataclass(frozen=True)
class Wish:
    """The words of one `foretell study`, as the command line has them; None or empty where one was not given."""

    name: str
    _: KW_ONLY
    quick: bool = False
    seeds: int | None = None
    jobs: int | None = None
    tasks: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = ()
    assignments: tuple[str, ...] = ()
    tuned: Path | None = None
    instances: int | None = None
    out: Path | None = None
    cluster: str | None = None
    discard_runs: bool = False
    only_shown: bool = False
    so_far: bool = False

    @property
    def folder(self) -> Path:
        """Where everything goes."""
        name = f"{self.name}-quick" if self.quick else self.name
        return self.out if self.out is not None else Path("studies") / name

    @property
    def keeping(self) -> Outcomes:
        """What is kept of its runs."""
        return Outcomes(Folder(self.folder), discard_runs=self.discard_runs)


def conduct(wish: Wish) -> None:
    """Run a study, or what is left of it, and write its files; or say which runs it asks for, and make nothing.

    Raises:
        ForetellError: A cell failed, or something cannot work.
        KeyboardInterrupt: Interrupted; what is done is kept.
    """
    _refuse_what_does_not_apply(wish)
    if wish.only_shown:
        _list(wish)
        return
    if wish.so_far:
        _say_all(_write_so_far(wish))
        return
    console = Screen(stderr=True)
    if wish.name == "theory":
        files = _check_theory(wish, console)
    elif wish.name == "search":
        files = _search(wish, console)
    else:
        files = _run(wish, console)
    _say_all(files)


def make_study(name: str, choice: Choice) -> Study:
    """The study called `name`, at the chosen size.

    Raises:
        UserError: The user chose tasks or algorithms that it has not.
    """
    make: Callable[[Choice], Study] = import_module(PAGES[name]).make
    whole = make(Choice(quick=choice.quick, tuned=choice.tuned))
    check_tasks(name, choice.tasks, whole.tasks)
    if choice.tuned is None and _takes_tuned(name, quick=choice.quick):
        check_tuned(name, choice.algorithms, whole.contenders, make(Choice(quick=choice.quick, tuned={})).contenders)
    check_algorithms(name, choice.algorithms, whole.contenders)
    return make(choice)


def task_names() -> dict[str, tuple[str, ...]]:
    """The tasks of every study, by its name."""
    found = {name: study.tasks for name, study in _whole_studies().items()} | {"search": SEARCH_TASKS}
    return {name: tuple(task.key for task in tasks) for name, tasks in found.items()} | {"theory": ("random problems",)}


def algorithm_names() -> dict[tuple[str, ...], list[str]]:
    """For each choice of algorithms, the studies that have it."""
    found: dict[tuple[str, ...], list[str]] = {}
    for name, algorithms in [*((name, each.contenders) for name, each in _whole_studies().items()), _OF_THE_SEARCH]:
        found.setdefault(algorithms, []).append(name)
    return found


def _whole_studies() -> dict[str, Study]:
    return {name: import_module(page).make(Choice(quick=True)) for name, page in PAGES.items()}


def make_choice(wish: Wish) -> Choice:
    """What was asked for, read and checked.

    Raises:
        UserError: A setting is no `path=value`, or the tuned settings cannot be read.
    """
    parse_settings(wish.assignments)
    pairs = (assignment.partition("=") for assignment in wish.assignments)
    return Choice(
        wish.quick,
        wish.seeds,
        wish.algorithms,
        wish.tasks,
        tuple((path.strip(), value.strip()) for path, _, value in pairs),
        None if wish.tuned is None else read_tuned(wish.tuned),
        "" if wish.tuned is None else str(wish.tuned),
    )


def command(wish: Wish) -> str:
    """The words that make the same study again; where it goes and how many run at a time make no difference."""
    words = ["foretell", "study", wish.name]
    words += ["--quick"] if wish.quick else []
    words += [] if wish.seeds is None else ["--seeds", str(wish.seeds)]
    words += [word for task in wish.tasks for word in ("--task", task)]
    words += [word for algorithm in wish.algorithms for word in ("--algorithm", algorithm)]
    words += [] if wish.tuned is None else ["--tuned", str(wish.tuned)]
    words += [word for assignment in wish.assignments for word in ("--set", assignment)]
    return shlex.join(words)


@contextmanager
def bar(console: Screen) -> Iterator[ShowStanding]:
    """A live bar over cells and episodes; yields what updates it."""
    columns = (
        TextColumn("cells {task.fields[cells]}", markup=False),
        BarColumn(bar_width=16),
        TextColumn("episodes", markup=False),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, refresh_per_second=4) as progress:
        task = progress.add_task("", total=None, cells="-")

        def show(now: Standing) -> None:
            progress.update(task, completed=now.fresh, total=max(now.ahead, 1), cells=f"{now.done}/{now.cells}")

        yield show


def _asked(wish: Wish) -> tuple[Study, tuple[Cell, ...]]:
    """A study of scenarios, and all its cells."""
    choice = make_choice(wish)
    study = make_study(wish.name, choice)
    return study, study_cells(study, choice)


def _list(wish: Wish) -> None:
    _, cells = _asked(wish)
    list_cells(Folder(wish.folder), cells, [document(cell) for cell in cells])


def _write_so_far(wish: Wish) -> list[Path]:
    (study, cells), folder = _asked(wish), Folder(wish.folder)
    found, done = done_so_far(folder, study, cells)
    words = command(wish) if len(done) == len(cells) else f"{command(wish)} --so-far"
    return write_study(folder, found, done, None, words)


def _say_all(files: Sequence[Path]) -> None:
    for file in files:
        say(file)


def _run(wish: Wish, console: Screen) -> list[Path]:
    study, cells = _asked(wish)
    scenarios = [document(cell) for cell in cells]  # refuses before anything is made
    refuse_unmeasured(study, known_references(cells, scenarios))
    folder = Folder(wish.folder)
    games = sum(scenario.episodes * scenario.parallel_episodes for scenario in scenarios)
    with crew_on(wish.cluster, wish.jobs) as (crew, parallel), folder.held(), interruptible() as interrupted:
        _announce(console, study.title, len(cells), games, f"{parallel} at a time, in {folder.root}")
        with told_so_far(folder, cells), bar(console) as show:
            Runner(crew, folder, parallel, wish.keeping, show=show, interrupted=interrupted).run(cells)
        return write_study(folder, study, cells, parallel, command(wish))


def _search(wish: Wish, console: Screen) -> list[Path]:
    choice = make_choice(wish)
    folder = Folder(wish.folder)
    count, before = count_cells(choice), 0
    with crew_on(wish.cluster, wish.jobs) as (crew, parallel), folder.held(TUNED), interruptible() as interrupted:
        _announce(console, "Search", count, count_games(choice), f"{parallel} at a time, in {folder.root}")
        with bar(console) as show:

            def show_rung(now: Standing) -> None:
                show(replace(now, done=before + now.done, cells=count))

            def run(cells: Sequence[Cell]) -> None:
                nonlocal before
                Runner(crew, folder, parallel, wish.keeping, show=show_rung, interrupted=interrupted).run(cells)
                before += len(cells)

            tried, cells = search(folder, choice, run)
        return write_search(folder, tried, cells, parallel, command(wish))


def _check_theory(wish: Wish, console: Screen) -> list[Path]:
    from scenarios.studies.theory.cases import INSTANCES  # noqa: PLC0415
    from scenarios.studies.theory.study import run_theory  # noqa: PLC0415 - matplotlib takes half a second

    instances = wish.instances if wish.instances is not None else INSTANCES
    with Progress(
        TextColumn("instances", markup=False), MofNCompleteColumn(), BarColumn(bar_width=16), console=console
    ) as progress:
        task = progress.add_task("", total=instances)
        run_theory(instances, THEORY_SEED, wish.folder, lambda done: progress.update(task, completed=done))
    return [wish.folder / f"theory.{ending}" for ending in ("png", "md", "json")]


def _announce(console: Screen, title: str, cells: int, games: int, how: str) -> None:
    size = f"{counted(cells, 'run')}, {games:,} episodes (all copies)"
    said = Text.assemble((plain(title), "bold"), plain(f": {size}, {how}"))
    console.print(said, highlight=False, soft_wrap=True)


def _takes_tuned(name: str, *, quick: bool) -> bool:
    return name == "fig1" or (name == "fig5" and not quick)


def _refuse_what_does_not_apply(wish: Wish) -> None:
    """An option that would be ignored is a mistake.

    Raises:
        UserError: Names it.
    """
    known_before = "studies whose runs are known before, not to search or theory"
    given = {
        "--tuned": (
            wish.tuned is not None,
            _takes_tuned(wish.name, quick=wish.quick),
            "fig1, and to fig5 at full size",
        ),
        "--list": (wish.only_shown, wish.name in PAGES, known_before),
        "--so-far": (wish.so_far, wish.name in PAGES, known_before),
        "--instances": (wish.instances is not None, wish.name == "theory", "theory"),
    }
    of_runs = {"--quick": wish.quick, "--seeds": wish.seeds, "--jobs": wish.jobs, "--task": wish.tasks}
    of_runs |= {"--on": wish.cluster is not None, "--algorithm": wish.algorithms, "--set": wish.assignments}
    of_runs["--discard-runs"] = wish.discard_runs
    for option, value in of_runs.items():
        given[option] = (bool(value), wish.name != "theory", "studies that run scenarios, not to theory")
    for option, (is_given, applies, where) in given.items():
        if is_given and not applies:
            msg = f"{option} belongs to {where}"
            raise UserError(msg)
