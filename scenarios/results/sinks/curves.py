"""The curves of a run, scalars by training episode, for whatever shows curves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Protocol

from broker.arithmetic.sums import added
from broker.wire.records import EpisodeRecord, Record, RoundRecord
from scenarios.document.agent_names import AgentNames


class ScalarsWriter(Protocol):
    """Writes scalars by training episode."""

    def add(self, episode: int, scalars: Mapping[str, float]) -> None:
        """Add the scalars of an episode, by name."""

    def forget_from(self, episode: int) -> None:
        """An episode and those after it are played again."""

    def close(self) -> None:
        """Write what is left."""


class Curves:
    """A sink that makes curves of records: returns by agent and of the team, and losses, means over all rounds.

    Args:
        names: The agents.
        writer: Takes the scalars.
    """

    def __init__(self, names: AgentNames, writer: ScalarsWriter) -> None:
        self._returns = [f"return/{names.told(agent)}" for agent in names.by_id]
        self._writer = writer
        self._losses: defaultdict[str, float] = defaultdict(float)
        self._losses_of = 0

    def take(self, records: Sequence[Record]) -> None:
        """Take records in."""
        for record in records:
            if type(record) is RoundRecord:
                self._losses_of += 1
                for name, value in record.losses.items():
                    self._losses[name] += value
            elif type(record) is EpisodeRecord:
                self._add_episode(record)

    def begin_life(self, after_episode: int) -> None:
        """Show none of what is played again."""
        self._writer.forget_from(after_episode + 1)
        self._forget_losses()

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()

    def _add_episode(self, record: EpisodeRecord) -> None:
        scalars = {"return/team": added(record.returns)}
        scalars |= dict(zip(self._returns, record.returns, strict=True))
        scalars |= {f"loss/{name}": total / self._losses_of for name, total in self._losses.items()}
        self._writer.add(record.episode, scalars)
        self._forget_losses()

    def _forget_losses(self) -> None:
        self._losses.clear()
        self._losses_of = 0
