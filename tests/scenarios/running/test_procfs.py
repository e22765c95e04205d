"""What a process said last is found in its log, however long that is."""

from __future__ import annotations

import logging
import tracemalloc

import pytest

from broker.driving.process import RAISED
from scenarios.running.procfs import LOG_FORMAT, last_line, size_of


def logged(level, said):
    record = logging.makeLogRecord(
        {"levelno": level, "levelname": logging.getLevelName(level), "msg": said, "created": 0.0, "msecs": 0.0}
    )
    return logging.Formatter(LOG_FORMAT).format(record)


OWN = logged(logging.ERROR, "the environment raised ValueError")
NOTE = logged(logging.INFO, "agents: agent-0 is left")
OTHER = 9
"""An exit code of a process that did not know why it ends."""


@pytest.mark.parametrize(
    ("said", "code", "told"),
    [
        (f"step 1\n{OWN}\nprinted later\n", RAISED, "the environment raised ValueError"),
        (f"printed without an end {OWN}\n", RAISED, "the environment raised ValueError"),
        (f"{OWN}\nTraceback\nMemoryError\n\n", OTHER, "MemoryError"),
        (f"{OWN}\n", OTHER, "the environment raised ValueError"),
        ("printed, and nothing else\n", RAISED, "printed, and nothing else"),
        ("", RAISED, ""),
        (f"{NOTE}\n", OTHER, ""),
        (f"{NOTE}\n", RAISED, ""),
        (f"{OWN}\n{NOTE}\n", RAISED, "the environment raised ValueError"),
        (f"{OWN}\n{NOTE}\n", OTHER, "the environment raised ValueError"),
        (f"Traceback\nMemoryError\n{NOTE}\n", OTHER, "MemoryError"),
        (f"half a line {NOTE}\n", OTHER, "half a line "),
        ("2024 steps\n", OTHER, "2024 steps"),
    ],
)
def test_the_last_line_of_a_log_is_its_own_where_it_knew_why_it_ends(tmp_path, said, code, told):
    log = tmp_path / "agent-0.log"
    log.write_text(said)
    assert last_line(log, code, 0) == told


def test_a_warning_may_be_why_it_ends(tmp_path):
    log = tmp_path / "agent-0.log"
    log.write_text(logged(logging.WARNING, "interrupted: round 3") + "\n")
    assert last_line(log, OTHER, 0) == "interrupted: round 3"


def test_what_was_said_in_an_earlier_life_is_no_reason_for_this_end(tmp_path):
    log = tmp_path / "agent-0.log"
    assert size_of(log) == 0
    log.write_text(f"{OWN}\n")
    begin = size_of(log)
    with log.open("a") as going_on:
        going_on.write(f"{NOTE}\n")
    assert last_line(log, OTHER, begin) == last_line(log, RAISED, begin) == ""


def test_of_a_log_that_is_not_there_nothing_is_told(tmp_path):
    assert last_line(tmp_path / "none.log", RAISED, 0) == ""


def test_the_end_of_a_long_log_alone_is_read(tmp_path):
    log = tmp_path / "environment.log"
    with log.open("wb") as opened:
        opened.truncate(1 << 28)
        opened.seek(1 << 28)
        opened.write(f"\n{OWN}\nprinted later\n".encode())
    tracemalloc.start()
    try:
        assert last_line(log, RAISED, 0) == "the environment raised ValueError"
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
