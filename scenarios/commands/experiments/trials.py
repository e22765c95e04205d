"""`foretell twin` and `foretell shrink` from the terminal."""

from __future__ import annotations

import os
from pathlib import Path

from broker.counting import counted
from broker.errors import ForetellError, UserError
from scenarios.commands.asked_file import require_new, write_where_asked
from scenarios.commands.command_line import FORETELL
from scenarios.commands.experiments.study import bar
from scenarios.commands.planned import hushed, planned
from scenarios.commands.rich_screen import Screen
from scenarios.commands.screen import say
from scenarios.document.loading import load_scenario, parse_settings
from scenarios.document.scenario import Scenario
from scenarios.results.summary import Summary
from scenarios.results.temporary import temporary_folder
from scenarios.running.batch.crew import LocalCrew
from scenarios.running.batch.folder import Folder
from scenarios.running.batch.outcomes import WholeRuns
from scenarios.running.batch.runner import Runner
from scenarios.running.control.interrupting import interruptible
from scenarios.trials.condition import Condition
from scenarios.trials.quiet_run import try_out
from scenarios.trials.shrink import Shrunk, shrink
from scenarios.trials.twin import read_pairs, sentence, twin_cells, twin_table


def compare_twins(scenario: str, assignments: tuple[str, ...], seeds: int, jobs: int | None, out: Path | None) -> None:
    """Run a scenario with its faults and without; what is done already is not run again.

    Raises:
        ForetellError: The scenario cannot work, or a run failed.
    """
    cells = twin_cells(scenario, seeds, assignments)
    document = load_scenario(scenario, parse_settings(assignments))
    planned(document)
    folder = Folder(out or Path("twins") / document.name)
    console = Screen(stderr=True)
    with folder.held(), interruptible() as interrupted:
        with bar(console) as show:
            Runner(
                LocalCrew(FORETELL),
                folder,
                jobs or os.cpu_count() or 1,
                WholeRuns(folder),
                show=show,
                interrupted=interrupted,
            ).run(cells)
        pairs = read_pairs(folder, cells)
    Screen().print(twin_table(pairs))
    say(sentence(pairs))
    say(f"runs   {folder.root / 'runs'}")


def shrink_faults(scenario: Scenario, text: str, out: Path | None) -> None:
    """Show which faults a condition needs, and write the scenario with them alone.

    Raises:
        UserError: The condition makes no sense, or does not hold with all faults, or the file is not new, or cannot
            be written.
    """
    planned(scenario)
    condition = Condition(text)
    condition.check(Summary.model_fields)
    path = out or Path(f"{scenario.name}-shrunk.toml")
    require_new(path)
    console = Screen(stderr=True)
    with temporary_folder() as folder, interruptible() as interrupted:
        trials = 0

        def holds(candidate: Scenario) -> bool:
            nonlocal trials
            trials += 1
            try:
                with hushed():
                    summary = try_out(candidate, Path(folder) / str(trials), interrupted=interrupted)
            except UserError:
                raise
            except ForetellError:
                return False  # it did not come to its end
            if interrupted():
                raise KeyboardInterrupt
            return condition.holds(summary.model_dump())

        found = shrink(scenario, holds, console.print)
    if found is None:
        msg = f"{text!r} does not hold with all faults of {scenario.name}, so there is nothing to shrink"
        raise UserError(msg)
    _tell(scenario, text, found)
    write_where_asked(path, found.scenario.to_toml().encode())
    say(f"again with   foretell simulate {path}")


def _tell(scenario: Scenario, text: str, found: Shrunk) -> None:
    left = len(found.scenario.faults)
    say(
        f"{text!r} holds with {left} of {counted(len(scenario.faults), 'fault')}, "
        f"found in {counted(found.trials, 'run')}"
    )
    for fault in found.scenario.faults:
        settings = fault.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
        say("  " + ", ".join(f"{name} = {value}" for name, value in settings.items()))
