"""`python -m scenarios.telemetry.writer TOOL`: writes curves with a library, from lines of JSON on standard input.

The first line says what runs: `run`, `scenario`, `settings`, `folder`. Each other one has `episode` and `scalars`. The
end of the input is the end of the run. What goes wrong is said on standard output, in a sentence, and ends it with 1.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class About:
    """What runs.

    Attributes:
        run: Name of the run, with its id.
        scenario: Its name.
        settings: The whole document.
        folder: The run's, by an absolute path.
    """

    run: str
    scenario: str
    settings: Mapping[str, Any]
    folder: str


class ToolCurves(Protocol):
    """The curves of one run in a tool."""

    def add(self, episode: int, scalars: Mapping[str, float]) -> None:
        """Add the scalars of an episode."""

    def close(self) -> None:
        """Bring all of it away."""


_LONGEST_SENTENCE = 500
TOOLS = ("wandb", "mlflow")
"""By the names of their libraries."""


def opened(tool: str, about: About) -> ToolCurves:
    """The curves of a run in a tool."""
    if tool == "wandb":
        from scenarios.telemetry.wandb_curves import WandbCurves  # noqa: PLC0415 - an extra

        return WandbCurves(about)
    from scenarios.telemetry.mlflow_curves import MlflowCurves  # noqa: PLC0415 - an extra

    return MlflowCurves(about)


def write(tool: str) -> None:
    """Write until the input ends."""
    curves = opened(tool, About(**json.loads(sys.stdin.readline())))
    for line in sys.stdin:
        told = json.loads(line)
        curves.add(told["episode"], told["scalars"])
    curves.close()


def main() -> int:
    """Write, and say in a sentence what goes wrong; the exit code."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    said = os.dup(1)
    os.dup2(2, 1)  # what libraries print, and processes that they start, is for the log
    try:
        write(sys.argv[1])
    except Exception as error:
        logging.getLogger("foretell").exception("no more curves")
        sentence = " ".join(str(error).split()) or type(error).__name__
        with suppress(OSError):
            os.write(said, sentence.partition(". ")[0][:_LONGEST_SENTENCE].encode())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
