"""The communication bill: what crossed the edges, and what return it bought. Pure: no I/O, no clock.

Bytes are those of whole frames as the run's store counted them, not estimates. The return gained is that over
independent learning on the same task, which sends nothing: what a run would have reached without any message.
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
        gain: Final team return over that of independent learning in the same condition; None where that was not run.
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


def bill(findings: StudyFindings, layouts: Layouts) -> tuple[BillLine, ...]:
    """A line for every group of the study that shares anything."""
    groups = [group for _, group in findings.study.groups() if group.contender != ALONE]
    return tuple(_line(findings, group, layouts[group]) for group in groups)


def alone(findings: StudyFindings, group: Group) -> Group | None:
    """The independent learners to compare with: those of the same variant, or else the only ones of the task."""
    same = Group(group.task, group.variant, ALONE)
    others = [each for each in findings.outcomes if each.task == group.task and each.contender == ALONE]
    return same if same in others else others[0] if len(others) == 1 else None


def _line(findings: StudyFindings, group: Group, arrays: tuple[SharedArray, ...]) -> BillLine:
    outcomes = findings.outcomes[group]
    shares = float(np.mean([each.traffic.sent for each in outcomes]))
    sent_bytes = float(np.mean([each.traffic.sent_bytes for each in outcomes]))
    slots = float(np.mean([each.traffic.edges * each.traffic.rounds for each in outcomes]))
    baseline = alone(findings, group)
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
