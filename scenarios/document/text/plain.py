"""Values of Python as those that a document holds: text, numbers, lists, tables, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date, time
from typing import Any

import numpy as np

from broker.errors import ScenarioError
from scenarios.document.text.toml_text import MOST_DEEP

_PLAIN = (bool, int, float, date, time)
"""As TOML has them; which of them no setting can take, `refuse_unusable` says."""


def plain(value: object, path: str, depth: int = 0) -> Any:
    """The same as TOML would have it: tuples and arrays as lists, numpy's numbers as numbers, paths as text.

    Args:
        value: What somebody gave for a setting.
        path: Which setting, dotted.
        depth: How many lists and tables it lies in.

    Raises:
        ScenarioError: A part of it is of a type that no document holds, or lies too deep.
    """
    if depth > MOST_DEEP:
        raise ScenarioError(path, f"expected at most {MOST_DEEP} lists and tables inside one another, found more")
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    match value:
        case None:
            return None
        case str():
            return str.__str__(value)  # a text enum has another str()
        case os.PathLike() if isinstance(text := os.fspath(value), str):
            return text
        case Mapping():
            return {_key(key, path): plain(each, f"{path}.{key}", depth + 1) for key, each in value.items()}
        case list() | tuple():
            return [plain(each, f"{path}[{position}]", depth + 1) for position, each in enumerate(value)]
    if isinstance(value, _PLAIN):
        return value
    raise ScenarioError(path, f"expected text, a number, a list or a table, found a value of type {_type(value)}")


def plain_settings(settings: object) -> dict[str, Any]:
    """Settings by dotted path, with plain values.

    Args:
        settings: A mapping.

    Raises:
        UserError: It is none, a path is no text, or a value is of a type that no document holds.
    """
    if not isinstance(settings, Mapping):
        raise ScenarioError("", f"settings: expected a mapping of values by dotted path, found {_type(settings)}")
    return {_key(path, "settings"): plain(value, str(path)) for path, value in settings.items()}


def _key(key: object, path: str) -> str:
    if not isinstance(key, str):
        raise ScenarioError(path, f"expected the name of a setting as text, found {key!r:.80} of type {_type(key)}")
    return str.__str__(key)


def _type(value: object) -> str:
    return type(value).__name__
