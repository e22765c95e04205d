"""Notes on their way to a screen that may not take them now: nobody waits for it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

_MOST_BYTES = 1 << 18
"""What waits at most; what comes while so much waits is not shown."""


class Notes:
    """Bytes that a thread of their own writes, in order.

    A terminal takes nothing from Ctrl-S to Ctrl-Q, and a pipe nothing while nobody reads. Whoever watches a run writes
    his notes here and goes on.

    Args:
        write: Writes some of the bytes, as soon as there is room; returns how many.
    """

    def __init__(self, write: Callable[[bytes], int]) -> None:
        self._write = write
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._writer: threading.Thread | None = None
        self._closed = False

    def put(self, data: bytes) -> None:
        """Have something written, or leave it out where too much waits already."""
        with self._changed:
            if not data or self._waiting_bytes + len(data) > _MOST_BYTES:
                return
            self._waiting.append(data)
            self._waiting_bytes += len(data)
            self._changed.notify_all()
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_all, name="foretell.notes", daemon=True)
                self._writer.start()

    def drain(self) -> None:
        """Wait until all is written."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting)

    def close(self) -> None:
        """Wait until all is written, and end the thread."""
        self.drain()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._writer is not None:
            self._writer.join()

    def _write_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                data = left = self._waiting[0]
            while left:
                left = left[self._write(left) :]
            with self._changed:
                self._waiting.popleft()
                self._waiting_bytes -= len(data)
                self._changed.notify_all()
