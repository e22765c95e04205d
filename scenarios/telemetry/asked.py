"""What the processes of a run's participants are asked for beside their work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from broker.participants.link import TraceConfig


@dataclass(frozen=True)
class AskedOfNodes:
    """What is asked.

    Attributes:
        counters: Socket of this host that they tell what they have counted; None: nobody asks.
        trace: In which trace their spans are; None: they make none.
    """

    counters: Path | None = None
    trace: TraceConfig | None = None


NOTHING_ASKED = AskedOfNodes()
