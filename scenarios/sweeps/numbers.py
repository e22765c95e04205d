"""Every number of a sweep, as JSON. Pure: no I/O, no clock."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from scenarios.reports.made import Made
from scenarios.reports.statistics import Estimate, difference
from scenarios.running.batch.cell import Group
from scenarios.studies.bill import BillLine, bill_numbers
from scenarios.studies.findings import StudyFindings
from scenarios.studies.numbers import group_numbers, reference_numbers
from scenarios.sweeps.sweep import Sweep


def numbers(sweep: Sweep, findings: StudyFindings, billed: Iterable[BillLine], made: Made) -> str:
    """Every number behind page and picture, as JSON.

    Args:
        sweep: What was asked.
        findings: Its outcomes.
        billed: The communication bill.
        made: How.
    """
    document = {
        "sweep": sweep.study.name,
        "title": sweep.study.title,
        "command": made.command,
        "versions": dict(made.versions),
        **({"so_far": sweep.study.so_far} if sweep.study.so_far else {}),
        "references": reference_numbers(findings),
        "groups": list(_groups(sweep, findings)),
        "bill": [bill_numbers(line) for line in billed],
    }
    return json.dumps(document, indent=1) + "\n"


def compared(sweep: Sweep, findings: StudyFindings, group: Group) -> Estimate | None:
    """Final team return of a group minus that of the baseline of its scenario; None for the baseline itself."""
    [task] = [each for each in sweep.study.tasks if each.key == group.task]
    baseline = sweep.baseline(task)
    if baseline is None or baseline == group:
        return None
    return difference(findings.finals(group), findings.finals(baseline), "difference", *group.names, *baseline.names)


def _groups(sweep: Sweep, findings: StudyFindings) -> Iterator[dict[str, Any]]:
    for condition, group in sweep.study.groups():
        apart, baseline = compared(sweep, findings, group), sweep.baseline(condition.task)
        yield {
            "label": sweep.labels[group],
            "scenario": condition.task.scenario,
            "settings": dict(condition.variant.settings),
            "baseline": None if baseline is None else sweep.labels[baseline],
            "minus_baseline": None if apart is None else apart.numbers(),
            **group_numbers(findings, group),
        }
