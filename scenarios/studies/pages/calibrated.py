"""Calibrated: what the parts of calibrated weights do, and how they fare where they were not made (ours)."""

from __future__ import annotations

from scenarios.running.batch.cell import Group, Settings
from scenarios.studies.claims import Claim, Comparison, Expectation
from scenarios.studies.sizes import FULL_SEEDS, QUICK_SEEDS
from scenarios.studies.study import (
    ALL_PULLS,
    AS,
    AS_CALIBRATED,
    CONTENDERS,
    NO_MEMORY,
    NOT_MEASURED,
    PS,
    VS,
    Choice,
    Note,
    Study,
    StudyTask,
    Variant,
)
from scenarios.studies.tasks import (
    EXCHANGE,
    EXCHANGE_NEAR,
    NAVIGATION,
    PREDATION_8,
    PREDATION_12,
    PREDATION_20,
    RANDOM_PARTNER,
    RANDOM_SKIP,
    conditions,
)

_PARTS = (ALL_PULLS, NO_MEMORY, NOT_MEASURED)
_OTHERS = (AS, AS_CALIBRATED, VS, PS)
_MADE_ON = (EXCHANGE, NAVIGATION, PREDATION_8)
_LOSS, _PATIENCE_S, _MEAN_S = 0.3, 2.0, 1.0
_LOSSY = StudyTask("lossy", f"Exc. N=3, {_LOSS:.0%} lost", "exchange", "exchange-quick")
_LATE = StudyTask("late", "Exc. N=3, delay half the patience", "exchange", "exchange-quick")
_ONE_COPY = StudyTask("one-copy", "Pred. N=6, the paper's settings", "predation-6", "predation-6")
_TRIALS: dict[StudyTask, Settings] = {
    PREDATION_12: (),
    PREDATION_20: (),
    RANDOM_PARTNER: (),
    RANDOM_SKIP: (),
    EXCHANGE_NEAR: (),
    _LOSSY: (("faults", f'[{{kind = "drop", probability = {_LOSS:g}}}]'),),
    _LATE: (
        ("exchange.patience_s", str(_PATIENCE_S)),
        ("faults", f'[{{kind = "delay", delay_s = {{distribution = "exponential", mean_s = {_MEAN_S:g}}}}}]'),
    ),
    _ONE_COPY: (),
}
_ABOUT = """\
Calibrated weights were made on three tasks. What does each of their parts do there, and how do they fare elsewhere:
with more agents, with little, lost or late communication, among near neighbors, and with the paper's settings (one copy
of the environment, its learning rates)?"""
_SETTINGS = """\
AS has one rho for both penalties: with --quick 8 in Exchange and Navigation, 5 in Predation, else that of the \
scenario. Nothing was searched for this page. At full size every task has the paper's settings, and Exchange near \
neighbors, anyway: these two trials are not run by themselves."""
_MARGIN, _MARGIN_VS = 0.02, 0.03


def make(choice: Choice) -> Study:
    """The study at the chosen size."""
    trials = tuple(task for task in _TRIALS if choice.quick or task not in (EXCHANGE_NEAR, _ONE_COPY))
    apart = tuple(
        each
        for task in trials
        for each in conditions(choice, (task,), (Variant(settings=_TRIALS[task]),), only=_OTHERS)
    )
    return Study(
        name="calibrated",
        title="Calibrated weights: their parts, and where they were not made",
        about=_ABOUT,
        conditions=(*conditions(choice, _MADE_ON, only=_in_order(*_OTHERS, *_PARTS)), *apart),
        claims=(*(_part(key) for key in _PARTS), *_keeps_up(trials)),
        arrangement="points",
        seeds=choice.first_seeds(QUICK_SEEDS, FULL_SEEDS),
        notes=(Note(_SETTINGS),),
    )


def _in_order(*keys: str) -> tuple[str, ...]:
    return tuple(key for key in CONTENDERS if key in keys)


def _part(key: str) -> Claim:
    """What was left out is missed, or not worth having."""
    comparisons = tuple(
        Comparison(_group(task, key), _group(task, AS_CALIBRATED), Expectation.NOT_ABOVE, margin=_MARGIN)
        for task in _MADE_ON
    )
    label = CONTENDERS[key].label
    return Claim(f'"{label}" ends at most {_MARGIN:g} above AS calibrated on the three tasks', "ours", comparisons)


def _keeps_up(trials: tuple[StudyTask, ...]) -> tuple[Claim, ...]:
    def claim(other: str, margin: float) -> Claim:
        comparisons = tuple(
            Comparison(_group(task, AS_CALIBRATED), _group(task, other), Expectation.NOT_BELOW, margin=margin)
            for task in (*_MADE_ON, *trials)
        )
        label = CONTENDERS[other].label
        return Claim(f"AS calibrated ends at most {margin:g} below {label} on every task", "ours", comparisons)

    return claim(AS, _MARGIN), claim(PS, _MARGIN), claim(VS, _MARGIN_VS)


def _group(task: StudyTask, key: str) -> Group:
    return Group(task.key, "", key)
