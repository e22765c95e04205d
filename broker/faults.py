"""Faults decide the fate of messages; they do not carry it out.

A fault maps a verdict to a verdict. A **verdict** is a tuple of delays in seconds, one per delivered copy:
`()` lost, `(0.0,)` untouched, `(0.0, 0.3)` duplicated. Every draw is named by the scenario's seed, the fault,
the edge, the message's name and the copy, so the fate of a message is the same on every substrate, and neither
another fault, another agent nor another message can change it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from broker.config import Constant, DelayConfig, DelayDistribution, DropConfig, Exponential, FaultConfig
from broker.errors import ScenarioError
from broker.messages import MessageName
from broker.seeding import uniform

Verdict = tuple[float, ...]
UNTOUCHED: Verdict = (0.0,)

Draw = Callable[[int], float]
"""A number in [0, 1) for copy number i of the message."""


def drop(verdict: Verdict, config: DropConfig, draw: Draw) -> Verdict:
    """Lose each copy with the configured probability."""
    return tuple(delay for copy, delay in enumerate(verdict) if draw(copy) >= config.probability)


def delay(verdict: Verdict, config: DelayConfig, draw: Draw) -> Verdict:
    """Hold each copy back by a draw of the configured distribution."""
    return tuple(before + quantile(config.delay_s, draw(copy)) for copy, before in enumerate(verdict))


def quantile(distribution: DelayDistribution, probability: float) -> float:
    """The delay in seconds below which a draw falls with `probability` in [0, 1)."""
    if isinstance(distribution, Constant):
        return distribution.value_s
    if isinstance(distribution, Exponential):
        return -distribution.mean_s * math.log1p(-probability)
    return distribution.low_s + (distribution.high_s - distribution.low_s) * probability


@dataclass(frozen=True)
class Applied:
    """One line of the ledger: `fault` turned a message's verdict into `verdict`."""

    fault: str
    verdict: Verdict


class Judge:
    """Gives every message of a run its verdict.

    Args:
        faults: In the order in which they apply.
        seed: The scenario's.

    Raises:
        ScenarioError: Two faults have one name.
    """

    def __init__(self, faults: Sequence[FaultConfig], seed: int) -> None:
        self._seed = seed
        self._faults = [(fault.name or fault.kind, fault) for fault in faults]
        self._matching: dict[tuple[str, str, str], list[tuple[str, FaultConfig]]] = {}
        names = [name for name, _ in self._faults]
        for position, name in enumerate(names):
            if name in names[:position]:
                raise ScenarioError(
                    f"faults[{position}].name", f"two faults are called {name!r}; give each its own name"
                )

    def examining(self, source: str, destination: str, kind: str) -> list[tuple[str, FaultConfig]]:
        """The faults, with their names, that look at messages of this kind on this edge."""
        key = (source, destination, kind)
        matching = self._matching.get(key)
        if matching is None:
            matching = [(name, fault) for name, fault in self._faults if _touches(fault, *key)]
            self._matching[key] = matching
        return matching

    def judge(self, source: str, destination: str, message: MessageName) -> tuple[Verdict, list[Applied]]:
        """The verdict on a message, and the faults that made it what it is."""
        verdict = UNTOUCHED
        applied = []
        for name, fault in self.examining(source, destination, message.kind):

            def draw(copy: int, fault_name: str = name) -> float:
                return uniform(self._seed, "fault", fault_name, source, destination, *message, copy)

            before = verdict
            verdict = drop(before, fault, draw) if isinstance(fault, DropConfig) else delay(before, fault, draw)
            if verdict != before:
                applied.append(Applied(name, verdict))
        return verdict, applied


def _touches(fault: FaultConfig, source: str, destination: str, kind: str) -> bool:
    return kind in fault.messages and fnmatchcase(source, fault.source) and fnmatchcase(destination, fault.destination)
