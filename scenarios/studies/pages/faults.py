"""What studies of a bad network share: every algorithm, one fault of growing strength."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scenarios.running.batch.cell import Group, Settings
from scenarios.studies.claims import Claim, Comparison, Expectation
from scenarios.studies.study import ALONE, AS, COMPARED, CONTENDERS, Choice, Note, StudyCondition, Variant
from scenarios.studies.tasks import EXCHANGE, PREDATION_6, conditions

TASKS = (EXCHANGE, PREDATION_6)
_LEVEL = (
    "Independent learning shares nothing, so no such fault touches it: it ran without, and is drawn as a level line."
)
NOTES = (Note(_LEVEL, (ALONE,)),)


def strengths(what: str, values: Sequence[float], settings: Callable[[float], Settings]) -> tuple[Variant, ...]:
    """A variant for each strength of a fault; 0 is without."""
    return tuple(Variant(f"{what}{value:g}", f"{what} {value:g}", settings(value), value) for value in values)


def quiet_of(variants: Sequence[Variant]) -> Variant:
    """The variant without fault."""
    return next(variant for variant in variants if variant.strength == 0)


def fault_conditions(
    choice: Choice, variants: tuple[Variant, ...], only: tuple[str, ...] = COMPARED
) -> tuple[StudyCondition, ...]:
    """Every task at every strength; independent learning without fault alone."""
    talking = tuple(name for name in only if name != ALONE)
    quiet = quiet_of(variants)
    every = []
    for task in TASKS:
        for variant in variants:
            wanted = only if variant is quiet else talking
            every += [each for each in conditions(choice, (task,), (variant,), wanted) if each.contenders]
    return tuple(every)


def fault_claims(
    variants: tuple[Variant, ...], mild: float, hard: float, what: str, algorithms: tuple[str, ...]
) -> tuple[Claim, ...]:
    """What we ask of every algorithm at a mild strength, and of anticipation sharing at a hard one."""

    def of(task: str, strength: float, algorithm: str) -> Group:
        key = next(variant.key for variant in variants if variant.strength == strength)
        return Group(task, key, algorithm)

    keys = [task.key for task in TASKS]
    keeps = tuple(
        Claim(
            f"{CONTENDERS[name].label} loses little at {what} {mild:g}",
            "ours",
            tuple(Comparison(of(key, mild, name), of(key, 0, name), Expectation.NOT_BELOW) for key in keys),
        )
        for name in algorithms
    )
    still = tuple(Comparison(of(key, hard, AS), of(key, 0, ALONE)) for key in keys)
    return (*keeps, Claim(f"AS at {what} {hard:g} still ends above learning alone", "ours", still))
