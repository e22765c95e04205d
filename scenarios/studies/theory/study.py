"""`foretell study theory`: draw the cases, check every claim on each, and write page, picture and numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from broker.errors import UserError
from broker.files import whole_file
from broker.text_files import read_text
from scenarios.studies.theory.bounds import CLAIMS
from scenarios.studies.theory.cases import draw_case
from scenarios.studies.theory.findings import TheoryFindings, check
from scenarios.studies.theory.numbers import numbers
from scenarios.studies.theory.page import page
from scenarios.studies.theory.picture import draw_slacks

_NUMBERS = "theory.json"
_MOST_BYTES = 1 << 28
ShowCount = Callable[[int], None]


def run_theory(instances: int, seed: int, out: Path, show: ShowCount) -> TheoryFindings:
    """Check every claim on `instances` cases and write `theory.md`, `theory.png` and `theory.json`.

    Args:
        instances: Number of cases; a multiple of `len(SHAPES) * len(RECIPES)` gives each combination equally many.
        seed: Of all draws; equal seeds give equal pages and numbers.
        out: Folder, made if it is not there.
        show: Takes the number of cases done.

    Raises:
        UserError: Somebody else's files would be overwritten, or a file cannot be written.
    """
    _require_own(out)
    checked = []
    for index in range(instances):
        checked.append(check(index, draw_case(seed, index), CLAIMS))
        show(index + 1)
    findings = TheoryFindings(seed, CLAIMS, tuple(checked))
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in (
            (_NUMBERS, numbers(findings).encode()),  # first: it says whose the others are
            ("theory.md", page(findings).encode()),
            ("theory.png", draw_slacks(findings)),
        ):
            with whole_file(out / name) as file:
                file.write(content)
    except OSError as error:
        msg = f"cannot write {error.filename}: {error.strerror}"
        raise UserError(msg) from None
    return findings


def _require_own(out: Path) -> None:
    """See that the files that would be overwritten are those of an earlier call.

    Raises:
        UserError: They are not.
    """
    there = [name for name in (_NUMBERS, "theory.md", "theory.png") if (out / name).exists()]
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads(read_text(out / _NUMBERS, _MOST_BYTES))
        if isinstance(found, dict) and {"seed", "instances", "claims"} <= found.keys():
            return
    if there:
        msg = f"expected a folder without {there[0]}, or one of `foretell study theory`, found {out}"
        raise UserError(f"{msg}. Choose another --out.")
