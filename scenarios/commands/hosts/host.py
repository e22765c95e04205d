"""`foretell host`: this machine as a host of a run."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from shlex import quote

from broker.addresses import parse_address
from broker.errors import UserError
from scenarios.commands.screen import say
from scenarios.running.fleet import LAUNCHER
from scenarios.running.hosts.bundle import RUNS, open_bundle

_OVER_SSH = Path("foretell-runs")


def be_host(
    bundle: Path | None,
    folder: Path | None,
    listen: str,
    *,
    stdio: bool,
    act: Path | None,
    metrics: str | None,
    counters: Path | None,
) -> None:
    """Be a host until its launcher, or a signal, ends it.

    Args:
        bundle: What it was given beforehand.
        folder: Where runs are kept; None: in the bundle or, without one, in a folder of the home folder.
        listen: Where it waits; empty for where the bundle says.
        stdio: Whether a launcher is there already, at standard input and output.
        act: The policy that agents only act with; None where they learn.
        metrics: Where its metrics are served, as `PORT` or `HOST:PORT`; None: nowhere.
        counters: Socket that participants tell what they have counted, where another process serves it.

    Raises:
        UserError: There is neither, or the bundle is damaged or of another Foretell, or the address is in use, or there
            is no policy.
    """
    if bundle is None and not stdio:
        msg = "expected a bundle of `foretell bundle`: foretell host BUNDLE"
        raise UserError(msg)
    if bundle is None or stdio:
        from scenarios.running.hosts.process import serve_stdio  # noqa: PLC0415 - numpy comes with it

        serve_stdio(folder or _OVER_SSH, bundle, act, metrics=metrics, counters=counters)
        return
    if act is not None:
        msg = "expected --stdio with --act: boards that only act are reached over SSH, by `foretell evaluate --on ssh`"
        raise UserError(msg)
    if listen:
        try:
            parse_address(listen, "tcp")
        except ValueError as error:
            msg = f"--listen: {error}"
            raise UserError(msg) from None
    _wait(bundle, folder, listen, metrics, counters)


def _wait(bundle: Path, folder: Path | None, listen: str, metrics: str | None, counters: Path | None) -> None:
    opened = open_bundle(bundle.absolute())
    if opened.manifest.host == LAUNCHER:
        msg = (
            f"{bundle} is the launcher's bundle, and nobody waits with that: expected a host's. With this one the run "
            f"begins: foretell run {quote(str(bundle))} --on socket"
        )
        raise UserError(msg)
    opened.require_whole()
    from scenarios.running.hosts.sockets.waiting import wait_for_launcher  # noqa: PLC0415
    from scenarios.telemetry.host_metrics import host_metrics  # noqa: PLC0415
    from scenarios.telemetry.samples import Samples  # noqa: PLC0415

    kept = opened.folder / RUNS if folder is None else folder.absolute()
    with ExitStack() as stack:
        if metrics is not None:
            counters, address = stack.enter_context(host_metrics(metrics, Samples()))
            say(f"metrics at {address}/metrics")
        wait_for_launcher(opened, kept, listen or opened.manifest.listen, say, counters)
