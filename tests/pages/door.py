"""Programs that shells find and that cost no imports: each call is forked by warm.py, with the shell's files.

Called `foretell` it is that command, called `python` an interpreter, and called otherwise the module of its name.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import tempfile
import threading
from pathlib import Path

from runs import warm_server
from warm import ANSWER, LARGEST_REQUEST

_CLIENT = """#!{python} -IS
import json, os, signal, socket, struct, sys

door = socket.socket(socket.AF_UNIX)
door.connect({door!r})
name, *words = sys.argv
name = os.path.basename(name)
if words[:3] == ["-P", "-m", "scenarios"]:
    words = words[3:]
elif name not in ("foretell", "python", "python3"):
    words = ["-m", name, *words]
socket.send_fds(door, [json.dumps([words, dict(os.environ), os.getcwd()]).encode()], [0, 1, 2])


def answer():
    return struct.unpack({answer!r}, door.recv({size}, socket.MSG_WAITALL))[0]


pid = answer()
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda number, frame: os.kill(pid, number))
code = answer()
sys.exit(code if code >= 0 else 128 - code)
"""


class Door:
    """Takes the calls; as a context it leaves none of them."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="ft")  # not one of pytest's: sockets have short names
        root = Path(self._folder.name)
        self.program = root / "foretell"
        """What shells call, or links to it with other names."""
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(root / "door"))
        self._listening.listen()
        text = _CLIENT.format(python=sys.executable, door=str(root / "door"), answer=ANSWER.format, size=ANSWER.size)
        self.program.write_text(text)
        self.program.chmod(0o755)
        self._pids: set[int] = set()
        threading.Thread(target=self._take, daemon=True).start()

    def __enter__(self) -> Door:
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for pid in tuple(self._pids):  # those that end now leave the set
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        self._folder.cleanup()

    def _take(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        """Let warm.py fork what was called, and pass on its answers: who it is, and how it ended."""
        with caller:
            request, files, _, _ = socket.recv_fds(caller, LARGEST_REQUEST, 3)
            ours, its = socket.socketpair()
            given, output, errors = files
            socket.send_fds(warm_server(), [request], [its.fileno(), output, errors, given])
            for file in files:
                os.close(file)
            its.close()
            with ours, contextlib.suppress(OSError):
                said = ours.recv(ANSWER.size, socket.MSG_WAITALL)
                (pid,) = ANSWER.unpack(said)
                self._pids.add(pid)
                with contextlib.suppress(BrokenPipeError):
                    caller.sendall(said)
                if ours not in select.select([ours, caller], [], [])[0]:
                    os.killpg(pid, signal.SIGKILL)  # as a leash does: who called has been killed
                said = ours.recv(ANSWER.size, socket.MSG_WAITALL)
                self._pids.discard(pid)
                caller.sendall(said)
