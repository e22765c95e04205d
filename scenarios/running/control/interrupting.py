"""How whoever waits for a run asks for its end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Yields whether Ctrl-C, SIGTERM or the end of the terminal asked for an end in order; asking twice ends at once.

    The end of a terminal asks only once, though system and shell may both tell of it, and not at all under `nohup`. It
    is not heard again afterwards either: what is still to be said and written is not cut off. No signal comes to
    another thread than the first, so there nobody asks.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    told: set[int] = set()

    def ask(number: int, _frame: FrameType | None) -> None:
        if told and number != signal.SIGHUP:
            raise KeyboardInterrupt
        told.add(number)

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield lambda: bool(told)
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if number in told and number == signal.SIGHUP else handler)
