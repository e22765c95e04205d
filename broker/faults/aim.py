"""Whether a fault can strike at all: whom it names, when its windows begin, and what it changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from broker.counting import listed
from broker.errors import ScenarioError
from broker.faults.config import ByzantineConfig, FaultConfig, PartitionConfig, ScaledConfig
from broker.faults.selector import touches
from broker.wire.messages import MessageKind

_TOLD = 10


class Targets(NamedTuple):
    """What there is in a run for faults to strike.

    Attributes:
        participants: Everybody who sends or receives.
        edges: Source, destination and kind of message of every edge on which some may go.
        episodes: Number of episodes.
        rounds: Of an episode.
        steps: Of an episode, at most.
        arrays: Of a share, those of floating-point numbers; none where nothing is shared.
    """

    participants: Sequence[str]
    edges: Sequence[tuple[str, str, MessageKind]]
    episodes: int
    rounds: int
    steps: int
    arrays: Sequence[str]


def require_aim(fault: FaultConfig, path: str, targets: Targets) -> None:
    """Refuse a fault that could strike nothing.

    An agent without neighbors and an algorithm that shares nothing may have faults of shares beside them: documents
    differ in those alone to be compared.

    Args:
        fault: As the scenario has it.
        path: Where it stands in the document.
        targets: What there is to strike.

    Raises:
        ScenarioError: Names the setting.
    """
    _require_participants(fault, path, targets.participants)
    _require_windows(fault, path, targets)
    edges = [edge for edge in targets.edges if edge[2] in fault.messages]
    if not edges:
        return
    kinds = ", ".join(fault.messages)
    for pattern in fault.edges:
        if not any(fnmatchcase(f"{source}->{destination}", pattern) for source, destination, _ in edges):
            known = listed([f"{source}->{destination}" for source, destination, _ in edges], _TOLD)
            raise ScenarioError(f"{path}.edges", f"expected edges that carry {kinds} ({known}), found {pattern!r}")
    if not any(touches(fault, *edge) for edge in edges):
        raise ScenarioError(path, f"expected a fault of some edge that carries {kinds}, found one that touches none")
    if isinstance(fault, ByzantineConfig | ScaledConfig) and targets.arrays:
        _require_arrays(fault, path, targets.arrays)


def _require_arrays(fault: ByzantineConfig | ScaledConfig, path: str, arrays: Sequence[str]) -> None:
    if not any(fnmatchcase(name, pattern) for name in arrays for pattern in fault.arrays):
        found = ", ".join(map(repr, fault.arrays))
        raise ScenarioError(f"{path}.arrays", f"expected some of {listed(arrays, _TOLD)}, found {found}")


def _require_participants(fault: FaultConfig, path: str, participants: Sequence[str]) -> None:
    for setting, pattern in _patterns(fault):
        if not any(fnmatchcase(name, pattern) for name in participants):
            problem = f"expected some of {listed(participants, _TOLD)}, found {pattern!r}, which is none of them"
            raise ScenarioError(f"{path}.{setting}", problem)


def _patterns(fault: FaultConfig) -> Iterator[tuple[str, str]]:
    """Every pattern of participants, with its setting."""
    yield "source", fault.source
    yield "destination", fault.destination
    yield from (("agents", pattern) for pattern in fault.agents)
    if isinstance(fault, PartitionConfig):
        for position, group in enumerate(fault.groups):
            yield from ((f"groups[{position}]", pattern) for pattern in group)


def _require_windows(fault: FaultConfig, path: str, targets: Targets) -> None:
    """Refuse a window that begins when all is over; the last timestep of an episode follows its last action."""
    steps = targets.steps + ("timestep" in fault.messages)
    windows = (
        ("episodes", fault.episodes, targets.episodes, "episodes"),
        ("rounds", fault.rounds, targets.rounds, "learning.rounds"),
        ("steps", fault.steps, steps, "the steps of an episode"),
    )
    for setting, window, end, name in windows:
        if window is not None and window[0] >= end:
            problem = f"expected a window that begins below {name} = {end}, found {list(window)}"
            raise ScenarioError(f"{path}.{setting}", problem)
