"""Nodes on two hosts that are processes of this one, reached through a pipe or through SSH."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from hosts.network import make_keys, need_programs, ssh_server

from broker.arithmetic.version import ARITHMETIC
from broker.release import FORETELL
from broker.wire.messages import ENVIRONMENT
from scenarios.running.hosts.client import HostClient
from scenarios.running.hosts.frames import OpenRun
from scenarios.running.hosts.piped import Piped
from scenarios.running.hosts.remote_nodes import RemoteNodes
from scenarios.running.hosts.ssh import local_command, ssh_command

HOMES = {ENVIRONMENT: "left", "agent-0": "left", "agent-1": "right"}


class HostedNodes(RemoteNodes):
    """Two hosts; their folders are beside each other."""

    def __init__(self, root: Path, *, over_ssh: bool) -> None:
        if over_ssh:
            need_programs("ssh", "ssh-keygen")
        self._stack, self._root = ExitStack(), root
        clients = {name: self._client(name, over_ssh=over_ssh) for name in dict.fromkeys(HOMES.values())}
        super().__init__({name: clients[home] for name, home in HOMES.items()})

    def log(self, name: str) -> Path:
        (found,) = self._root.glob(f"there/*/tiny/logs/{name}.log")
        return found

    def close(self) -> None:
        self._stack.close()

    def _client(self, name: str, *, over_ssh: bool) -> HostClient:
        there = str(self._root / "there" / name)
        command = [*self._ssh(), *ssh_command("host", sys.executable, there)[1:]] if over_ssh else local_command(there)
        opening = OpenRun("tiny", FORETELL, ARITHMETIC, (), 20.0, {})
        log = self._root / f"{name}.log"
        client = HostClient(name, partial(Piped, command, log, str), opening, log, try_for_s=10.0)
        client.dial()
        self._stack.callback(client.close)
        client.greet()
        return client

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
