"""The frames that stand in a journal."""

from __future__ import annotations

from pathlib import Path

from broker.transports.journal import Polled, Sent, read_journal


def frames_in(journal: Path) -> list[tuple[str, bytes]]:
    """What was sent and received, in order, each as ("sent" or "received", frame)."""
    frames: list[tuple[str, bytes]] = []
    for entry in read_journal(journal):
        if isinstance(entry, Sent):
            frames.append(("sent", entry.frame))
        elif isinstance(entry, Polled):
            frames += [("received", frame) for frame in entry.frames]
    return frames
