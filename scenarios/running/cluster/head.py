"""The head of a Ray cluster, looked at all the time: where it is gone, Ray says nothing and ends this process later."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_LOOK_EVERY_S, _ANSWERS_WITHIN_S = 1.0, 5.0
_LOOKS = 10
"""So many in vain, one after the other, and it is gone; Ray itself waits for a minute."""


class Head:
    """Whether the head of a cluster answers.

    Attributes:
        lost: A sentence, once it has not answered for long enough; it stays.

    Args:
        address: Host and port at which it listens.
    """

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._in_vain = 0
        self._ends = threading.Event()
        self.lost = ""

    def answers(self) -> bool:
        """Wait until it answers, or is lost."""
        while not self._look():
            if self.lost:
                return False
            time.sleep(_LOOK_EVERY_S)
        return True

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look at it again and again, in a thread."""
        thread = threading.Thread(target=self._watch, name="foretell-ray-head", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ends.set()
            thread.join()

    def _watch(self) -> None:
        while not self._ends.wait(_LOOK_EVERY_S):
            self._look()

    def _look(self) -> bool:
        try:
            socket.create_connection(self._address, _ANSWERS_WITHIN_S).close()
        except OSError as error:
            self._in_vain += 1
            if self._in_vain >= _LOOKS:
                host, port = self._address
                why = error.strerror or str(error)
                self.lost = self.lost or (
                    f"the Ray cluster is lost: its head at {host}:{port} does not answer any more ({why}). "
                    "Start a cluster, this one or another, and go on with `foretell resume`"
                )
            return False
        self._in_vain = 0
        return not self.lost
