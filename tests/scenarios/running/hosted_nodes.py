"""Nodes on two hosts that are processes of this one, reached through a pipe, through SSH or through a socket."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property, partial
from pathlib import Path

from hosts.network import make_keys, need_programs, ssh_server
from hosts.waiting_hosts import WaitingHost, fleet

from broker.arithmetic.version import ARITHMETIC
from broker.release import FORETELL
from broker.wire.messages import ENVIRONMENT
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan
from scenarios.running.bundles.making import make_bundles
from scenarios.running.fleet import Fleet, parse_fleet
from scenarios.running.hosts.bundle import open_bundle
from scenarios.running.hosts.carrier import Carrier
from scenarios.running.hosts.client import HostClient
from scenarios.running.hosts.frames import OpenRun
from scenarios.running.hosts.piped import Piped
from scenarios.running.hosts.remote_nodes import RemoteNodes
from scenarios.running.hosts.sockets.dialled import over_sockets
from scenarios.running.hosts.ssh import local_command, ssh_command

HOMES = {ENVIRONMENT: "left", "agent-0": "left", "agent-1": "right"}


class HostedNodes(RemoteNodes):
    """Two hosts; their folders are beside each other.

    Args:
        root: For all that they need.
        carrier: pipe, SSH or socket.
    """

    def __init__(self, root: Path, carrier: str) -> None:
        if carrier == "SSH":
            need_programs("ssh", "ssh-keygen")
        self._stack, self._root, self._carrier = ExitStack(), root, carrier
        clients = {name: self._client(name) for name in dict.fromkeys(HOMES.values())}
        super().__init__({name: clients[home] for name, home in HOMES.items()}, lambda: None)

    def log(self, name: str) -> Path:
        (found,) = self._root.glob(f"there/*/tiny/logs/{name}.log")
        return found

    def close(self) -> None:
        self._stack.close()

    def _client(self, name: str) -> HostClient:
        opening = OpenRun("tiny", FORETELL, ARITHMETIC, (), 20.0, {})
        if self._carrier == "socket":
            held = open_bundle(self._bundles / "launcher").manifest
            opening = OpenRun("tiny", FORETELL, ARITHMETIC, (), 20.0, {}, held.run, held.document)
        log = self._root / f"{name}.log"
        client = HostClient(name, self._dial(name, log), opening, log, try_for_s=10.0)
        client.dial()
        self._stack.callback(client.close)
        client.greet()
        return client

    def _dial(self, name: str, log: Path) -> Callable[[], Carrier]:
        there = str(self._root / "there" / name)
        if self._carrier == "socket":
            waiting = WaitingHost(self._bundles / name, "--folder", there)
            self._stack.callback(waiting.close)
            return partial(over_sockets(self._bundles / "launcher"), name, self._fleet.hosts[name], log)
        command = local_command(there, "", "")
        if self._carrier == "SSH":
            command = [*self._ssh(), *ssh_command("host", sys.executable, there, "", "")[1:]]
        return partial(Piped, command, log, str)

    @cached_property
    def _fleet(self) -> Fleet:
        return parse_fleet(fleet({"left": [ENVIRONMENT, "agent-0"], "right": ["agent-1"]}))

    @cached_property
    def _bundles(self) -> Path:
        plan = make_plan(load_scenario("exchange-quick", {"environment.agents": 2}))
        make_bundles(plan, self._fleet, self._root / "bundles")
        return self._root / "bundles"

    def _ssh(self) -> list[str]:
        config = self._root / "ssh-config"
        if not config.exists():
            make_keys(self._root)
            server, port = ssh_server(self._root, 0)
            self._stack.enter_context(server)
            self._stack.callback(server.kill)
            config.write_text(
                f"Host host\n HostName 127.0.0.1\n Port {port}\n IdentityFile {self._root / 'key'}\n"
                " StrictHostKeyChecking no\n UserKnownHostsFile /dev/null\n LogLevel ERROR\n"
            )
        return ["ssh", "-F", str(config)]
