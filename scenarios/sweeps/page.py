"""The page of a sweep, as Markdown. Pure: no I/O, no clock."""

from __future__ import annotations

import re
from collections.abc import Sequence

from broker.counting import counted
from scenarios.reports.made import Made
from scenarios.reports.markdown import interval, markdown_table
from scenarios.reports.seeds_told import seeds_told, which_seeds
from scenarios.running.batch.cell import Group
from scenarios.running.batch.outcome import RETURNS, START
from scenarios.studies.bill import BillLine, bill_table
from scenarios.studies.findings import StudyFindings
from scenarios.sweeps.numbers import compared
from scenarios.sweeps.sweep import Sweep

_COMPARED = """\
*Minus the baseline* is the difference of final returns, with its 95% interval. Where that has 0 in it, these runs do
not tell the two apart; no correction is made for the number of comparisons."""
_COMPARED_ONCE = "*Minus the baseline* is the difference of final returns, without an interval."
_NO_BASELINE = "Nothing is compared where no run of the baseline is done"
_NORMALIZED = "Normalized (ours), R the team return:"
_ALONE = "whose settings differ in the algorithm alone, if such was run"
_BARE = "Nothing is normalized: no scenario here has reference returns that are known and the same in all its runs."
_SETTINGS = "Every setting of each run: `documents/`."


def page(sweep: Sweep, findings: StudyFindings, billed: Sequence[BillLine], made: Made) -> str:
    """The sweep as a Markdown page.

    Args:
        sweep: What was asked.
        findings: Its outcomes.
        billed: The communication bill.
        made: How.
    """
    study = sweep.study
    parts = [
        f"# {study.title}",
        *filter(None, [study.about.strip()]),
        f"![{study.title}]({study.name}.png)",
        _what_ran(sweep, findings),
        "## Final returns",
        _finals(sweep, findings),
        "## The communication bill",
        bill_table(billed, lambda group: _told(sweep, group), _ALONE),
        "## The document",
        _fenced(sweep.text, "toml"),
        "## How it was made",
        made.told("Hours and machine: `provenance.json`.", _SETTINGS, f"All numbers: `{study.name}.json`."),
    ]
    return "\n\n".join(parts) + "\n"


def _told(sweep: Sweep, group: Group) -> str:
    """A group, as short as the sweep allows."""
    label = sweep.labels[group]
    [scenario] = [task.label for task in sweep.study.tasks if task.key == group.task]
    return label if len(sweep.study.tasks) == 1 else f"{label} ({scenario})"


def _what_ran(sweep: Sweep, findings: StudyFindings) -> str:
    study = sweep.study
    ran = (
        f"{counted(len(sweep.cells), 'run')} of `foretell simulate`: {counted(len(study.tasks), 'scenario')}, "
        f"{counted(len(sweep.labels), 'group')} of runs that differ in the seed alone, "
        f"{which_seeds(findings.seeds)}."
    )
    so_far = [f"**{study.so_far}**"] if study.so_far else []
    return "\n\n".join((ran, *so_far, RETURNS, seeds_told(*findings.runs).intervals))


def _finals(sweep: Sweep, findings: StudyFindings) -> str:
    study = sweep.study
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


def _fenced(text: str, language: str) -> str:
    """A text as a block of code, whatever stands in it."""
    longest = max(map(len, re.findall("~+", text)), default=0)
    fence = "~" * max(3, longest + 1)
    return f"{fence}{language}\n{text.strip()}\n{fence}"
