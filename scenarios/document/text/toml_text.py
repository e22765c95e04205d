"""TOML from outside: what its parser would not come back from is refused before it is parsed."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from broker.errors import UserError

MOST_DEEP = 32
"""Levels of lists and tables, and parts of a key; no setting lies deeper than a few."""
_PIECE = re.compile(
    r'"""(?:\\.|[^\\])*?(?:"""+|\Z)'
    r"|'''.*?(?:'''+|\Z)"
    r'|"(?:\\.|[^"\\\n])*"?'
    r"|'[^'\n]*'?"
    r"|\#[^\n]*"
    r"|[][{}=,.\n]",
    re.DOTALL,
)
_DIGITS = re.compile(r"[0-9][0-9_]{4000,}")


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML document.

    Raises:
        tomllib.TOMLDecodeError: It is no TOML.
        UserError: It may be, but it is nested deeper, or has longer numbers, than any setting could need.
    """
    _refuse_depth(text)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except ValueError:  # Python converts no more digits than some thousand
        digits = _DIGITS.search(text)
        where = "" if digits is None else f"line {text.count(chr(10), 0, digits.start()) + 1}: "
        msg = f"{where}expected integers of at most 64 bits, found one of thousands of digits"
        raise UserError(msg) from None


def _refuse_depth(text: str) -> None:
    """Follow brackets and dots outside of strings and comments."""
    depth = parts = 0
    for found in _PIECE.finditer(text):
        piece = found.group()
        if piece == ".":
            parts += 1
        elif piece in "=,\n":
            parts = 0
        elif piece in "[{":
            depth, parts = depth + 1, 0
        elif piece in "]}":
            depth, parts = max(0, depth - 1), 0
        if depth > MOST_DEEP or parts >= MOST_DEEP:
            line = text.count("\n", 0, found.start()) + 1
            what = "lists and tables" if depth > MOST_DEEP else "parts of a key"
            msg = f"line {line}: expected at most {MOST_DEEP} {what} inside one another, found more"
            raise UserError(msg)
