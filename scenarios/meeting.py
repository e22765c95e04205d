"""Where the participants of a run meet: their addresses, the process between them if there is one, and their keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

from broker.config import ZeroMQConfig
from broker.errors import ParticipantDied, UserError
from broker.wire.messages import FORWARDER, OBSERVER
from scenarios.document.plan import Plan
from scenarios.document.wiring import Wiring
from scenarios.keys import everybodys_peers, make_keys, needs_keys
from scenarios.results.folder import RunFolder

Tell = Callable[[str], None]

_QUICK_DEATHS = 3
_QUICK_S = 30.0


class Between(Protocol):
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


class Meeting:
    """Where a run's participants meet.

    Attributes:
        wiring: What they are told of it.

    Args:
        wiring: What they are told of it.
        between: What stands between them and was started for this run, or None.
        start_again: Starts it anew at the same address.
        tell: Takes a sentence for the user.
    """

    def __init__(
        self, wiring: Wiring, between: Between | None, start_again: Callable[[str], Between], tell: Tell
    ) -> None:
        self.wiring = wiring
        self._between = between
        self._start_again = start_again
        self._tell = tell
        self._deaths: list[float] = []
        self._asked = False

    @property
    def log(self) -> Path:
        """What stands between the participants says there."""
        return self._between.log if self._between is not None else Path()

    def look(self) -> bool:
        """Start what stands between the participants again if it has died: it holds nothing that they need.

        Returns whether it had died.

        Raises:
            ParticipantDied: It keeps dying.
        """
        between = self._between
        if between is None or between.alive():
            return False
        now = time.monotonic()
        recent = [death for death in self._deaths if now - death < _QUICK_S]
        self._deaths, self._asked = recent if self._asked else [*recent, now], False
        between.close()
        if len(self._deaths) >= _QUICK_DEATHS:
            raise ParticipantDied("broker", f"it died {len(self._deaths)} times within {_QUICK_S:.0f} s", between.log)
        self._between = self._start_again(between.address)
        self._tell(f"the broker at {between.address} died and was started again; messages under way are lost")
        return True

    @property
    def pid(self) -> int | None:
        """The process between the participants, if it was started for this run."""
        return self._between.pid if self._between is not None else None

    def expect_death(self) -> None:
        """The process between the participants is killed because the scenario asks for it: it is no bad sign."""
        self._asked = True

    def close(self) -> None:
        """End what was started, and say whom it turned away."""
        if self._between is None:
            return
        self._between.close()
        if strangers := self._between.turned_away():
            self._tell(f"the broker at {self._between.address} turned away {strangers}: see {self._between.log}")


@contextmanager
def meeting(plan: Plan, folder: RunFolder, sockets: Path, tell: Tell) -> Iterator[Meeting]:
    """Make what the participants of a run need to meet, and end it afterwards.

    Args:
        plan: What runs.
        folder: The run's, for logs and journals, and for keys where the scenario names none.
        sockets: For the socket files of `ipc`.
        tell: Takes a sentence for the user.

    Raises:
        UserError: An address is in use, or something that stands elsewhere cannot know the run's keys.
    """
    keys = find_keys(plan, folder.keys)
    start = partial(start_between, plan, folder.logs, sockets, keys)
    given = given_address(plan)
    between = None if given else start("")
    if between is not None:
        tell(between.note)
    wiring = Wiring(
        plan.scenario.name,
        make_addresses(plan.participants, plan.scenario.transport.zeromq, sockets),
        broker=between.address if between is not None else given,
        observed=True,
        keys=keys,
        journals=folder.journals if plan.scenario.transport.journal else None,
    )
    found = Meeting(wiring, between, lambda address: _required(start(address)), tell)
    try:
        yield found
    finally:
        found.close()


def find_keys(plan: Plan, own: Path) -> Path | None:
    """The folder of a run's keys, or None where it needs none.

    Args:
        plan: What runs.
        own: Where to make keys of its own, where the scenario names none.

    Raises:
        UserError: What stands between the participants runs already and cannot know keys made now.
    """
    transport = plan.scenario.transport
    if not needs_keys(transport):
        return None
    if transport.security.keys is not None:
        return transport.security.keys
    if address := given_address(plan):
        msg = (
            f"{address} runs already, so keys made now would be strange to it. Make them with `foretell keys`, give "
            "it its part, and set transport.security.keys; or set transport.security.mode to off."
        )
        raise UserError(msg)
    make_keys(plan, own)
    return own


def given_address(plan: Plan) -> str:
    """Where the scenario says that a broker or forwarder runs already; empty if it does not."""
    transport = plan.scenario.transport
    if transport.kind == "mqtt":
        return transport.mqtt.address
    return transport.zeromq.forwarder if transport.zeromq.mode == "forwarder" else ""


def start_between(plan: Plan, logs: Path, sockets: Path, keys: Path | None, address: str) -> Between | None:
    """Start what stands between the participants, or nothing where they connect to each other.

    Args:
        plan: Says what it is.
        logs: Folder for its log and its own files.
        sockets: For the socket files of `ipc`.
        keys: Everybody's keys, or None.
        address: Where it shall listen; empty for where the scenario says, or a free place on this host.

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
        run=plan.scenario.name,
        peers=everybodys_peers(plan),
        credentials=keys / FORWARDER if keys is not None else None,
    )


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
        addresses = {name: f"tcp://{config.host}:{config.base_port + port}" for port, name in enumerate(everyone)}
    return addresses | {name: address for name, address in config.addresses.items() if name in addresses}


def _required(between: Between | None) -> Between:
    assert between is not None  # noqa: S101 - only what was started is started again
    return between
