"""A screen for tables, bars and sentences with a style, where all that was given is text and no markup."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from scenarios.commands.screen import plain, shown_on


class Screen(Console):
    """A terminal on which tables and sentences stand as they are, whatever is in them.

    Args:
        stderr: Whether it shows notes, and not results.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, file=shown_on(err=stderr), markup=False, emoji=False)

    def bold(self, before: str, part: str, after: str) -> Text:
        """Make a line with a part that stands out."""
        line = self.render_str(f"{before}{part}{after}")
        line.stylize("bold", len(before), len(before) + len(part))
        return line

    def render_str(self, text: str, **options: Any) -> Text:
        """Make a line of whatever was given, without looking for markup in it."""
        return super().render_str(plain(text), **options | {"markup": False, "emoji": False})
