"""How the hosts of a run are dialled, by what carries the connection."""

from __future__ import annotations

from pathlib import Path

from broker.errors import UserError
from scenarios.running.hosts.bundle import Manifest, open_bundle
from scenarios.running.hosts.carrier import Dial
from scenarios.running.hosts.fleet_site import over_ssh, right_here
from scenarios.running.hosts.sockets.dialled import over_sockets
from scenarios.running.housing import Housing


def dial_of(housed: Housing) -> tuple[Dial, Manifest | None]:
    """What begins a connection, and what hosts with bundles hold already; for all but those on a cluster.

    Raises:
        UserError: The launcher's bundle is gone or damaged, or of another Foretell.
    """
    if housed.bundle is not None:
        manifest = _held(housed.bundle)  # before its keys are read: it says more than that they are missing
        return over_sockets(housed.bundle), manifest
    return over_ssh if housed.carrier == "ssh" else right_here, None


def _held(folder: Path) -> Manifest:
    """What the launcher's bundle says it is."""
    if not folder.is_dir():
        msg = f"the launcher's bundle is not where this run began with it, in {folder}: put the bundles back there"
        raise UserError(msg)
    bundle = open_bundle(folder)
    bundle.require_whole()
    return bundle.manifest
