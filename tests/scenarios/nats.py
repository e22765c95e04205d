"""Three NATS servers that are one cluster and speak MQTT, for the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from ports import free_ports
from runs import until

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
_CONFIG = """
server_name: {name}
listen: 127.0.0.1:{client}
jetstream {{ store_dir: "{store}" }}
cluster {{ name: foretell, listen: 127.0.0.1:{route}, routes: [{routes}] }}
mqtt {{ listen: 127.0.0.1:{mqtt}, consumer_memory_storage: true }}
"""


def need_nats() -> None:
    """A missing server is a visible skip, and a failure where all must run."""
    if shutil.which("nats-server", path=_PATH) is None:
        said = "nats-server is not installed: apt-get install nats-server"
        if os.environ.get("CI") == "true":
            pytest.fail(said)
        pytest.skip(said)


class NatsServer:
    """One server."""

    def __init__(self, name: str, folder: Path, port: int, routes: list[int]) -> None:
        self.address = f"mqtt://127.0.0.1:{port + 2}"
        self.log = folder / f"{name}.log"
        config = folder / f"{name}.conf"
        config.write_text(
            _CONFIG.format(
                name=name,
                client=port,
                route=port + 1,
                mqtt=port + 2,
                store=folder / name,
                routes=", ".join(f"nats://127.0.0.1:{route}" for route in routes),
            )
        )
        program = shutil.which("nats-server", path=_PATH) or ""
        self.process = subprocess.Popen([program, "--config", str(config), "--log", str(self.log)])

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def nats_cluster(folder: Path) -> Iterator[list[NatsServer]]:
    """Three servers, once they are one cluster that takes messages."""
    need_nats()
    base = free_ports(9)
    ports = [base, base + 3, base + 6]
    with ExitStack() as stack:
        servers = [NatsServer(f"s{n}", folder, port, [each + 1 for each in ports]) for n, port in enumerate(ports)]
        for server in servers:
            stack.callback(server.kill)
        until(lambda: any("JetStream cluster new metadata leader" in _read(each) for each in servers), "a leader")
        yield servers


def _read(server: NatsServer) -> str:
    return server.log.read_text() if server.log.exists() else ""
