"""`theory.json`: slack of every claim on every case, and in full the cases that violate one."""

from __future__ import annotations

import json
import math

from scenarios.studies.theory.bounds import CLAIMS, Bound, BoundKind, Instance, Sides, anticipated_policies
from scenarios.studies.theory.cases import RECIPES, SHAPES, draw_case
from scenarios.studies.theory.findings import TheoryFindings
from scenarios.studies.theory.worked import WORKED

_DIGITS = 4
"""Significant digits of slacks and shares; the tables of a case are exact."""


def numbers(findings: TheoryFindings) -> str:
    """The whole file. Infinite numbers are null.

    In full: every case that violates a theorem, the smallest that violates each other claim, and the worked cases; any
    other case is `draw_case(seed, index)`.
    """
    cases = findings.checked
    return _text(
        {
            "seed": findings.seed,
            "instances": len(cases),
            "case": "case k has shape k mod the number of shapes, and recipe (k div that) mod the number of recipes",
            "shapes": [vars(shape) for shape in SHAPES],
            "recipes": [recipe.name for recipe in RECIPES],
            "claims": {claim.key: _claim(claim, findings) for claim in findings.claims},
            "worked": [
                {"claim": each.claim, "sides": _sides(_named(each.claim).at(each.case)), **_tables(each.case)}
                for each in WORKED
            ],
        }
    )


def _named(key: str) -> Bound:
    return next(claim for claim in CLAIMS if claim.key == key)


def _claim(claim: Bound, findings: TheoryFindings) -> dict[str, object]:
    sides = [each.sides[claim.key] for each in findings.checked]
    violated = findings.violated(claim)
    shown = violated if claim.kind is BoundKind.THEOREM else violated[:1]
    return {
        "label": claim.label,
        "kind": claim.kind.value,
        "reading": claim.reading.value,
        "slack": [_rounded(side.slack) for side in sides],
        "share_of_allowance": [_rounded(side.share) for side in sides],
        "violated_by": sorted(each.index for each in violated),
        "counterexamples": [
            {
                "index": each.index,
                "sides": _sides(each.sides[claim.key]),
                **_tables(draw_case(findings.seed, each.index)),
            }
            for each in shown
        ],
    }


def _sides(sides: Sides) -> dict[str, float | None]:
    return {"smaller": _finite(sides.smaller), "larger": _finite(sides.larger), "allowance": _finite(sides.allowance)}


def _tables(case: Instance) -> dict[str, object]:
    return {
        "discount": case.mmdp.discount,
        "start": case.mmdp.start.tolist(),
        "transitions": case.mmdp.transitions.tolist(),
        "rewards": case.mmdp.rewards.tolist(),
        "old": case.old.tolist(),
        "new": case.new.tolist(),
        "anticipations": anticipated_policies(case).tolist(),
    }


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _rounded(number: float | None) -> float | None:
    return None if number is None or not math.isfinite(number) else float(f"{number:.{_DIGITS}g}")


def _text(value: object, depth: int = 0) -> str:
    """JSON with a line for each entry of an object, and for each list but lists of objects."""
    inner, outer = "  " * (depth + 1), "  " * depth
    if isinstance(value, dict):
        lines = [f"{inner}{json.dumps(key)}: {_text(entry, depth + 1)}" for key, entry in value.items()]
        return _block("{", lines, "}", outer)
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return _block("[", [inner + _text(entry, depth + 1) for entry in value], "]", outer)
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def _block(opening: str, lines: list[str], closing: str, indent: str) -> str:
    ending = "\n" if not indent and opening == "{" else ""
    return f"{opening}\n" + ",\n".join(lines) + f"\n{indent}{closing}{ending}"
