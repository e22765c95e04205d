"""One connection of a host that waits, on the side of the host: the process that serves it, and the way to it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress

import zmq


class Serving:
    """The process that serves one connection, whose launcher a listener hears.

    Args:
        command: Serves on its standard input and output.
        launcher: As below.
        descriptor: As below.

    Attributes:
        process: It.
        launcher: How the socket calls who is served; empty once it has gone.
        descriptor: Of its connection.
        output: Descriptor of what the process answers.
    """

    def __init__(self, command: Sequence[str], launcher: bytes, descriptor: int) -> None:
        self.launcher, self.descriptor = launcher, descriptor
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - our own
        assert self.process.stdin is not None  # noqa: S101 - it is a pipe
        assert self.process.stdout is not None  # noqa: S101 - the same
        self._input, self._output = self.process.stdin, self.process.stdout
        self.output = self._output.fileno()
        os.set_blocking(self._input.fileno(), False)
        self._waiting = bytearray()

    def take(self, content: bytes, poller: zmq.Poller) -> None:
        """Hand on what the launcher said, as far as the process reads."""
        self._waiting += content
        self.flush(poller)

    def flush(self, poller: zmq.Poller) -> None:
        """Hand on what waits, and wait for the process to read the rest."""
        if self._input.closed or not self._waiting:
            return
        with suppress(BlockingIOError):
            try:
                while self._waiting:
                    del self._waiting[: os.write(self._input.fileno(), self._waiting)]
            except BrokenPipeError:  # it has ended, and its output ends, too
                self._waiting.clear()
        poller.register(self._input.fileno(), zmq.POLLOUT if self._waiting else 0)

    def hang_up(self, poller: zmq.Poller) -> None:
        """The launcher is gone: the process goes on by itself for as long as its lease says."""
        self.launcher, self.descriptor = b"", -1
        if not self._input.closed:
            with suppress(KeyError):
                poller.unregister(self._input.fileno())
            self._input.close()

    def close(self, poller: zmq.Poller) -> None:
        """Forget a process that has ended or closed its output."""
        self.hang_up(poller)
        poller.unregister(self.output)
        self._output.close()
        self.process.wait()
