"""A process that has imported what takes its time, and forks the command for the tests that start it.

Runs of one test session share the imports and nothing else: each command is a process of its own, in a session, a
folder and an environment of its own, which executes `scenarios.commands.main` as `python -m` does and starts all that
belongs to it in its own way. Two things are replaced. The fork server of a run is forked from the command instead of
started as an interpreter, and so has its imports too. And at the end of a run a picture of one dot is written instead
of its learning curve, which takes as long as the run itself: see sketch.py. What is claimed about a start itself or
about what is drawn is tested with a fresh interpreter: see `foretell_afresh` and `start_afresh` in runs.py.

Run as a script, with the number of an inherited socket. Each request on the socket is a JSON list of words, environment
and folder, with three files or four: a socket for the answers, standard output and error, and the input, if there is
one. The words are those of `foretell`, or `-m MODULE ...` or `SCRIPT.py ...`, as an interpreter takes them. The answers
are the process id and, when it has ended, its exit code. It ends when the other side of its socket is closed. Where the
environment has FORETELL_DOOR, the path of a program that asks here too (pages/door.py), commands that start themselves
anew start that one.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import io
import json
import os
import runpy
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from multiprocessing import util
from pathlib import Path
from typing import Any, get_args

from sketch import sketch_the_curve

from broker.isolated import isolated_module
from broker.threads import limit_threads
from scenarios.commands import command_line
from scenarios.running.hosts import ssh
from scenarios.running.ways import WayName, way_called

ANSWER = struct.Struct("q")
LARGEST_REQUEST = 1 << 20
_COMMAND = "scenarios.commands.main"
_IMPORTED = (
    *("agent_node.node", "env_service.service", "scenarios.commands.terminal", "scenarios.results.proof.mismatches"),
    *("broker.servers.forwarder", "broker.servers.mqtt_server", "broker.security.curve", "broker.security.mqtt_access"),
    *("scenarios.running.simulated.profile", "scenarios.telemetry.writer"),
    *("scenarios.studies.picture", "scenarios.play.picture"),
    *("scipy.special", "scipy.stats"),  # for the proof of every run with faults, and for intervals
    _COMMAND,
)


def main() -> None:
    """Fork a command for each request."""
    with socket.socket(fileno=int(sys.argv[1])) as door:
        limit_threads()
        for name in _IMPORTED:
            importlib.import_module(name)
        del sys.modules[_COMMAND]  # it is executed as a script
        for way in get_args(WayName):
            way_called(way)
        sketch_the_curve()
        gc.collect()
        gc.freeze()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a keeper ended
        request = _next(door)
        while request is not None:
            text, files = request
            if os.fork() == 0:
                break  # the keeper
            _close(files)
            request = _next(door)
        else:
            return
    if _keep(files):
        _become(*json.loads(text))


def _next(door: socket.socket) -> tuple[bytes, list[int]] | None:
    text, files, _, _ = socket.recv_fds(door, LARGEST_REQUEST, 4)
    return (text, files) if text else None


def _close(files: list[int]) -> None:
    for file in files:
        os.close(file)


def _keep(files: list[int]) -> bool:
    """Fork the command, tell how it ends, and end; true in the command."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    answers, output, errors, *given = files
    leads, is_led = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        _close([leads, is_led])
        os.dup2(output, 1)
        os.dup2(errors, 2)
        for file in given:
            os.dup2(file, 0)
        _close(files)
        return True
    _close([output, errors, *given, is_led])
    os.read(leads, 1)  # the end of it: the command has a session of its own, which can be ended
    try:
        os.write(answers, ANSWER.pack(pid))
        os.write(answers, ANSWER.pack(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
    finally:
        os._exit(0)


def _become(words: list[str], environment: dict[str, str], folder: str) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path += [each for each in environment.get("PYTHONPATH", "").split(os.pathsep) if each]  # as a new one would
    if "PYTHONIOENCODING" in environment:
        for name, number in (("stdout", 1), ("stderr", 2)):
            file = io.FileIO(number, "w", closefd=False)
            setattr(sys, name, io.TextIOWrapper(file, environment["PYTHONIOENCODING"]))
    if "FORETELL_DOOR" in environment:
        _start_through(environment["FORETELL_DOOR"])
    code: object = 0
    try:
        _execute(words, folder)
    except SystemExit as ended:
        code = ended.code
    if isinstance(code, int | None):
        _end(code or 0)
    sys.exit(code)


def _execute(words: list[str], folder: str) -> None:
    match words:
        case ["-m", module, *others]:
            sys.path.insert(0, folder)
        case [script, *others] if script.endswith(".py"):
            sys.path.insert(0, str(Path(folder, script).parent))
            sys.argv = words
            runpy.run_path(script, run_name="__main__")
            return
        case others:
            util.spawnv_passfds = _start  # type: ignore[attr-defined]
            module = _COMMAND
    sys.argv = [module, *others]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _start_through(door: str) -> None:
    """Let the command start itself anew by a program that asks here."""
    command_line.FORETELL = (sys.executable, "-IS", door)
    begin = subprocess.Popen.__init__
    names = {_COMMAND, ssh.COMMAND}

    def begun(process: subprocess.Popen[bytes], words: Sequence[str], *others: Any, **options: Any) -> None:
        for place, name in enumerate(words):
            if name in names and words[: place + 1][-4:] == isolated_module(name):
                words = [*words[: place - 3], *command_line.FORETELL, *words[place + 1 :]]
                break
        begin(process, words, *others, **options)

    subprocess.Popen.__init__ = begun  # type: ignore[method-assign]


def _end(code: int) -> None:
    """End as an interpreter does, but for the imports that are taken apart then, which takes as long as the rest."""
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


_start_afresh = util.spawnv_passfds  # type: ignore[attr-defined]


def _start(path: bytes, words: list[str], files: list[int]) -> int:
    """What multiprocessing starts an interpreter with: a fork server is forked, all others are started."""
    code = words[-1]
    if "multiprocessing.forkserver" not in code:
        return int(_start_afresh(path, words, files))
    pid = os.fork()
    if pid == 0:
        try:
            _close_all_but({0, 1, 2, *files})
            exec(code, {})
        finally:
            os._exit(0)
    return pid


def _close_all_but(kept: set[int]) -> None:
    for file in {int(file.name) for file in Path("/proc/self/fd").iterdir()} - kept:
        try:
            os.close(file)
        except OSError:
            continue  # the one of the listing itself


if __name__ == "__main__":
    main()
