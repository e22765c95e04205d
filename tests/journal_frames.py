"""The frames that stand in a journal."""

from __future__ import annotations

from pathlib import Path

from broker.transports.journal import Received, Sent, read_journal


def frames_in(journal: Path) -> list[tuple[str, bytes]]:
    """What was sent and received, in order, each as ("sent" or "received", frame)."""
    return [
        ("sent" if isinstance(entry, Sent) else "received", entry.frame)
        for entry in read_journal(journal)
        if isinstance(entry, Sent | Received)
    ]
