"""From a file to a sweep, and whether all its runs can work."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from broker.counting import meant
from broker.errors import ScenarioError, UserError
from broker.text_files import read_text
from broker.user_code import on_one_line
from scenarios.document.loading import catalogue_names, load_scenario, parse_settings
from scenarios.document.planning import make_plan
from scenarios.document.scenario import Scenario
from scenarios.document.text.explained import explained
from scenarios.document.text.toml_text import parse_toml
from scenarios.document.text.unusable import refuse_unusable
from scenarios.running.batch.cell import Cell, Group
from scenarios.running.batch.runner import resolved
from scenarios.studies.study import Study, StudyCondition, StudyTask
from scenarios.sweeps.combining import Change, changes, origin
from scenarios.sweeps.document import SweepDocument, SweptScenario
from scenarios.sweeps.labels import keys_of
from scenarios.sweeps.sweep import Sweep

_MOST_BYTES = 1 << 20
_ENDING = ".toml"
_SHOWN = 12


def read_sweep(file: Path) -> Sweep:
    """The sweep that a document asks for.

    Raises:
        UserError: It cannot be read, or asks for what cannot be; names file and place.
    """
    try:
        return sweep_of(file, read_text(file, _MOST_BYTES))
    except OSError as error:
        msg = f"cannot read {file}: {error.strerror}"
        raise UserError(msg) from None
    except ScenarioError as error:
        raise _in(file, error) from None


def sweep_of(file: Path, text: str) -> Sweep:
    """The sweep that a text asks for; see `read_sweep`.

    Raises:
        ScenarioError: It is no document of a sweep, or asks for what cannot be; names the place.
    """
    document = _document(text)
    made, tasks = changes(document), _tasks(document)
    paths = {task.key: _place_of(task.scenario, file.parent) for task in tasks}
    conditions = tuple(
        StudyCondition(
            task, change.variant, change.algorithms or _own_algorithm(document, position, paths[task.key], change)
        )
        for position, task in enumerate(tasks)
        for change in made
    )
    stem = file.name.removesuffix(_ENDING)
    name, title = keys_of([stem])[stem], document.title or stem
    study = Study(name, title, document.about, conditions, (), "own", document.seeds)
    cells = tuple(
        Cell(group, seed, paths[group.task], (("algorithm.name", group.contender), *condition.variant.settings))
        for seed in document.seeds
        for condition, group in study.groups()
    )
    labels = {group: _label(condition, group.contender) for condition, group in study.groups()}
    _check_labels(document, labels)
    return Sweep(file, text, document, study, made, cells, labels, _baselines(document, labels))


def check(sweep: Sweep) -> list[Scenario]:
    """The documents of all runs, each looked at as a run does before it starts.

    Raises:
        UserError: One cannot work; names the place in the sweep's document that says so.
        UserCodeFailed: An environment that somebody brought raised.
    """
    by_key = {change.variant.key: change for change in sweep.changes}
    positions = {task.key: position for position, task in enumerate(sweep.study.tasks)}
    found = []
    for cell in sweep.cells:
        group = cell.group
        try:
            found.append(resolved(cell))
            make_plan(found[-1])
        except UserError as error:
            where = f"{group.task}, {sweep.labels[group]}, seed {cell.seed}"
            placed = _placed(sweep.document, by_key[group.variant], positions[group.task], error, where)
            raise _in(sweep.file, placed) from None
    return found


def _document(text: str) -> SweepDocument:
    try:
        document = parse_toml(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError("", f"expected TOML: {on_one_line(str(error))}") from None
    except UserError as error:
        raise ScenarioError("", str(error)) from None
    refuse_unusable(document)
    try:
        # Strict, so that `true` is no number; by way of JSON, where a list may become a tuple all the same.
        return SweepDocument.model_validate_json(json.dumps(document), strict=True)
    except ValidationError as error:
        raise _explained(error, document) from None


def _placed(document: SweepDocument, change: Change, position: int, error: UserError, where: str) -> ScenarioError:
    """The error of a run, as one of the sweep's document."""
    path = error.path if isinstance(error, ScenarioError) else ""
    place = origin(document, change, path) or f"scenarios[{position}]"
    return ScenarioError(place, f"{error} (in {where})")


