"""Folders with odd names and screens with few characters: no command ends otherwise for it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from limits import LIMIT_S
from runs import TINY, command, foretell, need_mosquitto, simulate_here, summary

from scenarios.commands.main import foretell as foretell_group
from scenarios.commands.main import main
from scenarios.commands.rich_screen import Screen
from scenarios.commands.screen import guests, plain, say
from scenarios.results.observer import Observer
from scenarios.results.reader import read_store

RUN = ("exchange-quick", "--episodes", "2", *TINY, "--set", "environment.steps=3", "--set", "learning.rounds=1")
ODD = (
    "a#b",
    "a?b=c",
    "100%",
    "%s%d{x}",
    "[a]*",
    "two words ",
    "new\nline",
    "a'b\"c\\d",
    "\u00e4\u4e2d\u202e",
    "file:a",
    "~",
    "-x",
)
QUERIES = (
    "report",
    "ledger",
    "ledger --edges",
    "why",
    "fault list",
    "export --format csv",
    "export --format marl-eval",
)
NOT_UTF_8 = "bytes\udcff\udc80"


@pytest.fixture
def ends(monkeypatch, capsys):
    def run(*words):
        monkeypatch.setattr(sys, "argv", ["foretell", *map(str, words)])
        try:
            main()
        except SystemExit as end:
            code = end.code
        else:
            code = 0
        found = capsys.readouterr()
        return code, found.out, found.err

    return run


@pytest.mark.parametrize("name", ODD)
def test_a_run_folder_may_have_any_name_and_every_command_finds_the_run_in_it(ends, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    place = Path(f"./{name}")
    journal = ("--set", "transport.journal=true", "--set", 'faults=[{kind="drop",probability=0.5}]')
    code, out, err = ends("simulate", *RUN, *journal, "--out", f"./{name}")
    assert (code, "Traceback" in err) == (0, False), err
    assert plain(name) in out
    assert (place / "learning_curve.png").stat().st_size
    assert list((place / "tensorboard").iterdir())
    with read_store(place / "run.sqlite") as store:
        assert store.count_episodes() == 2
    for words in QUERIES:
        code, out, err = ends(*words.split(), f"./{name}")
        assert (code, err) == (0, ""), words
    assert sorted(path.name for path in tmp_path.iterdir()) == [place.name]  # and nothing was made elsewhere


@pytest.mark.processes
@pytest.mark.long
@pytest.mark.parametrize("transport", ["zeromq", "forwarder", "mqtt"])
def test_processes_meet_in_a_run_whose_folder_has_any_name(tmp_path, transport):
    if transport == "mqtt":
        need_mosquitto()
    out = tmp_path / "".join(ODD[:-2])
    keys = ("--set", 'transport.security.mode="on"', "--set", "transport.journal=true")
    done = foretell("run", *RUN, *keys, "--transport", transport, "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert summary(out)["complete"]


@pytest.mark.parametrize("words", [("simulate",), ("run",)])
def test_a_folder_whose_name_is_no_text_is_refused_before_anything_is_made(ends, tmp_path, words):
    code, _, err = ends(*words, *RUN, "--out", tmp_path / NOT_UTF_8)
    assert code == 2
    assert err.startswith("foretell: expected a folder whose path is UTF-8, found ")
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_run_that_was_moved_to_a_name_that_is_no_text_can_still_be_read(ends, tmp_path):
    assert ends("simulate", *RUN, "--out", tmp_path / "run")[0] == 0
    (tmp_path / "run").rename(tmp_path / NOT_UTF_8)
    for words in QUERIES:
        code, _, err = ends(*words.split(), tmp_path / NOT_UTF_8)
        assert (code, err) == (0, ""), words
    out = tmp_path / "rows.csv"
    assert ends("export", tmp_path / NOT_UTF_8, "--format", "csv", "--out", out)[0] == 0
    assert "bytes\\udcff\\udc80" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize("words", [("check", f"{NOT_UTF_8}.toml"), ("report", NOT_UTF_8), ("why", NOT_UTF_8)])
def test_a_name_that_is_no_text_and_no_file_is_a_sentence(ends, words):
    code, _, err = ends(*words)
    assert (code, err.count("\n")) == (2, 1)
    assert "\\udcff" in err


def test_an_export_to_standard_output_that_is_closed_is_a_sentence(ends, tmp_path, monkeypatch):
    assert ends("simulate", *RUN, "--out", tmp_path / "run")[0] == 0
    monkeypatch.setattr(sys, "stdout", None)
    code, _, err = ends("export", tmp_path / "run", "--format", "csv")
    assert (code, err) == (2, "foretell: cannot write to standard output: it is closed. Name a file with --out\n")


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 19, "\u0663", "\u00b2", ""])
@pytest.mark.parametrize("words", [("replay", "run", "agent-0", "--until"), ("play", "run", "--recorded")])
def test_a_number_of_an_episode_that_none_can_have_is_a_sentence(ends, words, number):
    code, _, err = ends(*words, number)
    assert code == 2
    assert "Traceback" not in err
    assert max(map(len, err.splitlines())) < 200
    assert re.search(r"Invalid value: --(until|recorded): expected (EPISODE or .*|the number .* newest), found '", err)


@pytest.mark.parametrize(
    "words",
    [
        ("list",),
        ("simulate", *RUN),
        ("run", *RUN),
        ("watch", "."),
        ("host", "x"),
        ("bundle", "exchange-quick", "--out", "b"),
        ("bench", "episode"),
    ],
    ids=" ".join,
)
def test_a_working_directory_that_somebody_removed_is_a_sentence(ends, tmp_path, monkeypatch, words):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    code, out, err = ends(*words)
    monkeypatch.undo()
    assert (code, out) == (2, "")
    assert err == "foretell: the working directory is gone: change into one that is there\n"


@pytest.mark.parametrize("asked", [("--version",), ("--help",)])
def test_neither_help_nor_version_needs_a_working_directory(ends, tmp_path, monkeypatch, asked):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    code, out, err = ends(*asked)
    monkeypatch.undo()
    assert (code, bool(out), err) == (0, True, "")


@pytest.mark.processes
def test_a_fresh_command_in_a_folder_that_was_removed_says_so(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    starting = 'cd "$1"; rmdir "$1"; shift; exec "$@"'
    words = ["sh", "-c", starting, "sh", str(gone), *command("simulate", *RUN)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "foretell: the working directory is gone: change into one that is there\n"


def options_of_numbers(group=foretell_group, *above):
    """Every option of every command that takes a number with a fraction, behind the words that lead to it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        each = group.get_command(context, name)
        if isinstance(each, click.Group):
            yield from options_of_numbers(each, *above, name)
        for option in each.params:
            if option.type.name.startswith("float"):
                yield pytest.param((*above, name), option.opts[0], id=" ".join((*above, name, option.opts[0])))


