"""The communication bill: what crossed the edges, and what return it bought. Pure: no I/O, no clock.

Bytes are those of whole frames as the run's store counted them, not estimates. The return gained is that over
independent learning in the same condition, which sends nothing: what a run would have reached without any message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from scenarios.reports.statistics import Estimate, difference
from scenarios.running.batch.cell import Group
from scenarios.running.batch.outcome import RunOutcome
from scenarios.studies.findings import StudyFindings
from scenarios.studies.share_arrays import SharedArray
from scenarios.studies.study import ALONE

Layouts = Mapping[Group, tuple[SharedArray, ...]]
Baselines = Mapping[Group, Group]
"""For a group, the independent learners that its gain is over; groups without any are not in it."""


@dataclass(frozen=True)
class BillLine:
    """One group's bill; means over its runs.

    Attributes:
        group: Whose.
        arrays: What one share holds.
        share_bytes: Bytes of one share on the wire, mean over all shares; None where nothing was sent.
        edge_round_bytes: Bytes per directed edge and communication round, skipped rounds and absent partners included.
        shares: Shares sent in a run.
        megabytes: Sent in a run, in 10^6 bytes.
        heard_share: Part of the expected shares that was heard in time; None where none was expected.
        gain: Final team return over that of the group's baseline; None where it has none.
        gain_per_megabyte: The gain's value over the megabytes; None where nothing was sent.
    """

    group: Group
    arrays: tuple[SharedArray, ...]
    share_bytes: float | None
    edge_round_bytes: float | None
    shares: float
    megabytes: float
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


def _line(findings: StudyFindings, group: Group, arrays: tuple[SharedArray, ...], baseline: Group | None) -> BillLine:
    outcomes = findings.outcomes[group]
    shares = float(np.mean([each.traffic.sent for each in outcomes]))
    sent_bytes = float(np.mean([each.traffic.sent_bytes for each in outcomes]))
    slots = float(np.mean([each.traffic.edges * each.traffic.rounds for each in outcomes]))
    gain = None
    if baseline is not None:
        gain = difference(findings.finals(group), findings.finals(baseline), "gain", *_name(group))
    return BillLine(
        group,
        arrays,
        share_bytes=sent_bytes / shares if shares else None,
        edge_round_bytes=sent_bytes / slots if slots else None,
        shares=shares,
        megabytes=sent_bytes / 1e6,
        heard_share=_heard_share(outcomes),
        gain=gain,
        gain_per_megabyte=gain.value / (sent_bytes / 1e6) if gain is not None and sent_bytes else None,
    )


def _heard_share(outcomes: tuple[RunOutcome, ...]) -> float | None:
    shares = [each.traffic.heard_share for each in outcomes]
    known = [share for share in shares if share is not None]
    return float(np.mean(known)) if known else None


def _name(group: Group) -> tuple[str, str, str]:
    return group.task, group.variant, group.contender
