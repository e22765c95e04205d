"""The facts of one run, episode by episode: of its journals, if it kept any, and of its store."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import groupby

from broker.transports.journal import Entry, Polled, Sent
from broker.wire.codec import read_written
from broker.wire.messages import ENVIRONMENT, Envelope, name_of
from scenarios.replay.comparing.by_episode import ByEpisode
from scenarios.replay.comparing.facts import Fact, FactPlace, counts_of_episode, counts_of_round, fates, said
from scenarios.replay.journals import LifeJournal, journals_of
from scenarios.results.answers import EpisodeRow, FateRow, RoundRow
from scenarios.results.folder import RunFolder
from scenarios.results.reader import RunReader


class RunFacts:
    """What happened in a run.

    Attributes:
        messages: How many different ones have been looked at.

    Args:
        folder: The run's.
        store: Its store, open.
        journals: Whether to look into journals.
    """

    def __init__(self, folder: RunFolder, store: RunReader, *, journals: bool) -> None:
        self.messages = 0
        by_participant = _journals_by_participant(folder) if journals else {}
        self._said = _streams(by_participant)
        self._fates: ByEpisode[FateRow] = ByEpisode((row.episode, row) for row in store.fates_in_order())
        self._rounds: ByEpisode[RoundRow] = ByEpisode((row.episode, row) for row in store.rounds_in_order())
        self._episodes: ByEpisode[EpisodeRow] = ByEpisode((row.episode, row) for row in store.episodes())

    def take(self, episode: int) -> dict[FactPlace, Fact]:
        """All that happened in an episode; the next one asked for is a later one."""
        found: dict[FactPlace, Fact] = {}
        for each in self._said:
            for envelope in each.take(episode):
                found.setdefault(*said(envelope))  # what is sent again is the same
        self.messages += len(found)
        rows = [row for row in self._fates.take(episode) if not row.attempt]
        for _, group in groupby(rows, key=lambda row: row[:6]):
            found.update([fates(tuple(group))])
        for round_row in self._rounds.take(episode):
            found.update(counts_of_round(round_row, json.loads(round_row.losses)))
        for episode_row in self._episodes.take(episode):
            found.update(counts_of_episode(episode_row))
        return found


def has_journals(folder: RunFolder) -> bool:
    """Whether a run kept journals."""
    return any(folder.journals.glob("*.journal"))


def _journals_by_participant(folder: RunFolder) -> dict[str, list[LifeJournal]]:
    found: dict[str, list[LifeJournal]] = {}
    for journal in journals_of(folder):
        found.setdefault(journal.participant, []).append(journal)
    return found


def _streams(by_participant: dict[str, list[LifeJournal]]) -> list[ByEpisode[Envelope]]:
    """What everybody said, each in the order of episodes.

    What an agent said in an episode stands in its journal before it keeps what it knows after it. The environment keeps
    nothing: when it was killed, its last words stand in the journals of those who heard them.
    """
    found = [ByEpisode(_messages(lives, _sent)) for lives in by_participant.values()]
    if any(not journal.is_closed() for journal in by_participant.get(ENVIRONMENT, ())):
        agents = [lives for name, lives in by_participant.items() if name != ENVIRONMENT]
        found += [ByEpisode(_messages(lives, _heard_of_environment)) for lives in agents]
    return found


def _sent(entry: Entry) -> list[Envelope]:
    return [read_written(entry.frame)] if type(entry) is Sent else []


def _heard_of_environment(entry: Entry) -> list[Envelope]:
    heard = map(read_written, entry.frames) if type(entry) is Polled else ()
    return [envelope for envelope in heard if envelope.source == ENVIRONMENT]


def _messages(
    lives: list[LifeJournal], messages_of: Callable[[Entry], list[Envelope]]
) -> Iterator[tuple[int, Envelope]]:
    """Messages in the journals of one participant: of each life what later ones did not say again."""
    begun_after = [_after_episode(journal) for journal in lives[1:]]
    for journal, until in zip(lives, [*begun_after, None], strict=True):
        for entry in journal.entries():
            for envelope in messages_of(entry):
                name = name_of(envelope.message)
                if name is not None and (until is None or name.episode <= until):
                    yield name.episode, envelope


def _after_episode(journal: LifeJournal) -> int | None:
    told = journal.slice()
    return None if told is None else int(json.loads(told)["link"]["life"]["after_episode"])
