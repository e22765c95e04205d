"""Where two runs part: the first message, decision or number that is not the same in both, as a sentence."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent_node.policy_folder import read_document
from broker.counting import counted, listed
from broker.errors import UserError
from scenarios.document.scenario import PLACES
from scenarios.document.text.short_names import by_path
from scenarios.replay.comparing.facts import Fact, FactPlace, was_heard_by_nobody
from scenarios.replay.comparing.run_facts import RunFacts, has_journals
from scenarios.results.answers import DocumentRow
from scenarios.results.folder import RunFolder, open_run_folder
from scenarios.results.reader import RunReader, read_store

_MOST_SETTINGS = 8
_OUR_WORD = "the "
"""What else a clause begins with is a name, such as that of a folder, and stays as it is."""


@dataclass(frozen=True)
class Parting:
    """Where two runs part, if they do.

    Attributes:
        sentence: Where they part, or that they do not.
        parts: Whether they do.
        notes: What else is to be known: how their documents differ, what could not be compared.
    """

    sentence: str
    parts: bool
    notes: tuple[str, ...] = ()


def compare(one: Path, other: Path) -> Parting:
    """Find where two runs part, as far as both have come.

    Args:
        one: A run's folder.
        other: Another's.

    Raises:
        UserError: One of them holds no run, or cannot be read.
    """
    folders = open_run_folder(one), open_run_folder(other)
    with ExitStack() as opened:
        stores = [opened.enter_context(read_store(folder.store)) for folder in folders]
        return _Comparison(folders, (stores[0], stores[1])).made()


class _Comparison:
    def __init__(self, folders: tuple[RunFolder, RunFolder], stores: tuple[RunReader, RunReader]) -> None:
        self._folders, self._stores = folders, stores
        self._names = str(folders[0].root), str(folders[1].root)
        self._with_journals = [has_journals(folder) for folder in folders]

    def made(self) -> Parting:
        """Compare who takes part, then all that both have recorded, then what was learned."""
        agents = [", ".join(store.agent_names().by_id.values()) for store in self._stores]
        if agents[0] != agents[1]:
            here, there = (f"{each} in {name}" for each, name in zip(agents, self._names, strict=True))
            return self._parted(f"the agents are {here}, and {there}")
        counts = [store.count_episodes() for store in self._stores]
        journals = all(self._with_journals)
        facts = [RunFacts(*each, journals=journals) for each in zip(self._folders, self._stores, strict=True)]
        for episode in range(min(counts)):
            if apart := self._first_apart(*(each.take(episode) for each in facts)):
                return self._parted(self._stores[0].agent_names().tell(apart))
        if counts[0] != counts[1]:
            shorter, longer = sorted(zip(counts, self._names, strict=True))
            ended = f"{shorter[1]} has {counted(shorter[0], 'episode')} and {longer[1]} {longer[0]}"
            return self._parted(f"{ended}; all that both have is the same")
        if weights := self._weights_apart():
            return self._parted(weights)
        return self._equal(min(counts), facts[0].messages)

    def _first_apart(self, one: Mapping[FactPlace, Fact], other: Mapping[FactPlace, Fact]) -> str:
        for place in sorted({*one, *other}):
            here, there = one.get(place), other.get(place)
            if was_heard_by_nobody(place, one, other):
                continue
            if here is None or there is None:
                present, (having, lacking) = (there, self._names[::-1]) if here is None else (here, self._names)
                assert present is not None  # noqa: S101 - the place is of one of them
                return f"{present.alone()} in {having}, and not in {lacking}"
            if said := here.apart(there, self._names):
                return said
        return ""

    def _weights_apart(self) -> str:
        one, other = (_weights(folder) for folder in self._folders)
        for agent in (each for each in one if each in other):
            (after, here), (after_there, there) = one[agent], other[agent]
            if after == after_there and here != there:
                first, second = self._names
                return f"the weights of {agent} are {here} in {first}, and {there} in {second}"
        return ""

    def _parted(self, clause: str) -> Parting:
        begun = f"{clause[0].upper()}{clause[1:]}" if clause.startswith(_OUR_WORD) else clause
        return Parting(f"{begun}.", parts=True, notes=self._notes())

    def _equal(self, episodes: int, messages: int) -> Parting:
        same = f"{counted(episodes, 'episode')} with all numbers, fates and returns"
        if messages:
            same = f"{same}, {counted(messages, 'message')} with all arrays"
        sentence = f"{self._names[0]} and {self._names[1]} are the same: {same}."
        return Parting(sentence, parts=False, notes=self._notes())

    def _notes(self) -> tuple[str, ...]:
        notes = []
        if settings := _settings_apart(*map(_document, self._folders)):
            notes.append(f"their documents differ in {settings}")
        begun = [store.begun() for store in self._stores]
        notes += [f"{what}: {', '.join(said)}" for what, said in _begun_apart(begun).items()]
        lacking = [name for name, has in zip(self._names, self._with_journals, strict=True) if not has]
        if lacking:
            notes.append(f"no journals in {' and '.join(lacking)}: arrays were not compared (transport.journal = true)")
        return tuple(notes)


def _weights(folder: RunFolder) -> dict[str, tuple[int | None, str | None]]:
    """Of each agent, after which episode its weights were kept, and their digest."""
    if not folder.policy.is_dir():
        return {}
    agents = read_document(folder.policy)[0].agents
    return {agent: (learned.after_episode, learned.weights_digest) for agent, learned in agents.items()}


def _document(folder: RunFolder) -> dict[str, Any]:
    """The resolved document, whichever Foretell wrote it."""
    try:
        return tomllib.loads(folder.scenario.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"cannot read {folder.scenario}: {error}"
        raise UserError(msg) from None


def _begun_apart(begun: list[DocumentRow | None]) -> dict[str, tuple[str, ...]]:
    one, other = begun
    if one is None or other is None:
        return {}
    pairs = {"ways": (one.substrate, other.substrate), "arithmetics": (str(one.arithmetic), str(other.arithmetic))}
    return {what: pair for what, pair in pairs.items() if pair[0] != pair[1]}


def _settings_apart(one: dict[str, Any], other: dict[str, Any]) -> str:
    settings, others = by_path(one), by_path(other)
    apart = [path for path in settings | others if path not in PLACES and settings.get(path) != others.get(path)]
    return listed(apart, _MOST_SETTINGS)
