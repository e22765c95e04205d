"""The process that stands between the participants of a run, if there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from broker.addresses import IPC, Address, parse_address
from broker.errors import UserError
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


def given_addresses(plan: Plan) -> tuple[str, ...]:
    """Where the scenario says that brokers of a cluster, or a forwarder, run already."""
    transport = plan.scenario.transport
    if transport.kind == "mqtt":
        return transport.mqtt.addresses
    zeromq = transport.zeromq
    return (zeromq.forwarder,) if zeromq.mode == "forwarder" and zeromq.forwarder else ()


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
        UserError: It is not installed, its address is in use, or its files cannot be written.
    """
    try:
        return _started(plan, logs, sockets, keys, address, run=run)
    except OSError as error:
        msg = f"cannot start what stands between the participants, with its files in {logs}: {error.strerror}"
        raise UserError(msg) from None


def _started(
    plan: Plan, logs: Path, sockets: Path, keys: Path | None, address: str, *, run: str | None
) -> RunningBroker | None:
    transport = plan.scenario.transport
    if transport.kind == "mqtt":
        from broker.servers.mqtt_server import start_mqtt_server  # noqa: PLC0415 - other runs need no broker

        asked = parse_address(address, "mqtt", "mqtts", least_port=0) if address else Address("mqtt", "127.0.0.1")
        access = keys / "broker" if keys is not None else None
        return start_mqtt_server(
            transport.mqtt.broker, logs, transport, host=asked.host, port=asked.port, access=access
        )
    if transport.zeromq.mode == "direct":
        return None
    from broker.servers.forwarder import start_forwarder  # noqa: PLC0415 - other runs need no forwarder

    zeromq = transport.zeromq
    is_local = zeromq.scheme == IPC
    free = Address(IPC, f"{sockets}/{FORWARDER}") if is_local else Address("tcp", zeromq.host, zeromq.base_port)
    return start_forwarder(
        address or str(free),
        logs,
        transport,
        run=run or every_run(plan.scenario.name),
        peers=everybodys_peers(plan),
        credentials=keys / FORWARDER if keys is not None else None,
    )
