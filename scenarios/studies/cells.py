"""From a study and a choice to its cells."""

from __future__ import annotations

from collections.abc import Iterable

from broker.errors import UserError
from scenarios.document.loading import load_scenario
from scenarios.document.scenario import Scenario
from scenarios.running.batch.cell import Cell, Settings
from scenarios.studies.candidates import episodes_of
from scenarios.studies.sizes import TIED_RHO, full_episodes, full_seeds, quick_episodes
from scenarios.studies.study import (
    AS_TWO,
    CONTENDERS,
    FIXED,
    RHO,
    SEARCHED,
    WEIGHTS,
    Choice,
    Contender,
    Study,
    StudyTask,
)


def study_cells(study: Study, choice: Choice) -> tuple[Cell, ...]:
    """Every cell of a study: first seed of all groups, second seed of all groups, and so on.

    Raises:
        UserError: A scenario of the study is not there, or the user sets what the study sets itself.
    """
    refuse_overrides(choice, _own_paths(study, choice))
    cells = []
    for seed in study.seeds:
        for condition, group in study.groups():
            if not choice.quick and choice.seeds is None and seed > full_seeds(condition.task.scenario):
                continue
            scenario = condition.task.quick if choice.quick else condition.task.scenario
            contender = CONTENDERS[group.contender]
            own = contender_settings(contender, scenario, condition.variant.settings)
            settings = (("algorithm.name", contender.algorithm), *own, *condition.variant.settings)
            size = _size(study.name, condition.task, choice, contender)
            cells.append(Cell(group, seed, scenario, (*settings, *size, *choice.settings)))
    return tuple(cells)


def contender_settings(contender: Contender, scenario: str, varied: Settings = ()) -> Settings:
    """What makes a contender of a scenario, before what a study varies; rho too where its weights are fixed."""
    tied = TIED_RHO.get(scenario)
    if contender.settings != FIXED or tied is None or RHO in dict(varied):
        return contender.settings
    return (*contender.settings, (RHO, f"{tied:g}"))


def refuse_overrides(choice: Choice, own: Iterable[str]) -> None:
    """A setting that a study gives its runs itself cannot be the user's: the page would tell of runs that never were.

    Args:
        choice: What the user asked for.
        own: Dotted paths that the study sets; algorithm and seed are of every study.

    Raises:
        UserError: A path of `--set` is one of them, contains one or lies inside one.
    """
    for fixed in ("algorithm.name", "seed", *own):
        for path, _ in choice.settings:
            if f"{path}.".startswith(f"{fixed}.") or f"{fixed}.".startswith(f"{path}."):
                msg = f"--set {path}: the study sets {fixed} itself, run by run; leave it out"
                raise UserError(msg)


def _own_paths(study: Study, choice: Choice) -> list[str]:
    """What contenders and variants set, and what a search found.

    The plain number of episodes is not among them: all runs of a task have the same one, and the page shows it.
    """
    paths = [path for contender in study.contenders for path, _ in CONTENDERS[contender].settings]
    paths += [path for condition in study.conditions for path, _ in condition.variant.settings]
    if choice.tuned is not None:
        found = [path for settings in choice.tuned.values() for path, _ in settings]
        paths += ["episodes", *found] if choice.quick else WEIGHTS
    return paths


def _size(study: str, task: StudyTask, choice: Choice, contender: Contender) -> Settings:
    """Number of episodes, and what a search found."""
    if not choice.quick:
        return _full_size(task, choice, contender)
    episodes = quick_episodes(study, task.quick)
    if choice.tuned is None or contender.key not in SEARCHED:
        return (("episodes", str(episodes)),)
    plain = load_scenario(task.quick)
    tuned = _tuned(task, plain, choice, contender)
    copies = int(dict(tuned).get("parallel_episodes", plain.parallel_episodes))
    return (*tuned, ("episodes", str(episodes_of(episodes * plain.parallel_episodes, copies))))


def _full_size(task: StudyTask, choice: Choice, contender: Contender) -> Settings:
    """Everybody has the paper's rates, rounds and batches; rho and rho' apart, which it has not, are the search's."""
    episodes = full_episodes(task.scenario)
    if contender.key != AS_TWO:
        return episodes
    tuned = _tuned(task, load_scenario(task.scenario), choice, contender)
    return (*(each for each in tuned if each[0] in WEIGHTS), *episodes)


def _tuned(task: StudyTask, plain: Scenario, choice: Choice, contender: Contender) -> Settings:
    """What a search found for a contender in a task, or in the tasks of its kind.

    Raises:
        UserError: There is nothing.
    """
    kind, found = plain.environment.kind, choice.tuned or {}
    tuned = found.get((task.key, contender.key), found.get((kind, contender.key)))
    if tuned is None:
        where = " or ".join(dict.fromkeys((task.key, kind)))
        msg = f"--tuned {choice.tuned_from}: there are no settings for {contender.key} in {where}"
        raise UserError(msg)
    return tuned
