"""A forwarder as a process: takes every frame at one address and hands it to who has subscribed to its edge.

It keeps nothing: participants find each other again through a new one. `start_forwarder` starts one that ends with its
starter; `python -P -m broker.servers.forwarder < SETTINGS.json` runs one for as long as nobody stops it.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TextIO

from pydantic import Field, ValidationError

from broker.config import Model, TransportConfig
from broker.errors import AddressInUse, ParticipantDied, UserError
from broker.isolated import isolated_module
from broker.open_files import allow_open_files, files_for
from broker.security.curve import read_curve_keys
from broker.servers.leash import end, end_with_parent
from broker.servers.switch import REFUSED_IN_ALL, SETTING, Switch
from broker.threads import schedule
from broker.wire.messages import FORWARDER

READY, IN_USE = "ready", "in use: "
WRONG = 2

_ATTEMPTS = 3
_END_WITHIN_S = 3.0
_log = logging.getLogger("foretell")


class ForwarderConfig(Model):
    """What a forwarder is told."""

    run: str = Field(description="Name of the run, or what stands for every run of a scenario.")
    address: str = Field(description="Where participants publish; they subscribe at the next address.")
    peers: dict[str, tuple[str, ...]] = Field(description="For each participant, those it sends to and hears from.")
    transport: TransportConfig
    credentials: Path | None = Field(
        default=None, description="Folder with its own keys and everybody's; none: anybody may connect."
    )
    parent: int = Field(default=0, description="The process that it must not outlive; 0 for none.")


class _Stopped(BaseException):
    """SIGTERM or SIGINT asked the forwarder to end."""


class RunningForwarder:
    """A forwarder's process.

    Attributes:
        address: Where participants publish.
        log: The file it writes to.

    Args:
        process: It.
        address: As above.
        log: As above.
        log_from: Where in it this one begins; before stands what others said that were here.
    """

    def __init__(self, process: subprocess.Popen[str], address: str, log: Path, log_from: int) -> None:
        self._process = process
        self.address = address
        self.log = log
        self._log_from = log_from

    def said(self) -> list[str]:
        """The lines of its log that are its own."""
        with self.log.open("rb") as log:
            log.seek(self._log_from)
            return log.read().decode("utf-8", errors="replace").splitlines()

    @property
    def note(self) -> str:
        """What it is and what is lost with it, a sentence."""
        return f"ZeroMQ forwarder at {self.address}: every message takes one hop more"

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def turned_away(self) -> int:
        """How many frames, subscriptions and connections it refused; exactly, once it has been closed."""
        counts = [line.removeprefix(REFUSED_IN_ALL) for line in self.said() if line.startswith(REFUSED_IN_ALL)]
        return int(counts[-1]) if counts else 0

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def close(self) -> None:
        """End it; once it has ended this does nothing."""
        end(self._process, _END_WITHIN_S)
        if self._process.stdout is not None:
            self._process.stdout.close()


def start_forwarder(
    address: str,
    folder: Path,
    config: TransportConfig,
    *,
    run: str,
    peers: Mapping[str, Sequence[str]],
    credentials: Path | None = None,
) -> RunningForwarder:
    """Start a forwarder on this host and return when it listens.

    Args:
        address: tcp://HOST:PORT or ipc://PATH where participants shall publish.
        folder: Where its log goes.
        config: Limits, and options of the sockets.
        run: Name of the run, or what `every_run` gives.
        peers: For each participant, the observer included, those it sends to and hears from.
        credentials: Folder with its own keys and everybody's; None: anybody may connect.

    Raises:
        AddressInUse: Another program listens there.
        UserError: It cannot listen there for another reason, or its keys are wrong.
        ParticipantDied: It was killed before it listened, again and again.
    """
    told = {name: tuple(others) for name, others in peers.items()}
    settings = ForwarderConfig(
        run=run, address=address, peers=told, transport=config, credentials=credentials, parent=os.getpid()
    )
    log = folder / f"{FORWARDER}.log"
    folder.mkdir(parents=True, exist_ok=True)
    for _ in range(_ATTEMPTS - 1):
        with suppress(ParticipantDied):
            return _start(settings, log)
    return _start(settings, log)


def _start(settings: ForwarderConfig, log: Path) -> RunningForwarder:
    with log.open("ab") as stderr:
        log_from = stderr.tell()
        process = subprocess.Popen(  # noqa: S603 - a page of this package
            isolated_module("broker.servers.forwarder"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )
    forwarder = RunningForwarder(process, settings.address, log, log_from)
    said = _first_words(process, settings)
    if said != READY:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_END_WITHIN_S)  # it has ended, or is about to
        code = process.returncode
        forwarder.close()
        if code is not None and code < 0:
            raise ParticipantDied("broker", f"signal {signal.Signals(-code).name} before it listened", log)
        if said.startswith(IN_USE):
            raise AddressInUse(FORWARDER, said.removeprefix(IN_USE), SETTING)
        lines = forwarder.said()
        raise UserError(lines[-1] if lines else f"the forwarder ended before it listened. Its log: {log}")
    return forwarder


def serve(settings: ForwarderConfig, told: TextIO) -> int:
    """Be a forwarder until SIGTERM or SIGINT; returns an exit code.

    `told` gets a line when it listens, or when another program does.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    if settings.parent:
        _end_with(settings.parent)
    schedule(settings.transport.scheduling)
    allow_open_files(files_for(len(settings.peers)))
    switch = None
    try:
        keys = read_curve_keys(settings.credentials) if settings.credentials is not None else None
        switch = Switch(settings.run, settings.address, settings.peers, settings.transport, keys)
        _tell(told, READY)
        switch.run()
    except AddressInUse as error:
        _tell(told, f"{IN_USE}{error.address}")
        _log.error("%s", error)
        return WRONG
    except UserError as error:
        _log.error("%s", error)
        return WRONG
    except _Stopped:
        return 0
    finally:
        if switch is not None:
            switch.close()
            switch.tell_refused()
    return 0


def main() -> int:
    """The command line: settings as JSON on standard input."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        settings = ForwarderConfig.model_validate_json(sys.stdin.read())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "document"
        _log.error("the forwarder's settings are wrong: %s: %s", place, first["msg"])
        return WRONG
    return serve(settings, sys.stdout)


def _first_words(process: subprocess.Popen[str], settings: ForwarderConfig) -> str:
    """What a forwarder that has been told its settings says first; empty if it ends without a word."""
    if process.stdin is None or process.stdout is None:
        return ""
    try:
        with process.stdin as stdin:
            stdin.write(settings.model_dump_json())
    except BrokenPipeError:
        return ""
    return process.stdout.readline().strip()


def _tell(told: TextIO, line: str) -> None:
    told.write(f"{line}\n")
    told.flush()


def _end_with(parent: int) -> None:
    """Let the kernel kill this process as soon as `parent` has ended, however it ends."""
    end_with_parent()
    if os.getppid() != parent:  # it ended before the line above
        raise SystemExit(WRONG)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise _Stopped


if __name__ == "__main__":
    sys.exit(main())
