"""How many threads a process computes with, and how the system schedules them.

Imports next to nothing, so that it can be called before numpy and torch are imported.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def limit_threads() -> None:
    """One compute thread for this process and those it starts.

    With more, the threads of many processes wait for each other's cores: fifty times slower on two of them.
    """
    for library in ("OMP", "MKL", "OPENBLAS"):
        os.environ[f"{library}_NUM_THREADS"] = "1"


def schedule(policy: str) -> None:
    """Let the system schedule this thread, and those it starts from now on, by `batch` or `normal`; or `inherit`.

    Where the system knows no such policies, or forbids to change them, everything stays as it is.
    """
    if sys.platform == "linux" and policy != "inherit":
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH if policy == "batch" else os.SCHED_OTHER, os.sched_param(0))
