"""Tells a collector on this host what a participant has counted, if one listens; whether it does changes nothing."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from broker.wire.counters import Counters, packed_counters


class CountersTeller:
    """One participant's way to the collector.

    Args:
        path: The collector's socket; it need not be there.
        run: Name of the run, with its id.
    """

    def __init__(self, path: Path, run: str) -> None:
        self._path, self._run = str(path), run
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def tell(self, counters: Counters) -> None:
        """Tell all that is taken at once; what is not is told the next time, and nobody waits."""
        for part in packed_counters(replace(counters, run=self._run)):
            with suppress(OSError):  # nobody listens, or is slow
                self._socket.sendto(part, self._path)

    def close(self) -> None:
        """Release the socket."""
        self._socket.close()
