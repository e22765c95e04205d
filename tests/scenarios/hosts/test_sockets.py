"""What a socket between launcher and host carries, and what is said where it carries nothing; a host that echoes."""

from __future__ import annotations

import math
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import zmq
from limits import LIMIT_S
from ports import free_port
from runs import until

from broker.addresses import parse_address
from broker.arithmetic.version import ARITHMETIC
from broker.errors import AddressInUse
from broker.release import FORETELL
from broker.security.curve import make_curve_keys, read_curve_keys
from scenarios.running.hosts.bundle import Bundle, Manifest
from scenarios.running.hosts.sockets import dialled, listener
from scenarios.running.hosts.sockets.dialled import Dialled
from scenarios.running.hosts.sockets.listener import Listener
from scenarios.running.hosts.sockets.service_manager import READY, ServiceManager

ECHO = (sys.executable, "-S", "-c", "import os\nwhile said := os.read(0, 1 << 16): os.write(1, said)")


class Echoing:
    """A listener in a thread whose processes say what they hear."""

    def __init__(self, folder: Path, command: tuple[str, ...] = ECHO, host: str = "127.0.0.1") -> None:
        self.said: list[str] = []
        self.address = f"tcp://{host}:{free_port()}"
        self.bundle = bundle(folder)
        self.listener = Listener(self.bundle, self.address, command, self.said.append)
        self._wants_end = False
        self._thread = threading.Thread(target=self.listener.serve, args=(lambda: self._wants_end,))
        self._thread.start()

    def close(self) -> None:
        self._wants_end = True
        self._thread.join()
        self.listener.close()


def bundle(folder: Path) -> Bundle:
    manifest = Manifest(
        run="set",
        host="pi1",
        document="d",
        version=FORETELL,
        arithmetic=ARITHMETIC,
        participants=(),
        listen="",
        files={},
    )
    return Bundle(folder / "pi1", manifest)


def make_set(folder: Path) -> Path:
    """Keys of a host and its launcher, as two bundles hold them."""
    make_curve_keys(folder / "made", {"launcher": ("pi1",), "pi1": ("launcher",)})
    for name in ("launcher", "pi1"):
        (folder / name).mkdir(parents=True)
        (folder / "made" / name).rename(folder / name / "control")
    return folder


@pytest.fixture
def echoing(tmp_path: Path) -> Iterator[Echoing]:
    made = Echoing(make_set(tmp_path / "set"))
    yield made
    made.close()


def dial(echoing: Echoing, folder: Path | None = None) -> Dialled:
    keys = read_curve_keys((folder or echoing.bundle.folder.parent) / "launcher" / "control")
    return Dialled("pi1", echoing.address, keys)


def receive(carrier: Dialled, size: int) -> bytes:
    found = b""
    while len(found) < size and (arrived := carrier.read()):
        found += arrived
    return found


def over(carrier: Dialled) -> bool:
    """Whether nothing is received any more, though somebody still waits for it when it is closed."""
    found: list[bytes] = []
    thread = threading.Thread(target=lambda: found.append(carrier.read()))
    thread.start()
    carrier.leave()
    thread.join()
    return found == [b""]


@pytest.mark.processes
def test_what_is_sent_arrives_whole_though_both_pipes_are_full(echoing):
    carrier = dial(echoing)
    content = bytes(range(256)) * 20_000
    for start in range(0, len(content), 100_000):
        carrier.write(content[start : start + 100_000])
    assert receive(carrier, len(content)) == content
    assert over(carrier)
    with pytest.raises(BrokenPipeError):
        carrier.write(b"more")


@pytest.mark.processes
def test_a_long_frame_arrives_whole_both_ways(echoing):
    carrier = dial(echoing)
    content = bytes(range(256)) * 20_001
    carrier.write(content)
    assert receive(carrier, len(content)) == content
    assert over(carrier)


@pytest.mark.processes
def test_a_host_is_reached_by_a_name_that_has_ipv6_addresses_alone(tmp_path, monkeypatch):
    name, number, look_up, connect = "pi1.test", "::1", socket.getaddrinfo, zmq.Socket.connect
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *rest, **more: look_up(number if host == name else host, *rest, **more)
    )
    monkeypatch.setattr(zmq.Socket, "connect", lambda self, at: connect(self, at.replace(name, f"[{number}]")))
    echoing = Echoing(make_set(tmp_path / "set"), host=f"[{number}]")
    echoing.address = echoing.address.replace(f"[{number}]", name)
    carrier = dial(echoing)
    try:
        carrier.write(b"1")
        assert receive(carrier, 1) == b"1"
    finally:
        carrier.leave()
        over(carrier)
        echoing.close()


