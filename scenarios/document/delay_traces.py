"""Reads the measured delays that faults name, so that the plan holds them and no participant needs the file."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from broker.errors import ScenarioError
from broker.faults.delays import Trace
from broker.model import LONGEST_S, Model
from broker.text_files import read_text
from scenarios.document.scenario import Scenario

MOST = 1_000_000
_MOST_BYTES = 1 << 28
"""A million lines with room for other columns."""
_Part = TypeVar("_Part", bound=Model)


def with_traces(scenario: Scenario) -> Scenario:
    """The scenario with the delays of every trace file in it; a relative path counts from the working folder.

    Raises:
        ScenarioError: A file cannot be read, or a line is no delay.
    """
    faults = tuple(_filled(fault, f"faults[{position}]") for position, fault in enumerate(scenario.faults))
    return scenario if faults == scenario.faults else scenario.model_copy(update={"faults": faults})


def _filled(part: _Part, path: str) -> _Part:
    if isinstance(part, Trace):
        if part.file is None or part.values_s:
            return part
        return part.model_copy(update={"values_s": read_trace(part.file, f"{path}.file")})
    inner = {name: value for name in type(part).model_fields if isinstance(value := getattr(part, name), Model)}
    filled = {name: _filled(value, f"{path}.{name}") for name, value in inner.items()}
    return part if filled == inner else part.model_copy(update=filled)


def read_trace(file: Path, path: str) -> tuple[float, ...]:
    """The first column of a file, in seconds; a first line that is no number is a heading.

    Args:
        file: Text, one delay a line, other columns behind a comma.
        path: Where in the document it is named.

    Raises:
        ScenarioError: It cannot be read, holds no delay, or a line is none.
    """
    try:
        lines = read_text(file, _MOST_BYTES).splitlines()
    except OSError as error:
        raise ScenarioError(path, f"cannot read {file}: {error.strerror}") from None
    values: list[float] = []
    for number, line in enumerate(lines, 1):
        text, *others = (column.strip() for column in line.split(","))
        if not text and not any(others):
            continue
        seconds = _number(text)
        if seconds is None and number == 1:
            continue
        if seconds is None or not 0 <= seconds <= LONGEST_S:
            raise ScenarioError(
                path, f"{file}, line {number}: expected seconds from 0 to {LONGEST_S:g}, found {text!r:.80}"
            )
        values.append(seconds)
    if not 0 < len(values) <= MOST:
        raise ScenarioError(path, f"{file}: expected 1 to {MOST} delays, found {len(values)}")
    return tuple(values)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
