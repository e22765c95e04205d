"""How a signal asks a participant's process to end, and what it may not cut off."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(SystemExit):
    """SIGTERM, SIGHUP or SIGINT asked the process to end.

    An event loop lets this kind pass; any other exception would be one callback's own trouble, and the loop go on.
    """


class Interruption:
    """Raises `Interrupted` at the first signal, wherever the process is; the others change nothing."""

    def __init__(self) -> None:
        self._asked = self._held = False

    def listen(self) -> None:
        """Hear SIGTERM, and SIGHUP but under `nohup`, from now on."""
        signal.signal(signal.SIGTERM, self._ask)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._ask)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let what is done meanwhile come to its end first."""
        asked_before, self._held = self._asked, True
        try:
            yield
        finally:
            self._held = False
        if self._asked and not asked_before:
            raise Interrupted

    def _ask(self, _signal: int, _frame: FrameType | None) -> None:
        asked_before, self._asked = self._asked, True
        if not (asked_before or self._held):
            raise Interrupted
