"""A port that somebody takes between the look and the listening is no port: another is chosen."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from ports import free_ports

from broker.config import TransportConfig
from broker.errors import AddressInUse
from broker.free_ports import on_a_free_port
from broker.servers.forwarder import RunningForwarder, start_forwarder


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        yield somebody.getsockname()[1]


def forwarder_at(port: int, folder: Path) -> RunningForwarder:
    address = f"tcp://127.0.0.1:{port}"
    return start_forwarder(address, folder, TransportConfig(), run="r", peers={"a": ["b"], "b": ["a"]})


@pytest.mark.processes
def test_a_forwarder_goes_elsewhere_where_its_port_is_taken_before_it_listens(tmp_path: Path) -> None:
    holders: list[socket.socket] = []

    def serve(port: int) -> RunningForwarder:
        if not holders:
            holders.append(socket.create_server(("127.0.0.1", port)))
        return forwarder_at(port, tmp_path)

    forwarder = on_a_free_port(serve)
    try:
        assert forwarder.alive()
        assert not forwarder.address.endswith(f":{holders[0].getsockname()[1]}")
    finally:
        forwarder.close()
        holders[0].close()


@pytest.mark.processes
def test_a_forwarder_whose_second_port_is_taken_says_which(tmp_path: Path) -> None:
    base = free_ports(3)
    second = f"tcp://127.0.0.1:{base + 1}"
    with (
        socket.create_server(("127.0.0.1", base + 1)),
        pytest.raises(AddressInUse, match=f"^forwarder cannot listen on {second}: the address is in use"),
    ):
        forwarder_at(base, tmp_path)


def test_who_finds_none_says_so(monkeypatch: pytest.MonkeyPatch, taken: int) -> None:
    tried: list[int] = []

    def serve(port: int) -> None:
        tried.append(port)
        raise AddressInUse("somebody", f"tcp://127.0.0.1:{port}", "port")

    monkeypatch.setattr("broker.free_ports._free_port", lambda: taken)
    with pytest.raises(AddressInUse, match="the address is in use"):
        on_a_free_port(serve)
    assert len(tried) > 1
