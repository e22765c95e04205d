"""`foretell host --stdio`: a host of a run, driven by a launcher over standard input and output."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import FrameType

from scenarios.running.hosts.bundle import open_bundle
from scenarios.running.hosts.server import Host


def serve_stdio(folder: Path, bundle: Path | None = None) -> None:
    """Serve until the launcher is gone for longer than its lease, or a signal ends it.

    Standard output is kept for frames: whatever else writes there, writes to standard error.

    Args:
        folder: Where runs are kept; relative: in the home folder.
        bundle: What this host was given beforehand, if it was.

    Raises:
        UserError: The bundle is damaged, or of another Foretell.
    """
    opened = None if bundle is None else open_bundle(bundle.absolute())
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.umask(0o077)  # keys lie in its folders
    wanted = False

    def end(_number: int, _frame: FrameType | None) -> None:
        nonlocal wanted
        wanted = True

    signal.signal(signal.SIGTERM, end)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):  # the connection is gone, and the lease begins
        signal.signal(number, signal.SIG_IGN)
    Host(requests, answers, Path.home() / folder, lambda: wanted, opened).serve()