NUMBERS = list(options_of_numbers())


def test_the_options_that_take_numbers_are_found():
    assert {(words.values[0][0], words.values[1]) for words in NUMBERS} >= {("play", "--fps"), ("bench", "--seconds")}


@pytest.mark.parametrize("found", ["nan", "-nan", "inf", "-inf", "1e999", "1e308"])
@pytest.mark.parametrize(("words", "option"), NUMBERS)
def test_an_option_takes_no_number_that_none_can_use(ends, words, option, found):
    code, out, err = ends(*words, option, found, *(["run"] if words == ("play",) else []))
    assert (code, out) == (2, "")
    assert f"Error: Invalid value for '{option}': " in err


@pytest.mark.processes
@pytest.mark.parametrize(
    ("listen", "said"),
    [
        ("x..y", "--listen: expected the name or the address of a host, found 'x..y'"),
        (NOT_UTF_8, "--listen: expected the name or the address of a host, found 'bytes\\udcff\\udc80'"),
        ("", "--listen: expected the name or the address of a host, found ''"),
        ("nowhere.invalid", "--listen: expected an address of this host, such as 127.0.0.1, found nowhere.invalid: "),
        ("192.0.2.7", "--listen: expected an address of this host, such as 127.0.0.1, found 192.0.2.7: "),
    ],
)
def test_an_address_that_nobody_can_listen_on_is_a_sentence_about_it(tmp_path, listen, said):
    done = foretell("watch", str(tmp_path), "--listen", listen)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith(f"foretell: {said}")


