"""The process that stands between the participants of a run, if there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from broker.run_name import every_run
from broker.wire.messages import FORWARDER
from scenarios.document.plan import Plan
from scenarios.running.meeting.keys import everybodys_peers


class RunningBroker(Protocol):
    """A process that stands between the participants: an MQTT broker or a forwarder."""

    @property
    def address(self) -> str:
        """Where participants connect to."""

    @property
    def note(self) -> str:
        """What it is and what is lost with it, a sentence."""

    @property
    def log(self) -> Path:
        """What it says."""

    @property
    def pid(self) -> int:
        """Its process."""

    def turned_away(self) -> int:
        """How often it refused somebody, for all that its log can tell."""

    def alive(self) -> bool:
        """Whether it runs."""

    def close(self) -> None:
        """End it."""


def given_address(plan: Plan) -> str:
    """Where the scenario says that a broker or forwarder runs already; empty if it does not."""
    transport = plan.scenario.transport
    if transport.kind == "mqtt":
        return transport.mqtt.address
    return transport.zeromq.forwarder if transport.zeromq.mode == "forwarder" else ""


def start_broker(
    plan: Plan, logs: Path, sockets: Path, keys: Path | None, address: str, *, run: str | None
) -> RunningBroker | None:
    """Start what stands between the participants, or nothing where they connect to each other.

    Args:
        plan: Says what it is.
        logs: Folder for its log and its own files.
        sockets: For the socket files of `ipc`.
        keys: Everybody's keys, or None.
        address: Where it shall listen; empty for where the scenario says, or a free place on this host.
        run: What its topics bear as the run's name; None for all runs of the scenario.

    Raises:
        UserError: It is not installed, or its address is in use.
    """
    transport = plan.scenario.transport
    if transport.kind == "mqtt":
        from broker.servers.mqtt_server import start_mqtt_server  # noqa: PLC0415 - other runs need no broker

        host, _, port = address.partition("://")[2].rpartition(":")
        access = keys / "broker" if keys is not None else None
        return start_mqtt_server(
            transport.mqtt.broker, logs, transport, host=host or "127.0.0.1", port=int(port or 0), access=access
        )
    if transport.zeromq.mode == "direct":
        return None
    from broker.servers.forwarder import start_forwarder  # noqa: PLC0415 - other runs need no forwarder

    zeromq = transport.zeromq
    free = f"ipc://{sockets}/{FORWARDER}" if zeromq.scheme == "ipc" else f"tcp://{zeromq.host}:{zeromq.base_port}"
    return start_forwarder(
        address or free,
        logs,
        transport,
        run=run or every_run(plan.scenario.name),
        peers=everybodys_peers(plan),
        credentials=keys / FORWARDER if keys is not None else None,
    )
