"""The names that a study has for its tasks and algorithms, and which one is meant by another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from broker.counting import meant
from broker.errors import UserError
from scenarios.studies.study import CONTENDERS, StudyTask


def check_tasks(study: str, wanted: Iterable[str], tasks: Sequence[StudyTask]) -> None:
    """Refuse tasks that a study has not; their scenarios, too, are names that a user may know.

    Raises:
        UserError: Says which task is meant, if one is, and which there are.
    """
    others = {name: task.key for task in tasks for name in (task.scenario, task.quick, task.label)}
    _check(study, "--task", wanted, [task.key for task in tasks], others)


def check_algorithms(study: str, wanted: Iterable[str], algorithms: Sequence[str]) -> None:
    """Refuse algorithms that a study has not; the paper's abbreviations are names that a user may know.

    Raises:
        UserError: Says which algorithm is meant, if one is, and which there are.
    """
    _check(study, "--algorithm", wanted, algorithms, {CONTENDERS[name].label: name for name in algorithms})


def check_tuned(study: str, wanted: Iterable[str], algorithms: Sequence[str], with_tuned: Sequence[str]) -> None:
    """Refuse algorithms that a study has with settings from a search alone, where none are given.

    Raises:
        UserError: Names the option.
    """
    for name in wanted:
        if name in with_tuned and name not in algorithms:
            msg = f"--algorithm {name}: {study} has it with settings from a search alone: add --tuned FILE"
            raise UserError(msg)


def _check(study: str, option: str, wanted: Iterable[str], known: Sequence[str], others: Mapping[str, str]) -> None:
    for name in wanted:
        if name in known:
            continue
        found = meant(name, {**others, **{own: own for own in known}})
        hint = f". Did you mean {option} {found}?" if found else ""
        msg = f"{option} {name}: {study} has {', '.join(known)}{hint}"
        raise UserError(msg)
