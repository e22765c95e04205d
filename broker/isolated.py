"""Starting interpreters that take no module from the working directory.

`python -m` and `python -c` look for every module there first, those of the standard library too: a `zmq.py` in the
folder where somebody happens to work would be executed by each process of a run. Imports next to nothing, so that a
process that has just begun can import it before all else.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_SAFE_PATH = "PYTHONSAFEPATH"
_OURS = "foretell"


def isolated_module(name: str, *arguments: str) -> list[str]:
    """The command line that runs a module of ours."""
    return [sys.executable, "-P", "-m", name, *arguments]


@contextmanager
def isolated_interpreters() -> Iterator[None]:
    """Whatever interpreter is started meanwhile, by whichever library, takes no module from the working directory."""
    if os.environ.get(_SAFE_PATH):  # the user says so already
        yield
        return
    os.environ[_SAFE_PATH] = _OURS
    try:
        yield
    finally:
        del os.environ[_SAFE_PATH]


def leave_programs_of_others_alone() -> None:
    """Say no more, in a process that was started so, how other interpreters shall look for modules."""
    if os.environ.get(_SAFE_PATH) == _OURS:
        del os.environ[_SAFE_PATH]


def leave_working_directory() -> None:
    """Look no more for modules in the working directory, where `-m` without `-P` has put it in front of all."""
    if not sys.flags.safe_path and sys.path:
        with suppress(FileNotFoundError):  # where it has been removed nothing is looked for in it
            if sys.path[0] == os.getcwd():  # noqa: PTH109 - pathlib takes 10 ms
                del sys.path[0]
