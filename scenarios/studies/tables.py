"""The page and the numbers of a study, as Markdown and JSON. Pure: no I/O, no clock."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from broker.counting import counted
from scenarios.document.scenario import Scenario
from scenarios.reports.statistics import RESAMPLED, Estimate
from scenarios.running.batch.cell import Group
from scenarios.running.batch.outcome import START, RunOutcome
from scenarios.studies.bill import BillLine
from scenarios.studies.claims import (
    MARGIN,
    Claim,
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

RETURNS = f"""\
Returns are team returns: the undiscounted return of an episode summed over all agents, mean over parallel copies,
of the policies as they act in training. *Final* is the mean over the last tenth of the training episodes, *start*
over the first {START} of them, parallel copies included."""
_OURS = """\
The paper gives neither T, nor the number of episodes, nor grid sizes, nor how it normalizes: these are ours."""
_INTERVALS = """\
Numbers are interquartile means over seeds with 95% percentile bootstrap intervals, resampled within each group;
for a difference both groups are resampled independently, but that of a group to its own start is taken run by run."""
_FEW = """\
Numbers are means over seeds, with the range of the runs. The intervals of differences are 95% t intervals: Welch's, and
Student's of a group to its own start. They are wide, as so few seeds say little."""
_DIFFERENT = """\
Groups have different numbers of runs. One has no interval. Two and three have their mean and their range, and the
interval of a difference to such a group is Welch's t interval of the means."""
_DECIDED = f"""\
Each claim is decided by the 95% intervals of these differences of normalized final returns, and by nothing else:
*above* holds when the whole interval is above 0 and fails when it is below; *near*, *not above* and *not below*
allow {MARGIN:g} either way, or as much as they say (ours); otherwise a comparison is undecided. A claim holds when all
its comparisons hold and fails as soon as one fails. Of twenty comparisons of groups that do not differ about one is
decided by chance; nothing is corrected for their number."""
_UNDECIDED = """\
With one seed there are no intervals, so no claim can be decided: run more with `--seeds`."""
_BILLED = """\
Bytes are those of whole frames on the wire, counted by the senders. The arrays are those of the first share of
such a run. An edge is directed; an edge and round counts also where nothing was sent. Gain is the final team
return over that of independent learning {condition}, which sends nothing."""
_SAME_CONDITION = "in the same condition"


@dataclass(frozen=True)
class Made:
    """How the results of a study were made.

    Attributes:
        command: That makes them again.
        versions: Of what computes, by name.
    """

    command: str
    versions: Mapping[str, str]


@dataclass(frozen=True)
class StudyReport:
    """All that a study's page shows.

    Attributes:
        findings: Study and outcomes.
        bill: The communication bill.
        documents: The resolved document of the first cell of every task.
        made: How.
    """

    findings: StudyFindings
    bill: tuple[BillLine, ...]
    documents: Mapping[str, Scenario]
    made: Made


def page(report: StudyReport) -> str:
    """The study as a Markdown page."""
    study = report.findings.study
    parts = [
        f"# {study.title}",
        study.about,
        f"![{study.title}]({study.name}.png)",
        _what_ran(report),
        "## Claims",
        _claims(report),
        "## Final returns",
        _finals(report),
        "## The communication bill",
        bill_table(report.bill, partial(group_label, study), _baselines(study)),
        "## Settings",
        _settings(report),
        "## How it was made",
        _made(report),
    ]
    return "\n\n".join(parts) + "\n"


def numbers(report: StudyReport) -> str:
    """Every number behind page and figure, as JSON."""
    findings = report.findings
    document = {
        "study": findings.study.name,
        "command": report.made.command,
        "versions": dict(report.made.versions),
        **({"so_far": findings.study.so_far} if findings.study.so_far else {}),
        "margin": MARGIN,
        "references": reference_numbers(findings),
        "groups": [group_numbers(findings, group) for _, group in findings.study.groups()],
        "claims": [_claim_numbers(findings, claim) for claim in findings.study.claims],
        "bill": [bill_numbers(line) for line in report.bill],
    }
    return json.dumps(document, indent=1) + "\n"


