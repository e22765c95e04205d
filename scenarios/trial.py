"""One quiet simulated run, for whoever asks only for what came of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scenarios.observer import Observer
from scenarios.plan import make_plan
from scenarios.run_folder import make_run_folder
from scenarios.scenario import Scenario
from scenarios.summary import Summary


def try_out(scenario: Scenario, root: Path, interrupted: Callable[[], bool] = lambda: False) -> Summary:
    """Simulate a scenario and give its figures.

    Args:
        scenario: The document.
        root: A new folder for the run.
        interrupted: As for `scenarios.simulate.simulate`.

    Raises:
        ForetellError: It cannot run to its end.
    """
    from scenarios.simulate import simulate  # noqa: PLC0415 - torch takes seconds

    plan = make_plan(scenario)
    folder = make_run_folder(root, scenario.name, scenario.seed)
    observer = Observer(plan, folder, lambda _: None)
    try:
        simulate(plan, folder, observer, interrupted)
    finally:
        summary = observer.finish("simulate")
    return summary
