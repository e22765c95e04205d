"""Gives `foretell check` and `foretell simulate` thousands of documents that chance made, and counts how they end.

    .venv/bin/python tools/try_documents.py > docs/results/odd-documents.md

A document is text that is nearly TOML, a scenario of the catalogue with broken text, or a small scenario of which some
values were replaced. Those of the last kind that pass their check are played for an episode. Exits with 1 where a
command ended in a traceback or did not end; each such document is shown by its kind and number.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

ROOT = Path(__file__).parent.parent
sys.path += [str(ROOT), str(ROOT / "tests" / "scenarios"), str(ROOT / "tests")]

from odd_documents import broken_text, mutated, nearly_toml, written  # noqa: E402
from odd_outcome import is_small, problem_of  # noqa: E402

_LIMIT_S = 60.0
_KINDS: dict[str, Callable[[Random], bytes]] = {
    "nearly TOML": nearly_toml,
    "broken text": broken_text,
    "changed values": lambda random: written(mutated(random)),
}
_CODES = (0, 2, 3, 4, None)


def main() -> int:
    """Try them all, and print a table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--documents", type=int, default=3000, help="Of each kind.")
    options.add_argument("--played", type=int, default=1000, help="How many of those that pass are played, at most.")
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    ended: Counter[tuple[str, int | None]] = Counter()
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        for name, code, problem in _tried(Path(folder), chosen.documents, chosen.played, chosen.seed):
            ended[name.rpartition(" ")[0], code] += 1
            if problem:
                problems.append(f"{name}: {problem}")
    sys.stdout.write(_page(chosen, ended, problems))
    return 1 if problems else 0


def _page(chosen: argparse.Namespace, ended: Counter[tuple[str, int | None]], problems: list[str]) -> str:
    words = f"--documents {chosen.documents} --played {chosen.played} --seed {chosen.seed}"
    lines = [
        "# Documents that chance made, and how commands ended\n",
        f"`.venv/bin/python tools/try_documents.py {words}`\n",
        "| documents | 0, done | 2, refused | 3, died | 4, other faults | traceback or no end |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {kind} | {' | '.join(str(ended[kind, code]) for code in _CODES)} |"
        for kind in dict.fromkeys(kind for kind, _ in ended)
    ]
    return "\n".join([*lines, *(f"\n{problem}" for problem in problems), ""])


def _tried(folder: Path, documents: int, played: int, seed: int) -> Iterator[tuple[str, int | None, str]]:
    """Name, exit code and problem of every command."""
    path, run = folder / "odd.toml", folder / "run"
    for kind, make in _KINDS.items():
        for number in range(documents):
            path.write_bytes(make(Random(f"{seed} {kind} {number}")))  # noqa: S311
            code, problem = problem_of("check", str(path), limit_s=_LIMIT_S)
            yield f"{kind}, checked {number}", code, problem
            if code == 0 and kind == "changed values" and played and is_small(path):
                played -= 1
                words = ("simulate", str(path), "--episodes", "1", "--out", str(run))
                yield f"{kind}, played {number}", *problem_of(*words, limit_s=_LIMIT_S)
                shutil.rmtree(run, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
