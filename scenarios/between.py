"""`foretell broker`: what stands between the participants of a scenario, alone, until somebody ends it."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click

from broker.errors import ParticipantDied, UserError
from scenarios.keys import beyond_this_host, needs_keys
from scenarios.meeting import start_between
from scenarios.plan import Plan
from scenarios.terminal import interruptible

_LOOK_EVERY_S = 0.2


def serve(plan: Plan, listen: str, folder: Path) -> None:
    """Run it until Ctrl-C or SIGTERM.

    Args:
        plan: Says what it is and who may use it.
        listen: Where it shall listen; empty for this host alone.
        folder: For its files and its log.

    Raises:
        UserError: The scenario needs none, its address is in use, or it would be open to strangers.
        ParticipantDied: It ended by itself.
    """
    transport = plan.scenario.transport
    if transport.kind == "zeromq" and transport.zeromq.mode == "direct":
        msg = "expected a scenario that needs a broker, found ZeroMQ from process to process: add --transport mqtt or "
        msg += "--transport forwarder"
        raise UserError(msg)
    secured = transport.security.mode == "on" or (
        transport.security.mode == "auto" and (needs_keys(transport) or beyond_this_host(listen or "ipc://"))
    )
    if secured and transport.kind == "zeromq":
        msg = (
            f"{listen or 'its address'} is open to other hosts, and the forwarder cannot check keys yet: expected an "
            "address of this host, --transport mqtt, or transport.security.mode off"
        )
        raise UserError(msg)
    keys = transport.security.keys if secured else None
    if secured and keys is None:
        msg = (
            f"{listen or 'its address'} is open to other hosts, so it needs keys: make them with `foretell keys` and "
            "set transport.security.keys; or set transport.security.mode to off."
        )
        raise UserError(msg)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"cannot make the broker's folder {folder}: {error.strerror}"
        raise UserError(msg) from None
    with tempfile.TemporaryDirectory(prefix="foretell-") as sockets, interruptible() as interrupted:
        found = start_between(plan, folder, Path(sockets), keys, listen)
        if found is None:
            return
        try:
            click.echo(f"{found.address}\n{found.note}\nlog: {found.log}")
            while not interrupted():
                if not found.alive():
                    raise ParticipantDied("broker", "it ended by itself", found.log)
                time.sleep(_LOOK_EVERY_S)
        finally:
            found.close()
