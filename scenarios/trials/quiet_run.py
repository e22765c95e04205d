"""One quiet run, for whoever asks only for what came of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from scenarios.document.planning import make_plan
from scenarios.document.scenario import Scenario
from scenarios.results.folder import make_run_folder
from scenarios.results.observer import Observer
from scenarios.results.summary import Summary
from scenarios.running.substrate import Substrate


def try_out(
    scenario: Scenario,
    root: Path,
    substrate: Literal["simulate", "run"] = "simulate",
    interrupted: Callable[[], bool] = lambda: False,
) -> Summary:
    """Simulate or run a scenario and give its figures.

    Args:
        scenario: The document.
        root: A new folder for the run.
        substrate: In virtual time, or as processes.
        interrupted: As for `scenarios.running.simulated.simulate.simulate`.

    Raises:
        ForetellError: It cannot run to its end.
    """
    go: Substrate
    if substrate == "run":
        from scenarios.running.launched.launch import launch as go  # noqa: PLC0415
    else:
        from scenarios.running.simulated.simulate import simulate as go  # noqa: PLC0415 - torch takes seconds

    plan = make_plan(scenario)
    folder = make_run_folder(root, scenario.name, scenario.seed)
    observer = Observer(plan, folder, lambda _: None)
    try:
        go(plan, folder, observer, interrupted)
    finally:
        summary = observer.finish(substrate)
    return summary
