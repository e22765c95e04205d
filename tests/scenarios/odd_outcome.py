"""How a command ends that is given something odd, in this process; a traceback, or no end, is what nobody may see."""

from __future__ import annotations

import io
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

from limits import LIMIT_S

from broker.errors import ForetellError
from scenarios.commands.main import main
from scenarios.document.loading import load_scenario
from scenarios.document.planning import make_plan

CODES = (0, 2, 3, 4)


class _NoEnd(BaseException):
    """A command went on for longer than any of these may."""


def problem_of(*words: str, limit_s: float = LIMIT_S) -> tuple[int | None, str]:
    """The exit code of a command, and what is wrong with how it ended; empty if nothing is."""
    said, shown = io.StringIO(), io.StringIO()
    with mock.patch.object(sys, "argv", ["foretell", *words]), redirect_stdout(shown), redirect_stderr(said):
        try:
            with _ended_after(limit_s):
                main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else -1
            return code, "" if _is_sentence(code, said.getvalue()) else f"{code}: {said.getvalue()[-2000:]}"
        except _NoEnd:
            return None, f"no end within {limit_s:g} s: {''.join(traceback.format_exc()[-2000:])}"
        except BaseException:  # which a user would see as a traceback
            return None, traceback.format_exc()[-2000:]
    return 0, said.getvalue()[-2000:] if "Traceback" in said.getvalue() else ""


def is_small(path: Path) -> bool:
    """Whether a document that passed its check is played within a moment."""
    try:
        plan = make_plan(load_scenario(str(path)))
    except ForetellError:
        return False
    scenario = plan.scenario
    sizes = (len(plan.agents) <= 8, plan.steps <= 50, scenario.parallel_episodes <= 8, scenario.learning.rounds <= 10)
    return all(sizes) and sum(scenario.learning.hidden) <= 300


def _is_sentence(code: int, said: str) -> bool:
    last = said.rstrip("\n").split("\n")[-1]
    return code in CODES and "Traceback" not in said and (code == 0 or "foretell: " in last)


@contextmanager
def _ended_after(limit_s: float) -> Iterator[None]:
    def end(_number: int, _frame: object) -> None:
        raise _NoEnd

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
