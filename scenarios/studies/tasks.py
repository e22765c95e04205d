"""The tasks of the paper's figures, and what pages share."""

from __future__ import annotations

from collections.abc import Iterable

from scenarios.running.batch.cell import Group
from scenarios.studies.claims import Comparison, Expectation
from scenarios.studies.study import AS, COMPARED, PS, VPS, VS, Choice, Note, StudyCondition, StudyTask, Variant

EXCHANGE = StudyTask("exchange", "Exc. N=3", "exchange", "exchange-quick")
EXCHANGE_NEAR = StudyTask("exchange-near", "Exc. N=3, near", "exchange", "exchange-near-quick")
NAVIGATION = StudyTask("navigation", "Navi. N=3", "navigation", "navigation-quick")
PREDATION_6 = StudyTask("predation-6", "Pred. N=6", "predation-6", "predation-6-quick")
PREDATION_8 = StudyTask("predation-8", "Pred. N=8", "predation-8", "predation-8-quick")
PREDATION_12 = StudyTask("predation-12", "Pred. N=12", "predation-12", "predation-12-quick")
PREDATION = (PREDATION_6, PREDATION_8, PREDATION_12)
PREDATION_20 = StudyTask("predation-20", "Pred. N=20", "predation-20", "predation-20-quick")
RANDOM_PARTNER = StudyTask(
    "random-partner",
    "Pred. N=20, random partner",
    "predation-20-random-partner",
    "predation-20-random-partner-quick",
)
RANDOM_SKIP = StudyTask("random-skip", "Pred. N=20, random skip 0.5", "predation-20-skip", "predation-20-skip-quick")

PLAIN = Variant()
BASELINES = (VS, VPS, PS)

_OURS = """\
Rates, rounds K, batches of one episode, networks and neighborhoods are the paper's, for everybody. AS has the paper's
rho in Predation and 1 in Exchange and Navigation, where the paper prints 1e4; rho and rho' of AS two weights are those
that `foretell study search` found at the quick size."""


def conditions(
    choice: Choice,
    tasks: Iterable[StudyTask],
    variants: Iterable[Variant] = (PLAIN,),
    only: tuple[str, ...] = COMPARED,
) -> tuple[StudyCondition, ...]:
    """Every task in every variant, as far as the user chose them."""
    wanted = tuple(name for name in only if not choice.algorithms or name in choice.algorithms)
    return tuple(
        StudyCondition(task, variant, wanted)
        for task in tasks
        if wanted and (not choice.tasks or task.key in choice.tasks)
        for variant in variants
    )


def against_baselines(
    task: StudyTask, variant: Variant = PLAIN, expectation: Expectation = Expectation.ABOVE
) -> tuple[Comparison, ...]:
    """Anticipation sharing against each baseline of the paper, in one condition."""
    mine = Group(task.key, variant.key, AS)
    return tuple(Comparison(mine, Group(task.key, variant.key, name), expectation) for name in BASELINES)


def full_notes(choice: Choice) -> tuple[Note, ...]:
    """What a reader of a figure at full size has to know of its settings."""
    return (Note(_OURS),) if choice.tuned is not None else ()
