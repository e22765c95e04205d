"""The hosts of a run as the launcher sees them: reached together, and told of each other's addresses."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec

from broker.addresses import Address, parse_address
from broker.arithmetic.version import ARITHMETIC
from broker.errors import UserError
from broker.participants.checkpoint import Checkpoints
from broker.release import FORETELL
from broker.wire.messages import OBSERVER
from scenarios.document.plan import Plan
from scenarios.document.wiring import Wiring
from scenarios.results.folder import RunFolder
from scenarios.running.fleet import Fleet, HostConfig, Place
from scenarios.running.hosts.belongings import belongings
from scenarios.running.hosts.bundle import KEYS, Manifest
from scenarios.running.hosts.carrier import Dial
from scenarios.running.hosts.client import HostClient
from scenarios.running.hosts.frames import OpenRun
from scenarios.running.hosts.piped import Piped
from scenarios.running.hosts.remote_checkpoints import RemoteCheckpoints
from scenarios.running.hosts.remote_nodes import RemoteNodes
from scenarios.running.hosts.ssh import explained, last_words, local_command, ssh_command
from scenarios.running.nodes import Nodes

_JOURNALS, _CHECKPOINTS, _SPANS = "journal", "checkpoints", "spans"
_SOME_PORT = 9


class FleetSite:
    """Where the processes of a run live; see `scenarios.running.nodes.Site`.

    Args:
        plan: What runs.
        fleet: The hosts.
        homes: The host of each participant.
        clients: The hosts, by name.
        look: Looks at what carries all connections; raises `UserError` where that is lost.
    """

    def __init__(
        self,
        plan: Plan,
        fleet: Fleet,
        homes: Mapping[str, str],
        clients: Mapping[str, HostClient],
        look: Callable[[], None],
    ) -> None:
        self._plan, self._fleet, self._homes = plan, fleet, homes
        self.nodes: Nodes = RemoteNodes({name: clients[home] for name, home in homes.items()}, look)
        self.checkpoints: Mapping[str, Checkpoints] = {
            name: RemoteCheckpoints(name, clients[home].ask) for name, home in homes.items()
        }

    def wired(self, wiring: Wiring) -> Wiring:
        """With where those listen that are dialled elsewhere."""
        return replace(wiring, listens=listens_of(self._fleet, self._homes, wiring.addresses))

    def there(self, wiring: Wiring) -> Wiring:
        """As a participant sees it: what is a folder here is one in the run's folder there."""
        return replace(
            wiring,
            keys=None if wiring.keys is None else Path(KEYS),
            journals=None if wiring.journals is None else Path(_JOURNALS),
            checkpoints=None if wiring.checkpoints is None else Path(_CHECKPOINTS),
            trace=None if wiring.trace is None else wiring.trace.model_copy(update={"folder": Path(_SPANS)}),
            broker=self._dialled(wiring.broker),
        )

    def broker_at(self) -> str:
        """Where what stands between participants listens, when this launcher starts it; empty where nothing does."""
        transport = self._plan.scenario.transport
        if not self._plan.has_own_broker:
            return ""
        host = self._fleet.launcher.listen or transport.zeromq.host
        if transport.kind == "mqtt":
            return str(Address("mqtt", host, 0))
        return str(Address("tcp", host, transport.zeromq.base_port))

    def _dialled(self, broker: str) -> str:
        if not broker or not self._plan.has_own_broker:
            return broker
        at = parse_address(broker, "mqtt", "mqtts", "tcp", "ipc")
        return str(replace(at, host=self._plan.scenario.transport.zeromq.host))


def fleet_plan(fleet: Fleet, plan: Plan) -> Plan:
    """A plan whose participants meet over a network: everybody at the address of its host.

    Raises:
        UserError: Somebody lives nowhere or twice, or this host's own address cannot be found.
    """
    homes, transport = fleet.homes(plan.participants), plan.scenario.transport
    zeromq, own = transport.zeromq, fleet.launcher.dial or _own_address(fleet)
    addresses = {
        name: str(Address("tcp", _place(fleet, homes, name).dial or own, port))
        for port, name in enumerate((*plan.participants, OBSERVER), zeromq.base_port)
    }
    met = {"scheme": "tcp", "host": own, "addresses": addresses | zeromq.addresses}
    transport = transport.model_copy(update={"zeromq": zeromq.model_copy(update=met)})
    return replace(plan, scenario=plan.scenario.model_copy(update={"transport": transport}))


