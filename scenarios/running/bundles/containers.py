"""What Compose and Kubernetes files have in common: names of services, command lines, places in a container."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from broker.addresses import parse_address
from broker.errors import UserError
from scenarios.running.fleet import LAUNCHER, Fleet

BUNDLE, RUNS = "/bundle", "/runs"
"""Where a container finds its bundle, and keeps what runs leave."""
GRACE_S = 30
_LABEL = re.compile(r"[a-z]([a-z0-9-]{0,50}[a-z0-9])?")
_RUN = f"{RUNS}/run"
RESTARTS = 20
"""How often a launcher that ends badly is started again."""
MISMATCH = 4
"""The launcher ends with it where the run is whole, but its faults are not those that were asked for."""
_LAUNCHER = f"""if [ -e {_RUN}/ended-with ]; then
    echo "{_RUN} is over: it ended with $(cat {_RUN}/ended-with)"
    exit $(cat {_RUN}/ended-with)
fi
if [ -e {_RUN}/run.sqlite ]; then set -- run --resume {_RUN}; else set -- run {BUNDLE} --on socket --out {_RUN}; fi
foretell "$@" &
trap 'kill -TERM $!' TERM
wait $!
code=$?
while kill -0 $! 2>/dev/null; do wait $!; code=$?; done
case $code in 0|{MISMATCH}) echo $code > {_RUN}/ended.new && mv {_RUN}/ended.new {_RUN}/ended-with;; esac
exit $code
"""
"""A signal to end is handed on, and waited for again."""

Files = Mapping[str, bytes]
Document = dict[str, Any]


@dataclass(frozen=True)
class Service:
    """A host as others see it.

    Attributes:
        name: How it is dialled.
        host: What the fleet calls it.
        port: Where it waits for its launcher.
        memory_mb: MB that it may take; None: all.
    """

    name: str
    host: str
    port: int
    memory_mb: int | None


@dataclass(frozen=True)
class BundleSet:
    """The bundles of a run, for a file that starts them as containers.

    Attributes:
        run: Name of the run.
        fleet: Its hosts.
        bundles: Their files and the launcher's, by host and path.
        image: Has Foretell.
    """

    run: str
    fleet: Fleet
    bundles: Mapping[str, Files]
    image: str


def services(fleet: Fleet) -> list[Service]:
    """The hosts as services, whose names are how the others dial them.

    Raises:
        UserError: A host's addresses are not those of a service.
    """
    found: dict[str, Service] = {}
    for name, host in fleet.hosts.items():
        at = parse_address(host.control, "tcp")
        if not _LABEL.fullmatch(at.host) or host.dial != at.host or not host.listen or at.host in found:
            msg = (
                f'host {name}: a container is dialled by the name of its service: expected dial = "pi1", control = '
                f'"tcp://pi1:7000" and listen = "0.0.0.0" with a name of its own, in small letters, found dial = '
                f'"{host.dial}", control = "{host.control}", listen = "{host.listen}"'
            )
            raise UserError(msg)
        found[at.host] = Service(at.host, name, at.port, host.memory_mb)
    if fleet.launcher.dial != LAUNCHER or not fleet.launcher.listen:
        msg = f'{LAUNCHER}: expected dial = "{LAUNCHER}" and listen = "0.0.0.0", as the name of its service is, found '
        raise UserError(f'{msg}dial = "{fleet.launcher.dial}", listen = "{fleet.launcher.listen}"')
    return list(found.values())


def host_command() -> list[str]:
    """What a host's container runs."""
    return ["foretell", "host", BUNDLE, "--folder", RUNS]


def launcher_command() -> list[str]:
    """What the launcher's container runs: started anew, it goes on, or ends as the run did that is over."""
    return ["sh", "-c", _LAUNCHER]


def as_file(document: Document) -> bytes:
    """A document as a file: JSON, which is YAML too."""
    return f"{json.dumps(document, indent=2)}\n".encode()
