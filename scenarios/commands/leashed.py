"""`foretell` as a process of a study: it never outlives the study, however that ended."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux


def main() -> None:
    """Be the command line, and end with the process whose id is the first argument."""
    parent = int(sys.argv.pop(1))
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the line above
        sys.exit(1)
    from scenarios.commands.main import main as foretell  # noqa: PLC0415 - nothing is imported for a study that has ended

    foretell()


if __name__ == "__main__":
    main()
