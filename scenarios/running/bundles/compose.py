"""The Compose file of a set of bundles: a service for each host, and one for the launcher that waits for them."""

from __future__ import annotations

from scenarios.running.bundles.containers import (
    BUNDLE,
    GRACE_S,
    RESTARTS,
    RUNS,
    BundleSet,
    Document,
    Service,
    host_command,
    launcher_command,
    services,
)
from scenarios.running.fleet import LAUNCHER

COMPOSE = "compose.json"
_ASK = "import socket; socket.create_connection(('127.0.0.1', {port}), 5).close()"


def compose(made: BundleSet) -> Document:
    """The file, which lies beside the bundles.

    Raises:
        UserError: A host's addresses are not those of a service.
    """
    hosts = services(made.fleet)
    found = {host.name: _host(made.image, host) for host in hosts}
    launcher = _service(made.image, LAUNCHER, LAUNCHER, launcher_command())
    launcher["restart"] = f"on-failure:{RESTARTS}"
    launcher["depends_on"] = {host.name: {"condition": "service_healthy"} for host in hosts}
    volumes: Document = {f"{name}-runs": {} for name in (*found, LAUNCHER)}
    return {"name": made.run.replace(".", "-"), "services": found | {LAUNCHER: launcher}, "volumes": volumes}


def _host(image: str, host: Service) -> Document:
    ask = ["CMD", "python3", "-c", _ASK.format(port=host.port)]
    found = _service(image, host.name, host.host, host_command())
    found["healthcheck"] = {"test": ask, "interval": "10s", "timeout": "10s", "retries": 3, "start_period": "60s"}
    if host.memory_mb is not None:
        found["mem_limit"] = host.memory_mb * 1_000_000
    return found


def _service(image: str, name: str, folder: str, command: list[str]) -> Document:
    return {
        "image": image,
        "command": command,
        "init": True,
        "restart": "on-failure",
        "stop_grace_period": f"{GRACE_S}s",
        "cap_drop": ["ALL"],
        "cap_add": ["DAC_OVERRIDE"],  # the bundle belongs to whoever made it
        "security_opt": ["no-new-privileges:true"],
        "volumes": [f"./{folder}:{BUNDLE}:ro", f"{name}-runs:{RUNS}"],
    }
