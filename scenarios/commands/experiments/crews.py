"""Who runs the cells of a study, a sweep or a twin."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from scenarios.commands.command_line import FORETELL
from scenarios.running.batch.crew import Crew, LocalCrew


@contextmanager
def crew_on(cluster: str | None, jobs: int | None) -> Iterator[tuple[Crew, int]]:
    """A crew, and how many cells it shall run at a time.

    Args:
        cluster: The Ray cluster that `--on` names; None for this host.
        jobs: As many; None for one a core.

    Raises:
        UserError: The cluster cannot be used.
    """
    if cluster is None:
        yield LocalCrew(FORETELL), jobs or os.cpu_count() or 1
        return
    from scenarios.running.cluster.connected import connected  # noqa: PLC0415
    from scenarios.running.cluster.ray_crew import RayCrew  # noqa: PLC0415

    with connected(cluster) as there:
        yield RayCrew(there, FORETELL), jobs or there.cores()
