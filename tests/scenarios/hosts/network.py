"""Hosts of a network of their own: namespaces on a bridge, an SSH server in each.

The launcher has a namespace too, so that nothing of it touches the network of this machine or of another test.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SERVER = Path(__file__).with_name("ssh_server.py")
PREFIX = "10.77.0"
LAUNCHER, BRIDGE = "launcher", "bridge"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def need_programs(*programs: str) -> None:
    """A missing one is a visible skip, and a failure where all must run."""
    pytest.importorskip("asyncssh")
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    if missing := [each for each in programs if shutil.which(each, path=path) is None]:
        said = f"{', '.join(missing)} is missing (Debian: apt-get install iproute2 openssh-client)"
        if os.environ.get("CI") == "true":
            pytest.fail(said)
        pytest.skip(said)


def need_namespaces() -> None:
    """Where the kernel lets us make none, a test of several hosts is skipped."""
    probe = f"foretell-probe-{os.getpid()}"
    try:
        ip("netns", "add", probe)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"the kernel refuses network namespaces: {error.stderr.decode().strip()}")
    ip("netns", "del", probe)


@dataclass
class Network:
    """Hosts that programs started with `here` and `environment` reach by `ssh NAME`.

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
    def here(self) -> list[str]:
        """Words before the command line of what runs beside the launcher."""
        return ["ip", "netns", "exec", self.namespace(LAUNCHER)]

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"PATH": f"{self.root / 'bin'}:{os.environ['PATH']}"}

    def namespace(self, host: str) -> str:
        return f"ft{os.getpid()}-{host}"

    def serve(self, host: str) -> None:
        """Start the SSH server of a host."""
        home = self.home(host)
        home.mkdir(parents=True, exist_ok=True)
        there = ("ip", "netns", "exec", self.namespace(host), "env", f"--chdir={home}", f"HOME={home}")
        self.servers[host], _ = ssh_server(self.root, 22, *there)

    def home(self, host: str) -> Path:
        """The home folder on a host."""
        return self.root / "home" / host

    def cut(self, host: str) -> None:
        """Let nothing through to a host."""
        ip("-n", self.namespace(LAUNCHER), "link", "set", host, "down")

    def mend(self, host: str) -> None:
        """Let all through again."""
        ip("-n", self.namespace(LAUNCHER), "link", "set", host, "up")

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

    def add_launcher(self) -> None:
        """Make the namespace of the launcher, with the bridge."""
        space = self.namespace(LAUNCHER)
        ip("netns", "add", space)
        ip("-n", space, "link", "set", "lo", "up")
        ip("-n", space, "link", "add", BRIDGE, "type", "bridge")
        ip("-n", space, "addr", "add", f"{self.launcher}/24", "dev", BRIDGE)
        ip("-n", space, "link", "set", BRIDGE, "up")

    def add(self, host: str, number: int) -> None:
        """Make the namespace of a host."""
        space, launcher = self.namespace(host), self.namespace(LAUNCHER)
        self.addresses[host] = f"{PREFIX}.{number}"
        ip("netns", "add", space)
        ip("-n", launcher, "link", "add", host, "type", "veth", "peer", "name", "eth0", "netns", space)
        ip("-n", launcher, "link", "set", host, "master", BRIDGE, "up")
        ip("-n", space, "addr", "add", f"{self.addresses[host]}/24", "dev", "eth0")
        for interface in ("eth0", "lo"):
            ip("-n", space, "link", "set", interface, "up")


def forget_the_dead() -> None:
    """Remove namespaces that tests left which were killed."""
    said = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    for name in (line.split()[0] for line in said.splitlines() if line.startswith("ft")):
        if not Path(f"/proc/{name[2:].split('-')[0]}").exists():
            for pid in subprocess.run(
                ["ip", "netns", "pids", name], capture_output=True, text=True, check=False
            ).stdout.split():
                os.kill(int(pid), 9)
            ip("netns", "del", name)


@contextmanager
def network(root: Path, hosts: tuple[str, ...]) -> Iterator[Network]:
    """Make hosts, and leave nothing of them."""
    need_programs("ip", "ssh", "ssh-keygen")
    need_namespaces()
    made = Network(root)
    forget_the_dead()
    with ExitStack() as stack:
        make_keys(root)
        stack.callback(ip, "netns", "del", made.namespace(LAUNCHER))
        made.add_launcher()
        for number, host in enumerate(hosts, 2):
            stack.callback(ip, "netns", "del", made.namespace(host))
            made.add(host, number)
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
