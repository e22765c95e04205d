"""`foretell broker`: what stands between the participants of a scenario, alone, until somebody ends it."""

from __future__ import annotations

import time
from pathlib import Path

from broker.addresses import Address, parse_address
from broker.config import TransportConfig
from broker.counting import listed
from broker.errors import ParticipantDied, UserError
from broker.open_files import allow_open_files, files_for
from broker.wire.messages import FORWARDER
from scenarios.commands.screen import say
from scenarios.document.plan import Plan
from scenarios.results.temporary import temporary_folder
from scenarios.running.control.interrupting import interruptible
from scenarios.running.meeting.keys import given_keys, needs_keys, run_of_keys
from scenarios.running.meeting.running_broker import start_broker

_LOOK_EVERY_S = 0.2
_MOST_NAMED = 3
_FILES = ("broker.log", f"{FORWARDER}.log", "mosquitto.conf", "amqtt.json")


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
    address = _listening(transport, listen)
    keys = _keys_for(transport, address)
    allow_open_files(files_for(len(plan.participants)))  # mosquitto inherits it
    _make_own(folder)
    with temporary_folder() as sockets, interruptible() as interrupted:
        run = run_of_keys(keys) if keys is not None else None
        found = start_broker(plan, folder, Path(sockets), keys, str(address or ""), run=run)
        if found is None:
            return
        try:
            say(f"{found.address}\n{found.note}\nlog: {found.log}")
            while not interrupted():
                if not found.alive():
                    raise ParticipantDied("broker", "it ended by itself", found.log)
                time.sleep(_LOOK_EVERY_S)
        finally:
            found.close()


def _make_own(folder: Path) -> None:
    """Make the broker's folder, or see that the one that is there is a broker's, whose files are written again.

    Raises:
        UserError: It holds files of somebody else, or cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise UserError(f"cannot make the folder {folder}: {error.strerror}") from None
    if found and not {*_FILES} & {*found}:
        raise UserError(
            f"expected a new or empty folder, or one that this command has made, found {folder} with "
            f"{listed(found, _MOST_NAMED)} in it. Choose another --out."
        )


def _listening(transport: TransportConfig, listen: str) -> Address | None:
    """Where it shall listen, or None for this host alone.

    Raises:
        UserError: This is no address.
    """
    schemes, least_port = (("mqtt", "mqtts"), 0) if transport.kind == "mqtt" else (("tcp", "ipc"), 1)
    try:
        return parse_address(listen, *schemes, least_port=least_port) if listen else None
    except ValueError as error:
        msg = f"--listen: {error}"
        raise UserError(msg) from None


def _keys_for(transport: TransportConfig, listen: Address | None) -> Path | None:
    """The keys of what listens at an address, or None where it needs none.

    Raises:
        UserError: It needs some, and has none, or none that are whole.
    """
    mode = transport.security.mode
    if mode == "off" or (mode == "auto" and not needs_keys(transport) and not (listen and listen.is_beyond_this_host)):
        return None
    if transport.security.keys is None:
        msg = (
            f"{listen or 'its address'} is open to other hosts, so it needs keys: make them with `foretell keys` and "
            "set transport.security.keys; or set transport.security.mode to off."
        )
        raise UserError(msg)
    return given_keys(transport.security.keys)
