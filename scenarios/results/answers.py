"""What a run's store answers."""

from __future__ import annotations

from typing import NamedTuple


class LiveFault(NamedTuple):
    """A fault that was added to a run, or ended, while it went on.

    Attributes:
        name: It.
        document: Its settings as JSON; None for one of the scenario.
        added_after: The last episode before it; None for one of the scenario.
        healed_after: The last episode with it; None while it is in force.
    """

    name: str
    document: str | None
    added_after: int | None
    healed_after: int | None
