"""Where the participants of a run listen."""

from __future__ import annotations

from pathlib import Path

from broker.addresses import Address
from broker.config import ZeroMQConfig
from broker.wire.messages import OBSERVER


def make_addresses(participants: tuple[str, ...], config: ZeroMQConfig, sockets: Path) -> dict[str, str]:
    """Where every participant and the observer listen with ZeroMQ, direct.

    Args:
        participants: In the order of their ports.
        config: Scheme, host and ports.
        sockets: Folder for the socket files of `ipc`.
    """
    everyone = (*participants, OBSERVER)
    if config.scheme == "ipc":
        addresses = {name: f"ipc://{sockets}/{name}" for name in everyone}
    else:
        addresses = {
            name: str(Address("tcp", config.host, config.base_port + port)) for port, name in enumerate(everyone)
        }
    return addresses | {name: address for name, address in config.addresses.items() if name in addresses}
