"""Values that TOML, or a command line, can hold and no setting can take."""

from __future__ import annotations

from datetime import date, time
from math import isfinite

from broker.errors import ScenarioError
from scenarios.document.text.toml_text import MOST_DEEP

_MOST_BITS = 64


def refuse_unusable(part: object, path: str = "", depth: int = 0) -> None:
    """Look at every value of a document.

    Raises:
        ScenarioError: One is a date, an integer of more than 64 bits, a number that is not finite, text that no file or
            screen can take, or lies too deep.
    """
    if depth > MOST_DEEP:
        raise ScenarioError(path, f"expected at most {MOST_DEEP} lists and tables inside one another, found more")
    match part:
        case dict():
            for key, value in part.items():
                _refuse_text(key, path)
                refuse_unusable(value, f"{path}.{key}" if path else key, depth + 1)
        case list():
            for position, value in enumerate(part):
                refuse_unusable(value, f"{path}[{position}]", depth + 1)
        case date() | time():
            raise ScenarioError(path, "expected text, a number, a list or a table, found a date")
        case int() if part.bit_length() > _MOST_BITS:
            raise ScenarioError(
                path, f"expected an integer of at most {_MOST_BITS} bits, found one of {part.bit_length()}"
            )
        case float() if not isfinite(part):  # options of an environment may be any JSON, which has none of these
            raise ScenarioError(path, f"expected a finite number, found {part}")
        case str():
            _refuse_text(part, path)


def _refuse_text(text: str, path: str) -> None:
    if "\0" in text:
        raise ScenarioError(path, "expected text, found a NUL character in it")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ScenarioError(path, "expected text in UTF-8, found bytes that are none")