def group_label(study: Study, group: Group) -> str:
    """A group in words, as short as its study allows."""
    variants = {condition.variant.key: condition.variant.label for condition in study.conditions}
    tasks = {task.key: task.label for task in study.tasks}
    contender = CONTENDERS.get(group.contender)
    parts = [group.contender if contender is None else contender.label]
    if variants.get(group.variant):
        parts.append(variants[group.variant])
    return f"{', '.join(parts)} ({tasks.get(group.task, group.task)})"


def interval(found: Estimate, digits: int = 2) -> str:
    """An estimate as `value [low, high]`."""
    value, low, high = (_number(each, digits) for each in (found.value, found.low, found.high))
    return f"{value} [{low}, {high}]" if low else value


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


def _what_ran(report: StudyReport) -> str:
    study = report.findings.study
    runs = sum(len(outcomes) for outcomes in report.findings.outcomes.values())
    ran = (
        f"{counted(runs, 'run')} of `foretell simulate`: {counted(len(study.tasks), 'task')}, "
        f"{counted(len(study.variants), 'variant')}, "
        f"{counted(len(study.contenders), 'algorithm')} ({', '.join(study.contenders)}), "
        f"{seeds_told(report.findings)}."
    )
    who = [CONTENDERS[key].about for key in study.contenders if CONTENDERS[key].about]
    about = " ".join(who) if len(who) > 1 else ""
    so_far = f"**{study.so_far}**" if study.so_far else ""
    parts = (ran, so_far, about, RETURNS, about_intervals(*report.findings.runs), _OURS, *study.notes)
    return "\n\n".join(part for part in parts if part)


def seeds_told(findings: StudyFindings) -> str:
    """How many seeds the groups have, and which."""
    least, most = findings.runs
    if least < most:
        return f"{least} to {counted(most, 'seed')}, as the table of final returns says"
    of_groups = [[each.cell.seed for each in outcomes] for outcomes in findings.outcomes.values()]
    if any(set(seeds) != set(of_groups[0]) for seeds in of_groups):
        seen = sorted({seed for seeds in of_groups for seed in seeds})
        return f"{counted(least, 'seed')} a group, not the same in all ({', '.join(map(str, seen))})"
    return f"{counted(least, 'seed')} ({', '.join(map(str, of_groups[0]))})"


def about_intervals(least: int, most: int) -> str:
    """How far the intervals of so many seeds can be trusted."""
    if most < 2:
        return "With one seed there is no interval: the numbers are those of this one."
    if most < RESAMPLED:
        return _FEW if least == most else f"{_FEW} Groups have different numbers of runs; one run has no interval."
    return _INTERVALS if least >= RESAMPLED else f"{_INTERVALS} {_DIFFERENT}"


def _claims(report: StudyReport) -> str:
    findings = report.findings
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
    return f"{group_label(study, comparison.group)} minus {other}{start}"


def _measured(decided: tuple[Decided, ...]) -> str:
    counts = {verdict: sum(each.verdict is verdict for each in decided) for verdict in Verdict}
    said = [f"{counts[verdict]} {verdict.value}" for verdict in Verdict if counts[verdict]]
    return f"of {counted(len(decided), 'comparison')}: {', '.join(said)}"


def _finals(report: StudyReport) -> str:
    findings = report.findings
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


def bill_table(lines: Sequence[BillLine], label: Callable[[Group], str], condition: str) -> str:
    """The communication bill in Markdown, and how to read it.

    Args:
        lines: Of the bill.
        label: What a group is called.
        condition: Of the independent learning that a gain is over, to go on a sentence with.
    """
    rows = [
        (
            label(line.group),
            ", ".join(map(str, line.arrays)) or "nothing",
            _number(line.share_bytes, 0),
            _number(line.edge_round_bytes, 0),
            f"{line.megabytes:.2f}",
            "" if line.heard_share is None else f"{line.heard_share:.1%}",
            "" if line.gain is None else interval(line.gain),
            _number(line.gain_per_megabyte, 3),
        )
        for line in lines
    ]
    head = ("", "one share", "bytes a share", "bytes an edge and round", "MB a run", "heard", "gain", "gain per MB")
    return f"{markdown_table(head, rows)}\n\n{_BILLED.format(condition=condition)}" if rows else "Nothing was shared."


