"""`foretell study theory`: draw the cases, check every claim on each, and write page, picture and numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scenarios.studies.theory.bounds import CLAIMS, Bound
from scenarios.studies.theory.cases import draw_case
from scenarios.studies.theory.findings import TheoryFindings, check
from scenarios.studies.theory.numbers import document
from scenarios.studies.theory.page import page
from scenarios.studies.theory.picture import draw_slacks

ShowCount = Callable[[int], None]


def run_theory(
    instances: int, seed: int, out: Path, show: ShowCount, claims: tuple[Bound, ...] = CLAIMS
) -> TheoryFindings:
    """Check every claim on `instances` cases and write `theory.md`, `theory.png` and `theory.json`.

    Args:
        instances: Number of cases; a multiple of `len(SHAPES) * len(RECIPES)` gives each combination equally many.
        seed: Of all draws; equal seeds give equal pages and numbers.
        out: Folder, made if it is not there.
        show: Takes the number of cases done.
        claims: The inequalities; the three theorems must be among them.
    """
    checked = []
    for index in range(instances):
        checked.append(check(index, draw_case(seed, index), claims))
        show(index + 1)
    findings = TheoryFindings(seed, claims, tuple(checked))
    out.mkdir(parents=True, exist_ok=True)
    (out / "theory.md").write_text(page(findings), encoding="utf-8")
    (out / "theory.json").write_text(document(findings), encoding="utf-8")
    draw_slacks(out / "theory.png", findings)
    return findings
