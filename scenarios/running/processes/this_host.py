"""This host alone, as the place where the processes of a run live."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from broker.participants.checkpoint import Checkpoints, FileCheckpoints
from scenarios.document.plan import Plan
from scenarios.document.wiring import Wiring
from scenarios.results.folder import RunFolder
from scenarios.results.observer import Observer
from scenarios.running.nodes import Nodes
from scenarios.running.processes.forked_nodes import ForkedNodes


class ThisHost:
    """See `scenarios.running.nodes.Site`.

    Args:
        plan: What runs.
        folder: The run's.
        nodes: The processes.
    """

    def __init__(self, plan: Plan, folder: RunFolder, nodes: Nodes) -> None:
        self.nodes = nodes
        kept = folder.checkpoints.absolute()
        self.checkpoints: Mapping[str, Checkpoints] = {name: FileCheckpoints(kept / name) for name in plan.participants}

    def wired(self, wiring: Wiring) -> Wiring:
        """Where everybody lives together, nothing has to change."""
        return wiring

    def there(self, wiring: Wiring) -> Wiring:
        """All folders are here."""
        return wiring

    def broker_at(self) -> str:
        """Where it would listen by itself."""
        return ""


@contextmanager
def this_host(
    plan: Plan,
    folder: RunFolder,
    observer: Observer,  # noqa: ARG001 - see `MakeSite`
    *,
    counters: Path | None,
) -> Iterator[ThisHost]:
    """The place of a run's processes, which tell a socket what they have counted if one is given."""
    yield ThisHost(plan, folder, ForkedNodes(folder, counters))