def _settings(report: StudyReport) -> str:
    parts = []
    for task, document in report.documents.items():
        rows = [(f"`{each.path}`", each.value, each.origin) for each in settings(document)]
        table = markdown_table(("setting", "value", "origin"), rows)
        parts.append(
            f"{task}, from `{document.name}` (the first run; variants change what they are called after):\n\n{table}"
        )
    return "\n\n".join(parts)


def _made(report: StudyReport) -> str:
    made, study = report.made, report.findings.study
    versions = ", ".join(f"{name} {version}" for name, version in made.versions.items())
    return "\n\n".join(
        (
            f"```\n{made.command}\n```",
            f"Versions: {versions}. Hours and machine: `provenance.json`. All numbers: `{study.name}.json`.",
        )
    )


def reference_numbers(findings: StudyFindings) -> dict[str, Any]:
    """What returns are normalized by, for JSON, by key of the task."""
    return {
        task: {
            "lines": {line.label: line.value for line in scale.lines},
            "zero": scale.zero,
            "one": scale.one,
            "formula": scale.formula,
        }
        for task, scale in findings.references.items()
    }


def group_numbers(findings: StudyFindings, group: Group) -> dict[str, Any]:
    """One group's estimates and runs, for JSON."""
    known = group.task in findings.references
    return {
        "task": group.task,
        "variant": group.variant,
        "contender": group.contender,
        "algorithm": CONTENDERS[group.contender].algorithm if group.contender in CONTENDERS else group.contender,
        "final": estimate_numbers(findings.final(group)),
        "final_normalized": estimate_numbers(findings.final_normalized(group)) if known else None,
        "runs": [_run_numbers(each) for each in findings.outcomes[group]],
    }


def _run_numbers(outcome: RunOutcome) -> dict[str, Any]:
    traffic = outcome.traffic
    return {
        "id": outcome.cell.id,
        "seed": outcome.cell.seed,
        "command": shlex.join(("foretell", *outcome.cell.arguments())),
        "start": outcome.first,
        "final": outcome.last,
        "env_steps": outcome.env_steps,
        "shares_sent": traffic.sent,
        "shares_heard": traffic.heard,
        "shares_missing": traffic.missing,
        "shares_late": traffic.late,
        "edges": traffic.edges,
        "rounds": traffic.rounds,
        "edge_bytes": traffic.sent_bytes,
        "curve_digest": outcome.curve_digest,
        "weights_digest": outcome.weights_digest,
        "played": outcome.played.tolist(),
        "curve": outcome.curve.tolist(),
    }


def _claim_numbers(findings: StudyFindings, claim: Claim) -> dict[str, Any]:
    decided = findings.decide(claim)
    return {
        "claim": claim.text,
        "source": claim.source,
        "verdict": conclude(decided).value,
        "not_comparable": claim.not_comparable,
        "comparisons": [
            {
                **_compared(each.comparison),
                "expected": each.comparison.expectation.value,
                "margin": each.comparison.margin,
                "difference": None if each.estimate is None else estimate_numbers(each.estimate),
                "verdict": each.verdict.value,
            }
            for each in decided
        ],
    }


def _compared(comparison: Comparison | MapComparison) -> dict[str, Any]:
    if isinstance(comparison, MapComparison):
        rows = [[_key(group) for group in row] for row in comparison.rows]
        return {"map": rows, "along_rows": comparison.one, "along_columns": comparison.other}
    return {
        "group": _key(comparison.group),
        "other": _key(comparison.other),
        "other_at_start": comparison.from_start,
    }


def bill_numbers(line: BillLine) -> dict[str, Any]:
    """One group's bill, for JSON."""
    return {
        "group": _key(line.group),
        "arrays": [{"name": each.name, "dtype": each.dtype, "shape": list(each.shape)} for each in line.arrays],
        "share_bytes": line.share_bytes,
        "edge_round_bytes": line.edge_round_bytes,
        "shares": line.shares,
        "megabytes": line.megabytes,
        "heard_share": line.heard_share,
        "gain": None if line.gain is None else estimate_numbers(line.gain),
        "gain_per_megabyte": line.gain_per_megabyte,
    }


def estimate_numbers(found: Estimate) -> dict[str, float | None]:
    """An estimate, for JSON."""
    return {"value": found.value, "low": found.low, "high": found.high}


def _key(group: Group) -> list[str]:
    return [group.task, group.variant, group.contender]


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"  # no -0.00


def markdown_table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
