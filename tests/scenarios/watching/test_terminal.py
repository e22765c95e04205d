"""A run in a terminal: what stands on the screen, what keys do, and that the terminal is given back."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import select
import shlex
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from limits import LIMIT_S
from pages.page import ROOT, blocks_of
from runs import TINY, command, foretell, simulate_here

from broker.errors import UserError
from scenarios.document.agent_names import AgentNames
from scenarios.results.edge_account import EdgeAccount
from scenarios.watching.seen import EdgeSeen, Health, RunSeen
from scenarios.watching.terminal.braille import braille, curve_text
from scenarios.watching.terminal.columns import clean, cut, edge_columns, ordered
from scenarios.watching.watched_run import WatchedRun

FAULTS = 'faults=[{kind="drop",probability=0.5,source="agent-0"}]'
BACK = b"\x1b[?1049l"
"""Leaves the screen that an application has for itself."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("watched") / "run"
    simulate_here(root, "exchange-quick", *TINY, "--set", "environment.steps=3", "--episodes", "12", "--set", FAULTS)
    return root


def need_textual() -> None:
    if find_spec("textual") is None:
        pytest.skip("textual is not installed")


def test_a_curve_goes_from_its_lowest_to_its_highest_point() -> None:
    assert braille(np.array([0.0, 1.0, 2.0, 3.0]), 2, 1, 0.0, 3.0) == ["⣠⠞"]
    assert braille(np.array([5.0]), 1, 2, 5.0, 5.0) == ["⠀", "⠁"]
    assert curve_text(np.zeros(0), 20, 4) == "no episode is over yet"
    lines = curve_text(np.linspace(-1.5, 40.0, 30), 40, 5).split("\n")
    assert [line[:6] for line in lines] == [" 40.00", "  team", "return", "      ", " -1.50"]
    assert {len(line) for line in lines} == {40}


def test_texts_of_others_control_no_terminal_and_fit_into_their_column() -> None:
    assert clean("a\x1b[2Jb\u202e\n") == "a?[2Jb??"
    assert (cut("agent-10", 6), cut("7", 4, right=True), cut("x", 3)) == ("agent…", "   7", "x  ")


def edge(destination: str, missing: int, delay_s: float | None) -> EdgeSeen:
    counts = EdgeAccount("agent-0", destination, 0, 0, 0, 0, 0, missing, 0, 0, 0)
    return EdgeSeen(counts, counts, 0.0, Health.HEARD, 0, delay_s, delay_s)


def test_rows_are_ordered_by_numbers_and_those_without_stand_last() -> None:
    edges = [edge("agent-10", 3, None), edge("agent-2", 20, 0.5), edge("agent-1", 3, 0.1)]
    columns = {column.title: column for column in edge_columns(AgentNames({}), lambda _: 0)}
    order = {
        (title, falling): [each.destination for each in ordered(edges, columns[title], falling=falling)]
        for title, falling in (("to", False), ("missing", True), ("delay", True), ("delay", False))
    }
    assert order == {
        ("to", False): ["agent-1", "agent-2", "agent-10"],
        ("missing", True): ["agent-2", "agent-10", "agent-1"],
        ("delay", True): ["agent-2", "agent-1", "agent-10"],
        ("delay", False): ["agent-1", "agent-2", "agent-10"],
    }


def shown(look: Callable[[], RunSeen], does: Callable[[Any, Any], Awaitable[None]], size: tuple[int, int]) -> Any:
    """The view, once `does` has used it."""
    need_textual()
    from scenarios.watching.terminal.app import TerminalView

    view = TerminalView(look)

    async def play() -> None:
        async with view.run_test(size=size) as pilot:
            give_up_at = time.monotonic() + LIMIT_S
            while view.seen is None and view.failure is None:
                assert time.monotonic() < give_up_at
                await pilot.pause(0.02)
            await pilot.pause()
            await does(view, pilot)

    asyncio.run(play())
    return view


def lines_of(view: Any) -> list[str]:
    """What stands on the screen."""
    width, height = view.size
    strips = view.screen._compositor.render_strips()
    assert len(strips) == height
    lines = ["".join(segment.text for segment in strip) for strip in strips]
    assert {len(line) for line in lines} == {width}
    return lines


def rows_of(view: Any) -> list[str]:
    """The rows of the table of edges that are on the screen."""
    lines = lines_of(view)
    (head,) = [place for place, line in enumerate(lines) if line.startswith("from")]
    return lines[head + 1 : -1]


def test_all_is_to_be_seen_at_80_by_24_and_keys_lead_there(run: Path) -> None:
    seen: dict[str, list[str]] = {}

    async def does(view: Any, pilot: Any) -> None:
        for key, name in (("1", "agents"), ("2", "edges"), ("3", "timeline"), ("4", "waits")):
            await pilot.press(key)
            await pilot.pause()
            seen[name] = lines_of(view)

    shown(WatchedRun(run).look, does, (80, 24))
    head, *_ = seen["agents"]
    assert "exchange-quick  complete  episode 12 of 12" in head
    assert any("return " in line and "⠀" in line for line in seen["agents"])
    table = "\n".join(seen["agents"])
    assert all(name in table for name in ("environment", "agent-0", "agent-2", "phase", "heard", "deaths", "host"))
    (row,) = [line for line in seen["edges"] if line.startswith("agent-0     agent-1")]
    assert "missing" in row
    titles = "from▲ to lately heard late missing rejected delay faults"
    assert titles.split() in [line.split() for line in seen["edges"]]
    assert any("the run begins" in line for line in seen["timeline"])
    assert any("nobody waits: the run is complete" in line for line in seen["waits"])


