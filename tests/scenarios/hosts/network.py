"""Hosts of a network of their own: namespaces on a bridge, an SSH server in each."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SERVER = Path(__file__).with_name("ssh_server.py")
PREFIX = "10.77.0"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def may_make_namespaces() -> str:
    """Why this machine lets us make none; empty if it does."""
    try:
        ip("netns", "add", f"foretell-probe-{os.getpid()}")
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no network namespaces here: {getattr(error, 'stderr', b'').decode() or error}"
    ip("netns", "del", f"foretell-probe-{os.getpid()}")
    return ""


@dataclass
class Network:
    """Hosts that this process reaches by `ssh NAME`, with `path` in front of PATH.

    Attributes:
        root: For keys and configuration.
        addresses: Of the hosts.
        servers: Their SSH servers.
    """

    root: Path
    addresses: dict[str, str] = field(default_factory=dict)
    servers: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    launcher = f"{PREFIX}.1"

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"PATH": f"{self.root / 'bin'}:{os.environ['PATH']}"}

    def namespace(self, host: str) -> str:
        return f"ft{os.getpid()}-{host}"

    def serve(self, host: str) -> None:
        """Start the SSH server of a host."""
        self.servers[host], _ = ssh_server(self.root, 22, "ip", "netns", "exec", self.namespace(host))

    def cut(self, host: str) -> None:
        """Let nothing through to a host."""
        ip("link", "set", self._outer(host), "down")

    def mend(self, host: str) -> None:
        """Let all through again."""
        ip("link", "set", self._outer(host), "up")

    def processes(self, host: str) -> list[int]:
        """Everything that runs on a host."""
        said = subprocess.run(["ip", "netns", "pids", self.namespace(host)], capture_output=True, text=True, check=True)
        return [int(each) for each in said.stdout.split()]

    def kill(self, host: str) -> None:
        """Kill all that runs on a host at once, the SSH server too, as a power cut would."""
        if host not in self.servers:
            return
        for pid in self.processes(host):
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                continue
        with self.servers.pop(host) as server:
            server.wait()

    def fleet(self, homes: dict[str, list[str]], **common: object) -> str:
        """A hosts document."""
        lines = ["[launcher]", f'dial = "{self.launcher}"']
        for host, participants in homes.items():
            python = str(Path(sys.executable))
            entries = {
                "ssh": host,
                "dial": self.addresses[host],
                "participants": participants,
                "python": python,
                "folder": str(self.root / "there" / host),
            } | common
            lines += [f"[{host}]", *(f"{name} = {value!r}".replace("'", '"') for name, value in entries.items())]
        return "\n".join(lines) + "\n"

    def _outer(self, host: str) -> str:
        return f"ft{os.getpid() % 10000}{host}"

    def _add(self, host: str, number: int, bridge: str) -> None:
        space, address = self.namespace(host), f"{PREFIX}.{number}"
        ip("netns", "add", space)
        ip("link", "add", self._outer(host), "type", "veth", "peer", "name", "eth0", "netns", space)
        ip("link", "set", self._outer(host), "master", bridge, "up")
        for words in (("addr", "add", f"{address}/24", "dev", "eth0"), ("link", "set", "eth0", "up")):
            ip("-n", space, *words)
        ip("-n", space, "link", "set", "lo", "up")
        self.addresses[host] = address


@contextmanager
def network(root: Path, hosts: tuple[str, ...]) -> Iterator[Network]:
    """Make hosts, and leave nothing of them."""
    if why := may_make_namespaces():
        assert os.environ.get("CI") != "true", why
        pytest.skip(why)
    pytest.importorskip("asyncssh")
    made = Network(root)
    bridge = f"ft{os.getpid() % 10000}br"
    with ExitStack() as stack:
        make_keys(root)
        ip("link", "add", bridge, "type", "bridge")
        stack.callback(ip, "link", "del", bridge)
        ip("addr", "add", f"{Network.launcher}/24", "dev", bridge)
        ip("link", "set", bridge, "up")
        for number, host in enumerate(hosts, 2):
            made._add(host, number, bridge)
            stack.callback(ip, "netns", "del", made.namespace(host))
            stack.callback(made.kill, host)
            made.serve(host)
        config = "".join(
            f"Host {host}\n HostName {address}\n IdentityFile {root / 'key'}\n UserKnownHostsFile {root / 'known'}\n"
            " StrictHostKeyChecking accept-new\n LogLevel ERROR\n"
            for host, address in made.addresses.items()
        )
        (root / "config").write_text(config)
        (root / "bin").mkdir()
        (root / "bin" / "ssh").write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {root / "config"} "$@"\n')
        (root / "bin" / "ssh").chmod(0o755)
        yield made


def ssh_server(root: Path, port: int, *before: str) -> tuple[subprocess.Popen[str], int]:
    """An SSH server with the keys in `root`, and its port.

    Args:
        root: Where `make_keys` put them.
        port: 0 for any.
        before: Words before its command line.
    """
    keys = [str(root / "host-key"), str(root / "key.pub")]
    command = [*before, sys.executable, str(SERVER), *keys, str(port)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)
    assert server.stdout is not None
    return server, int(server.stdout.readline())


def make_keys(root: Path) -> None:
    """A key for the user, and one for all hosts."""
    for name in ("key", "host-key"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(root / name)]
        subprocess.run(words, check=True, capture_output=True)
