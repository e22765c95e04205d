"""A peer is found by its name, whatever address that has at the moment."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from broker_toys import Ear, listen_until, make_codec
from mounts import APART, need_mounts
from ports import free_ports

from broker.config import TransportConfig
from broker.transports.zeromq.direct import ZeroMQTransport

pytestmark = [pytest.mark.processes, pytest.mark.skipif(sys.platform != "linux", reason="mount namespaces are Linux's")]

PLAYER = Path(__file__).parents[1] / "broker_toy_process.py"


@contextmanager
def player(names: Path, port: int, log: Path) -> Iterator[None]:
    """A process that says HELLO to `peer.test`, and sees the hosts file `names` alone."""
    addresses = {"a": f"tcp://127.0.0.1:{port}", "b": f"tcp://peer.test:{port + 1}"}
    link = {"run": "test", "name": "a", "peers": ["b"], "seed": 1, "addresses": addresses}
    link |= {"transport": {}, "joining": {"hello_interval_s": 0.02}}
    config = log.with_name("slice.json")
    config.write_text(json.dumps({"link": link, "rounds": 1}))
    words = [*APART, f'mount --bind "{names}" /etc/hosts && exec "$@"', "sh", sys.executable, str(PLAYER), str(config)]
    with log.open("w") as said, subprocess.Popen(words, stderr=said) as process:
        try:
            yield
        finally:
            process.kill()


@pytest.mark.parametrize(("first", "then"), [("127.0.0.2", "127.0.0.3"), ("::1", "::1")])
def test_a_peer_that_comes_back_with_another_address_is_found_by_its_name(tmp_path, first, then):
    need_mounts()
    names, port = tmp_path / "hosts", free_ports(2)
    names.write_text(f"{first} peer.test\n")
    with player(names, port, tmp_path / "log"):
        for address in (first, then):
            names.write_text(f"{address} peer.test\n")  # the same file: it is mounted
            host = f"[{address}]" if ":" in address else address
            addresses = {"b": f"tcp://{host}:{port + 1}", "a": f"tcp://127.0.0.1:{port}"}
            peer = Ear(ZeroMQTransport("b", addresses, make_codec("b", ("a",)), TransportConfig(), keys=None))
            listen_until(lambda heard=peer.heard: heard, peer)
            peer.transport.close(0.0)
