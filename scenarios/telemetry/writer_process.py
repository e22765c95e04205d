"""Curves for a tool whose library may wait for a server: a process of its own writes them, and nobody waits for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from broker.counting import counted
from broker.errors import ForetellError, UserError
from broker.isolated import isolated_module
from broker.own_clock import OwnClock

CLOSE_WITHIN_S = 30.0
"""How long a run that has ended waits for its curves to be taken."""
_MOST_WAITING = 10_000
_LOOK_EVERY_S = 0.05
_LAST_WORD_WITHIN_S = 1.0


class WriterLost(ForetellError):
    """What writes the curves has ended, or takes nothing."""


class WriterProcess:
    """Hands scalars to `scenarios.telemetry.writer`; see `scenarios.results.sinks.curves.ScalarsWriter`.

    Args:
        tool: `wandb` or `mlflow`.
        about: What it is told first; see `scenarios.telemetry.writer`.
        log: Where what it says beside goes.
        close_within_s: How long `close` waits for it.

    Raises:
        UserError: It cannot be started.
    """

    def __init__(self, tool: str, about: Mapping[str, object], log: Path, close_within_s: float) -> None:
        self._close_within_s = close_within_s
        self._waiting: deque[bytes] = deque()
        self._left = memoryview(b"")
        self._left_out = 0
        self._said = "it has ended without a word"
        try:
            with log.open("ab") as said:
                self.process = subprocess.Popen(  # noqa: S603 - our own
                    isolated_module("scenarios.telemetry.writer", tool),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=said,
                    start_new_session=True,  # Ctrl-C is the launcher's
                )
        except OSError as error:
            msg = f"cannot start what writes curves for {tool}: {error.strerror}: {error.filename or log}"
            raise UserError(msg) from None
        assert self.process.stdin is not None  # noqa: S101 - it is a pipe
        self._input = self.process.stdin
        os.set_blocking(self._input.fileno(), False)
        self._put(about)

    def add(self, episode: int, scalars: Mapping[str, float]) -> None:
        """Hand over the scalars of an episode, as far as they are taken at once; the others wait.

        Raises:
            WriterLost: Nobody takes them any more.
        """
        if len(self._waiting) < _MOST_WAITING:
            self._put({"episode": episode, "scalars": dict(scalars)})
        else:
            self._left_out += 1
        self._push()

    def forget_from(self, episode: int) -> None:
        """What is played again has the same values, and is written once more."""

    def close(self) -> None:
        """Let it write what is left, within a time.

        Raises:
            WriterLost: It did not.
        """
        clock = OwnClock()
        give_up_at = clock() + self._close_within_s
        try:
            while (self._waiting or self._left) and clock.left_s(give_up_at) > 0:
                self._push()
                time.sleep(_LOOK_EVERY_S)
            with suppress(OSError):
                self._input.close()
            code = self.process.poll()
            while code is None and (left_s := clock.left_s(give_up_at)) > 0:
                code = self._ended_within(left_s)
        finally:
            self._end()
        if code is None:
            msg = f"it has not taken all within {self._close_within_s:g} s after the end"
            raise WriterLost(msg)
        if code:
            raise WriterLost(self._said)
        if self._left_out:
            msg = f"it was too slow for the scalars of {counted(self._left_out, 'episode')}, which it has not"
            raise WriterLost(msg)

    def _put(self, line: Mapping[str, object]) -> None:
        self._waiting.append(json.dumps(line).encode() + b"\n")

    def _push(self) -> None:
        """Hand on what waits, as far as it is taken now.

        Raises:
            WriterLost: Nobody takes it.
        """
        try:
            while self._left or self._waiting:
                if not self._left:
                    self._left = memoryview(self._waiting.popleft())
                self._left = self._left[os.write(self._input.fileno(), self._left) :]
        except BlockingIOError:
            pass
        except OSError:
            self._ended_within(_LAST_WORD_WITHIN_S)
            self._end()
            raise WriterLost(self._said) from None

    def _ended_within(self, seconds: float) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(seconds)
        return None

    def _end(self) -> None:
        """Leave nobody: the library may have started processes of its own."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        with suppress(OSError):
            self._input.close()
        assert self.process.stdout is not None  # noqa: S101 - it is a pipe
        if not self.process.stdout.closed:
            said = self.process.stdout.read()
            self.process.stdout.close()
            self._said = said.decode(errors="replace").strip() or self._said
