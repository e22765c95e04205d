"""How far a run from Python is: a bar on a terminal, the same as text in a notebook, and what is said on the way."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from scenarios.results import observer as observing

_EVERY_S = 0.25
_WIDTH = 80


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
    with _on_notebook(episodes) if console.is_jupyter else _on_terminal(episodes, console) as show:
        yield show, lambda sentence: console.print(sentence, style="dim", highlight=False, markup=False)


@contextmanager
def _on_terminal(episodes: int, console: Console) -> Iterator[observing.ShowProgress]:
    progress, show = _bar(episodes, console)
    with progress:
        yield show


@contextmanager
def _on_notebook(episodes: int) -> Iterator[observing.ShowProgress]:
    """One output of the cell that changes: rich's own way needs ipywidgets, here and in the page."""
    from IPython.display import DisplayHandle  # noqa: PLC0415 - there in every notebook

    progress, show_bar = _bar(
        episodes, Console(file=io.StringIO(), width=_WIDTH, color_system=None, force_jupyter=False)
    )
    output = DisplayHandle()  # type: ignore[no-untyped-call]
    due_at = 0.0

    def text() -> dict[str, str]:
        with progress.console.capture() as capture:
            progress.console.print(progress.get_renderable())
        return {"text/plain": capture.get().rstrip()}

    def show(now: observing.Progress) -> None:
        nonlocal due_at
        show_bar(now)
        if (moment := time.monotonic()) >= due_at:
            due_at = moment + _EVERY_S
            output.update(text(), raw=True)  # type: ignore[no-untyped-call]

    output.display(text(), raw=True)  # type: ignore[no-untyped-call]
    try:
        yield show
    finally:
        output.update(text(), raw=True)  # type: ignore[no-untyped-call]


def _bar(episodes: int, console: Console) -> tuple[Progress, observing.ShowProgress]:
    columns = (
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("team {task.fields[team]}", markup=False),
        TimeRemainingColumn(),
    )
    progress = Progress(*columns, console=console, redirect_stdout=False, redirect_stderr=False)
    task = progress.add_task("", total=episodes, team="-")

    def show(now: observing.Progress) -> None:
        team = "-" if now.team_return is None else f"{now.team_return:.2f}"
        progress.update(task, completed=now.episode, team=team)

    return progress, show
