"""`foretell why`: who waits for whom in a run, and since when."""

from __future__ import annotations

import time
from pathlib import Path

from broker.counting import counted
from scenarios.results.folder import is_held, open_run_folder
from scenarios.results.reader import read_store

_FEW = 20


def explain(root: Path) -> str:
    """What each participant of a run last said it waits for, the longest wait first, and what went wrong before.

    Raises:
        UserError: The folder holds no run, or its store cannot be read.
    """
    folder = open_run_folder(root)
    with read_store(folder.store) as store:
        waits, episodes, lives, names = store.status(), store.count_episodes(), store.lives(), store.agent_names()
    goes_on = is_held(folder)
    state = "goes on" if goes_on else "has ended"
    lines = [
        f"life {life.incarnation}: {life.why or 'resumed'}; went on after episode {life.after_episode}"
        for life in lives[1:][-_FEW:]
    ]
    now = time.monotonic() if goes_on else max((wait.seen for wait in waits), default=0.0)
    lines += [
        f"{wait.waits_for}, since {max(0.0, now - wait.since):.1f} s" + _silence(now - wait.seen) for wait in waits
    ]
    if goes_on:
        silent = {log.stem for log in folder.logs.glob("*.log")} - {wait.participant for wait in waits}
        lines += [f"{name} has given no sign yet" for name in sorted(silent)]
    played = f"{counted(episodes, 'episode')} recorded, in {counted(len(lives), 'life', 'lives')}"
    beginning = f"{root} {state}; {played}"
    return "\n".join([beginning, *map(names.tell, lines)])


def _silence(seconds: float) -> str:
    """A sign comes every second; a participant that gives none computes, hangs or is stopped."""
    return f" (no sign of it for {seconds:.1f} s)" if seconds > 3 else ""