@pytest.mark.parametrize("length", [250, 300, 3000])
def test_a_very_long_name_works_or_is_a_sentence(ends, tmp_path, length):
    out = tmp_path / "/".join(["n" * min(length, 200)] * (length // 200)) if length != 300 else tmp_path / ("n" * 300)
    code, _, err = ends("simulate", *RUN, "--out", out)
    assert "Traceback" not in err
    assert code in (0, 2)
    assert code == 0 or err.splitlines()[-1].startswith("foretell: cannot ")


def test_a_run_is_written_and_read_at_the_path_it_is_given(tmp_path):
    """A URI would take these for its own."""
    from scenarios.document.loading import load_scenario
    from scenarios.document.planning import make_plan
    from scenarios.results.folder import make_run_folder

    folder = make_run_folder(tmp_path / "a#b?mode=memory%41", "x", 1)
    Observer(make_plan(load_scenario("exchange-quick")), folder, "simulate", lambda _: None).finish()
    with read_store(folder.store) as store:
        assert store.count_episodes() == 0


# Screens


def written(encoding, show, tmp_path, monkeypatch):
    """What arrives, as bytes, of what is shown on standard output and on standard error."""
    paths = [tmp_path / "stdout", tmp_path / "stderr"]
    with paths[0].open("w", encoding=encoding) as out, paths[1].open("w", encoding=encoding) as err:
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        with guests():
            show()
        monkeypatch.undo()
    return [path.read_bytes() for path in paths]


TEXT = "caf\u00e9 \u4e2d \u2192 \udcff"


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", b"caf\\xe9 \\u4e2d \\u2192 \\udcff\n"),
        ("latin-1", b"caf\xe9 \\u4e2d \\u2192 \\udcff\n"),
        ("utf-8", "caf\u00e9 \u4e2d \u2192 \\udcff\n".encode()),
    ],
)
def test_characters_that_a_screen_has_not_are_written_out(tmp_path, monkeypatch, encoding, shown):
    def show():
        say(TEXT)
        say(TEXT, err=True)

    assert written(encoding, show, tmp_path, monkeypatch) == [shown, shown]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_tables_have_borders_of_ascii_where_the_screen_has_no_others(tmp_path, monkeypatch, encoding):
    from rich.table import Table

    def show():
        table = Table("run", title="tables")
        table.add_row(TEXT)
        Screen().print(table)

    out, _ = written(encoding, show, tmp_path, monkeypatch)
    assert b"| run" in out
    assert b"\\u2501" not in out
    assert b"\\u2192" in out


@pytest.mark.processes
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_no_command_ends_otherwise_on_a_screen_with_few_characters(tmp_path, encoding):
    out = tmp_path / "\u4e2d\u00e9"
    for words in (("simulate", *RUN, "--out", out), ("report", out), ("ledger", out), ("why", out), ("list",)):
        done = foretell(*map(str, words), PYTHONIOENCODING=encoding)
        assert done.returncode == 0, done.stderr


@pytest.mark.processes
def test_a_fresh_command_with_an_ascii_screen_shows_a_report(tmp_path):
    simulate_here(tmp_path / "\u4e2d", *RUN)
    surroundings = os.environ | {"PYTHONIOENCODING": "ascii", "COLUMNS": "80"}
    words = command("report", str(tmp_path / "\u4e2d"))
    done = subprocess.run(words, capture_output=True, env=surroundings, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert b"\\u4e2d" in done.stdout
    assert b"| run" in done.stdout
