"""A table of which only those rows are drawn that are on the screen, however many there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from scenarios.watching.terminal.columns import Column, cut, ordered

RowT = TypeVar("RowT")
_HEAD = Style(bold=True, underline=True)
_ORDERED_BY = Style(bold=True, underline=True, reverse=True)
_PLAIN = Style()


class Table(ScrollView, Generic[RowT], can_focus=True):
    """Rows in an order that the user chooses.

    Args:
        style: How a row looks.
        widget_id: Its id.
    """

    BINDINGS = [
        Binding("s", "next_column", "sort by next column"),
        Binding("S", "previous_column", "sort by the one before", show=False),
        Binding("r", "turn", "reverse"),
        Binding("j", "scroll_down", "down", show=False),
        Binding("k", "scroll_up", "up", show=False),
    ]

    def __init__(self, style: Callable[[RowT], Style], widget_id: str) -> None:
        super().__init__(id=widget_id)
        self._row_style = style
        self._columns: tuple[Column[RowT], ...] = ()
        self._given: Sequence[RowT] = ()
        self._rows: Sequence[RowT] = ()
        self.ordered_by, self.falling = 0, False

    def show(self, columns: tuple[Column[RowT], ...], rows: Sequence[RowT]) -> None:
        """Show other rows; where one has scrolled to stays."""
        self._columns, self._given = columns, rows
        self._order()

    def action_next_column(self) -> None:
        """Order by the next column."""
        self._order_by((self.ordered_by + 1) % max(1, len(self._columns)))

    def action_previous_column(self) -> None:
        """Order by the one before."""
        self._order_by((self.ordered_by - 1) % max(1, len(self._columns)))

    def action_turn(self) -> None:
        """Turn the order."""
        self.falling = not self.falling
        self._order()

    def on_resize(self) -> None:
        """Columns have another width."""
        self._order()

    def render_line(self, y: int) -> Strip:
        """The head, or a row that is on the screen."""
        width, widths = self.size.width, self._widths()
        if y == 0:
            return self._head(widths).crop_extend(0, width, _PLAIN)
        place = y - 1 + self.scroll_offset.y
        if not 0 <= place < len(self._rows):
            return Strip.blank(width)
        row = self._rows[place]
        cells = [
            cut(column.text(row), room, right=column.right) for column, room in zip(self._columns, widths, strict=True)
        ]
        return Strip([Segment(" ".join(cells), self._row_style(row))]).crop_extend(0, width, _PLAIN)

    def _head(self, widths: Sequence[int]) -> Strip:
        segments = []
        for place, (column, room) in enumerate(zip(self._columns, widths, strict=True)):
            arrow = ("▼" if self.falling else "▲") if place == self.ordered_by else ""
            text = cut(
                f"{cut(column.title, room - 1).rstrip()}{arrow}" if arrow else column.title, room, right=column.right
            )
            segments += [Segment(text, _ORDERED_BY if arrow else _HEAD), Segment(" ")]
        return Strip(segments)

    def _widths(self) -> list[int]:
        """Columns that stretch share what is left."""
        least = [column.width for column in self._columns]
        left = max(0, self.size.width - sum(least) - len(least) + 1)
        stretching = [place for place, column in enumerate(self._columns) if column.stretches]
        for place in stretching:
            least[place] += left // len(stretching)
        return least

    def _order_by(self, place: int) -> None:
        self.ordered_by = place
        self.falling = bool(self._columns) and self._columns[place].right
        self._order()

    def _order(self) -> None:
        if not self._columns:
            return
        self._rows = ordered(self._given, self._columns[self.ordered_by], falling=self.falling)
        self.virtual_size = Size(self.size.width, len(self._rows) + 1)
        self.refresh()
