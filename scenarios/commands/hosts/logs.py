"""`foretell logs`: what all processes of a run say, wherever they live."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Iterable
from pathlib import Path

from broker.errors import ForetellError, UserError
from scenarios.commands.exit_codes import ExitCode
from scenarios.commands.screen import say
from scenarios.results.folder import is_held, open_run_folder
from scenarios.running.run_logs import HostLogs, LogLine, logs_of

_LOOK_EVERY_S = 0.5


def show_logs(run: Path, who: Collection[str], *, follow: bool) -> None:
    """Show the logs of a run; those of a host that cannot be reached are left out, and this ends so.

    Args:
        run: Its folder.
        who: Whose; nobody named: everybody's.
        follow: Whether to go on with what is said from now on, until nobody works on the run any more.

    Raises:
        UserError: It is no run, or has no such log.
    """
    folder = open_run_folder(run)
    unreached: list[str] = []
    with logs_of(folder, unreached.append) as found:
        _tell(unreached)
        goes_on = True
        while goes_on:
            goes_on = follow and is_held(folder)  # looked at first: what is said last is read still
            unreached += _show_new(found, who)
            if not unreached:
                _require(who, found)
            if goes_on:
                time.sleep(_LOOK_EVERY_S)
        for logs in found:
            _show(logs.rest(), who)
    if unreached:
        sys.exit(ExitCode.WRONG)


def _show_new(found: list[HostLogs], who: Collection[str]) -> list[str]:
    """Show what is new; of hosts that are lost, why, and they are left out from then on."""
    lost = []
    for logs in [*found]:
        try:
            _show(logs.lines(), who)
        except ForetellError as error:
            found.remove(logs)
            lost.append(str(error))
    _tell(lost)
    return lost


def _tell(unreached: list[str]) -> None:
    for sentence in unreached:
        say(f"foretell: {sentence}", err=True)


def _require(who: Collection[str], found: list[HostLogs]) -> None:
    """See that whoever is named has said something."""
    names = {name for logs in found for name in logs.names}
    if strange := [name for name in who if name not in names]:
        msg = f"{strange[0]} has no log in this run: expected some of {', '.join(sorted(names)) or 'nobody'}"
        raise UserError(msg)


def _show(lines: Iterable[LogLine], who: Collection[str]) -> None:
    for line in lines:
        if not who or line.name in who:
            place = f"{line.name}@{line.host}" if line.host else line.name
            say(f"{place:20}  {line.text}")
