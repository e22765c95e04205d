"""Figure 1: all algorithms on all tasks (section 5.2)."""

from __future__ import annotations

from scenarios.running.batch.cell import Group
from scenarios.studies.claims import Claim, Comparison, Expectation
from scenarios.studies.sizes import FULL_SEEDS, QUICK_SEEDS, full_episodes
from scenarios.studies.study import (
    ALONE,
    AS,
    AS_CALIBRATED,
    AS_TWO,
    CONTENDERS,
    NAC,
    PS,
    VPS,
    VS,
    Choice,
    Note,
    Study,
    StudyTask,
)
from scenarios.studies.tasks import (
    EXCHANGE,
    EXCHANGE_NEAR,
    NAVIGATION,
    PREDATION,
    PREDATION_6,
    PREDATION_12,
    against_baselines,
    conditions,
    full_notes,
)

_TASKS = (EXCHANGE, NAVIGATION, *PREDATION)
_ABOUT = """\
Which algorithm gains most for the team: anticipation sharing (AS), value sharing (VS), value parameter sharing (VPS),
policy sharing (PS), or, which the paper does not show, networked actor-critic (NAC) or learning independently?"""

_TUNED = """\
Every algorithm but AS calibrated has settings of its own, found by a search with the same budget for each
(`foretell study search`); the settings below are those of the first algorithm. All play as many episodes, parallel
copies counted."""

_NEAR = """\
*Exc. N=3, near* is Exchange with neighbors only while within 1.5 cells, as in the paper; in the other quick scenarios \
who are neighbors does not change. Parameters have no steps: they are mixed with whoever was near at any step in any \
copy, so algorithms that share nothing else end as in *Exc. N=3*."""

_JOURNAL = """\
the journal version, Machine Learning 114:190 (2025), claims less: to be competitive with baselines that share values \
or policies or have intrinsic rewards"""
_LITTLE, _LITTLE_MORE = 0.02, 0.03

_SCALE = "(0 when none engages, 1 when all do, for each N)"

_NOT_COMPARABLE = """\
Not comparable: the quick scenarios of N=6 and N=12 differ in more than N (T, parallel copies, graph, network, rates, \
episodes), so a difference between them says nothing about N; at full size N alone differs."""

_OTHER_LENGTH = "Not comparable: by the rule for full size N=6 and N=12 play different numbers of episodes."


def make(choice: Choice) -> Study:
    """The study at the chosen size."""
    tasks = (EXCHANGE, EXCHANGE_NEAR, *_TASKS[1:]) if choice.quick else _TASKS
    tuned = (Note(_TUNED),) if choice.tuned is not None else ()
    return Study(
        name="fig1",
        title="Figure 1: training curves and normalized final total return",
        about=_ABOUT,
        conditions=conditions(choice, tasks, only=choice.compared),
        claims=(
            *_claims(tasks, quick=choice.quick),
            *(
                claim
                for key in (AS, AS_CALIBRATED, AS_TWO)
                if key in choice.compared
                for claim in _keeps_up(key, tasks)
            ),
        ),
        arrangement="finals",
        seeds=choice.first_seeds(QUICK_SEEDS, FULL_SEEDS),
        notes=(*tuned, Note(_NEAR, (EXCHANGE_NEAR.key,))) if choice.quick else full_notes(choice),
    )


def _claims(tasks: tuple[StudyTask, ...], *, quick: bool) -> tuple[Claim, ...]:
    best = tuple(comparison for task in tasks for comparison in against_baselines(task))
    alone = tuple(Comparison(Group(task.key, "", AS), Group(task.key, "", ALONE)) for task in tasks)
    few, many = PREDATION_6.key, PREDATION_12.key
    slows = Comparison(Group(few, "", PS), Group(many, "", PS), any_number=True)
    robust = Comparison(Group(many, "", AS), Group(few, "", AS), Expectation.NOT_BELOW, any_number=True)
    return (
        Claim("AS performs best on every task: it ends above VS, VPS and PS", f"section 5.2, Fig. 1; {_JOURNAL}", best),
        _of_number(
            f"PS converges more slowly as agents become more: at N=12 it ends lower than at N=6 {_SCALE}",
            slows,
            quick=quick,
        ),
        _of_number(
            f"AS remains robust as agents become more: at N=12 it ends no lower than at N=6 {_SCALE}",
            robust,
            quick=quick,
        ),
        Claim("AS ends above learning alone on every task", "ours", alone),
    )


def _keeps_up(key: str, tasks: tuple[StudyTask, ...]) -> tuple[Claim, ...]:
    """What we ask of anticipation sharing in any setting: less than the paper does."""
    label, not_below = CONTENDERS[key].label, Expectation.NOT_BELOW

    def behind(task: StudyTask, other: str, by: float) -> Comparison:
        return Comparison(Group(task.key, "", key), Group(task.key, "", other), not_below, margin=by)

    others = tuple(behind(task, other, _LITTLE) for task in tasks for other in (PS, VPS, NAC, ALONE))
    return (
        Claim(f"{label} ends at most {_LITTLE:g} below PS, VPS, NAC and learning alone on every task", "ours", others),
        Claim(
            f"{label} ends at most {_LITTLE_MORE:g} below VS on Exchange", "ours", (behind(EXCHANGE, VS, _LITTLE_MORE),)
        ),
    )


def _of_number(text: str, comparison: Comparison, *, quick: bool) -> Claim:
    """A claim about the number of agents, which only scenarios that differ in nothing else can decide."""
    if quick:
        return Claim(text, "section 5.2", (), _NOT_COMPARABLE)
    if full_episodes(PREDATION_6.scenario) != full_episodes(PREDATION_12.scenario):
        return Claim(text, "section 5.2", (), _OTHER_LENGTH)
    return Claim(text, "section 5.2", (comparison,))