def listens_of(fleet: Fleet, homes: Mapping[str, str], addresses: Mapping[str, str]) -> dict[str, str]:
    """Where those listen that are dialled elsewhere, from where they are dialled."""
    return {
        name: str(replace(parse_address(address, "tcp"), host=listen))
        for name, address in addresses.items()
        if (listen := _place(fleet, homes, name).listen)
    }


def _place(fleet: Fleet, homes: Mapping[str, str], name: str) -> Place:
    return fleet.launcher if name == OBSERVER else fleet.hosts[homes[name]]


def _own_address(fleet: Fleet) -> str:
    """The address of this host on the way to another one."""
    whys = []
    for name, host in fleet.hosts.items():
        if host.dial:
            try:
                return _source_address(host.dial)
            except OSError as error:
                whys.append(f"no way leads to {host.dial}, the `dial` of {name} ({error.strerror or error})")
    why = f": {whys[0]}. Mend that, or say" if whys else ": expected"
    msg = f"cannot find this host's own address{why} `dial` in the table [launcher] of the hosts"
    raise UserError(msg)


@contextmanager
def fleet_site(
    fleet: Fleet,
    plan: Plan,
    folder: RunFolder,
    run: str,
    dial: Dial,
    *,
    held: Manifest | None,
    look: Callable[[], None],
) -> Iterator[FleetSite]:
    """Reach all hosts of a run, and let go of them afterwards.

    Args:
        fleet: The hosts.
        plan: What runs.
        folder: The run's, for what the hosts say.
        run: Its name, with its id.
        dial: Begins a connection to a host.
        held: The launcher's bundle, where the hosts have theirs; nothing is sent to them that is in these.
        look: Looks at what carries all connections; raises `UserError` where that is lost.

    Raises:
        UserError: Somebody lives nowhere or twice, or a host cannot be reached, or refuses.
    """
    homes = fleet.homes(plan.participants)
    clients = clients_of(fleet, plan, folder, run, dial, held=held, try_for_s=plan.scenario.joining.give_up_s)
    try:
        for client in clients.values():
            client.dial()
        with ThreadPoolExecutor(len(clients)) as pool:
            list(pool.map(HostClient.greet, clients.values()))
        yield FleetSite(plan, fleet, homes, clients, look)
    finally:
        for client in clients.values():
            client.close()


def clients_of(
    fleet: Fleet,
    plan: Plan,
    folder: RunFolder,
    run: str,
    dial: Dial,
    *,
    try_for_s: float,
    held: Manifest | None,
) -> dict[str, HostClient]:
    """The hosts by name, not dialled yet.

    Args:
        fleet: They.
        plan: What runs there.
        folder: The run's.
        run: Its name, with its id.
        dial: Begins a connection to a host.
        try_for_s: Seconds for which a lost connection is tried again.
        held: As in `fleet_site`.
    """
    homes, clients = fleet.homes(plan.participants), {}
    keys = plan.scenario.transport.security.keys or folder.keys
    for name, host in fleet.hosts.items():
        theirs = tuple(each for each, home in homes.items() if home == name)
        opening = OpenRun(run, FORETELL, ARITHMETIC, theirs, host.lease_s, {})
        if held is None:
            policy = None if host.act else folder.initial_policy
            opening = msgspec.structs.replace(
                opening, files=belongings(plan.scenario, theirs, policy=policy, keys=keys)
            )
        else:
            opening = msgspec.structs.replace(opening, bundle=held.run, document=held.document)
        log = folder.logs / f"host-{name}.log"
        clients[name] = HostClient(name, partial(dial, name, host, log), opening, log, try_for_s=try_for_s)
    return clients


def over_ssh(_name: str, host: HostConfig, log: Path) -> Piped:
    """Over SSH."""
    command = ssh_command(host.ssh, host.python, host.folder, host.act, host.metrics)
    return Piped(command, log, partial(explained, ssh=host.ssh))


def right_here(name: str, host: HostConfig, log: Path) -> Piped:
    """To a process of this host, with a folder of its own."""
    command = local_command(str(Path(host.folder) / name), host.act, host.metrics)
    return Piped(command, log, partial(last_words, who=f"{name}'s `foretell host`"))


def _source_address(host: str) -> str:
    """The address from which this host would reach another; nothing is sent.

    Raises:
        OSError: Its name does not resolve, or nothing leads there.
    """
    family, kind, protocol, _, to = socket.getaddrinfo(host, _SOME_PORT, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.connect(to)
        return str(probe.getsockname()[0])
