"""`foretell watch --tui`: from a folder to a view in this terminal."""

from __future__ import annotations

import os
import sys
import termios
import threading
from pathlib import Path

from broker.errors import UserError
from scenarios.watching.run_list import find_runs
from scenarios.watching.watched_run import WatchedRun

_LOOK_EVERY_S = 1.0
_TERMINAL_GONE = 1


def watch_in_terminal(root: Path) -> None:
    """Show a run in this terminal until the user has seen enough; it may go on or have ended.

    Args:
        root: Its folder, or one that holds this run alone.

    Raises:
        UserError: There is no terminal, or no run, or several.
        ModuleNotFoundError: The extra is not installed.
    """
    run = WatchedRun(_the_run(root))
    run.look()  # a folder that cannot be read is a sentence, and no screen
    if not (sys.__stdin__ and sys.__stdin__.isatty() and sys.__stderr__ and sys.__stderr__.isatty()):
        msg = "--tui needs a terminal: expected one as standard input and standard error. Without --tui there is a page"
        raise UserError(msg)
    from scenarios.watching.terminal.app import TerminalView  # noqa: PLC0415 - an extra

    view = TerminalView(run.look)
    _end_with_terminal(sys.__stdin__.fileno())
    view.run()
    if view.failure is not None:
        raise view.failure


def _the_run(root: Path) -> Path:
    found = find_runs(root)
    if len(found) > 1:
        some = ", ".join(str(each) for each in found[:4])
        msg = f"--tui shows one run: expected its folder, found {len(found)} in {root}: {some}"
        raise UserError(f"{msg}, ..." if len(found) > 4 else msg)
    return found[0] if found else root


def _end_with_terminal(descriptor: int) -> None:
    """A terminal that is closed takes this process with it, even where nobody tells it so; there is nothing to lose."""

    def watch() -> None:
        waiting = threading.Event()
        while not waiting.wait(_LOOK_EVERY_S):
            try:
                termios.tcgetattr(descriptor)
            except termios.error:
                os._exit(_TERMINAL_GONE)

    threading.Thread(target=watch, name="foretell.terminal", daemon=True).start()
