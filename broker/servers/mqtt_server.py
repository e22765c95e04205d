"""Starts the MQTT broker of a run: mosquitto, or amqtt where mosquitto is not installed."""

from __future__ import annotations

import datetime as dt
import errno
import fcntl
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

from broker.addresses import Address
from broker.config import TransportConfig
from broker.errors import AddressInUse, ParticipantDied, UserError
from broker.isolated import isolated_module
from broker.own_clock import LONGEST_WAIT_S, OwnClock
from broker.security.mqtt_access import AUTHORITY, CERTIFICATE, KEY, PASSWORDS, PERMISSIONS
from broker.security.validity import certificates_in, wrong_date
from broker.servers.amqtt_config import AmqttConfig
from broker.servers.leash import end, end_of_input, leashed
from broker.servers.mqtt_log import refusals_in

Kind = Literal["mosquitto", "amqtt"]

NOTES: dict[Kind, str] = {
    "mosquitto": "The broker is mosquitto, with all that MQTT 5 and 3.1.1 offer.",
    "amqtt": "The broker is amqtt: 4 to 10 times slower than mosquitto, without bound on its queues, and MQTT 3.1.1 "
    "only, so no message expires, no will waits, and sessions end when the broker says so.",
}
INSTALL = {
    "mosquitto": "install it (Debian: apt-get install mosquitto)",
    "amqtt": "install it (pip install 'foretell[amqtt]')",
}
HEADER_BYTES = 4096
"""Room for MQTT's header and topic around a frame."""

_ALL = "::"
"""Mosquitto takes it for IPv6 alone; where it is told no host, it listens on all of both."""
_LARGEST_PACKET = 268_435_455  # of MQTT
_RUNNING = " running"
"""What mosquitto says after it has read its certificates, which is after it listens."""
_READY_WITHIN_S = 30.0
_LOOK_EVERY_S = 0.02
_END_WITHIN_S = 3.0
_ATTEMPTS = 3
_PIPE_BYTES = 1 << 20


class _KilledAtStart(ParticipantDied):
    """Somebody killed the broker before it listened."""


class _Door(NamedTuple):
    """Where a broker listens, and who may come in."""

    host: str
    port: int
    access: Path | None

    @property
    def address(self) -> str:
        return str(Address("mqtt" if self.access is None else "mqtts", self.host, self.port))

    @property
    def families(self) -> list[tuple[socket.AddressFamily, Any]]:
        """Families and addresses of the sockets behind the host's name.

        Raises:
            OSError: It has none.
        """
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return [(family, place) for family, _, _, _, place in found]


