"""Making plans, and calling whatever else calls an environment that somebody brought: what it prints is not shown."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from scenarios.commands.screen import output_lent
from scenarios.document.plan import Plan
from scenarios.document.planning import make_plan
from scenarios.document.scenario import Scenario


def planned(scenario: Scenario, said: IO[bytes] | None = None) -> Plan:
    """The plan of a scenario.

    Args:
        scenario: The document.
        said: Takes what its environment prints meanwhile; None where nobody will want to know.

    Raises:
        UserError: It cannot work.
        UserCodeFailed: Its environment raised.
    """
    if said is not None:
        with output_lent(said):
            return make_plan(scenario)
    with hushed():
        return make_plan(scenario)


@contextmanager
def hushed() -> Iterator[None]:
    """Let what others print meanwhile vanish."""
    with Path(os.devnull).open("wb") as nowhere, output_lent(nowhere):
        yield
