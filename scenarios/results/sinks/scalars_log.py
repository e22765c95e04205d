"""The curves of a run as TensorBoard reads them, written by the process that has the numbers.

TensorBoard's own writer is a thread, whose errors become a traceback on the screen.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO
from itertools import count
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from broker.errors import UserError

_FLUSH_EVERY_S = 10.0
_FORMAT = "brain.Event:2"


class ScalarsLog:
    """Scalars by training episode, in one more file of a folder, which is open only while it is written to.

    Args:
        folder: Made if there is none yet.
        clock: Real time in seconds, for how long what was written may wait.

    Raises:
        UserError: The file cannot be made.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._waiting = BytesIO()
        self._writer = RecordWriter(self._waiting)
        with self._sentence():
            folder.mkdir(parents=True, exist_ok=True)
            self._path = _new_file(folder)
        self._add(Event(wall_time=time.time(), file_version=_FORMAT))
        self.flush()

    def add(self, episode: int, scalars: Mapping[str, float]) -> None:
        """Add the scalars of an episode, by name.

        Raises:
            UserError: They cannot be written.
        """
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        self._add(Event(wall_time=time.time(), step=episode, summary=Summary(value=values)))
        if self._clock() - self._flushed_at >= _FLUSH_EVERY_S:
            self.flush()

    def forget_from(self, episode: int) -> None:
        """Let TensorBoard show nothing of an episode and those after it: they are played again."""
        self._add(Event(wall_time=time.time(), step=episode, session_log=SessionLog(status=SessionLog.START)))

    def flush(self) -> None:
        """Write everything.

        Raises:
            UserError: It cannot be written.
        """
        with self._sentence(), self._path.open("ab") as file:
            file.write(self._waiting.getvalue())
        self._waiting.seek(0)
        self._waiting.truncate()
        self._flushed_at = self._clock()

    def close(self) -> None:
        """Write everything.

        Raises:
            UserError: It cannot be written.
        """
        self.flush()

    def _add(self, event: Event) -> None:
        self._writer.write(event.SerializeToString())

    @contextmanager
    def _sentence(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            msg = f"cannot write the run's curves to {self._folder}: {error.strerror}"
            raise UserError(msg) from None


def _new_file(folder: Path) -> Path:
    """A file with a name that TensorBoard knows and nobody else has."""
    stem = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}"
    for number in count():
        path = folder / f"{stem}.{number}"
        with suppress(FileExistsError):
            path.open("xb").close()
            return path
    raise AssertionError
