"""How the hosts of a run are dialled, by what carries the connection."""

from __future__ import annotations

from scenarios.running.hosts.bundle import Manifest, open_bundle
from scenarios.running.hosts.carrier import Dial
from scenarios.running.hosts.fleet_site import over_ssh, right_here
from scenarios.running.hosts.sockets.dialled import over_sockets
from scenarios.running.housing import Housing


def dial_of(housed: Housing) -> tuple[Dial, Manifest | None]:
    """What begins a connection, and what hosts with bundles hold already; for all but those on a cluster.

    Raises:
        UserError: The launcher's bundle is damaged, or of another Foretell.
    """
    if housed.bundle is not None:
        return over_sockets(housed.bundle), open_bundle(housed.bundle).manifest
    return over_ssh if housed.carrier == "ssh" else right_here, None
