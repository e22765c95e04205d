"""A connection to a host that a process carries, on its standard input and output."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from broker.servers.leash import end_of_input, leashed

_CHUNK = 1 << 20
_ENDS_WITHIN_S = 3.0


class Piped:
    """See `scenarios.running.hosts.carrier.Carrier`. The thread that makes it lives as long: the process ends with it.

    Args:
        command: Starts `foretell host --stdio` there.
        log: Takes what the command says on its standard error.
        explain: Makes a sentence of that.
    """

    def __init__(self, command: Sequence[str], log: Path, explain: Callable[[str], str]) -> None:
        self._log, self._explain = log, explain
        self._said_before = log.stat().st_size if log.exists() else 0
        with log.open("ab") as said:
            self._process = subprocess.Popen(  # noqa: S603 - our own command line
                leashed(command, "inherit"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                start_new_session=True,
            )
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        self._to, self._from = self._process.stdin, self._process.stdout

    def read(self) -> bytes:
        """Wait for what comes."""
        arrived: bytes = self._from.read1(_CHUNK)  # type: ignore[attr-defined]  # it is buffered
        return arrived

    def write(self, frame: bytes) -> None:
        """Give the host a frame."""
        self._to.write(frame)
        self._to.flush()

    def said(self) -> str:
        """What the command has said on its standard error, as a sentence."""
        try:
            with self._log.open("rb") as file:
                file.seek(self._said_before)
                return self._explain(file.read(_CHUNK).decode(errors="replace"))
        except OSError:
            return ""

    def leave(self) -> None:
        """End the process by its input."""
        with suppress(OSError):  # it is broken already
            self._to.close()
        end_of_input(self._process, _ENDS_WITHIN_S)

    def close(self) -> None:
        """Close the pipe."""
        self._from.close()
