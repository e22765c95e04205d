"""Every number of a study, as JSON. Pure: no I/O, no clock."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from typing import Any

from scenarios.reports.made import Made
from scenarios.running.batch.cell import Group
from scenarios.running.batch.outcome import RunOutcome
from scenarios.studies.bill import BillLine, bill_numbers
from scenarios.studies.claims import MARGIN, Claim, Comparison, MapComparison, conclude
from scenarios.studies.findings import StudyFindings
from scenarios.studies.study import CONTENDERS


def numbers(findings: StudyFindings, billed: Iterable[BillLine], made: Made) -> str:
    """Every number behind page and figure, as JSON.

    Args:
        findings: Study and outcomes.
        billed: The communication bill.
        made: How.
    """
    document = {
        "study": findings.study.name,
        "command": made.command,
        "versions": dict(made.versions),
        **({"so_far": findings.study.so_far} if findings.study.so_far else {}),
        "margin": MARGIN,
        "references": reference_numbers(findings),
        "groups": [group_numbers(findings, group) for _, group in findings.study.groups()],
        "claims": [_claim_numbers(findings, claim) for claim in findings.study.claims],
        "bill": [bill_numbers(line) for line in billed],
    }
    return json.dumps(document, indent=1) + "\n"


def reference_numbers(findings: StudyFindings) -> dict[str, Any]:
    """What returns are normalized by, for JSON, by key of the task; for any number of agents only if a claim asks."""
    compared = [each for claim in findings.study.claims for each in claim.comparisons]
    of_any_number = any(isinstance(each, Comparison) and each.any_number for each in compared)
    return {
        task: {
            "lines": {line.label: line.value for line in scale.lines},
            "zero": scale.zero,
            "one": scale.one,
            **({"one_of_any_number": scale.one_of_any_number} if of_any_number else {}),
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
        "final": findings.final(group).numbers(),
        "final_normalized": findings.final_normalized(group).numbers() if known else None,
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
                "difference": None if each.estimate is None else each.estimate.numbers(),
                "verdict": each.verdict.value,
            }
            for each in decided
        ],
    }


def _compared(comparison: Comparison | MapComparison) -> dict[str, Any]:
    if isinstance(comparison, MapComparison):
        rows = [[group.names for group in row] for row in comparison.rows]
        return {"map": rows, "along_rows": comparison.one, "along_columns": comparison.other}
    return {
        "group": comparison.group.names,
        "other": comparison.other.names,
        "other_at_start": comparison.from_start,
        **({"any_number": True} if comparison.any_number else {}),
    }
