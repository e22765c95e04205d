"""The communication bill: what crossed the edges, and what return it bought. Pure: no I/O, no clock.

Bytes are those of whole frames as the run's store counted them, not estimates. The return gained is that over
independent learning in the same condition, which sends nothing: what a run would have reached without any message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scenarios.reports.markdown import interval, markdown_table, number
from scenarios.reports.statistics import Estimate, difference
from scenarios.results.run_result import UNTOLD
from scenarios.running.batch.cell import Group
from scenarios.running.batch.outcome import RunOutcome
from scenarios.studies.findings import StudyFindings
from scenarios.studies.share_arrays import SharedArray
from scenarios.studies.study import ALONE

Layouts = Mapping[Group, tuple[SharedArray, ...]]
Baselines = Mapping[Group, Group]
"""For a group, the independent learners that its gain is over; groups without any are not in it."""
_BILLED = """\
Bytes are those of whole frames on the wire, counted by the senders. The arrays are those of the first share of
such a run. An edge is directed; an edge and round counts also where nothing was sent. Gain is the final team
return over that of independent learning {condition}, which sends nothing."""


@dataclass(frozen=True)
class BillLine:
    """One group's bill; means over its runs.

    Attributes:
        group: Whose.
        arrays: What one share holds.
        share_bytes: Bytes of one share on the wire, mean over all shares; None where nothing was sent. This and the
            numbers made of bytes below are None, too, where an agent died before it had told those of all its shares.
        edge_round_bytes: Bytes per directed edge and communication round, skipped rounds and absent partners included.
        shares: Shares sent in a run.
        megabytes: Sent in a run, in 10^6 bytes; None where nobody knows.
        heard_share: Part of the expected shares that was heard in time; None where none was expected.
        gain: Final team return over that of the group's baseline; None where it has none.
        gain_per_megabyte: The gain's value over the megabytes; None where nothing was sent.
    """

    group: Group
    arrays: tuple[SharedArray, ...]
    share_bytes: float | None
    edge_round_bytes: float | None
    shares: float
    megabytes: float | None
    heard_share: float | None
    gain: Estimate | None
    gain_per_megabyte: float | None


def bill(findings: StudyFindings, layouts: Layouts, baselines: Baselines) -> tuple[BillLine, ...]:
    """A line for every group of the study that shares anything."""
    groups = [group for _, group in findings.study.groups() if group.contender != ALONE]
    return tuple(_line(findings, group, layouts[group], baselines.get(group)) for group in groups)


def of_the_same_variant(findings: StudyFindings) -> Baselines:
    """The independent learners of each group's variant, or else those of the variant that the study calls quiet."""
    found = {}
    for group in findings.outcomes:
        own = Group(group.task, group.variant, ALONE)
        quiet = own if findings.study.quiet is None else Group(group.task, findings.study.quiet, ALONE)
        alone = own if own in findings.outcomes else quiet
        if alone in findings.outcomes:
            found[group] = alone
    return found


def of_the_same_settings(conditions: Mapping[Group, str]) -> Baselines:
    """The first independent learners of the task that differ from each group in the algorithm alone.

    Args:
        conditions: Of every group all settings but the algorithm's.
    """
    alone: dict[tuple[str, str], Group] = {}
    for group, condition in conditions.items():
        if group.contender == ALONE:
            alone.setdefault((group.task, condition), group)
    places = {group: (group.task, condition) for group, condition in conditions.items()}
    return {group: alone[place] for group, place in places.items() if place in alone}


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
            number(line.share_bytes, 0),
            number(line.edge_round_bytes, 0),
            number(line.megabytes, 2),
            "" if line.heard_share is None else f"{line.heard_share:.1%}",
            "" if line.gain is None else interval(line.gain),
            number(line.gain_per_megabyte, 3),
        )
        for line in lines
    ]
    head = ("", "one share", "bytes a share", "bytes an edge and round", "MB a run", "heard", "gain", "gain per MB")
    untold = f" {UNTOLD[0].upper()}{UNTOLD[1:]}." if any(line.megabytes is None for line in lines) else ""
    billed = f"{_BILLED.format(condition=condition)}{untold}"
    return f"{markdown_table(head, rows)}\n\n{billed}" if rows else "Nothing was shared."


def bill_numbers(line: BillLine) -> dict[str, Any]:
    """One group's bill, for JSON."""
    return {
        "group": line.group.names,
        "arrays": [{"name": each.name, "dtype": each.dtype, "shape": list(each.shape)} for each in line.arrays],
        "share_bytes": line.share_bytes,
        "edge_round_bytes": line.edge_round_bytes,
        "shares": line.shares,
        "megabytes": line.megabytes,
        "heard_share": line.heard_share,
        "gain": None if line.gain is None else line.gain.numbers(),
        "gain_per_megabyte": line.gain_per_megabyte,
    }


def _line(findings: StudyFindings, group: Group, arrays: tuple[SharedArray, ...], baseline: Group | None) -> BillLine:
    outcomes = findings.outcomes[group]
    shares = float(np.mean([each.traffic.sent for each in outcomes]))
    slots = float(np.mean([each.traffic.edges * each.traffic.rounds for each in outcomes]))
    told = [each.traffic.sent_bytes for each in outcomes]
    sent_bytes = None if None in told else float(np.mean([each or 0 for each in told]))
    megabytes = None if sent_bytes is None else sent_bytes / 1e6
    gain = None
    if baseline is not None:
        gain = difference(findings.finals(group), findings.finals(baseline), "gain", *group.names)
    return BillLine(
        group,
        arrays,
        share_bytes=_per(sent_bytes, shares),
        edge_round_bytes=_per(sent_bytes, slots),
        shares=shares,
        megabytes=megabytes,
        heard_share=_heard_share(outcomes),
        gain=gain,
        gain_per_megabyte=None if gain is None else _per(gain.value, megabytes),
    )


def _per(amount: float | None, units: float | None) -> float | None:
    return None if amount is None or not units else amount / units


def _heard_share(outcomes: tuple[RunOutcome, ...]) -> float | None:
    shares = [each.traffic.heard_share for each in outcomes]
    known = [share for share in shares if share is not None]
    return float(np.mean(known)) if known else None
