"""`foretell why`: who waits for whom in a run, and since when."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from broker.errors import UserError
from scenarios.results.folder import is_held, open_run_folder
from scenarios.results.reader import open_store

_FEW = 20


def explain(root: Path) -> str:
    """What each participant of a run last said it waits for, the longest wait first, and what went wrong before.

    Raises:
        UserError: The folder holds no run, or its store cannot be read.
    """
    folder = open_run_folder(root)
    try:
        with closing(open_store(folder.store)) as store:
            waits = store.execute(
                "SELECT waits_for, since, seen, participant FROM status ORDER BY since, participant"
            ).fetchall()
            (episodes,) = store.execute("SELECT count(DISTINCT episode) FROM episodes").fetchone()
            lives = store.execute("SELECT incarnation, after_episode, why FROM lives ORDER BY incarnation").fetchall()
    except sqlite3.Error as error:
        msg = f"cannot read {folder.store}: {error}"
        raise UserError(msg) from None
    goes_on = is_held(folder)
    state = "goes on" if goes_on else "has ended"
    lines = [f"{root} {state}; {episodes} episodes are recorded, in {len(lives)} lives"]
    lines += [
        f"life {incarnation}: {why or 'resumed'}; went on after episode {after}"
        for incarnation, after, why in lives[1:][-_FEW:]
    ]
    now = time.time() if goes_on else max((seen for _, _, seen, _ in waits), default=0.0)
    lines += [
        f"{waits_for}, since {max(0.0, now - since):.1f} s" + _silence(now - seen)
        for waits_for, since, seen, _ in waits
    ]
    if goes_on:
        silent = {log.stem for log in folder.logs.glob("*.log")} - {participant for *_, participant in waits}
        lines += [f"{name} has given no sign yet" for name in sorted(silent)]
    return "\n".join(lines)


def _silence(seconds: float) -> str:
    """A sign comes every second; a participant that gives none computes, hangs or is stopped."""
    return f" (no sign of it for {seconds:.1f} s)" if seconds > 3 else ""
