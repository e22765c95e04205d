"""Who may take part in a run: whether it needs keys, and making them."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from pathlib import Path

from broker.config import TransportConfig
from broker.errors import UserError
from broker.wire.messages import FORWARDER, OBSERVER
from scenarios.document.plan import Plan

_HERE = "this host"


def needs_keys(config: TransportConfig) -> bool:
    """Whether a run shall be secured: where nothing is said, as soon as an address lies beyond this host."""
    if config.security.mode != "auto":
        return config.security.mode == "on"
    return any(map(beyond_this_host, _addresses(config)))


def beyond_this_host(address: str) -> bool:
    """Whether others than this host's own programs can reach an address such as `tcp://10.0.0.7:5670`."""
    scheme, _, rest = address.partition("://")
    if scheme == "ipc":
        return False
    host = rest.rpartition(":")[0].strip("[]")
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


def make_keys(plan: Plan, folder: Path) -> None:
    """Make the keys and passwords of every participant of a run, of its observer and of what stands between them.

    Args:
        plan: Its graph says who may speak to whom.
        folder: Gets a folder for each.

    Raises:
        UserError: The folder holds keys already, or cannot be written.
    """
    from broker.security.curve import make_curve_keys, with_forwarder  # noqa: PLC0415 - runs without keys need no cryptography
    from broker.security.mqtt_access import make_mqtt_access  # noqa: PLC0415

    if folder.exists() and any(folder.iterdir()):
        msg = f"expected an empty folder for keys, found {folder} with files in it. Choose another, or remove it."
        raise UserError(msg)
    try:
        peers = everybodys_peers(plan)
        make_mqtt_access(folder, plan.scenario.name, peers, sorted(_hosts(plan.scenario.transport)))
        make_curve_keys(folder, with_forwarder(peers))
    except OSError as error:
        msg = f"cannot write keys to {folder}: {error.strerror}"
        raise UserError(msg) from None


def describe_keys(plan: Plan, folder: Path) -> str:
    """Which folders of `folder` belong on which host, by the addresses in the scenario."""
    addresses = plan.scenario.transport.zeromq.addresses
    hosts: defaultdict[str, list[str]] = defaultdict(list)
    for name in (*plan.participants, OBSERVER):
        address = addresses.get(name, "")
        hosts[_host(address) if address.startswith("tcp://") else _HERE].append(name)
    width = max(map(len, hosts))
    lines = [f"keys of {plan.scenario.name}: {folder}/", "copy to each host its own folders and no others:"]
    lines += [f"  {host:{width}}  {', '.join(names)}" for host, names in hosts.items()]
    lines.append(f"the MQTT broker's host takes {folder}/broker, the forwarder's {folder}/{FORWARDER}")
    return "\n".join(lines)


def everybodys_peers(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Whom each participant sends to and hears from, the observer included."""
    return {name: (OBSERVER, *plan.peers(name)) for name in plan.participants} | {OBSERVER: plan.participants}


def _addresses(config: TransportConfig) -> list[str]:
    if config.kind == "mqtt":
        return [config.mqtt.address] if config.mqtt.address else []
    if config.zeromq.mode == "forwarder":
        return [config.zeromq.forwarder or _listening(config)]
    return [*config.zeromq.addresses.values(), _listening(config)]


def _listening(config: TransportConfig) -> str:
    zeromq = config.zeromq
    return "ipc://" if zeromq.scheme == "ipc" else f"tcp://{zeromq.host}:{zeromq.base_port}"


def _hosts(config: TransportConfig) -> set[str]:
    return {_host(address) for address in _addresses(config) if not address.startswith("ipc://")}


def _host(address: str) -> str:
    return address.partition("://")[2].rpartition(":")[0].strip("[]")
