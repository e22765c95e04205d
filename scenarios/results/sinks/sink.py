"""A sink of records: somebody who is told of a run while it goes on, and whose loss changes nothing in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from broker.wire.records import Record


class Sink(Protocol):
    """Takes the records of a run as they come. It may raise anything: then it is told nothing more."""

    def take(self, records: Sequence[Record]) -> None:
        """Take records in, without waiting for anybody."""

    def begin_life(self, after_episode: int) -> None:
        """All go on from the episode after this one, of an earlier life: what came later comes again."""

    def close(self) -> None:
        """The run has ended: bring away what is left."""


class Sinks:
    """All sinks of a run. One that fails is given up with a sentence; the run goes on.

    Args:
        say: Takes the sentence.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._sinks: dict[str, Sink] = {}

    def add(self, name: str, sink: Sink) -> None:
        """Tell one more, from now on.

        Args:
            name: What people are told of it.
            sink: It.
        """
        self._sinks[name] = sink

    def take(self, records: Sequence[Record]) -> None:
        """Let all take records in."""
        self._all(lambda sink: sink.take(records))

    def begin_life(self, after_episode: int) -> None:
        """Let all know that another life begins."""
        self._all(lambda sink: sink.begin_life(after_episode))

    def close(self) -> None:
        """Let all bring away what is left; they are told nothing more."""
        self._all(lambda sink: sink.close())
        self._sinks.clear()

    def _all(self, tell: Callable[[Sink], None]) -> None:
        for name, sink in list(self._sinks.items()):
            try:
                tell(sink)
            except Exception as error:
                del self._sinks[name]
                self._say(f"{name} takes nothing more of this run, which goes on: {_why(error)}")


def _why(error: Exception) -> str:
    said = str(error).strip().splitlines()
    return said[0] if said else type(error).__name__
