"""The curves of a run, scalars by training episode, for whatever shows curves."""

from __future__ import annotations

from collections import Counter, defaultdict
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


class _Losses:
    """What the agents have lost in one episode.

    Attributes:
        records: How many rounds of agents have come.
    """

    def __init__(self) -> None:
        self.records = 0
        self._totals: defaultdict[str, float] = defaultdict(float)
        self._counts: Counter[str] = Counter()

    def add(self, losses: Mapping[str, float]) -> None:
        """Take a round in, which may lack some: one without partners has no penalty."""
        self.records += 1
        self._counts.update(losses.keys())
        for name, value in losses.items():
            self._totals[name] += value

    def means(self) -> dict[str, float]:
        """Each over the rounds that have it."""
        return {f"loss/{name}": total / self._counts[name] for name, total in self._totals.items()}


class Curves:
    """A sink that makes curves of records: returns by agent and of the team, and losses, means over the rounds.

    An episode is written when all its rounds have come, or the next one has ended: records of agents may come later
    than that of the environment.

    Args:
        names: The agents.
        rounds: Communication rounds of an episode.
        writer: Takes the scalars.
    """

    def __init__(self, names: AgentNames, rounds: int, writer: ScalarsWriter) -> None:
        self._returns = [f"return/{names.told(agent)}" for agent in names.by_id]
        self._expected = len(names.by_id) * rounds
        self._writer = writer
        self._losses: defaultdict[int, _Losses] = defaultdict(_Losses)
        self._ended: EpisodeRecord | None = None
        self._written = -1

    def take(self, records: Sequence[Record]) -> None:
        """Take records in."""
        for record in records:
            if type(record) is RoundRecord and record.episode > self._written:
                self._losses[record.episode].add(record.losses)
                self._write_if_whole()
            elif type(record) is EpisodeRecord:
                self._write()
                self._ended = record
                self._write_if_whole()

    def begin_life(self, after_episode: int) -> None:
        """Show none of what is played again."""
        if self._ended is not None and self._ended.episode <= after_episode:
            self._write()
        self._ended = None
        self._losses.clear()
        self._written = after_episode
        self._writer.forget_from(after_episode + 1)

    def close(self) -> None:
        """Write what is left."""
        self._write()
        self._writer.close()

    def _write_if_whole(self) -> None:
        ended = self._ended
        if ended is not None and self._losses[ended.episode].records >= self._expected:
            self._write()

    def _write(self) -> None:
        """Write the episode that has ended, if that is not done."""
        ended, self._ended = self._ended, None
        if ended is None:
            return
        scalars = {"return/team": added(ended.returns)}
        scalars |= dict(zip(self._returns, ended.returns, strict=True))
        scalars |= self._losses[ended.episode].means()
        self._writer.add(ended.episode, scalars)
        self._written = ended.episode
        for episode in [episode for episode in self._losses if episode <= self._written]:
            del self._losses[episode]