class MqttServer:
    """A broker that this process started; it ends with this process, however that ends.

    Attributes:
        kind: Which broker it is.
        address: Where clients connect to: `mqtt://HOST:PORT`, with TLS `mqtts://HOST:PORT`.
        note: One sentence for the user: which broker it is and what is lost with it.
        pid: Its process.
        log: What it says.
    """

    def __init__(
        self,
        kind: Kind,
        address: str,
        process: subprocess.Popen[bytes],
        log: Path,
        sieve: subprocess.Popen[bytes] | None,
        *,
        log_from: int,
        doubt: str | None,
    ) -> None:
        self.kind: Kind = kind
        self.address = address
        self.note = NOTES[kind] if doubt is None else f"{NOTES[kind]}; whoever checks it will refuse it: {doubt}"
        self.pid = process.pid
        self.log = log
        self._log_from = log_from
        self._process = process
        self._sieve = sieve

    def said(self) -> str:
        """What it has said; before it in its log may stand what others said that were here."""
        with self.log.open("rb") as log:
            log.seek(self._log_from)
            return log.read().decode("utf-8", errors="replace")

    def turned_away(self) -> int:
        """How many connections and messages it refused."""
        return refusals_in(self.said())

    def alive(self) -> bool:
        """Whether it runs."""
        return self.ended() is None

    def ended(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    def close(self) -> None:
        """End it within seconds."""
        end(self._process, _END_WITHIN_S)
        if self._sieve is not None:
            end_of_input(self._sieve, _END_WITHIN_S)


def start_mqtt_server(
    kind: Literal["auto", "mosquitto", "amqtt"],
    folder: Path,
    config: TransportConfig,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    access: Path | None = None,
) -> MqttServer:
    """Start a broker and wait until it listens. The thread that calls this must live as long as the broker shall.

    Args:
        kind: Which broker; `auto` takes mosquitto where it is installed.
        folder: For its settings and `broker.log`; exists.
        config: Limits of queues and messages.
        host: Name or address to listen on; :: for all of IPv4 and IPv6.
        port: To listen on; 0 for any free one.
        access: Folder `broker` of `make_mqtt_access`: passwords, permissions and TLS; None lets everybody in, in clear.

    Raises:
        AddressInUse: Another program listens there.
        UserError: The broker is not installed, or did not start; says what it said last.
        ParticipantDied: It was killed before it listened, again and again.
    """
    found = _choose(kind)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _start(found, folder, config, _door(host, port, access))
        except _KilledAtStart:
            if attempt == _ATTEMPTS:
                raise
        except AddressInUse:  # somebody took the free port before the broker could
            if port or attempt == _ATTEMPTS:
                raise
    raise AssertionError


def _choose(kind: Literal["auto", "mosquitto", "amqtt"]) -> Kind:
    installed: dict[Kind, bool] = {
        "mosquitto": _mosquitto() is not None,
        "amqtt": importlib.util.find_spec("amqtt") is not None,
    }
    if kind == "auto":
        for candidate, is_installed in installed.items():
            if is_installed:
                return candidate
        msg = f"no MQTT broker is installed. mosquitto: {INSTALL['mosquitto']}; or amqtt: {INSTALL['amqtt']}"
        raise UserError(msg)
    if not installed[kind]:
        msg = f"the MQTT broker {kind} is not installed: {INSTALL[kind]}, or set transport.mqtt.broker to auto"
        raise UserError(msg)
    return kind


def _mosquitto() -> str | None:
    """Its path; Debian puts it where only root looks."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def _start(kind: Kind, folder: Path, config: TransportConfig, door: _Door) -> MqttServer:
    write_settings = _mosquitto_command if kind == "mosquitto" else _amqtt_command
    command = write_settings(folder, config, door)
    log = folder / "broker.log"
    with log.open("ab") as file:
        log_from = file.tell()
        sieve = _start_sieve(log) if kind == "mosquitto" and door.access is not None else None
        said = file if sieve is None else sieve.stdin
        process = subprocess.Popen(  # noqa: S603 - a broker that is installed here
            leashed(command, config.scheduling),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
            cwd=door.access,  # mosquitto's settings name its files; a path may hold what a line of them cannot
        )
    if sieve is not None and sieve.stdin is not None:
        sieve.stdin.close()
    server = MqttServer(kind, door.address, process, log, sieve, log_from=log_from, doubt=_doubt(door))
    try:
        _await(server, door)
    except BaseException:
        server.close()
        raise
    return server


def _doubt(door: _Door) -> str | None:
    """Why those who connect will not believe the certificate, for all that this host's clock can tell."""
    if door.access is None:
        return None
    shown = [*certificates_in(door.access / CERTIFICATE), *certificates_in(door.access / AUTHORITY)]
    return wrong_date(shown, dt.datetime.now(dt.UTC))


def _start_sieve(log: Path) -> subprocess.Popen[bytes]:
    """What keeps mosquitto's log; it ends when mosquitto has, or nobody else holds the pipe any more."""
    sieve = subprocess.Popen(  # noqa: S603 - a page of this package
        isolated_module("broker.servers.mqtt_log", str(log)),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    if sieve.stdin is not None and sys.platform == "linux":
        with suppress(OSError):  # a larger pipe is a comfort: mosquitto waits where it is full
            fcntl.fcntl(sieve.stdin, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return sieve


def _mosquitto_command(folder: Path, config: TransportConfig, door: _Door) -> list[str]:
    """Write mosquitto's settings.

    Its limits hold for every client alike, so they are those of the observer, who is sent the most. They also hold
    for QoS 0 once a client's socket is full (mosquitto 2); its default of 1,000 loses in silence what a client that
    starts or draws does not read at once.
    """
    lines = [
        f"listener {door.port} {'' if door.host == _ALL else door.host}".rstrip(),
        "set_tcp_nodelay true",
        "persistence false",
        "log_dest stderr",  # at once; standard output into a file would wait for 4 KB
        "log_timestamp_format %Y-%m-%dT%H:%M:%S",
        f"max_queued_messages {max(config.queue_messages, config.observer_queue_messages)}",
        f"max_packet_size {min(config.max_message_bytes + HEADER_BYTES, _LARGEST_PACKET)}",
    ]
    if os.geteuid() == 0:  # else it changes to a user who cannot read these files, and slips its leash
        lines.append("user root")
    if door.access is None:
        lines.append("allow_anonymous true")
    else:
        lines += [
            "allow_anonymous false",
            "log_type all",  # what it refuses stands among all that it does; the sieve takes the rest out
            "use_username_as_clientid true",  # nobody can take over the connection or session of another
            f"password_file {PASSWORDS}",
            f"acl_file {PERMISSIONS}",
            f"certfile {CERTIFICATE}",
            f"keyfile {KEY}",
        ]
    settings = folder / "mosquitto.conf"
    settings.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return [_mosquitto() or "mosquitto", "-c", str(settings.absolute())]


def _amqtt_command(folder: Path, config: TransportConfig, door: _Door) -> list[str]:
    settings = AmqttConfig(
        host=door.host,
        port=door.port,
        access=None if door.access is None else door.access.resolve(),
        max_packet_bytes=min(config.max_message_bytes + HEADER_BYTES, _LARGEST_PACKET),
        session_expiry_s=config.mqtt.session_expiry_s,
    )
    path = folder / "amqtt.json"
    path.write_text(settings.model_dump_json(), encoding="utf-8")
    return isolated_module("broker.servers.amqtt_server", str(path.absolute()))


def _door(host: str, port: int, access: Path | None) -> _Door:
    """Where to listen: at a free port, if it is 0.

    Raises:
        AddressInUse: Another program listens there.
        UserError: Nobody can listen there.
    """
    door = _Door(host, port, access)
    try:
        for family, place in door.families:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((place[0], door.port, *place[2:]))
                probe.listen()
                door = door._replace(port=probe.getsockname()[1])
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise AddressInUse("the MQTT broker", door.address, "port") from None
        msg = f"the MQTT broker cannot listen on {door.address}: {error.strerror or error}"
        raise UserError(msg) from None
    return door


def _await(server: MqttServer, door: _Door) -> None:
    """Wait until the broker takes a connection.

    Raises:
        UserError: It ended, or took none in time.
    """
    host = Address("mqtt", door.host, door.port).from_here
    clock = OwnClock()
    give_up_at = clock() + _READY_WITHIN_S
    while clock() < give_up_at:
        try:
            with socket.create_connection((host, door.port), timeout=LONGEST_WAIT_S):
                if server.kind == "amqtt" or _RUNNING in server.said():
                    return
        except OSError:
            pass
        if (code := server.ended()) is not None:
            if code < 0:
                cause = f"signal {signal.Signals(-code).name} before it listened"
                raise _KilledAtStart("broker", cause, server.log)
            server.close()  # its log is whole then
            msg = f"the MQTT broker {server.kind} did not start: {_last_line(server.said())}. Its log: {server.log}"
            raise UserError(msg)
        time.sleep(_LOOK_EVERY_S)
    msg = (
        f"the MQTT broker {server.kind} took no connection on {server.address} for {_READY_WITHIN_S} s. "
        f"Its log: {server.log}"
    )
    raise UserError(msg)


def _last_line(said: str) -> str:
    return next((line.strip() for line in reversed(said.split("\n")) if line.strip()), "it said nothing")
