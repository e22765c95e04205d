"""What all processes of a run say, wherever they live: read where it is written, in one place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from broker.errors import ForetellError
from scenarios.results.folder import RunFolder
from scenarios.results.reader import read_store
from scenarios.results.temporary import temporary_folder
from scenarios.running.fleet import LAUNCHER
from scenarios.running.hosts.client import HostClient
from scenarios.running.hosts.dialling import dial_of
from scenarios.running.hosts.frames import LookInto, ReadLogs
from scenarios.running.housing import Housing, read_housing
from scenarios.running.log_files import new_in_logs

Read = Callable[[Mapping[str, int]], Mapping[str, bytes]]


class LogLine(NamedTuple):
    """A line of a log.

    Attributes:
        host: Where the log is; empty in a run that lives on one host alone.
        name: Whose log it is.
        text: The line.
    """

    host: str
    name: str
    text: str


class HostLogs:
    """The logs of one host.

    Attributes:
        host: Which.
        names: Whose logs have been seen so far.

    Args:
        host: As above.
        read: Reads what is new.
    """

    def __init__(self, host: str, read: Read) -> None:
        self.host = host
        self.names: set[str] = set()
        self._read = read
        self._begin: dict[str, int] = {}
        self._broken_off: dict[str, bytes] = {}

    def lines(self) -> Iterator[LogLine]:
        """The lines that are whole by now.

        Raises:
            ForetellError: The host cannot be asked.
            OSError: A log cannot be read.
        """
        while found := self._read(self._begin):
            for name, content in found.items():
                self.names.add(name)
                self._begin[name] = self._begin.get(name, 0) + len(content)
                *whole, self._broken_off[name] = (self._broken_off.get(name, b"") + content).split(b"\n")
                for line in whole:
                    yield self._line(name, line)

    def rest(self) -> Iterator[LogLine]:
        """What stands after the last whole line of each log."""
        for name, line in self._broken_off.items():
            if line:
                yield self._line(name, line)
        self._broken_off.clear()

    def _line(self, name: str, line: bytes) -> LogLine:
        return LogLine(self.host, name, line.decode(errors="replace"))


@contextmanager
def logs_of(folder: RunFolder, unreached: Callable[[str], None]) -> Iterator[list[HostLogs]]:
    """The logs of a run on every host that can be reached, this one first.

    Args:
        folder: The run's.
        unreached: Takes a sentence about each host that cannot.

    Raises:
        UserError: The run's folder cannot be read.
    """
    housed = read_housing(folder)
    found = [HostLogs(LAUNCHER if housed else "", partial(new_in_logs, folder.logs))]
    if housed is None:
        yield found
        return
    if housed.is_on_ray:
        unreached("the logs of hosts on a Ray cluster lie on its nodes, in the `folder` of each host")
        yield found
        return
    with read_store(folder.store) as store:
        run = store.run_name() or ""
    with temporary_folder() as said, ExitStack() as stack:
        clients = list(_clients(housed, run, said))
        for client in clients:  # all begin at the same time
            client.dial()
            stack.callback(client.close)
        for client in clients:
            try:
                client.greet()
                found.append(HostLogs(client.name, partial(_ask, client)))
            except ForetellError as error:
                unreached(str(error))
        yield found


def _clients(housed: Housing, run: str, said: Path) -> Iterator[HostClient]:
    dial, _ = dial_of(housed)
    for name, host in housed.reached.hosts.items():
        log = said / f"{name}.log"
        yield HostClient(name, partial(dial, name, host, log), LookInto(run), log, try_for_s=0.0)


def _ask(client: HostClient, begin: Mapping[str, int]) -> Mapping[str, bytes]:
    found: Mapping[str, bytes] = client.ask(ReadLogs(dict(begin)))
    return found
