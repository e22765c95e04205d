"""A Ray cluster of two nodes on this host, for tests; nothing of it is left afterwards."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from limits import LIMIT_S

SERVER = Path(__file__).with_name("two_nodes.py")
HEAD, OTHER = "127.0.0.2", "127.0.0.3"


def need_ray() -> None:
    """Without it a test is skipped, visibly; and fails where all must run."""
    if importlib.util.find_spec("ray") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("ray is not installed: pip install 'foretell[ray]'")
        pytest.skip("ray is not installed: pip install 'foretell[ray]'")


class RayNodes:
    """A cluster while it is up.

    Attributes:
        address: Where it is, as RAY_ADDRESS has it.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.address = self._line()

    def remove(self, node: str = OTHER) -> None:
        """Take a node away, with all that runs there."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{node}\n")
        self._process.stdin.flush()
        assert self._line() == "removed"

    def behead(self) -> None:
        """Kill what leads the cluster; it is good for nothing any more."""
        self.remove("head")

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def two_nodes() -> Iterator[RayNodes]:
    """Start it; sockets have short names, so that its folder is not one of pytest's."""
    folder = tempfile.mkdtemp(prefix="ray")
    process = subprocess.Popen(
        [sys.executable, str(SERVER), folder, HEAD, OTHER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        yield RayNodes(process)
    finally:
        with suppress(BrokenPipeError):
            process.communicate(timeout=LIMIT_S)
        for pid in processes_that_name(folder):  # what Ray itself may have left
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


def processes_that_name(text: str) -> list[int]:
    """Ids of the processes whose command line has a text."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if text.encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found
