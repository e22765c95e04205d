"""`foretell host --stdio`: a host of a run, driven by a launcher over standard input and output."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import FrameType

from agent_node.policy_files import DOCUMENT, holds_policy, place_of_policy
from broker.errors import UserError
from broker.release import lacking
from scenarios.results.folder import RunFolder
from scenarios.running.hosts.bundle import open_bundle
from scenarios.running.hosts.server import Host
from scenarios.running.nodes import Nodes

_log = logging.getLogger("foretell.host")


def serve_stdio(
    folder: Path,
    bundle: Path | None,
    act: Path | None,
    *,
    metrics: str | None,
    counters: Path | None,
) -> None:
    """Serve until the launcher is gone for longer than its lease, or a signal ends it.

    Standard output is kept for frames: whatever else writes there, writes to standard error.

    Args:
        folder: Where runs are kept; relative: in the home folder.
        bundle: What this host was given beforehand, if it was.
        act: Folder of a policy, relative to the home folder: agents only act, with it. None: whoever is asked for lives
            here.
        metrics: Where its metrics are served, as `PORT` or `HOST:PORT`; None: nowhere.
        counters: Socket that participants tell what they have counted, where another process serves it.

    Raises:
        UserError: There is no policy, or the bundle is damaged or of another Foretell.
    """
    with ExitStack() as stack:
        if metrics is not None:
            counters = _served(metrics, stack)
        make_nodes = _makes_nodes(act, counters)
        opened = None if bundle is None else open_bundle(bundle.absolute())
        requests, answers = _frames_alone()
        wanted = False

        def end(_number: int, _frame: FrameType | None) -> None:
            nonlocal wanted
            wanted = True

        os.umask(0o077)  # keys lie in its folders
        signal.signal(signal.SIGTERM, end)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):  # the connection is gone, and the lease begins
            signal.signal(number, signal.SIG_IGN)
        Host(requests, answers, Path.home() / folder, lambda: wanted, make_nodes=make_nodes, bundle=opened).serve()


def _frames_alone() -> tuple[int, int]:
    """Keep standard input and output for frames: where requests come, and where answers go."""
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return requests, answers


def _served(metrics: str, stack: ExitStack) -> Path | None:
    """The socket of an endpoint; None where there can be none: the run goes on without."""
    from scenarios.telemetry.host_metrics import host_metrics  # noqa: PLC0415 - few ask for it
    from scenarios.telemetry.samples import Samples  # noqa: PLC0415

    try:
        counters, address = stack.enter_context(host_metrics(metrics, Samples()))
    except (UserError, ModuleNotFoundError) as error:
        _log.warning("no metrics: %s", lacking(error) or error)
        return None
    _log.warning("metrics at %s/metrics", address)
    return counters


def _makes_nodes(act: Path | None, counters: Path | None) -> Callable[[RunFolder], Nodes]:
    """What makes the processes of a run."""
    if act is None:
        from scenarios.running.processes.forked_nodes import ForkedNodes  # noqa: PLC0415 - multiprocessing comes with it

        return partial(ForkedNodes, counters=counters)
    from scenarios.running.processes.acting_nodes import ActingNodes  # noqa: PLC0415

    policy = place_of_policy(Path.home() / act)
    if not holds_policy(policy):
        msg = f"{policy} holds no policy: expected {DOCUMENT} in it. Copy a run's folder `policy` to this host"
        raise UserError(msg)
    return partial(ActingNodes, policy=policy)
