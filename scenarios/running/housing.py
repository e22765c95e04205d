"""On which hosts a run lives and how they are reached; kept in its folder, so that it is resumed there."""

from __future__ import annotations

from typing import Literal

from pydantic import ValidationError

from broker.errors import UserError
from broker.files import write_whole
from broker.model import Model
from broker.text_files import read_text
from scenarios.results.folder import RunFolder
from scenarios.running.fleet import Fleet

Carrier = Literal["ssh", "here"]
"""How hosts are reached: over SSH, or each as a process of this host, to try a fleet out."""

_MOST_BYTES = 1 << 20


class Housing(Model):
    """The hosts of a run.

    Attributes:
        carrier: How they are reached.
        fleet: They.
    """

    carrier: Carrier
    fleet: Fleet


def housing(carrier: Carrier, fleet: Fleet, participants: tuple[str, ...]) -> Housing:
    """The hosts for a run.

    Raises:
        UserError: Somebody lives nowhere or twice, or a host says not how it is reached.
    """
    fleet.homes(participants)
    places: dict[tuple[str, str], str] = {}
    for name, host in fleet.hosts.items():
        if carrier == "ssh" and not host.ssh:
            msg = f'host {name}: expected `ssh`, such as ssh = "pi@pi1.local", to reach it with --on ssh'
            raise UserError(msg)
        other = places.setdefault((host.ssh, host.folder), name)
        if carrier == "ssh" and other != name:
            msg = f"{other} and {name} are one host, {host.ssh}: expected it once, with all who live there"
            raise UserError(msg)
    return Housing(carrier=carrier, fleet=fleet)


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
