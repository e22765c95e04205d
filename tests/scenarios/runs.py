"""Helpers that start the real command and look at what it leaves."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import pytest
from limits import LIMIT_S
from sketch import sketch
from warm import ANSWER, LARGEST_REQUEST

from broker.errors import UserError
from scenarios.results.folder import RunFolder
from scenarios.results.reader import read_store
from scenarios.running.procfs import writers_of

TINY = (
    "--set",
    "parallel_episodes=2",
    "--set",
    "learning.hidden=[8]",
)
TINIEST: dict[str, Any] = {
    "parallel_episodes": 1,
    "environment.steps": 2,
    "learning.hidden": [4],
    "learning.rounds": 1,
}
"""Settings of runs in which only what goes between participants counts."""
DROPS = 'faults=[{kind="drop",probability=0.3}]'


def command(*arguments: str) -> list[str]:
    """The real command, in an interpreter of its own."""
    return [sys.executable, "-m", "scenarios.commands.main", *arguments]


def foretell(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, in a process that need not import all anew: see warm.py."""
    with start(*arguments, **environment) as process:
        output, errors = process.communicate(timeout=LIMIT_S)
        assert process.returncode is not None
        return subprocess.CompletedProcess(["foretell", *arguments], process.returncode, output, errors)


def foretell_afresh(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end as a user does, in an interpreter of its own."""
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        env=os.environ | environment,
    )


def need_mosquitto() -> None:
    """A missing broker is a visible skip, and a failure where all must run."""
    if shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("mosquitto is not installed: apt-get install mosquitto mosquitto-clients")
        pytest.skip("mosquitto is not installed")


def simulate_here(out: Path, *arguments: str, drawn: bool = False) -> dict[str, Any]:
    """`foretell simulate` in this process, which has imported it all already; gives the summary."""
    from scenarios.commands.main import foretell as commands
    from scenarios.reports import learning_curve

    with pytest.MonkeyPatch.context() as patch:
        if not drawn:
            patch.setattr(learning_curve, "draw_learning_curve", sketch)
        commands(["simulate", *arguments, "--out", str(out)], standalone_mode=False)
    return summary(out)


class Started:
    """A command that goes on beside the test, with the words of `subprocess.Popen`; as a context it leaves nobody."""

    def __init__(self, answers: socket.socket, output: int, errors: int) -> None:
        self._answers = answers
        self.stdout, self.stderr = (
            os.fdopen(each, encoding="utf-8", errors="backslashreplace") for each in (output, errors)
        )
        self._pid = self._answer()
        self.returncode: int | None = None

    @property
    def pid(self) -> int:
        """Of the command, which leads a session of its own."""
        return self._pid

    def poll(self) -> int | None:
        """How it ended, or None."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0.0)
        return None

    def wait(self, timeout: float = LIMIT_S) -> int:
        """Wait until it has ended; how it did."""
        if self.returncode is None:
            if not select.select([self._answers], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("foretell", timeout)
            self.returncode = self._answer()
            self._answers.close()
        return self.returncode

    def communicate(self, timeout: float = LIMIT_S) -> tuple[str, str]:
        """What it has yet to say until it has ended, output and errors."""
        said = ["", ""]

        def read(number: int, stream: TextIO) -> None:
            with stream:
                said[number] = stream.read()

        streams = [(number, each) for number, each in enumerate((self.stdout, self.stderr)) if not each.closed]
        readers = [threading.Thread(target=read, args=each, daemon=True) for each in streams]
        for reader in readers:
            reader.start()
        give_up_at = time.monotonic() + timeout
        for reader in readers:
            reader.join(max(0.0, give_up_at - time.monotonic()))
            if reader.is_alive():
                raise subprocess.TimeoutExpired("foretell", timeout)
        self.wait(max(0.0, give_up_at - time.monotonic()))
        return said[0], said[1]

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self._pid, number)

    def kill(self) -> None:
        """Kill it with -9."""
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Started:
        return self

    def __exit__(self, *_: object) -> None:
        """End it with all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        self.communicate()

    def _answer(self) -> int:
        (number,) = ANSWER.unpack(self._answers.recv(ANSWER.size, socket.MSG_WAITALL))
        return int(number)


@functools.cache
def warm_server() -> socket.socket:
    """Start what forks commands; it ends with this process."""
    ours, its = socket.socketpair()
    with its:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("warm.py")), str(its.fileno())],
            pass_fds=[its.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
    atexit.register(process.wait)
    atexit.register(ours.close)  # called first
    return ours


def start(*arguments: str, **environment: str) -> Started:
    """Start the command in a process group of its own, as a terminal would; it need not import all anew."""
    output, its_output = os.pipe()
    errors, its_errors = os.pipe()
    answers = _asked(arguments, environment, its_output, its_errors)
    os.close(its_output)
    os.close(its_errors)
    return Started(answers, output, errors)


def start_on(screen: int, *arguments: str, **environment: str) -> Started:
    """The same with `screen` for its output and errors, none of which is heard here."""
    nothing = [os.open(os.devnull, os.O_RDONLY) for _ in ("output", "errors")]
    return Started(_asked(arguments, environment, screen, screen), *nothing)


def _asked(arguments: Sequence[str], environment: Mapping[str, str], output: int, errors: int) -> socket.socket:
    """Where warm.py answers that it has forked a command, and how that ended."""
    sys.audit("foretell.start")  # see tests/conftest.py
    request = json.dumps([arguments, os.environ | environment, str(Path.cwd())]).encode()
    assert len(request) < LARGEST_REQUEST
    ours, its = socket.socketpair()
    with its:
        socket.send_fds(warm_server(), [request], [its.fileno(), output, errors])
    return ours


class StartedAfresh(subprocess.Popen[str]):
    """The real command beside the test; as a context it leaves nobody."""

    def __exit__(self, *_: object) -> None:
        """End it with all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.communicate(timeout=LIMIT_S)


def start_afresh(*arguments: str) -> StartedAfresh:
    """Start the command as a terminal would, in an interpreter of its own."""
    return StartedAfresh(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def summary(out: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    return loaded


def recorded(out: Path) -> int:
    """How many episodes of a run have been recorded, whatever there is of it."""
    try:
        with read_store(RunFolder(out).store) as store:
            return store.count_episodes()
    except UserError:
        return 0


def run_name(out: Path) -> str:
    """What a run is called in topics, once it has begun."""
    with read_store(RunFolder(out).store) as store:
        name = store.run_name()
    assert name is not None
    return name


def until(condition: Callable[[], object], what: str, limit_s: float = LIMIT_S) -> None:
    """Wait for an event, with a limit that only a broken program reaches."""
    give_up_at = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < give_up_at, f"{what} did not happen in {limit_s} s"
        time.sleep(0.02)


def children_of(pid: int) -> dict[int, str]:
    """All living descendants of a process, with their command lines."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if fields[0] != "Z":
            parents[int(stat.parent.name)] = int(fields[1])
    found: dict[int, str] = {}
    grown = True
    while grown:
        new = {child for child, parent in parents.items() if (parent == pid or parent in found) and child not in found}
        for child in new:
            try:
                found[child] = (Path("/proc") / str(child) / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                found[child] = ""
        grown = bool(new)
    return found


def participant_pid(out: Path, name: str) -> int:
    """The process whose log is that of `name`, as soon as there is one: between two lives there is none."""
    log, found = RunFolder(out).log(name), list[int]()

    def there() -> bool:
        found.extend(writers_of(log))
        return bool(found)

    until(there, f"a process that writes to {log}")
    return found[0]
