"""Wherever the processes of a run live: on this host, on others, in a cluster."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from broker.driving.process import DONE, INTERRUPTED
from broker.participants.checkpoint import Checkpoints

if TYPE_CHECKING:
    from scenarios.document.wiring import Wiring


class NodeEnd(NamedTuple):
    """How a process ended.

    Attributes:
        code: Its exit code, see `broker.driving.process`; below 0 the signal that ended it.
        said: Its last line, where it ended by itself and not well.
        log: Where all is that it said.
    """

    code: int
    said: str
    log: Path


def ended_in_order(code: int) -> bool:
    """Whether a process that ended so came to its own end: it has said its last word."""
    return DONE <= code <= INTERRUPTED


class Nodes(Protocol):
    """One process for each participant; a name can be started anew once its process has ended."""

    def start(self, name: str, slice_json: str) -> None:
        """Start the process of a participant with its slice of the scenario."""

    def stop(self, name: str) -> int | None:
        """Let a process do nothing; its id once the system says that it is stopped, None if there is none."""

    def go_on(self, name: str) -> None:
        """Let a stopped process go on; nothing if it has ended meanwhile."""

    def kill(self, names: Collection[str]) -> dict[str, int]:
        """Kill processes at once, stopped ones too; the ids of those that this has killed, all of them ended."""

    def ended(self) -> Mapping[str, NodeEnd]:
        """Those that have ended, by participant."""

    def end(self) -> Collection[str]:
        """End whoever still runs: ask, then insist; who ended in order, now or before. Nobody is left afterwards."""


class Site(Protocol):
    """Where the processes of a run live."""

    @property
    def nodes(self) -> Nodes:
        """The processes."""

    @property
    def checkpoints(self) -> Mapping[str, Checkpoints]:
        """What each participant keeps there."""

    def wired(self, wiring: Wiring) -> Wiring:
        """The same, with the addresses that hold between its hosts."""

    def there(self, wiring: Wiring) -> Wiring:
        """The same, as a participant finds it where it lives."""

    def broker_at(self) -> str:
        """Where what stands between the participants shall listen; empty for where it would by itself."""
