"""The terminal's view of a run: a curve, and behind keys its agents, edges, timeline and waits."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar

from rich.style import Style
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.css.query import NoMatches
from textual.widgets import Footer, Static, TabbedContent, TabPane

from broker.errors import UserError
from scenarios.watching.seen import EdgeSeen, Health, ParticipantSeen, RunSeen, RunState
from scenarios.watching.terminal.braille import curve_points, curve_text
from scenarios.watching.terminal.columns import agent_columns, edge_columns, struck_edges
from scenarios.watching.terminal.sentences import head, timeline, waits
from scenarios.watching.terminal.table import Table
from scenarios.watching.thinning import thinned

LOOK_EVERY_S = 0.5
_SILENT_S = 5.0
_HEALTH = {
    Health.QUIET: Style(dim=True),
    Health.HEARD: Style(),
    Health.LATE: Style(color="yellow"),
    Health.MISSING: Style(color="yellow", bold=True),
    Health.REJECTED: Style(color="magenta", bold=True),
    Health.CUT: Style(color="red", bold=True),
}
_TABS = ("agents", "edges", "timeline", "waits")


class TerminalView(App[None]):
    """A run that is looked at again and again.

    Attributes:
        seen: What was last seen.
        failure: Why nothing is seen any more.

    Args:
        look: Gives what is to be seen now; called in a thread.
    """

    TITLE = "foretell watch"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #head { height: 1; text-style: bold reverse; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
    #curve { height: 25%; min-height: 3; padding: 0 1; }
    TabbedContent { height: 1fr; }
    TabPane { padding: 0; }
    Table { height: 1fr; overflow-x: hidden; overflow-y: scroll; scrollbar-size-vertical: 1; }
    Table, Table:focus { background: $background; background-tint: $background 0%; }
    VerticalScroll { padding: 0 1; }
    """
    BINDINGS: ClassVar = [
        *(Binding(str(place), f"tab('{name}')", name, show=False) for place, name in enumerate(_TABS, 1)),
        Binding("1-4", "", "what is shown"),
        Binding("q", "quit", "quit"),
        Binding("ctrl+c", "quit", "quit", show=False, priority=True),
    ]

    def __init__(self, look: Callable[[], RunSeen]) -> None:
        super().__init__()
        self._look = look
        self._drawn: tuple[int, RunState] | None = None
        self.seen: RunSeen | None = None
        self.failure: UserError | None = None

    def compose(self) -> ComposeResult:
        """The screen."""
        yield Static("", id="head", markup=False)
        yield Static("", id="curve", markup=False)
        with TabbedContent(id="tabs"):
            with TabPane("1 agents", id="agents"):
                yield Table[ParticipantSeen](_participant_style, "agent-table")
            with TabPane("2 edges", id="edges"):
                yield Table[EdgeSeen](lambda edge: _HEALTH[edge.health], "edge-table")
            with TabPane("3 timeline", id="timeline"), VerticalScroll():
                yield Static("", id="timeline-text", markup=False)
            with TabPane("4 waits", id="waits"), VerticalScroll():
                yield Static("", id="wait-text", markup=False)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begin to look."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.exit)
        self.run_worker(self._watch(), name="look")
        self.query_one("#agent-table").focus()

    def action_tab(self, name: str) -> None:
        """Show one of the tabs, and let keys scroll it."""
        self.query_one(TabbedContent).active = name
        self.query(f"#{name} Table, #{name} VerticalScroll").first().focus()

    def on_resize(self) -> None:
        """Draw the curve anew."""
        if self.seen is not None:
            self.call_after_refresh(self._draw_curve, self.seen)

    async def _watch(self) -> None:
        while True:
            try:
                seen = await asyncio.to_thread(self._look)
            except UserError as error:
                self.failure = error
                self.exit()
                return
            with suppress(NoMatches):  # the screen is being taken down
                self._draw(seen)
            await asyncio.sleep(LOOK_EVERY_S)

    def _draw(self, seen: RunSeen) -> None:
        """Draw what is new; waits always are."""
        self.seen = seen
        everybody: list[ParticipantSeen] = [seen.environment, *seen.agents]
        self.query_one("#agent-table", Table).show(agent_columns(seen.names), everybody)
        self.query_one("#wait-text", Static).update(waits(seen))
        if self._drawn == (seen.version, seen.state):
            return
        self._drawn = seen.version, seen.state
        self.query_one("#head", Static).update(head(seen))
        self.query_one("#edge-table", Table).show(edge_columns(seen.names, struck_edges(seen)), seen.edges)
        self.query_one("#timeline-text", Static).update(timeline(seen))
        self._draw_curve(seen)

    def _draw_curve(self, seen: RunSeen) -> None:
        curve = self.query_one("#curve", Static)
        width, height = curve.content_size.width, curve.content_size.height
        if width > 0 and height > 0:
            _, means = thinned(seen.team, curve_points(width))
            curve.update(curve_text(means, width, height))


def _participant_style(participant: ParticipantSeen) -> Style:
    if participant.gone:
        return Style(dim=True, strike=True)
    silent = participant.silent_s is not None and participant.silent_s > _SILENT_S
    return Style(color="red", bold=True) if silent else Style()
