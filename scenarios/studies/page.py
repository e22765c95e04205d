"""The page of a study, as Markdown. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from broker.counting import counted
from scenarios.document.scenario import Scenario
from scenarios.reports.made import Made
from scenarios.reports.markdown import interval, markdown_table
from scenarios.reports.seeds_told import seeds_told, which_seeds
from scenarios.running.batch.cell import Group
from scenarios.running.batch.outcome import RETURNS, START
from scenarios.studies.bill import BillLine, bill_table
from scenarios.studies.claims import (
    MARGIN,
    Comparison,
    Decided,
    MapComparison,
    Verdict,
    conclude,
    expected_range,
)
from scenarios.studies.findings import StudyFindings
from scenarios.studies.origins import settings
from scenarios.studies.study import CONTENDERS, Study

_OURS = """\
The paper gives neither T, nor the number of episodes, nor grid sizes, nor how it normalizes: these are ours."""
_DECIDED = f"""\
Each claim is decided by the 95% intervals of these differences of normalized final returns, and by nothing else:
*above* holds when the whole interval is above 0 and fails when it is below; *near*, *not above* and *not below*
allow {MARGIN:g} either way, or as much as they say (ours); otherwise a comparison is undecided. A claim holds when all
its comparisons hold and fails as soon as one fails. Of twenty comparisons of groups that do not differ about one is
decided by chance; nothing is corrected for their number."""
_UNDECIDED = """\
With one seed there are no intervals, so no claim can be decided: run more with `--seeds`."""
_SAME_CONDITION = "in the same condition"


def page(findings: StudyFindings, billed: Sequence[BillLine], documents: Mapping[str, Scenario], made: Made) -> str:
    """The study as a Markdown page.

    Args:
        findings: Study and outcomes.
        billed: The communication bill.
        documents: The resolved document of the first cell of every task.
        made: How.
    """
    study = findings.study
    parts = [
        f"# {study.title}",
        study.about,
        f"![{study.title}]({study.name}.png)",
        _what_ran(findings),
        "## Claims",
        _claims(findings),
        "## Final returns",
        _finals(findings),
        "## The communication bill",
        bill_table(billed, partial(group_label, study), _baselines(study)),
        "## Settings",
        _settings(documents),
        "## How it was made",
        made.told("Hours and machine: `provenance.json`.", f"All numbers: `{study.name}.json`."),
    ]
    return "\n\n".join(parts) + "\n"


def group_label(study: Study, group: Group) -> str:
    """A group in words, as short as its study allows."""
    variants = {condition.variant.key: condition.variant.label for condition in study.conditions}
    tasks = {task.key: task.label for task in study.tasks}
    contender = CONTENDERS.get(group.contender)
    parts = [group.contender if contender is None else contender.label]
    if variants.get(group.variant):
        parts.append(variants[group.variant])
    return f"{', '.join(parts)} ({tasks.get(group.task, group.task)})"


def _compared_interval(each: Decided) -> str:
    """The interval of a comparison, with as many digits as show on which side of its limits it ends."""
    found, comparison = each.estimate, each.comparison
    if found is None:
        return ""
    limits = expected_range(comparison.expectation, comparison.margin)

    def shows(digits: int) -> bool:
        ends = [end for end in (found.low, found.high) if end is not None]
        return all(_side(round(end, digits), limit) == _side(end, limit) for end in ends for limit in limits)

    return interval(found, next((digits for digits in (2, 3, 4, 5) if shows(digits)), 6))


def _side(number: float, limit: float) -> int:
    return (number > limit) - (number < limit)


def _what_ran(findings: StudyFindings) -> str:
    study = findings.study
    runs = sum(len(outcomes) for outcomes in findings.outcomes.values())
    ran = (
        f"{counted(runs, 'run')} of `foretell simulate`: {counted(len(study.tasks), 'task')}, "
        f"{counted(len(study.variants), 'variant')}, "
        f"{counted(len(study.contenders), 'algorithm')} ({', '.join(study.contenders)}), "
        f"{which_seeds(findings.seeds)}."
    )
    who = [CONTENDERS[key].about for key in study.contenders if CONTENDERS[key].about]
    about = " ".join(who) if len(who) > 1 else ""
    so_far = f"**{study.so_far}**" if study.so_far else ""
    parts = (ran, so_far, about, RETURNS, seeds_told(*findings.runs).intervals, _OURS, *study.said)
    return "\n\n".join(part for part in parts if part)


def _claims(findings: StudyFindings) -> str:
    rows, details = [], []
    for number, claim in enumerate(findings.study.claims, 1):
        decided = findings.decide(claim)
        verdict = conclude(decided)
        rows.append(
            (
                str(number),
                f"{claim.text} ({claim.source})",
                claim.not_comparable or _measured(decided),
                f"**{verdict.value}**",
            )
        )
        details += [
            (
                str(number),
                _difference(findings.study, each.comparison),
                each.comparison.expected,
                _compared_interval(each),
                each.verdict.value,
            )
            for each in decided
            if each.verdict is not Verdict.NOT_RUN
        ]
    return "\n\n".join(
        (
            markdown_table(("", "claim", "what we measured", "verdict"), rows),
            _DECIDED if findings.runs[1] > 1 else _UNDECIDED,
            markdown_table(("claim", "difference", "expected", "measured", "verdict"), details),
        )
    )


def _difference(study: Study, comparison: Comparison | MapComparison) -> str:
    """What minus what."""
    if isinstance(comparison, MapComparison):
        [task] = {task.label for task in study.tasks if task.key == comparison.rows[0][0].task}
        return f"deviation along {comparison.one} minus along {comparison.other} ({task})"
    other = group_label(study, comparison.other)
    start = " at the start" if comparison.from_start else ""
    scale = ", on the scale for any number of agents" if comparison.any_number else ""
    return f"{group_label(study, comparison.group)} minus {other}{start}{scale}"


def _measured(decided: tuple[Decided, ...]) -> str:
    counts = {verdict: sum(each.verdict is verdict for each in decided) for verdict in Verdict}
    said = [f"{counts[verdict]} {verdict.value}" for verdict in Verdict if counts[verdict]]
    return f"of {counted(len(decided), 'comparison')}: {', '.join(said)}"


def _finals(findings: StudyFindings) -> str:
    least, most = findings.runs
    rows = []
    for condition, group in findings.study.groups():
        starts = [each.first for each in findings.outcomes[group]]
        rows.append(
            (
                condition.task.label,
                *((condition.variant.label,) if len(findings.study.variants) > 1 else ()),
                group.contender,
                *((str(len(starts)),) if least < most else ()),
                f"{sum(starts) / len(starts):.2f}",
                interval(findings.final(group)),
                interval(findings.final_normalized(group)),
            )
        )
    variant = ("variant",) if len(findings.study.variants) > 1 else ()
    runs = ("runs",) if least < most else ()
    head = (
        "task",
        *variant,
        "algorithm",
        *runs,
        f"start (first {START} episodes), mean",
        "final team return",
        "normalized",
    )
    formulas = [f"- {task.label}: {findings.references[task.key].formula}" for task in findings.study.tasks]
    return "\n\n".join((markdown_table(head, rows), "Normalized (ours), R the team return:", "\n".join(formulas)))


def _baselines(study: Study) -> str:
    """Which independent learning a gain is over, to go on a sentence with."""
    quiet = [variant.label for variant in study.variants if variant.key == study.quiet]
    return f"on the same task (it ran with {quiet[0]} alone, as no variant touches it)" if quiet else _SAME_CONDITION


def _settings(documents: Mapping[str, Scenario]) -> str:
    parts = []
    for task, document in documents.items():
        rows = [(f"`{each.path}`", each.value, each.origin) for each in settings(document)]
        table = markdown_table(("setting", "value", "origin"), rows)
        parts.append(
            f"{task}, from `{document.name}` (the first run; variants change what they are called after):\n\n{table}"
        )
    return "\n\n".join(parts)
