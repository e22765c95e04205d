"""Calling code that somebody brought in a process of its own, where it may hang, crash or end it as it likes."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from broker.errors import ForetellError, UserError
from broker.servers.leash import end_with_parent

_LONGEST = 16_000
"""Characters of an answer; a pipe holds more without a reader."""
_DONE, _MISTAKE, _FAILURE, _BUG = "done", "mistake", "failure", "bug"


def call_apart(call: Callable[[], str], whose: str) -> str:
    """Call something in a fork of this process, with nothing to read; Ctrl-C ends it, whatever it does.

    Args:
        call: What is called; what it prints is lost.
        whose: Whose code it is, such as `the environment`.

    Returns:
        What the call gave.

    Raises:
        UserError: The call raised one.
        ForetellError: It raised another of this kind, or ended its process.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _answer(call, writer, whose)
    os.close(writer)
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    finally:
        code = _end(pid)
        said = _read(reader)
    return _told(said, code, whose)


def _answer(call: Callable[[], str], writer: int, whose: str) -> NoReturn:
    """Be the process in which it is called, and say what it gave or raised."""
    said = ("", "")
    try:
        os.setpgid(0, 0)
        end_with_parent()
        _be_alone()
        said = (_DONE, call())
    except UserError as error:
        said = (_MISTAKE, str(error))
    except ForetellError as error:
        said = (_FAILURE, str(error))
    except KeyboardInterrupt:  # raised by that code: Ctrl-C reaches another process group
        said = (_FAILURE, f"{whose} raised KeyboardInterrupt")
    except BaseException:
        said = (_BUG, traceback.format_exc())
    finally:
        os.write(writer, json.dumps([said[0], said[1][:_LONGEST]]).encode())
        os._exit(0)


def _be_alone() -> None:
    """Read nothing and write nowhere."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nothing, number)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - a descriptor
    sys.stdout = sys.stderr = open(1, "w", closefd=False)  # noqa: SIM115 - the same


def _end(pid: int) -> int:
    """End a process with all that it has started; how it has ended."""
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _read(reader: int) -> bytes:
    os.set_blocking(reader, False)
    try:
        return os.read(reader, 8 * _LONGEST)
    except BlockingIOError:
        return b""  # nothing was said, and somebody still could
    finally:
        os.close(reader)


def _told(said: bytes, code: int, whose: str) -> str:
    if not said:
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        msg = f"{whose} ended its process, with {how}"
        raise ForetellError(msg)
    kind, text = json.loads(said)
    if kind == _MISTAKE:
        raise UserError(text)
    if kind == _FAILURE:
        raise ForetellError(text)
    if kind == _BUG:
        raise RuntimeError(text)
    return str(text)
