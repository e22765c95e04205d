"""Figure 1: all algorithms on all tasks (section 5.2)."""

from __future__ import annotations

from scenarios.running.batch.cell import Group
from scenarios.studies.claims import Claim, Comparison, Expectation
from scenarios.studies.sizes import FULL_SEEDS, QUICK_SEEDS
from scenarios.studies.study import ALONE, AS, PS, Choice, Study
from scenarios.studies.tasks import (
    EXCHANGE,
    NAVIGATION,
    PREDATION,
    PREDATION_6,
    PREDATION_12,
    against_baselines,
    conditions,
)

_TASKS = (EXCHANGE, NAVIGATION, *PREDATION)
_ABOUT = """\
Which algorithm gains most for the team: anticipation sharing (AS), value sharing (VS), value parameter sharing (VPS),
policy sharing (PS), or learning independently, which the paper does not show?"""

_TUNED = """\
Every algorithm has settings of its own, found by a search with the same budget for each (`foretell study search`); the
settings below are those of the first algorithm. All play as many episodes, parallel copies counted."""

_NOT_COMPARABLE = """\
Not comparable: the quick scenarios of N=6 and N=12 differ in more than N (T, parallel copies, graph, network, rates, \
episodes), so a difference between them says nothing about N; at full size N alone differs."""


def make(choice: Choice) -> Study:
    """The study at the chosen size."""
    return Study(
        name="fig1",
        title="Figure 1: training curves and normalized final total return",
        about=_ABOUT,
        conditions=conditions(choice, _TASKS),
        claims=_claims(quick=choice.quick),
        arrangement="finals",
        seeds=choice.first_seeds(QUICK_SEEDS, FULL_SEEDS),
        notes=(_TUNED,) if choice.tuned is not None else (),
    )


def _claims(*, quick: bool) -> tuple[Claim, ...]:
    best = tuple(comparison for task in _TASKS for comparison in against_baselines(task))
    alone = tuple(Comparison(Group(task.key, "", AS), Group(task.key, "", ALONE)) for task in _TASKS)
    few, many = PREDATION_6.key, PREDATION_12.key
    slows = Comparison(Group(few, "", PS), Group(many, "", PS))
    robust = Comparison(Group(many, "", AS), Group(few, "", AS), Expectation.NOT_BELOW)
    return (
        Claim("AS performs best on every task: it ends above VS, VPS and PS", "section 5.2, Fig. 1", best),
        _of_number(
            "PS converges more slowly as agents become more: at N=12 it ends lower than at N=6", slows, quick=quick
        ),
        _of_number(
            "AS remains robust as agents become more: at N=12 it ends no lower than at N=6", robust, quick=quick
        ),
        Claim("AS ends above learning alone on every task", "ours", alone),
    )


def _of_number(text: str, comparison: Comparison, *, quick: bool) -> Claim:
    """A claim about the number of agents, which only scenarios that differ in nothing else can decide."""
    if quick:
        return Claim(text, "section 5.2", (), _NOT_COMPARABLE)
    return Claim(text, "section 5.2", (comparison,))