def _in(file: Path, error: ScenarioError) -> UserError:
    return UserError(f"{file}: {error}")


def _tasks(document: SweepDocument) -> tuple[StudyTask, ...]:
    """The scenarios, each with a label of its own."""
    labels: list[str] = []
    for position, each in enumerate(document.scenarios):
        label = each.label or Path(each.scenario).name.removesuffix(_ENDING)
        if label in labels:
            problem = f"expected labels that differ, found {label!r} twice: give one of them a label of its own"
            raise ScenarioError(f"scenarios[{position}]", problem)
        labels.append(label)
    keys = keys_of(labels)
    named = zip(labels, document.scenarios, strict=True)
    return tuple(StudyTask(keys[label], label, each.scenario, each.scenario) for label, each in named)


def _place_of(scenario: str, folder: Path) -> str:
    """What loads a scenario from the working folder: its name in the catalogue, or the path of its file."""
    return scenario if scenario in catalogue_names() else str(folder / scenario)


def _own_algorithm(document: SweepDocument, position: int, scenario: str, change: Change) -> tuple[str, ...]:
    """The algorithm that a scenario names itself."""
    assignments = [f"{path}={value}" for path, value in change.variant.settings]
    try:
        return (load_scenario(scenario, parse_settings(assignments)).algorithm.name,)
    except UserError as error:
        where = ", ".join(filter(None, (document.scenarios[position].scenario, change.variant.label)))
        raise _placed(document, change, position, error, where) from None


def _label(condition: StudyCondition, algorithm: str) -> str:
    """A variant's label and, where that does not say it, the algorithm."""
    label = condition.variant.label
    return f"{label}, {algorithm}" if label and len(condition.contenders) > 1 else label or algorithm


def _baselines(document: SweepDocument, labels: Mapping[Group, str]) -> dict[str, Group]:
    """By scenario the line that the document names, or else the first."""
    found: dict[str, Group] = {}
    for group, label in labels.items():
        if document.baseline in (None, label):
            found.setdefault(group.task, group)
    return found


def _check_labels(document: SweepDocument, labels: Mapping[Group, str]) -> None:
    """Lines of a scenario have labels that differ, and the baseline is one of them.

    Raises:
        ScenarioError: They are not so.
    """
    lines = Counter((group.task, label) for group, label in labels.items())
    for (_, label), count in lines.items():
        if count > 1:
            raise ScenarioError("variants", f"expected labels that differ, found {count} lines called {label!r}")
    known = dict.fromkeys(labels.values())
    if document.baseline is not None and document.baseline not in known:
        shown = ", ".join(map(repr, list(known)[:_SHOWN])) + (", ..." if len(known) > _SHOWN else "")
        raise ScenarioError("baseline", f"expected the label of a line, one of {shown}, found {document.baseline!r}")


def _explained(error: ValidationError, document: dict[str, Any]) -> ScenarioError:
    """What is wrong, in the words of a sweep where those of a scenario do not fit."""
    first = error.errors(include_url=False)[0]
    said, name = explained(error, SweepDocument), str(first["loc"][-1])
    if first["type"] == "extra_forbidden":
        model = SweptScenario if len(first["loc"]) > 1 else SweepDocument
        known = ", ".join(model.model_fields)
        close = meant(name, {each: each for each in model.model_fields})
        hint = f". Did you mean {close}?" if close else ". Settings of scenarios stand under [settings]"
        return ScenarioError(said.path, f"there is no such key in a sweep, which has {known}{hint}")
    if first["type"] == "missing":
        variants = document.get("variants")
        tables = {"[settings]": document.get("settings"), "[grid]": document.get("grid")}
        tables |= {"[[variants]]": variants[-1] if isinstance(variants, list) and variants else None}
        for table, found in tables.items():
            if isinstance(found, dict) and name in found:
                return ScenarioError(said.path, f"is required, and stands below {table}: move it above all tables")
    return said
