"""The screen: text is text, whatever is in it, and a screen that is lost ends nothing."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from batches import forking
from limits import LIMIT_S
from runs import TINY, command, foretell, participant_pid, recorded, simulate_here, start, start_on, summary, until

from broker.wire.records import EventRecord
from scenarios.commands.main import main
from scenarios.commands.notes import Notes
from scenarios.commands.rich_screen import Screen
from scenarios.commands.screen import plain
from scenarios.results.reader import read_store
from scenarios.results.store import Store

ROOT = Path(__file__).parents[3]
STRANGE = ("[/a]", "[bold]x[/bold]", "[link=http://a]b", ":warning:", "\x1b[2J", "a\rb", "\u202etxt", "[", "\\[a]")
RUN = ("exchange-quick", "--episodes", "3", *TINY, "--set", "environment.steps=3", "--set", "learning.rounds=1")


def crash_called(name: str) -> tuple[str, str]:
    text = json.dumps(name)
    return ("--set", f'faults=[{{kind="crash",participants=["agent-1"],at_episodes=[1],name={text}}}]')


# Text


@pytest.mark.parametrize("name", STRANGE)
def test_what_a_table_is_given_stands_in_it_as_it_is(name, capsys):
    from rich.table import Table

    table = Table(title=name, caption=name)
    table.add_column(name)
    table.add_row(name)
    screen = Screen()
    screen.print(table)
    screen.width = 8
    screen.print(table)
    screen.width = 80
    screen.print(name, style="dim")
    screen.print(screen.bold("is ", name, f" {name}"))
    assert capsys.readouterr().out.count(plain(name)) >= 6


@pytest.mark.parametrize("name", STRANGE)
def test_nothing_that_controls_a_terminal_is_left_in_plain_text(name):
    assert plain(name).isprintable()
    assert plain("two\nlines\tä [a]") == "two\nlines\tä [a]"


@pytest.mark.parametrize("way", ["simulate", "run"])
@pytest.mark.processes
def test_a_fault_may_be_called_what_looks_like_markup(tmp_path, way):
    out = tmp_path / "run"
    done = foretell(way, *RUN, *crash_called("[/a]"), "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "fault [/a] at episode 1" in done.stderr
    for words in (("ledger",), ("report",), ("why",), ("fault", "list")):
        shown = foretell(*words, str(out))
        assert shown.returncode == 0, shown.stderr


@pytest.mark.processes
def test_what_faults_did_to_processes_is_counted_beside_what_they_did_to_messages(tmp_path):
    for faults, struck in ((crash_called("blow"), ["1 fault applied"]), ((), [])):
        done = foretell("simulate", *RUN, *faults, "--out", str(tmp_path / str(len(faults))))
        lines = dict(
            re.split(r"  +", line, maxsplit=1) for line in map(str.rstrip, done.stdout.splitlines()) if "  " in line
        )
        assert lines["messages"] == "0 rejected, 0 dropped, 0 lost, 0 faults applied"
        assert [lines[each] for each in lines if each == "processes"] == struck


@pytest.mark.parametrize("cause", STRANGE)
def test_the_ledger_shows_causes_as_they_are(tmp_path, monkeypatch, capsys, cause):
    from broker.wire.records import EndingRecord

    (tmp_path / "scenario.toml").touch()
    store = Store(tmp_path / "run.sqlite", ("a", "b"))
    store.write([EndingRecord("a", "b", "share", 0, 0, 0, "rejected", cause), EventRecord("a", "note", "", cause)])
    store.close()
    monkeypatch.setattr(sys, "argv", ["foretell", "ledger", str(tmp_path)])
    monkeypatch.setenv("COLUMNS", "200")
    main()
    assert plain(cause) in capsys.readouterr().out


def test_text_reaches_the_screen_by_one_way_alone():
    """Who prints elsewhere would have to think of markup, control characters and lost terminals again."""
    names = (
        "commands/screen.py",
        "commands/rich_screen.py",
        "api/progress.py",
    )  # the last: a notebook's, or a program's
    ours = {ROOT / "scenarios" / name for name in names}
    found = set()
    for path in sorted((ROOT / "scenarios").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "rich.console":
                found |= {path for name in node.names if name.name == "Console"}
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"click.echo", "click.secho", "print"}:
                found.add(path)
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"TextColumn", "Text.from_markup"}:
                options = {option.arg: ast.unparse(option.value) for option in node.keywords}
                assert options.get("markup") == "False", f"{path}:{node.lineno} takes text for markup"
    assert found == ours


# A lost screen


@contextmanager
def lost(kind: str) -> Iterator[int]:
    """What a command writes to, at whose other end is nobody."""
    reader, writer = pty.openpty() if kind == "terminal" else os.pipe()
    os.close(reader)
    try:
        yield writer
    finally:
        os.close(writer)


def on_lost(kind: str, *arguments: str, **environment: str) -> int:
    """The exit code of a command without a screen."""
    with lost(kind) as screen, start_on(screen, *arguments, **environment) as process:
        return process.wait()


def afresh_on_lost(kind: str, *arguments: str) -> int:
    """The same, in an interpreter of its own."""
    with lost(kind) as screen:
        done = subprocess.run(
            command(*arguments), stdin=subprocess.DEVNULL, stdout=screen, stderr=screen, timeout=LIMIT_S, check=False
        )
    return done.returncode


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    return simulate_here(out, *RUN)


@pytest.mark.processes
@pytest.mark.parametrize("kind", ["terminal", "pipe"])
@pytest.mark.parametrize("way", ["simulate", "run"])
def test_a_run_goes_on_to_its_end_without_a_screen_and_keeps_its_notes(tmp_path, undisturbed, way, kind):
    out = tmp_path / "run"
    assert on_lost(kind, way, *RUN, *crash_called("blow"), "--out", str(out)) == 0
    found = summary(out)
    names = ("complete", "curve_digest", "weights_digest")
    assert {name: found[name] for name in names} == {name: undisturbed[name] for name in names}
    assert (out / "learning_curve.png").exists()  # the last file of a run
    with read_store(out / "run.sqlite") as store:
        assert [strike.fault for strike in store.strikes()] == ["blow"]


@pytest.mark.processes
@pytest.mark.parametrize("kind", ["terminal", "pipe"])
def test_no_command_has_another_exit_code_without_a_screen(tmp_path, undisturbed, kind):
    out = str(tmp_path / "run")
    assert on_lost(kind, "simulate", *RUN, "--out", out) == 0
    for words in (("report", out), ("ledger", out), ("why", out), ("export", out, "--format", "csv"), ("list",)):
        assert on_lost(kind, *words) == 0, words
    twin = ("--set", 'faults=[{kind="drop",probability=0.5}]', "--seeds", "1", "--out", str(tmp_path / "twins"))
    assert on_lost(kind, "twin", *RUN, *twin, FORETELL_DOOR=forking()) == 0
    assert on_lost(kind, "simulate", "no-such-scenario") == 2
    assert on_lost(kind, "bench", "faults", "--blocks", "1") == 0
    assert afresh_on_lost(kind, "list") == 0


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    """What somebody looks at, and what a command writes to."""
    ends = pty.openpty()
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)


def read_until_closed(looking: int, shown: list[bytes]) -> None:
    with contextlib.suppress(OSError):
        while data := os.read(looking, 1 << 16):
            shown.append(data)


@pytest.mark.processes
@pytest.mark.long
def test_ctrl_s_stops_the_screen_alone_and_ctrl_q_shows_what_came_meanwhile(tmp_path, undisturbed):
    out, shown = tmp_path / "run", []
    with terminal() as (looking, screen):
        reading = threading.Thread(target=read_until_closed, args=(looking, shown), daemon=True)
        reading.start()
        termios.tcflow(screen, termios.TCOOFF)
        with start_on(screen, "run", *RUN, "--out", str(out)) as process:
            until((out / "learning_curve.png").exists, "the end of the run")
            assert shown == []
            assert process.poll() is None
            termios.tcflow(screen, termios.TCOON)
            assert process.wait() == 0
        until(lambda: b"weights digest" in b"".join(shown), "the results")
    found = summary(out)
    names = ("complete", "curve_digest", "weights_digest")
    assert {name: found[name] for name in names} == {name: undisturbed[name] for name in names}
    text = b"".join(shown)
    assert text.index(b"exchange-quick") < text.index(b"weights digest"), "notes come before the results"


def test_notes_that_nobody_takes_wait_in_order_and_have_an_end():
    room, written = threading.Event(), []

    def write(data):
        room.wait(LIMIT_S)
        written.append(data[:7])
        return len(written[-1])

    notes = Notes(write)
    for number in range(100_000):
        notes.put(b"note %06d\n" % number)
    room.set()
    notes.drain()
    lines = b"".join(written).splitlines()
    assert lines == [b"note %06d" % number for number in range(len(lines))]
    assert 1000 < len(lines) < 100_000
    notes.put(b"the last\n")
    notes.drain()
    assert b"".join(written).endswith(b"the last\n")
    notes.close()
    assert "foretell.notes" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.processes
def test_results_that_find_no_room_are_a_sentence():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command("list"), stdout=full, stderr=subprocess.PIPE, text=True, timeout=LIMIT_S, check=False
        )
    assert done.returncode == 2
    assert done.stderr == "foretell: cannot write to standard output: No space left on device\n"


@pytest.mark.processes
@pytest.mark.parametrize("way", ["simulate", "run"])
def test_the_end_of_the_terminal_ends_a_run_in_order_however_often_it_is_told(tmp_path, way):
    out = tmp_path / "run"
    endless = (*RUN, "--episodes", "1000000", "--set", "recovery.checkpoint_every=1")
    with start(way, *endless, "--out", str(out)) as process:
        until(lambda: recorded(out) >= 2, "2 episodes")
        if way == "run":
            participant_pid(out, "environment")
        for _ in range(3):
            os.killpg(process.pid, signal.SIGHUP)
        _, said = process.communicate()
    assert process.returncode == 130, said
    assert "foretell: interrupted after" in said
    assert "died" not in said
    assert not summary(out)["complete"]


@pytest.mark.processes
def test_a_run_under_nohup_does_not_end_with_its_terminal(tmp_path):
    out = tmp_path / "run"
    words = ["nohup", *command("simulate", *RUN, "--episodes", "40", "--out", str(out))]
    with subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        until(lambda: recorded(out) >= 1, "an episode")
        process.send_signal(signal.SIGHUP)
        _, said = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, said
    assert summary(out)["complete"]
