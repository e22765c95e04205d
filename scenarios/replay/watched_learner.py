"""A learner that is watched: at a round somebody may look in, and after it the replay may end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from agent_node.config import AgentConfig
from agent_node.experience.episode import Episode
from agent_node.learning.algorithm import Algorithm
from agent_node.learning.learner import Learner
from agent_node.learning.open_round import OpenRound
from broker.wire.arrays import Arrays


class Goal(NamedTuple):
    """The round to which a replay goes.

    Attributes:
        episode: From 0.
        round: From 0; None for the last of the episode.
    """

    episode: int
    round: int | None = None


class Reached(Exception):
    """The round has closed.

    Attributes:
        losses: What it gave, by name.
        digest: SHA-256 of the weights after it.
    """

    def __init__(self, losses: Mapping[str, float], digest: str) -> None:
        super().__init__()
        self.losses, self.digest = losses, digest


class Watch:
    """What is looked at.

    Attributes:
        goal: The round, if any, at which to look in or to end.
        ends: Whether the replay ends when that has closed.
        pause: Lets somebody look in before that closes.
        digests: SHA-256 of the weights after each episode in `of`.
        rounds: How many have closed.

    Args:
        goal: As above.
        ends: As above.
        pause: As above.
        of: Episodes after which the weights count.
    """

    def __init__(self, goal: Goal | None, *, ends: bool, pause: Callable[[], None] | None, of: frozenset[int]) -> None:
        self.goal, self.ends, self.pause = goal, ends, pause
        self.of = of
        self.digests: dict[int, str] = {}
        self.rounds = 0


class WatchedLearner(Learner):
    """A learner, watched.

    Args:
        config: The agent's slice of the scenario.
        algorithm: As every learner has it.
        watch: What is looked at.
    """

    def __init__(self, config: AgentConfig, algorithm: Algorithm, watch: Watch) -> None:
        super().__init__(config, algorithm)
        self._watch = watch
        self._last_round = config.rounds - 1
        self._number = 0

    def open_round(self, episode: Episode, number: int, partners: tuple[str, ...]) -> OpenRound:
        """As every learner does."""
        self._number = number
        return super().open_round(episode, number, partners)

    def close_round(
        self, opened: OpenRound, shares: Mapping[str, Arrays], stale: Mapping[str, Arrays]
    ) -> dict[str, float]:
        """As every learner does; before it somebody may look in, with `self`, `opened`, `shares` and `stale` at hand.

        Raises:
            Reached: This was the round to which the replay was to go.
        """
        watch, episode = self._watch, opened.episode.number
        last = self._number == self._last_round
        here = watch.goal in ((episode, self._number), (episode, None) if last else None)
        if here and watch.pause is not None:
            watch.pause()
        losses = super().close_round(opened, shares, stale)
        watch.rounds += 1
        if last and episode in watch.of:
            watch.digests[episode] = self.weights_digest()
        if here and watch.ends:
            raise Reached(losses, self.weights_digest())
        return losses
