"""Faults with memory: a chain of states along the steps or rounds of an edge.

The state of message number n follows from that of message n - 1 and from a draw named by n, and a chain begins anew
in every episode. A message that is asked for again is one more message: from its first attempt, a chain of its own
goes on along the others. So a state depends on no message that did or did not arrive, and an episode played again is
the same.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

from broker.faults.config import GilbertElliottConfig
from broker.faults.delays import Correlated
from broker.faults.distributions import normal_score
from broker.seeding import uniform
from broker.wire.messages import MessageName

Chain = tuple[str, str, str, str]
"""Name of the fault, source, destination and kind of the messages."""

LONGEST_EPISODE = 100_000
"""Messages of a kind on an edge, where nobody says how many there are."""

REPEATS = 1000
"""After so many a chain along the repeats of a message begins anew: nobody counts further to a forged attempt."""


class Chains:
    """The states of all chains of a run; remembers those of one episode and of the repeats of one message each.

    Args:
        seed: The scenario's.
        longest_episode: How many messages of a kind an edge carries in an episode at most. Numbers come from outside: a
            forged one must not make anybody count to it.
    """

    def __init__(self, seed: int, longest_episode: int) -> None:
        self._seed = seed
        self._last = longest_episode - 1
        self._walks: dict[tuple[Chain, int], tuple[tuple[int, ...], list[float]]] = {}

    def score(self, config: Correlated, chain: Chain, message: MessageName) -> float:
        """The state of a stationary Gaussian AR(1) at a message: standard normal, correlated with the one before."""
        rho = config.correlation
        fresh = sqrt(1 - rho * rho)
        return self._state(chain, message, normal_score, lambda before, draw: rho * before + fresh * normal_score(draw))

    def is_bad(self, config: GilbertElliottConfig, chain: Chain, message: MessageName) -> bool:
        """Whether the link is bad when a message comes; an episode's first one meets the stationary distribution."""
        mostly = bad_share(config)

        def step(bad: float, draw: float) -> float:
            return float(draw >= config.to_good) if bad else float(draw < config.to_bad)

        return bool(self._state(chain, message, lambda draw: float(draw < mostly), step))

    def _state(
        self,
        chain: Chain,
        message: MessageName,
        first: Callable[[float], float],
        step: Callable[[float, float], float],
    ) -> float:
        episode, number = message.episode, min(max(message.number, 0), self._last)
        if message.attempt <= 0:
            return self._walked(chain, (episode,), number, first, step)
        begun_anew, repeat = divmod(message.attempt, REPEATS)
        begin = first if begun_anew else lambda _: self._walked(chain, (episode,), number, first, step)
        return self._walked(chain, (episode, number, begun_anew), repeat, begin, step)

    def _walked(
        self,
        chain: Chain,
        walk: tuple[int, ...],
        steps: int,
        first: Callable[[float], float],
        step: Callable[[float, float], float],
    ) -> float:
        """The state of a chain after so many steps of a walk along messages, or along the repeats of one.

        The numbers that a walk is named by are two kinds: of each, the chain remembers the last walk.
        """
        of, states = self._walks.get((chain, len(walk)), (walk, []))
        if of != walk:
            states = []
        self._walks[chain, len(walk)] = (walk, states)
        while len(states) <= steps:
            draw = uniform(self._seed, "fault", *chain, *walk, len(states), "chain")
            states.append(step(states[-1], draw) if states else first(draw))
        return states[steps]


def bad_share(config: GilbertElliottConfig) -> float:
    """The share of messages that meet a bad link."""
    return config.to_bad / (config.to_bad + config.to_good)
