"""One compute thread a process; imports nothing, so that it can be called before numpy and torch are imported."""

from __future__ import annotations

import os


def limit_threads() -> None:
    """One compute thread for this process and those it starts.

    With more, the threads of many processes wait for each other's cores: fifty times slower on two of them.
    """
    for library in ("OMP", "MKL", "OPENBLAS"):
        os.environ[f"{library}_NUM_THREADS"] = "1"
