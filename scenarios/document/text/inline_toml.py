"""Values as TOML on one line, as `--set` takes them. Pure: no I/O, no clock."""

from __future__ import annotations

import json

from pydantic import JsonValue


def inline(value: JsonValue) -> str:
    """A value in TOML.

    Args:
        value: From a TOML document, so that nothing in it is None.
    """
    match value:
        case str():
            return _text(value)
        case bool():
            return "true" if value else "false"
        case list():
            return f"[{', '.join(map(inline, value))}]"
        case dict():
            pairs = (f"{_text(key)} = {inline(inner)}" for key, inner in value.items())
            return f"{{{', '.join(pairs)}}}"
        case _:
            return repr(value)


def shown(value: JsonValue) -> str:
    """A value in a label, on one line: as in TOML, but text and keys without quotation marks."""
    match value:
        case str():
            return _on_one_line(value)
        case list():
            return f"[{', '.join(map(shown, value))}]"
        case dict():
            return f"{{{', '.join(f'{_on_one_line(key)} = {shown(inner)}' for key, inner in value.items())}}}"
        case _:
            return inline(value)


def _on_one_line(text: str) -> str:
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
