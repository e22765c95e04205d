"""`python -m scenarios.running.hosts FOLDER [POLICY]`: a host of a run, as a launcher starts it."""

from __future__ import annotations

import sys
from pathlib import Path

from broker.threads import limit_threads

limit_threads()  # before anything imports numpy or torch

from broker.errors import ForetellError  # noqa: E402
from scenarios.running.hosts.process import serve_stdio  # noqa: E402

if __name__ == "__main__":
    try:
        serve_stdio(*map(Path, sys.argv[1:]))
    except ForetellError as error:
        sys.exit(f"foretell: {error}")
