"""One message in front of one fault: everything that may decide its fate."""

from __future__ import annotations

from collections.abc import Callable

from broker.faults.chains import Chains
from broker.faults.config import GilbertElliottConfig
from broker.faults.delays import Correlated, DelayDistribution, Trace
from broker.faults.distributions import probability_of
from broker.seeding import Part, uniform
from broker.wire.messages import MessageName

Draw = Callable[[int], float]
"""A number in [0, 1) for copy number i of the message."""


class Case:
    """Draws for one message and one fault, all of them named.

    Attributes:
        message: Its name.
        at_s: When it came, in seconds since its receiver began.
        size_bytes: Of its arrays.

    Args:
        seed: The scenario's.
        chains: States of faults with memory.
        fault: Its name.
        edge: Source and destination.
        message: Its name.
        at_s: When it came.
        size_bytes: Of its arrays.
    """

    __slots__ = ("_chains", "_edge", "_fault", "_seed", "at_s", "message", "size_bytes")

    def __init__(
        self,
        seed: int,
        chains: Chains,
        fault: str,
        edge: tuple[str, str],
        message: MessageName,
        *,
        at_s: float,
        size_bytes: int,
    ) -> None:
        self._seed, self._chains, self._fault, self._edge = seed, chains, fault, edge
        self.message, self.at_s, self.size_bytes = message, at_s, size_bytes

    def draw(self, copy: int) -> float:
        """Decides whether copy number `copy` is struck, or how strongly."""
        return uniform(self._seed, "fault", self._fault, *self._edge, *self.message, copy)

    def second(self, copy: int) -> float:
        """Decides how strongly, where `draw` decides whether."""
        return uniform(self._seed, "fault", self._fault, *self._edge, *self.message, copy, "strength")

    def strengths(self, distribution: DelayDistribution, draw: Draw) -> Draw:
        """What goes through the distribution's quantile: `draw`, unless the distribution has an order of its own."""
        if isinstance(distribution, Correlated):
            score = probability_of(self._chains.score(distribution, self._chain(), self.message))
            return lambda _: score
        if isinstance(distribution, Trace) and distribution.order != "drawn":
            count = len(distribution.values_s)
            place = (self._first_line(count, distribution.order) + self.message.number) % count
            return lambda _: (place + 0.5) / count
        return draw

    def link_is_bad(self, config: GilbertElliottConfig) -> bool:
        """Whether a link with bursts is bad when this message comes."""
        return self._chains.is_bad(config, self._chain(), self.message)

    def _chain(self) -> tuple[str, str, str, str]:
        return (self._fault, *self._edge, self.message.kind)

    def _first_line(self, count: int, order: str) -> int:
        name: tuple[Part, ...] = (*self._chain(), self.message.episode, "line")
        return int(uniform(self._seed, "fault", *name) * count) if order == "walk" else 0
