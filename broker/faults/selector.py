"""Whom a fault touches, and when."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from broker.faults.config import FaultConfig, PartitionConfig
from broker.wire.messages import MessageName


def touches(fault: FaultConfig, source: str, destination: str, kind: str) -> bool:
    """Whether a fault looks at messages of this kind on this edge, in its window at least."""
    return (
        kind in fault.messages
        and fnmatchcase(source, fault.source)
        and fnmatchcase(destination, fault.destination)
        and (not fault.edges or _one_of(f"{source}->{destination}", fault.edges))
        and (not fault.agents or _at_its_end(fault, source, destination))
        and (not isinstance(fault, PartitionConfig) or _cut(fault, source, destination))
    )


def has_window(fault: FaultConfig) -> bool:
    """Whether it touches some messages of its edges only."""
    return not (fault.episodes is fault.rounds is fault.steps is fault.seconds is None)


def in_window(fault: FaultConfig, message: MessageName, at_s: float) -> bool:
    """Whether a message that came `at_s` seconds after its receiver began lies in the fault's window."""
    numbers = fault.rounds if message.kind == "share" else fault.steps
    return (
        (fault.episodes is None or fault.episodes[0] <= message.episode < fault.episodes[1])
        and (numbers is None or numbers[0] <= message.number < numbers[1])
        and (fault.seconds is None or fault.seconds[0] <= at_s < fault.seconds[1])
    )


def _one_of(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _at_its_end(fault: FaultConfig, source: str, destination: str) -> bool:
    sends = fault.direction != "in" and _one_of(source, fault.agents)
    hears = fault.direction != "out" and _one_of(destination, fault.agents)
    return sends or hears


def _cut(fault: PartitionConfig, source: str, destination: str) -> bool:
    sender, receiver = _group(fault, source), _group(fault, destination)
    return sender < receiver or (not fault.one_way and sender > receiver)


def _group(fault: PartitionConfig, name: str) -> int:
    """The first group that names it, or the one behind the last."""
    named = (position for position, patterns in enumerate(fault.groups) if _one_of(name, patterns))
    return next(named, len(fault.groups))
