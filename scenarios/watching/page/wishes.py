"""What a user wants of a run that goes on: faults added, changed and healed, as `foretell fault` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import JsonValue, ValidationError

from broker.errors import UserError
from broker.model import Model
from scenarios.document.text.inline_toml import inline
from scenarios.running.control.live_requests import add, heal

_MOST_TEXT = 10_000


class FaultWish(Model):
    """One of them.

    Attributes:
        what: `add`, `edit` or `heal`.
        name: Of the fault that is changed or healed.
        kind: Of the fault that is added.
        settings: Of it; a text is TOML that a user wrote into a field.
        text: Of it, all as `foretell fault add` takes it.
    """

    what: str
    name: str = ""
    kind: str = ""
    settings: dict[str, JsonValue] = {}
    text: str = ""


def carry_out(root: Path, asked: Mapping[str, Any], taken: Sequence[str]) -> str:
    """Do what a user wants, and wait until the run has done it; returns a sentence.

    Args:
        root: The run's folder.
        asked: A `FaultWish`.
        taken: Names of faults that the run has or had.

    Raises:
        UserError: It cannot be done.
    """
    try:
        wish = FaultWish.model_validate(asked)
    except ValidationError as error:
        msg = f"the page asked for something odd: {error.errors()[0]['msg']}"
        raise UserError(msg) from None
    match wish.what:
        case "add":
            return add(root, _settings(wish, taken))
        case "heal":
            return heal(root, wish.name)
        case "edit":  # the new one first: where its settings make no sense, the old one stays
            said = add(root, _settings(wish, taken))
            return f"{said}; {heal(root, wish.name)}"
    msg = f"the page asked for something odd: {wish.what!r}"
    raise UserError(msg)


def _settings(wish: FaultWish, taken: Sequence[str]) -> list[str]:
    """As `foretell fault add` takes them, with a name that no fault of the run has."""
    if wish.text:
        found = _words(wish.text[:_MOST_TEXT])
        kind = next((word.partition("=")[2].strip("\"' ") for word in found if word.startswith("kind=")), "fault")
        named = any(word.startswith("name=") for word in found)
        return found if named else [*found, f'name="{_free(kind, taken)}"']
    own = [f"{path}={_typed(path, value)}" for path, value in wish.settings.items()]
    return [f'kind="{wish.kind}"', f'name="{_free(wish.kind, taken)}"', *own]


def _typed(path: str, value: JsonValue) -> str:
    """A value in TOML: what a user typed is that already, and a bare delay is a constant one."""
    if path == "delay_s" and isinstance(value, str) and not value.lstrip().startswith("{"):
        return f'{{distribution="constant", value_s={value}}}'
    return value if path in _TYPED and isinstance(value, str) else inline(value)


_TYPED = ("probability", "delay_s", "down_s", "for_s")
"""Fields of the form."""


def _free(kind: str, taken: Sequence[str]) -> str:
    number = 1
    while f"{kind}-{number}" in taken:
        number += 1
    return f"{kind}-{number}"


def _words(text: str) -> list[str]:
    """Parts of a line at spaces, but for those in brackets and quotes."""
    words, word, depth, quote = [], "", 0, ""
    for sign in text.strip():
        if sign == " " and not depth and not quote:
            words.append(word)
            word = ""
            continue
        quote = "" if sign == quote else sign if sign in "\"'" and not quote else quote
        depth += 0 if quote else (sign in "[{") - (sign in "]}")
        word += sign
    return [each for each in (*words, word) if each]
