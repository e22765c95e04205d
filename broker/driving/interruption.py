"""How signals ask a participant's process to end, and what they may not cut off."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Interrupted(SystemExit):
    """SIGTERM, SIGHUP or SIGINT asked the process to end.

    An event loop lets this kind pass; any other exception would be one callback's own trouble, and the loop go on.
    """


class Interruption:
    """Raises `Interrupted` at each signal, wherever the process is, but where that would cut something off.

    Attributes:
        asked: Whether a signal has come; user code may have swallowed what it raised.
    """

    def __init__(self) -> None:
        self.asked = self._held = self._ending = False

    def listen(self) -> None:
        """Hear signals from now on, but those that the process was started to ignore, as `nohup` does."""
        for number in _SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._ask)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let what is done meanwhile come to its end first."""
        asked_before, self._held = self.asked, True
        try:
            yield
        finally:
            self._held = False
        if self.asked and not asked_before:
            raise Interrupted

    def end(self) -> None:
        """Let the process end, as it does already; who asks again will not wait for that."""
        self._ending = True

    def _ask(self, _signal: int, _frame: FrameType | None) -> None:
        asked_before, self.asked = self.asked, True
        if not self._held and (asked_before or not self._ending):
            raise Interrupted
