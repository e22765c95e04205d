"""`foretell why`: who waits for whom in a run, and since when."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from broker.counting import counted
from scenarios.results.answers import StatusRow
from scenarios.results.edge_account import dead_now
from scenarios.results.folder import is_held, open_run_folder
from scenarios.results.reader import read_store
from scenarios.results.run_result import read_summary

_FEW = 20


def explain(root: Path) -> str:
    """What each participant of a run waits for, the longest wait first, and what went wrong before.

    Of a run that was stopped what each last waited for; of one that is complete nothing, and nothing of who died and
    was not replaced.

    Raises:
        UserError: The folder holds no run, or its store cannot be read.
    """
    folder = open_run_folder(root)
    with read_store(folder.store) as store:
        waits, episodes, lives, names = store.status(), store.count_episodes(), store.lives(), store.agent_names()
        gone = dead_now(store)
    here = [wait for wait in waits if wait.participant not in gone]
    lines = [
        f"life {life.incarnation}: {life.why or 'resumed'}; went on after episode {life.after_episode}"
        for life in lives[1:][-_FEW:]
    ]
    if is_held(folder):
        state = "goes on"
        lines += _told(here, time.monotonic(), "waits", "since")
        silent = {log.stem for log in folder.logs.glob("*.log")} - {wait.participant for wait in waits} - {*gone}
        lines += [f"{name} has given no sign yet" for name in sorted(silent)]
    elif read_summary(folder) is not None:
        state = "is complete"
        lines.append("nobody waits")
    else:
        state = "has stopped"
        lines += _told(here, max((wait.seen for wait in waits), default=0.0), "last waited", "for")
    beginning = f"{root} {state}; {counted(episodes, 'episode')} recorded, in {counted(len(lives), 'life', 'lives')}"
    return "\n".join([beginning, *map(names.tell, lines)])


def _told(waits: Sequence[StatusRow], now: float, verb: str, since: str) -> list[str]:
    """Each wait in a line, of a moment that is now or was that of the last sign."""
    return [
        wait.waits_for.replace(" waits ", f" {verb} ", 1)
        + f", {since} {max(0.0, now - wait.since):.1f} s"
        + _silence(now - wait.seen)
        for wait in waits
    ]


def _silence(seconds: float) -> str:
    """A sign comes every second; a participant that gives none computes, hangs or is stopped."""
    return f" (no sign of it for {seconds:.1f} s)" if seconds > 3 else ""
