"""On which hosts a run lives and how they are reached; kept in its folder, so that it is resumed there."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, ValidationError

from broker.errors import UserError
from broker.files import write_whole
from broker.model import Model
from broker.text_files import read_text
from scenarios.results.folder import RunFolder
from scenarios.running.fleet import Fleet

CLUSTERS = "ray or ray://HOST:PORT"
CARRIERS = f"ssh, here, socket, {CLUSTERS}"
"""How hosts are reached: over SSH, each as a process of this host, to try a fleet out, where each waits with its
bundle, or on the nodes of a cluster."""
RAY = "ray"

_MOST_BYTES = 1 << 20
_CARRIER = r"ssh|here|socket|ray(://[^/@\s]+:\d{1,5})?"


class Housing(Model):
    """The hosts of a run.

    Attributes:
        carrier: How they are reached.
        fleet: They.
        bundle: The launcher's, where hosts wait with theirs.
    """

    carrier: str = Field(pattern=rf"^({_CARRIER})$")
    fleet: Fleet
    bundle: Path | None = None

    @property
    def is_on_ray(self) -> bool:
        """Whether a Ray cluster carries them."""
        return self.carrier.startswith(RAY)

    @property
    def reached(self) -> Fleet:
        """The hosts at the addresses that they have for each other, so reached; on a cluster, those of its nodes."""
        return self.fleet.on_this_host() if self.carrier == "here" else self.fleet


def is_carrier(text: str) -> bool:
    """Whether hosts can be reached so; see `CARRIERS`."""
    return re.fullmatch(_CARRIER, text) is not None


def housing(carrier: str, fleet: Fleet, participants: tuple[str, ...]) -> Housing:
    """The hosts for a run.

    Raises:
        UserError: Somebody lives nowhere or twice, or a host says not how it is reached.
    """
    fleet.homes(participants)
    housed = Housing(carrier=carrier, fleet=fleet)
    places: dict[tuple[str, str], str] = {}
    for name, host in fleet.hosts.items():
        if carrier == "ssh" and not host.ssh:
            msg = f'host {name}: expected `ssh`, such as ssh = "pi@pi1.local", to reach it with --on ssh'
            raise UserError(msg)
        if carrier == "socket" and not host.control:
            msg = f'host {name}: expected `control`, such as control = "tcp://10.77.0.2:7000", where it waits'
            raise UserError(msg)
        if housed.is_on_ray and host.dial and not host.node:
            msg = f"host {name}: `dial` says where it is, expected `node` too: without it Ray decides where it is"
            raise UserError(msg)
        other = places.setdefault((host.ssh, host.folder), name)
        if carrier == "ssh" and other != name:
            msg = f"{other} and {name} are one host, {host.ssh}: expected it once, with all who live there"
            raise UserError(msg)
    return housed


def moved(housed: Housing | None, carrier: str | None, fleet: Fleet | None, participants: tuple[str, ...]) -> Housing:
    """The hosts that a run goes on with, where they are not those that it began with.

    Args:
        housed: Where it was; None: on the launcher's host alone.
        carrier: How hosts are reached now; None: as before.
        fleet: They; None: those of before.
        participants: Who lives there.

    Raises:
        UserError: The run has no hosts, or bundles say which; or the new ones are none for it.
    """
    if housed is None:
        msg = "--on and --hosts say where the hosts of a run are now, and this one has none: it is on this host alone"
        raise UserError(msg)
    if "socket" in (housed.carrier, carrier):
        msg = "bundles say which hosts a run has that wait with them: expected neither --hosts nor --on socket"
        raise UserError(msg)
    return housing(carrier or housed.carrier, fleet or housed.fleet, participants)


def write_housing(folder: RunFolder, housed: Housing) -> None:
    """Keep it.

    Raises:
        UserError: It cannot be written.
    """
    try:
        write_whole(folder.hosts, housed.model_dump_json(indent=1).encode())
    except OSError as error:
        msg = f"cannot write {folder.hosts}: {error.strerror}"
        raise UserError(msg) from None


def read_housing(folder: RunFolder) -> Housing | None:
    """The hosts of a run, or None where it lives on this host alone.

    Raises:
        UserError: They cannot be read.
    """
    if not folder.hosts.exists():
        return None
    try:
        return Housing.model_validate_json(read_text(folder.hosts, _MOST_BYTES))
    except (OSError, ValidationError) as error:
        msg = f"cannot read the hosts of the run in {folder.hosts}: {error}"
        raise UserError(msg) from None
