"""From a sweep's document to all that its scenarios are changed by: variants and combinations of a grid. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from pydantic import JsonValue

from broker.errors import ScenarioError
from scenarios.document.text.inline_toml import inline, shown
from scenarios.document.text.short_names import short_names
from scenarios.running.batch.cell import Settings
from scenarios.studies.study import Variant
from scenarios.sweeps.document import SweepDocument, SweptVariant, as_settings, flat
from scenarios.sweeps.labels import keys_of

MOST_RUNS = 10_000
"""Each has a folder and a process of its own."""
_PATH = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_OWN = {
    "seed": "expected no seed here: they stand under `seeds`",
    "algorithm.name": "expected no algorithm here: they stand under `algorithms`, or under `algorithm` in a variant",
}
_UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Change:
    """What a scenario is changed by, and the algorithms that run it then.

    Attributes:
        variant: Key, label and settings, those for all runs first.
        algorithms: By name; none: the scenario's own.
        place: Of the variant in the document, such as `variants[2]`; empty where none is.
    """

    variant: Variant
    algorithms: tuple[str, ...]
    place: str


def changes(document: SweepDocument) -> tuple[Change, ...]:
    """Every variant in every combination of the grid, in the order of the document.

    Raises:
        ScenarioError: There are too many, something stands there twice, or it is no setting of a sweep; names the path.
    """
    _refuse_repeated("seeds", document.seeds)
    _refuse_repeated("algorithms", document.algorithms)
    _check_paths("settings", document.settings)
    for position, variant in enumerate(document.variants):
        _check_paths(f"variants[{position}]", variant.settings)
    axes = _axes(document)
    _refuse_too_many(document, axes)
    points = [tuple(zip(axes, point, strict=True)) for point in product(*axes.values())]
    names = short_names([*(path for each in document.variants for path, _ in flat(each.settings)), *axes])
    found = []
    for position, variant in enumerate(document.variants or (SweptVariant(),)):
        place = f"variants[{position}]" if document.variants else ""
        _refuse_both(place, variant, axes)
        own = _label(variant, names) if document.variants else ""
        for point in points:
            label = ", ".join(filter(None, (own, *(f"{names[path]} = {shown(value)}" for path, value in point))))
            settings = (*as_settings(variant.settings), *((path, inline(value)) for path, value in point))
            algorithms = document.algorithms if variant.algorithm is None else (variant.algorithm,)
            found.append((label, settings, algorithms, place))
    _refuse_equal_labels([(label, place) for label, _, _, place in found])
    keys = keys_of([label for label, _, _, _ in found])
    common = as_settings(document.settings)
    return tuple(
        Change(Variant(keys[label] if label else "", label, (*common, *settings)), algorithms, place)
        for label, settings, algorithms, place in found
    )


def touch(path: str, other: str) -> bool:
    """Whether one of two dotted paths is the other, contains it or lies inside it."""
    return f"{path}.".startswith(f"{other}.") or f"{other}.".startswith(f"{path}.")


def _label(variant: SweptVariant, names: Mapping[str, str]) -> str:
    if variant.label is not None:
        return variant.label
    settings = [f"{names[path]} = {shown(value)}" for path, value in flat(variant.settings)]
    return ", ".join([*filter(None, [variant.algorithm]), *settings]) or _UNCHANGED


def _axes(document: SweepDocument) -> dict[str, list[JsonValue]]:
    """The lists of the grid by path."""
    _check_paths("grid", document.grid)
    axes = {}
    for path, values in flat(document.grid):
        where = f"grid.{path}"
        if not isinstance(values, list):
            found = f"found {values!r:.80}. One value for all runs stands under [settings]"
            raise ScenarioError(where, f"expected a list of values, {found}")
        if not values:
            raise ScenarioError(where, "expected at least 1 in the list, found 0")
        _refuse_repeated(where, [shown(value) for value in values])
        axes[path] = values
    return axes


def _check_paths(place: str, table: Mapping[str, JsonValue]) -> None:
    seen: list[str] = []
    for path, _ in flat(table):
        if _PATH.fullmatch(path) is None:
            raise ScenarioError(place, f"expected dotted paths such as learning.rounds, found {path!r:.80}")
        for own, problem in _OWN.items():
            if path == own or path.startswith(f"{own}."):
                raise ScenarioError(f"{place}.{path}", problem)
        if path in seen:
            raise ScenarioError(f"{place}.{path}", "expected it once, found it with quotation marks and without")
        seen.append(path)


def _refuse_too_many(document: SweepDocument, axes: Mapping[str, Sequence[JsonValue]]) -> None:
    """Before there are any: a product grows fast."""
    several = max(1, len(document.algorithms))
    own = sum(1 if variant.algorithm is not None else several for variant in document.variants) or several
    runs = len(document.scenarios) * own * prod(map(len, axes.values())) * len(document.seeds)
    if runs > MOST_RUNS:
        raise ScenarioError(
            "", f"expected at most {MOST_RUNS} runs, found {runs}: take fewer values, variants or seeds"
        )


def _refuse_both(place: str, variant: SweptVariant, axes: Iterable[str]) -> None:
    """What the grid sets, a variant cannot set too: one of the two would say what never ran."""
    for path, _ in flat(variant.settings):
        for axis in axes:
            if touch(path, axis):
                raise ScenarioError(f"{place}.{path}", f"expected none here, as grid.{axis} sets it in every variant")


def _refuse_equal_labels(labels: Sequence[tuple[str, str]]) -> None:
    seen: dict[str, str] = {}
    for label, place in labels:
        if label in seen:
            where = f"{place}.label" if place else "grid"
            raise ScenarioError(where, f"expected labels that differ, found {label!r} in {seen[label] or 'it'} too")
        seen[label] = place


def _refuse_repeated(path: str, values: Sequence[object]) -> None:
    for value in _repeated(values):
        raise ScenarioError(path, f"expected each once, found {value} twice")


def _repeated(values: Sequence[object]) -> Iterator[object]:
    return (value for position, value in enumerate(values) if value in values[:position])


def origin(document: SweepDocument, change: Change, path: str) -> str:
    """The part of the document that sets a path of a scenario: what is to be mended there; empty where none does.

    Args:
        document: Of the sweep.
        change: In which the path is wrong.
        path: As an error has it, such as `faults[0].probability`.
    """
    dotted = path.replace("[", ".").replace("]", "")
    if not dotted:
        return ""
    for place, settings in _tables(document, change):
        if any(touch(dotted, each) for each, _ in settings):
            return place
    return ""


def _tables(document: SweepDocument, change: Change) -> Iterator[tuple[str, Settings]]:
    """Where settings stand, those that apply last first."""
    yield "grid", tuple((path, "") for path, _ in flat(document.grid))
    for position, variant in enumerate(document.variants):
        if change.place == f"variants[{position}]":
            named = () if variant.algorithm is None else (("algorithm.name", ""),)
            yield change.place, (*as_settings(variant.settings), *named)
    yield "algorithms", tuple(("algorithm.name", "") for _ in document.algorithms)
    yield "settings", as_settings(document.settings)
