"""What Python can ask for: to simulate, run, go on with, read and evaluate."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from broker.counting import counted
from broker.errors import UserError
from scenarios.api.one_run import Onlooker, RunEnd, play_to_the_end, require_whole
from scenarios.api.opened_run import OpenedRun
from scenarios.api.progress import shown
from scenarios.document.environment_file import with_environment_file
from scenarios.document.loading import load_scenario, parse_scenario, with_initial_policy
from scenarios.document.plan import Plan
from scenarios.document.planning import make_plan
from scenarios.document.scenario import Scenario
from scenarios.document.text.plain import plain_settings
from scenarios.play.evaluate import EvaluationWish, evaluation_of, scenario_of
from scenarios.results.evaluation import Evaluation
from scenarios.results.folder import RunFolder, held, make_run_folder, open_run_folder
from scenarios.results.going_on import begun_as, going_on
from scenarios.results.summary import Summary
from scenarios.results.temporary import temporary_folder
from scenarios.running.control.interrupting import interruptible
from scenarios.running.housing import Housing, read_housing
from scenarios.running.machine import make_ready
from scenarios.running.ways import WayName, is_processes_here, way_for, way_named
from scenarios.telemetry.asked import NOTHING_ASKED

Named = str | os.PathLike[str] | Scenario | Mapping[str, Any]
"""A scenario: its name in the catalogue, the path of its file, or the document: that of a run, or a mapping."""
Placed = str | os.PathLike[str] | OpenedRun
"""A run: its folder, or itself."""


def simulate(
    scenario: Named,
    settings: Mapping[str, Any] | None = None,
    *,
    seed: int | None = None,
    episodes: int | None = None,
    faults: Sequence[Mapping[str, Any]] | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> OpenedRun:
    """Play a scenario in this process and virtual time, as `foretell simulate` does.

    Args:
        scenario: Its name in the catalogue, the path of its file, or the document.
        settings: Values by dotted path (`learning.rounds`).
        seed: Instead of the scenario's.
        episodes: Instead of the scenario's.
        faults: Instead of the scenario's, each a mapping as in its file.
        out: A new folder; None for the next free one in `runs/`.
        progress: Whether a bar is shown; None for where somebody looks, on a terminal or in a notebook.

    Returns:
        The run.

    Raises:
        UserError: The scenario cannot work, or the folder is not new.
        ForetellError: It could not be played to its end; what was recorded is kept.
        LedgerMismatch: It was, but its faults are not those that were asked for.
        KeyboardInterrupt: It was interrupted, though it may be whole; it says what is there and how to go on.
    """
    document = document_of(scenario, settings, seed=seed, episodes=episodes, faults=faults)
    return _begin("simulate", document, out, progress)


def run(
    scenario: Named,
    settings: Mapping[str, Any] | None = None,
    *,
    seed: int | None = None,
    episodes: int | None = None,
    faults: Sequence[Mapping[str, Any]] | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> OpenedRun:
    """Play a scenario as processes of this host, as `foretell run` does; arguments, result and errors of `simulate`."""
    document = document_of(scenario, settings, seed=seed, episodes=episodes, faults=faults)
    return _begin("run", document, out, progress)


def resume(root: Placed, *, episodes: int | None = None, progress: bool | None = None) -> OpenedRun:
    """Go on with a run that was interrupted or killed, or a complete one to more episodes.

    Args:
        root: Its folder, or itself.
        episodes: How many there are to be; None for as many as before.
        progress: As for `simulate`.

    Raises:
        UserError: There is nothing to go on with; and what `simulate` raises.
    """
    folder = open_run_folder(_place(root))
    way = way_named(begun_as(folder, None))
    plan, housed = make_plan(going_on(folder, episodes)), read_housing(folder)
    make_ready(plan, as_processes=is_processes_here(way, housed))
    return _lead(way, plan, folder, progress, housed)


def load(root: Placed) -> OpenedRun:
    """A run that was played before, or goes on.

    Args:
        root: Its folder, or itself, to be read anew.

    Raises:
        UserError: It holds no run.
    """
    return OpenedRun(_place(root))


def evaluate(
    policy: Placed,
    *,
    episodes: int | None = None,
    greedy: bool = False,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    processes: bool = False,
    progress: bool | None = None,
) -> Evaluation:
    """Let trained agents act and never learn, as `foretell evaluate` does.

    Args:
        policy: A run, its folder, or that of a policy.
        episodes: How many are played; None for what `settings` say, else 100.
        greedy: Whether agents take their likeliest actions instead of drawing them.
        seed: Instead of the training's; no episode of training is played either way.
        settings: Values by dotted path, faults among them, put into the training's document.
        processes: A process each, in real time, instead of simulated.
        progress: As for `simulate`.

    Returns:
        Mean returns with their intervals.

    Raises:
        UserError: There is no policy; and what `simulate` raises.
    """
    document = scenario_of(EvaluationWish(_place(policy), episodes, greedy=greedy, seed=seed, settings=settings))
    plan, way = make_plan(document), way_named("run" if processes else "simulate")
    make_ready(plan, as_processes=processes)
    with temporary_folder() as kept:
        folder = make_run_folder(kept / "evaluation", document.name, document.seed)
        summary, _ = _play(way, plan, folder, progress, None, kept=False)
        return evaluation_of(plan, folder, summary)


def document_of(scenario: Named, settings: Mapping[str, Any] | None, **instead: Any) -> Scenario:
    """The document that is asked for.

    Args:
        scenario: As for `simulate`.
        settings: Values by dotted path.
        instead: Values of single fields; None for those of the document.

    Raises:
        UserError: There is none, or it cannot work.
    """
    chosen = plain_settings(settings or {}) | {name: value for name, value in instead.items() if value is not None}
    if isinstance(scenario, Scenario):
        document = parse_scenario(scenario.to_toml(), chosen)
        return with_initial_policy(with_environment_file(document, None), None)
    if isinstance(scenario, Mapping):
        document = parse_scenario("", plain_settings(scenario) | chosen)
        return with_initial_policy(with_environment_file(document, None), None)
    if isinstance(scenario, (str, os.PathLike)):
        return load_scenario(os.fspath(scenario), chosen)
    wanted = "the name of a scenario, the path of its file, or a document"
    raise UserError(f"expected {wanted}, found {scenario!r:.80} of type {type(scenario).__name__}")


def _place(given: Placed) -> Path:
    """The folder that somebody means.

    Raises:
        UserError: It is none.
    """
    if isinstance(given, OpenedRun):
        return given.folder
    if not isinstance(given, (str, os.PathLike)):
        raise UserError(f"expected a folder or a run, found {given!r:.80} of type {type(given).__name__}")
    if not os.fspath(given):
        raise UserError("expected the path of a folder, found an empty one")
    return Path(given)


def _begin(way: WayName, scenario: Scenario, out: str | os.PathLike[str] | None, progress: bool | None) -> OpenedRun:
    place = None if out is None else _place(out)
    plan = make_plan(scenario)
    make_ready(plan, as_processes=is_processes_here(way, None))
    folder = make_run_folder(place, scenario.name, scenario.seed)
    return _lead(way, plan, folder, progress, None)


def _lead(way: WayName, plan: Plan, folder: RunFolder, progress: bool | None, housed: Housing | None) -> OpenedRun:
    _, notes = _play(way, plan, folder, progress, housed, kept=True)
    return OpenedRun(folder.root, notes)


def _play(
    way: WayName, plan: Plan, folder: RunFolder, progress: bool | None, housed: Housing | None, *, kept: bool
) -> tuple[Summary, list[str]]:
    """Play to the end, and look whether it was what was asked for; gives what was told on the way, too.

    `kept`: whether the folder stays.
    """
    episodes, on = plan.scenario.episodes, way_for(way, housed, NOTHING_ASKED)
    notes: list[str] = []
    with held(folder), shown(episodes, progress) as (show, tell), interruptible() as interrupted:

        def note(sentence: str) -> None:
            notes.append(sentence)
            tell(sentence)

        ended = play_to_the_end(plan, folder, way, on, Onlooker(show, note, interrupted))
    if interrupted():  # asked of a run that is whole, too: what the caller would do next is to end as well
        played = f"{ended.summary.episodes} of {counted(episodes, 'episode')}"
        raise KeyboardInterrupt(f"after {played}; {_remedy(ended, folder, kept=kept)}")
    require_whole(plan, folder, ended.summary)
    return ended.summary, notes


def _remedy(ended: RunEnd, folder: RunFolder, *, kept: bool) -> str:
    """What is to be had of a run that was interrupted."""
    if not kept:
        return "nothing of it is kept"
    if ended.stopped:
        more = "" if ended.more_episodes is None else f", episodes={ended.more_episodes}"
        return f"go on with scenarios.api.resume({str(folder.root)!r}{more})"
    return f"nothing is left to play: scenarios.api.load({str(folder.root)!r})"