@pytest.mark.processes
def test_who_has_no_key_cannot_send_what_fills_the_memory_of_a_host(echoing):
    place = parse_address(echoing.address, "tcp")
    with socket.create_connection((place.host, place.port), LIMIT_S) as stranger:
        stranger.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"CURVE".ljust(20, b"\0") + bytes(32))
        stranger.sendall(b"\x06" + (1 << 33).to_bytes(8))  # a command of 8 GiB begins
        heard = 0
        with suppress(ConnectionResetError):
            while arrived := stranger.recv(64):
                heard += len(arrived)
    assert heard <= 64, "nothing but the greeting"


@pytest.mark.processes
def test_each_connection_is_served_by_a_process_of_its_own_which_hears_that_its_launcher_is_gone(echoing):
    first, second = dial(echoing), dial(echoing)
    first.write(b"1")
    second.write(b"2")
    assert (receive(first, 1), receive(second, 1)) == (b"1", b"2")
    assert over(first)
    until(lambda: len(echoing.listener._serving) == 1, "the end of the first process")
    assert echoing.said.count("the launcher is gone") == 1
    second.write(b"3")
    assert receive(second, 1) == b"3"
    assert over(second)


@pytest.mark.processes
def test_a_connection_ends_with_the_process_that_serves_it(tmp_path):
    echoing = Echoing(make_set(tmp_path), (sys.executable, "-S", "-c", "import os; os.write(1, os.read(0, 9))"))
    carrier = dial(echoing)
    carrier.write(b"bye")
    assert (carrier.read(), carrier.read()) == (b"bye", b"")
    assert over(carrier)
    echoing.close()


def test_a_launcher_with_another_key_is_refused_and_both_sides_say_so(echoing, tmp_path):
    mixed = make_set(tmp_path / "other")
    own = echoing.bundle.folder / "control" / "curve.secret"
    public = own.read_text().split()[0]
    (mixed / "launcher" / "control" / "curve" / "pi1.key").write_text(public)
    carrier = dial(echoing, mixed)
    assert carrier.read() == b""
    assert carrier.said().startswith("it refuses this launcher's key: its bundle is of another set. Give all hosts")
    until(lambda: len(echoing.said) > 1, "a word of the host")
    assert echoing.said[1].startswith("turned away a launcher whose key is not the one in this bundle")


def test_a_host_with_another_key_is_not_taken_for_the_own_one_and_both_sides_say_so(echoing, tmp_path):
    carrier = dial(echoing, make_set(tmp_path / "other"))
    assert carrier.read() == b""
    assert carrier.said().startswith(f"whoever answers at {echoing.address} has not the key of pi1's bundle. Give all")
    until(lambda: len(echoing.said) > 1, "a word of the host")
    assert echoing.said[1].startswith("turned away somebody who does not know the key of this bundle")


def test_where_nobody_or_somebody_else_answers_a_sentence_says_so(tmp_path, monkeypatch):
    keys = read_curve_keys(make_set(tmp_path) / "launcher" / "control")
    for address, said in (
        (f"tcp://127.0.0.1:{free_port()}", "Connection refused. Start `foretell host` with its bundle there"),
        ("tcp://no.such:1", "nobody answers at tcp://no.such:1: the name does not resolve. Start"),
    ):
        carrier = Dialled("pi1", address, keys)
        assert carrier.read() == b""
        assert said in carrier.said()
    monkeypatch.setattr(dialled, "_CONNECTS_WITHIN_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        carrier = Dialled("pi1", f"tcp://127.0.0.1:{silent.getsockname()[1]}", keys)
        assert carrier.read() == b""
        assert "is no `foretell host`" in carrier.said()


def test_an_address_in_use_is_told(echoing):
    with pytest.raises(AddressInUse, match=r"this host cannot listen on .* choose another --listen"):
        Listener(echoing.bundle, echoing.address, ECHO, lambda _: None)


def test_whoever_knocks_is_worth_a_word_at_most_and_holds_up_nobody(echoing, monkeypatch):
    monkeypatch.setattr(listener, "_TOLD_EVERY_S", math.inf)
    port = int(echoing.address.rpartition(":")[2])
    for _ in range(3):
        socket.create_connection(("127.0.0.1", port)).close()
        with socket.create_connection(("127.0.0.1", port)) as knocking, suppress(OSError):  # it may hang up at any time
            knocking.sendall(b"GET / HTTP/1.1\r\nHost: pi1\r\n\r\n" * 9)
            knocking.shutdown(socket.SHUT_WR)
            while knocking.recv(1 << 12):
                pass
    carrier = dial(echoing)
    thread = threading.Thread(target=carrier.read)
    thread.start()
    until(lambda: carrier._connected, "a connection")
    carrier.leave()
    thread.join()
    assert len([line for line in echoing.said if line.startswith("turned away somebody")]) <= 1
    assert len(echoing.said) <= 2


def test_systemd_is_told_what_it_wants_to_hear(tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "2000000")
        told = ServiceManager()
        assert told.within_s == 2.0
        told.tell(READY)
        assert manager.recv(99) == b"READY=1"
    told.tell(READY)  # to nobody, who is no reason to end
    monkeypatch.delenv("NOTIFY_SOCKET")
    ServiceManager().tell(READY)
