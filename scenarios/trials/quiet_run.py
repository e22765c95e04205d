"""One quiet run, for whoever asks only for what came of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scenarios.api.one_run import Onlooker, play_to_the_end
from scenarios.document.planning import make_plan
from scenarios.document.scenario import Scenario
from scenarios.results.folder import make_run_folder
from scenarios.results.summary import Summary
from scenarios.running.machine import make_ready
from scenarios.running.ways import WayName, is_processes_here, way_called


def try_out(
    scenario: Scenario, root: Path, way: WayName = "simulate", interrupted: Callable[[], bool] = lambda: False
) -> Summary:
    """Simulate or run a scenario and give its summary.

    Args:
        scenario: The document.
        root: A new folder for the run.
        way: In virtual time, or as processes.
        interrupted: As for `scenarios.running.control.run.run`.

    Raises:
        ForetellError: It cannot run to its end.
    """
    plan = make_plan(scenario)
    make_ready(plan, as_processes=is_processes_here(way, None))
    folder = make_run_folder(root, scenario.name, scenario.seed)
    onlooker = Onlooker(interrupted=interrupted)
    return play_to_the_end(plan, folder, way, way_called(way), onlooker, evaluated=False).summary
