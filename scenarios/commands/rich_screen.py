"""A screen for tables, bars and sentences with a style, where all that was given is text and no markup."""

from __future__ import annotations

from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from scenarios.commands.blocks import folded
from scenarios.commands.screen import plain, shown_on


class Screen(Console):
    """A terminal on which tables and sentences stand as they are, whatever is in them.

    Args:
        stderr: Whether it shows notes, and not results.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, file=shown_on(err=stderr), markup=False, emoji=False)

    @property
    def encoding(self) -> str:
        """Of the file that is written to now; where it is no UTF, borders are ASCII."""
        return (getattr(self.file, "encoding", None) or "utf-8").lower()

    def print(self, *objects: Any, **options: Any) -> None:
        """Show what was given; tables are folded where they are too wide."""
        if not objects:
            super().print(**options)  # an empty line
        for each in objects:
            parts = each.renderables if isinstance(each, Group) else [each]
            for part in parts:
                if isinstance(part, Table) and part.show_header:
                    for block in folded(part, self.width):
                        super().print(block, **options, soft_wrap=isinstance(block, Text) and block.no_wrap is True)
                else:
                    super().print(part, **options)

    def bold(self, before: str, part: str, after: str) -> Text:
        """Make a line with a part that stands out."""
        line = self.render_str(f"{before}{part}{after}")
        line.stylize("bold", len(before), len(before) + len(part))
        return line

    def render_str(self, text: str, **options: Any) -> Text:
        """Make a line of whatever was given, without looking for markup in it."""
        return super().render_str(plain(text), **options | {"markup": False, "emoji": False})