def test_edges_are_sorted_by_the_column_that_is_chosen(run: Path) -> None:
    orders: list[list[str]] = []

    async def does(view: Any, pilot: Any) -> None:
        await pilot.press("2", "s", "s", "s", "s", "s")  # missing, the most first
        await pilot.pause()
        orders.append([line[:11].strip() for line in rows_of(view)])
        await pilot.press("r")
        await pilot.pause()
        orders.append([line[:11].strip() for line in rows_of(view)])

    shown(WatchedRun(run).look, does, (80, 24))
    most, least = orders
    assert most[:2] == ["agent-0", "agent-0"]
    assert [name for name in least if name][-2:] == ["agent-0", "agent-0"]


def test_40_000_edges_are_scrolled_and_only_those_on_the_screen_are_drawn(run: Path) -> None:
    from dataclasses import replace

    seen = WatchedRun(run).look()
    many = replace(seen, edges=tuple(edge(f"agent-{number}", number, None) for number in range(40_000)))
    screens: list[list[str]] = []

    async def does(view: Any, pilot: Any) -> None:
        for key in ("2", "pagedown", "end"):
            await pilot.press(key)
            table = view.query_one("#edge-table")
            await pilot.pause()
            if key == "end":
                table.scroll_end(animate=False)
                await pilot.pause()
            screens.append(rows_of(view))

    shown(lambda: many, does, (80, 24))
    assert "agent-0 " in screens[0][0]
    assert "agent-39999" in screens[2][-1]


def test_a_folder_that_is_gone_ends_the_view_with_the_sentence(run: Path) -> None:
    seen, looks = WatchedRun(run).look(), []

    def look() -> RunSeen:
        looks.append(1)
        if len(looks) > 1:
            raise UserError("the folder is gone")
        return seen

    async def does(view: Any, pilot: Any) -> None:
        give_up_at = time.monotonic() + LIMIT_S
        while view.failure is None:
            assert time.monotonic() < give_up_at
            await pilot.pause(0.05)

    assert str(shown(look, does, (80, 24)).failure) == "the folder is gone"


SHOWN = shlex.split(blocks_of(ROOT / "docs" / "terminal.md")[0].lines[0], comments=True)
"""The command of the page: `foretell watch --tui` and a run."""


class InTerminal:
    """The command in a terminal of its own, 80 by 24."""

    def __init__(self, run: Path) -> None:
        self.ours, its = pty.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(its)
        self.said = b""
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *command(*SHOWN[1:-1], str(run))],
            stdin=its,
            stdout=its,
            stderr=its,
            env=os.environ | {"TERM": "xterm-256color"},
        )
        self.its = its

    def until(self, text: bytes) -> None:
        """Read what it writes until it has written this."""
        give_up_at = time.monotonic() + LIMIT_S
        while text not in self.said:
            assert time.monotonic() < give_up_at, self.said[-2000:]
            if select.select([self.ours], [], [], 0.1)[0]:
                self.said += os.read(self.ours, 1 << 16)


@contextmanager
def in_terminal(run: Path) -> Iterator[InTerminal]:
    need_textual()
    view = InTerminal(run)
    try:
        yield view
    finally:
        view.process.kill()
        view.process.wait()
        for each in (view.ours, view.its):
            with suppress(OSError):
                os.close(each)


@pytest.mark.processes
@pytest.mark.long
@pytest.mark.parametrize("ending", ["ctrl-c", "sigterm"])
def test_the_terminal_is_given_back_as_it_was(run: Path, ending: str) -> None:
    with in_terminal(run) as view:
        view.until(b"agent-2")
        assert termios.tcgetattr(view.its) != view.before
        if ending == "ctrl-c":
            os.write(view.ours, b"\x03")
        else:
            view.process.send_signal(signal.SIGTERM)
        view.until(BACK)
        assert view.process.wait(LIMIT_S) == 0
        assert termios.tcgetattr(view.its) == view.before
        assert b"Traceback" not in view.said


@pytest.mark.processes
@pytest.mark.long
def test_it_ends_with_its_terminal(run: Path) -> None:
    with in_terminal(run) as view:
        view.until(b"agent-2")
        os.close(view.its)
        os.close(view.ours)
        assert view.process.wait(LIMIT_S) != 0


@pytest.mark.processes
def test_without_a_terminal_or_with_several_runs_it_says_what_to_do(run: Path, tmp_path: Path) -> None:
    piped = foretell("watch", "--tui", str(run))
    assert piped.returncode == 2
    assert piped.stderr.startswith("foretell: --tui needs a terminal")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for file in ("scenario.toml", "run.sqlite"):
            (tmp_path / name / file).write_bytes((run / file).read_bytes())
    several = foretell("watch", "--tui", str(tmp_path))
    assert several.returncode == 2
    assert "--tui shows one run: expected its folder, found 2" in several.stderr
