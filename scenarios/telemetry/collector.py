"""Takes what the participants of this host tell of what they have counted."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path

import msgspec

from broker.errors import UserError
from broker.wire.counters import Counters, unpacked_counters
from scenarios.telemetry import metrics
from scenarios.telemetry.edge_metrics import take_edge
from scenarios.telemetry.samples import Samples

_LONGEST_BYTES = 1 << 18


class Collector:
    """A socket of this host, and a thread that takes what is told there.

    Args:
        path: The socket; made anew.
        samples: Where all of it goes.

    Raises:
        UserError: It cannot be made.
    """

    def __init__(self, path: Path, samples: Samples) -> None:
        self._samples, self._closing, self._run = samples, False, ""
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            path.unlink(missing_ok=True)
            self._socket.bind(str(path))
            path.chmod(0o600)
        except OSError as error:
            self._socket.close()
            msg = f"cannot make the socket {path} for metrics: {error.strerror or error}"
            raise UserError(msg) from None
        self._thread = threading.Thread(target=self._listen, name="foretell.collector", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take no more."""
        self._closing = True
        self._path.unlink(missing_ok=True)
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while not self._closing:
            try:
                counters = unpacked_counters(self._socket.recv(_LONGEST_BYTES))
            except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue  # it is being closed; or who tells is of another version, or no participant
            if counters.run != self._run:
                self._begin(counters.run)
            take_counters(self._samples, counters, time.time())

    def _begin(self, run: str) -> None:
        """A host serves one run after another."""
        self._run = run
        with self._samples.changing() as samples:
            samples.forget_others(run)


def take_counters(samples: Samples, counters: Counters, now: float) -> None:
    """Make metrics of what a participant has told.

    Args:
        samples: Where it goes.
        counters: All that it has counted up to now, or a part.
        now: Seconds since 1970.
    """
    own = (counters.run, counters.participant)
    with samples.changing():
        samples.put(metrics.TOLD, own, now)
        for name, barrier in counters.barriers.items():
            samples.put_summary(metrics.BARRIER, (*own, name), barrier.times, barrier.seconds)
        for edge in counters.edges:
            if take_edge(samples, counters.run, edge):
                waiting = counters.queued.get(edge.destination, 0)
                samples.put(metrics.QUEUE, (counters.run, edge.source, edge.destination), waiting)


def socket_in(folder: Path) -> Path:
    """The collector's socket in a folder, by an absolute path: its participants work elsewhere."""
    return Path(os.path.abspath(folder)) / "counters"  # noqa: PTH100 - a link stays as it is: the path must be short
