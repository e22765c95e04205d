"""`foretell host --stdio`: a host of a run, driven by a launcher over standard input and output."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType

from broker.errors import UserError
from scenarios.results.folder import RunFolder
from scenarios.running.hosts.bundle import open_bundle
from scenarios.running.hosts.server import Host
from scenarios.running.nodes import Nodes


def serve_stdio(folder: Path, bundle: Path | None = None, act: Path | None = None) -> None:
    """Serve until the launcher is gone for longer than its lease, or a signal ends it.

    Standard output is kept for frames: whatever else writes there, writes to standard error.

    Args:
        folder: Where runs are kept; relative: in the home folder.
        bundle: What this host was given beforehand, if it was.
        act: Folder of a policy, relative to the home folder: agents only act, with it. None: whoever is asked for lives
            here.

    Raises:
        UserError: There is no policy, or the bundle is damaged or of another Foretell.
    """
    make_nodes = _makes_nodes(act)
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
    Host(requests, answers, Path.home() / folder, lambda: wanted, make_nodes=make_nodes, bundle=opened).serve()


def _makes_nodes(act: Path | None) -> Callable[[RunFolder], Nodes]:
    """What makes the processes of a run."""
    if act is None:
        from scenarios.running.processes.forked_nodes import ForkedNodes  # noqa: PLC0415 - multiprocessing comes with it

        return ForkedNodes
    from scenarios.running.processes.acting_nodes import ActingNodes  # noqa: PLC0415

    policy = Path.home() / act
    policy = policy / "policy" if (policy / "policy").is_dir() else policy
    if not (policy / "policy.json").is_file():
        msg = f"{policy} holds no policy: expected policy.json in it. Copy a run's folder `policy` to this host"
        raise UserError(msg)
    return partial(ActingNodes, policy=policy)
