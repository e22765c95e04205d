"""A host that waits for its launcher until a signal ends it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from broker.isolated import isolated_module
from scenarios.running.hosts.bundle import Bundle
from scenarios.running.hosts.sockets.listener import Listener
from scenarios.running.hosts.ssh import COMMAND


def wait_for_launcher(
    bundle: Bundle, kept: Path, address: str, tell: Callable[[str], None], counters: Path | None = None
) -> None:
    """Wait until SIGTERM or Ctrl-C; nobody is left afterwards.

    Args:
        bundle: Says who the launcher is.
        kept: Where runs are kept.
        address: Where to wait.
        tell: Takes sentences for whoever looks after this host.
        counters: Socket that participants tell what they have counted; None: nobody asks.

    Raises:
        UserError: The address is in use or makes no sense, or keys are missing.
    """
    wanted = False

    def end(_number: int, _frame: FrameType | None) -> None:
        nonlocal wanted
        wanted = True

    os.umask(0o077)  # keys lie in its folders
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    asked = () if counters is None else ("--counters", str(counters))
    command = isolated_module(COMMAND, "host", str(bundle.folder), "--stdio", "--folder", str(kept), *asked)
    listener = Listener(bundle, address, command, tell)
    try:
        listener.serve(lambda: wanted)
    finally:
        listener.close()
