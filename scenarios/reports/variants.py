"""The settings in which runs of one scenario and algorithm differ, as sweeps label them. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256

from scenarios.document.scenario import PLACES, Scenario
from scenarios.document.text.inline_toml import shown
from scenarios.document.text.short_names import by_path, short_names

_OTHERWISE_TOLD = ("name", "seed", "algorithm.name")
_LONGEST = 60
"""Characters of a value that is told whole; a trace of delays may have a million numbers."""
_DIGITS = 8


def variants(scenarios: Sequence[Scenario]) -> list[tuple[str, ...]]:
    """For each document the settings, such as `rho = 8.0`, in which others of its scenario and algorithm differ.

    What a document has not, of what others have, is not named. Two documents that differ in more than the seed, and
    where files lie, have settings that differ here too.
    """
    together: dict[tuple[str, str], list[Mapping[str, str]]] = {}
    settings = [dict(_settings(each)) for each in scenarios]
    for each, own in zip(scenarios, settings, strict=True):
        together.setdefault((each.name, each.algorithm.name), []).append(own)
    named = {kind: short_names(_differing(all_of_it)) for kind, all_of_it in together.items()}
    return [
        tuple(f"{name} = {own[path]}" for path, name in named[each.name, each.algorithm.name].items() if path in own)
        for each, own in zip(scenarios, settings, strict=True)
    ]


def _differing(documents: Sequence[Mapping[str, str]]) -> list[str]:
    paths = dict.fromkeys(path for each in documents for path in each)
    return [path for path in paths if len({each.get(path) for each in documents}) > 1]


def _settings(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Every setting by its dotted path; of faults what was set, for they are compared as a whole."""
    document = scenario.model_dump(mode="json")
    document["faults"] = [fault.model_dump(mode="json", exclude_defaults=True) for fault in scenario.faults]
    for path, value in by_path(document).items():
        if value is not None and path not in (*_OTHERWISE_TOLD, *PLACES):
            yield path, _told(shown(value))


def _told(text: str) -> str:
    """A value as a label can hold it: a long one by its beginning and a part of its SHA-256."""
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST]}... ({sha256(text.encode()).hexdigest()[:_DIGITS]})"
