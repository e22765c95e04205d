"""How far a run from Python is: a bar on a terminal or in a notebook, and what is said on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from scenarios.results import observer as observing


@contextmanager
def shown(episodes: int, wanted: bool | None) -> Iterator[tuple[observing.ShowProgress, Callable[[str], None]]]:
    """What shows progress, and what shows a sentence.

    Args:
        episodes: How many there are to be.
        wanted: Whether anything is shown; None for where somebody looks, on a terminal or in a notebook.
    """
    console = Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter if wanted is None else wanted):
        yield lambda _: None, lambda _: None
        return
    columns = (
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("team {task.fields[team]}", markup=False),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, redirect_stdout=False, redirect_stderr=False) as progress:
        task = progress.add_task("", total=episodes, team="-")

        def show(now: observing.Progress) -> None:
            team = "-" if now.team_return is None else f"{now.team_return:.2f}"
            progress.update(task, completed=now.episode, team=team)

        yield show, lambda sentence: console.print(sentence, style="dim", highlight=False, markup=False)
