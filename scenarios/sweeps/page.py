"""The page and the numbers of a sweep, as Markdown and JSON. Pure: no I/O, no clock."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from broker.counting import counted
from scenarios.reports.statistics import Estimate, difference
from scenarios.running.batch.cell import Group
from scenarios.running.batch.outcome import START
from scenarios.studies.bill import BillLine
from scenarios.studies.findings import StudyFindings
from scenarios.studies.tables import (
    RETURNS,
    Made,
    about_intervals,
    bill_numbers,
    bill_table,
    estimate_numbers,
    group_numbers,
    interval,
    markdown_table,
    reference_numbers,
    seeds_told,
)
from scenarios.sweeps.sweep import Sweep

_COMPARED = """\
*Minus the baseline* is the difference of final returns, with its 95% interval. Where that has 0 in it, these runs do
not tell the two apart; no correction is made for the number of comparisons."""
_COMPARED_ONCE = "*Minus the baseline* is the difference of final returns, without an interval."
_NO_BASELINE = "Nothing is compared where no run of the baseline is done"
_NORMALIZED = "Normalized (ours), R the team return:"
_ALONE = "whose settings differ in the algorithm alone, if such was run"
_BARE = "Nothing is normalized: no scenario here has reference returns that are known and the same in all its runs."

_ELSEWHERE = "Hours and machine: `provenance.json`. Every setting of each run: `documents/`."


@dataclass(frozen=True)
class SweepReport:
    """All that a sweep's page shows.

    Attributes:
        sweep: What was asked.
        findings: Its outcomes.
        bill: The communication bill.
        made: How.
    """

    sweep: Sweep
    findings: StudyFindings
    bill: tuple[BillLine, ...]
    made: Made


def page(report: SweepReport) -> str:
    """The sweep as a Markdown page."""
    sweep, study = report.sweep, report.sweep.study
    versions = ", ".join(f"{name} {version}" for name, version in report.made.versions.items())
    parts = [
        f"# {study.title}",
        *filter(None, [study.about.strip()]),
        f"![{study.title}]({study.name}.png)",
        _what_ran(report),
        "## Final returns",
        _finals(report),
        "## The communication bill",
        bill_table(report.bill, lambda group: _told(sweep, group), _ALONE),
        "## The document",
        _fenced(sweep.text, "toml"),
        "## How it was made",
        f"```\n{report.made.command}\n```",
        f"Versions: {versions}. {_ELSEWHERE} All numbers: `{study.name}.json`.",
    ]
    return "\n\n".join(parts) + "\n"


def numbers(report: SweepReport) -> str:
    """Every number behind page and figure, as JSON."""
    sweep, findings = report.sweep, report.findings
    document = {
        "sweep": sweep.study.name,
        "title": sweep.study.title,
        "command": report.made.command,
        "versions": dict(report.made.versions),
        **({"so_far": sweep.study.so_far} if sweep.study.so_far else {}),
        "references": reference_numbers(findings),
        "groups": list(_groups(report)),
        "bill": [bill_numbers(line) for line in report.bill],
    }
    return json.dumps(document, indent=1) + "\n"


def compared(sweep: Sweep, findings: StudyFindings, group: Group) -> Estimate | None:
    """Final team return of a group minus that of the baseline of its scenario; None for the baseline itself."""
    [task] = [each for each in sweep.study.tasks if each.key == group.task]
    baseline = sweep.baseline(task)
    if baseline is None or baseline == group:
        return None
    names = (group.task, group.variant, group.contender, baseline.task, baseline.variant, baseline.contender)
    return difference(findings.finals(group), findings.finals(baseline), "difference", *names)


def _told(sweep: Sweep, group: Group) -> str:
    """A group, as short as the sweep allows."""
    label = sweep.labels[group]
    [scenario] = [task.label for task in sweep.study.tasks if task.key == group.task]
    return label if len(sweep.study.tasks) == 1 else f"{label} ({scenario})"


def _what_ran(report: SweepReport) -> str:
    study = report.sweep.study
    ran = (
        f"{counted(len(report.sweep.cells), 'run')} of `foretell simulate`: {counted(len(study.tasks), 'scenario')}, "
        f"{counted(len(report.sweep.labels), 'group')} of runs that differ in the seed alone, "
        f"{seeds_told(report.findings)}."
    )
    so_far = [f"**{study.so_far}**"] if study.so_far else []
    return "\n\n".join((ran, *so_far, RETURNS, about_intervals(*report.findings.runs)))


def _finals(report: SweepReport) -> str:
    sweep, findings, study = report.sweep, report.findings, report.sweep.study
    several, known = len(study.tasks) > 1, bool(findings.references)
    several_lines = len(sweep.labels) > len(study.tasks)
    least, most = findings.runs
    head = (
        *(("scenario",) if several else ()),
        *(
            "group",
            "algorithm",
            *(("runs",) if least < most else ()),
            f"start (first {START} episodes), mean",
            "final team return",
        ),
        *(("normalized",) if known else ()),
        *(("minus the baseline",) if several_lines else ()),
    )
    rows = []
    for condition, group in study.groups():
        starts = [each.first for each in findings.outcomes[group]]
        normalized = interval(findings.final_normalized(group)) if group.task in findings.references else ""
        apart = compared(sweep, findings, group)
        baseline = "the baseline" if group == sweep.baseline(condition.task) else ""
        rows.append(
            (
                *((condition.task.label,) if several else ()),
                *(sweep.labels[group], group.contender, *((str(len(starts)),) if least < most else ())),
                f"{sum(starts) / len(starts):.2f}",
                interval(findings.final(group)),
                *((normalized,) if known else ()),
                *((baseline if apart is None else interval(apart),) if several_lines else ()),
            )
        )
    formulas = [
        f"- {task.label}: {findings.references[task.key].formula}"
        for task in study.tasks
        if task.key in findings.references
    ]
    missing = [task.label for task in study.tasks if task.key in sweep.baselines and sweep.baseline(task) is None]
    compares = _COMPARED if most > 1 else _COMPARED_ONCE
    if missing:
        compares += f" {_NO_BASELINE}: {', '.join(missing)}."
    said = [compares] if several_lines else []
    said += [f"{_NORMALIZED}\n\n" + "\n".join(formulas)] if formulas else [_BARE]
    return "\n\n".join((markdown_table(head, rows), *said))


def _groups(report: SweepReport) -> Iterator[dict[str, Any]]:
    sweep, findings = report.sweep, report.findings
    for condition, group in sweep.study.groups():
        apart, baseline = compared(sweep, findings, group), sweep.baseline(condition.task)
        yield {
            "label": sweep.labels[group],
            "scenario": condition.task.scenario,
            "settings": dict(condition.variant.settings),
            "baseline": None if baseline is None else sweep.labels[baseline],
            "minus_baseline": None if apart is None else estimate_numbers(apart),
            **group_numbers(findings, group),
        }


def _fenced(text: str, language: str) -> str:
    """A text as a block of code, whatever stands in it."""
    longest = max(map(len, re.findall("~+", text)), default=0)
    fence = "~" * max(3, longest + 1)
    return f"{fence}{language}\n{text.strip()}\n{fence}"
