"""What Ray runs on the node of a host: `foretell host --stdio`, whose pipes are handed on."""

from __future__ import annotations

import os
import select
import subprocess
from contextlib import suppress

from broker.servers.leash import end_of_input
from scenarios.running.hosts.ssh import local_command

_CHUNK = 1 << 20
_ENDS_WITHIN_S = 3.0


class HostActor:
    """One host of a run; `read` waits in one thread while another is asked for the rest.

    Args:
        folder: Where it keeps its runs; relative: in the home folder there.
        act: The policy that its agents only act with; empty for none.
        metrics: Where it serves metrics; empty for nowhere.
    """

    def __init__(self, folder: str, act: str, metrics: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own command line
            local_command(folder, act, metrics),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        assert self._process.stderr is not None  # noqa: S101 - it is a pipe
        self._to = self._process.stdin
        self._from, self._errors = self._process.stdout.fileno(), self._process.stderr.fileno()
        self._open = [self._from, self._errors]

    def read(self) -> tuple[bytes, bytes]:
        """Wait for what comes: frames, and what it says on its standard error; both empty once it has ended."""
        while self._open:
            ready, _, _ = select.select(self._open, [], [])
            arrived = {number: os.read(number, _CHUNK) for number in ready}
            self._open = [number for number in self._open if arrived.get(number) != b""]
            if any(arrived.values()):
                return arrived.get(self._from, b""), arrived.get(self._errors, b"")
        return b"", b""

    def write(self, frame: bytes) -> None:
        """Give it a frame.

        Raises:
            OSError: It has ended.
        """
        self._to.write(frame)
        self._to.flush()

    def leave(self) -> None:
        """End it by its input."""
        with suppress(OSError):
            self._to.close()
        end_of_input(self._process, _ENDS_WITHIN_S)
