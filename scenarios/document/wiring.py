"""Where the participants of one run find each other, and which life begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from broker.participants.link import LifeConfig, TraceConfig

_FIRST_LIFE = LifeConfig()


@dataclass(frozen=True)
class Wiring:
    """Where the participants of one run find each other.

    Attributes:
        run: The second part of every topic: the run's name or, with keys that were made beforehand, the one of those.
        name: Name of the run, with its id.
        addresses: Where each participant and the observer are dialled, with ZeroMQ direct.
        broker: Where everybody connects to, with MQTT or a forwarder.
        observed: Whether an observer takes records.
        keys: Folder with a folder of keys for each participant and the observer, or None without security.
        journals: Folder for journals, or None to keep none.
        checkpoints: Folder with a folder of checkpoints for each participant, or None to keep none.
        life: Which one begins, and where.
        listens: Where those listen that are dialled elsewhere, with ZeroMQ direct.
        trace: In which trace spans are, and where they go, or None to make none.
    """

    run: str
    addresses: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    broker: str = ""
    observed: bool = False
    keys: Path | None = None
    journals: Path | None = None
    checkpoints: Path | None = None
    life: LifeConfig = _FIRST_LIFE
    listens: Mapping[str, str] = field(default_factory=dict)
    trace: TraceConfig | None = None
