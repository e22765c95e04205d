"""The screen: the one way by which text reaches it, with `rich_screen` for tables; no markup in it is taken."""

from __future__ import annotations

import re

import click

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def say(text: object, *, err: bool = False, nl: bool = True) -> None:
    """Show a line as it is."""
    click.echo(plain(str(text)), err=err, nl=nl)


def plain(text: str) -> str:
    r"""A text with what would control a terminal written out, such as `\x1b`."""
    return _CONTROLS.sub(lambda found: found.group().encode("unicode_escape").decode(), text)
