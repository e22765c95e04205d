"""Runs tests of this tree against the code of an earlier commit, and says which of them fail there.

python tools/seen_red.py COMMIT [TEST ... | @FILE]

A TEST is a name that pytest knows, or a file of tests; @FILE holds one a line. Without any it takes every test that
COMMIT does not have. A test that proves a mended defect is red on the code before the mend. Each runs in a process of
its own, two at a time. The code of COMMIT lies in a temporary folder, with the tests of this tree and an environment of
its own that borrows the installed packages of this one. Ends with 1 when a test is green there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
LIMIT_S = 240.0
"""Seconds after which a test counts as one that does not end: on broken code, some wait for what never comes."""
SHOWN = 150
"""Characters of a failure that are shown."""


@dataclass(frozen=True)
class Seen:
    """What became of one test on the earlier code: `how` is green, red, or without end."""

    test: str
    how: str
    why: str


def main(commit: str, chosen: Sequence[str]) -> int:
    """Run them and print a line for each."""
    with tempfile.TemporaryDirectory(prefix="seen-red-") as folder:
        tree = Path(folder) / "tree"
        python = _check_out(commit, tree)
        tests = [test for each in chosen for test in _listed(each)] or sorted(
            _names(Path(sys.executable), ROOT) - _names(python, tree)
        )
        shutil.rmtree(tree / "tests")
        shutil.copytree(ROOT / "tests", tree / "tests", ignore=shutil.ignore_patterns("__pycache__"))
        green = 0
        with ThreadPoolExecutor(2) as pool:
            for seen in pool.map(lambda test: _try(python, tree, test), tests):
                _say(f"{seen.how:11} {seen.test}\n            {seen.why}")
                green += seen.how == "green"
    _say(f"{len(tests)} tests on {commit}: {len(tests) - green} red, {green} green")
    return min(green, 1)


def _listed(chosen: str) -> list[str]:
    if not chosen.startswith("@"):
        return [chosen]
    lines = Path(chosen[1:]).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _check_out(commit: str, tree: Path) -> Path:
    """Lay the files of `commit` down in `tree`; gives the Python that finds its packages there."""
    tree.mkdir()
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    subprocess.run(["tar", "--extract", "--directory", str(tree)], input=archive.stdout, check=True)
    home = tree / ".venv"
    venv.create(home, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(home)}))
    borrowed = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "borrowed.pth").write_text("\n".join((str(tree), *borrowed, "")), encoding="utf-8")
    python = home / "bin" / "python"
    command = (Path(sys.executable).parent / "foretell").read_text(encoding="utf-8").split("\n", 1)[1]
    foretell = home / "bin" / "foretell"
    foretell.write_text(f"#!{python}\n{command}", encoding="utf-8")
    foretell.chmod(0o755)
    return python


def _names(python: Path, tree: Path) -> set[str]:
    words = [str(python), "-m", "pytest", "--collect-only", "-q", "-n", "0", "-p", "no:cacheprovider"]
    listed = subprocess.run(words, cwd=tree, check=True, capture_output=True, text=True)
    return {line for line in listed.stdout.splitlines() if "::" in line}


def _try(python: Path, tree: Path, test: str) -> Seen:
    words = [str(python), "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "--tb=short", "-rf", test]
    process = subprocess.Popen(
        words,
        cwd=tree,
        env={**os.environ, "COLUMNS": str(len(test) + 2 * SHOWN)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return Seen(test, "without end", f"no end within {LIMIT_S:g} s")
    if process.returncode == 0:
        return Seen(test, "green", "passes on the earlier code")
    return Seen(test, "red", _failure(test, said)[:SHOWN])


def _failure(test: str, said: str) -> str:
    """What pytest's summary says of a test that failed, or why it cannot be imported."""
    lines = said.strip().splitlines()
    failed = [line.partition(" - ")[2] for line in lines if line.startswith("FAILED")]
    raised = [line[1:].strip() for line in lines if line.startswith("E  ")]
    if not (failed or raised):
        msg = f"pytest could not run {test}: {said.strip()}"
        raise SystemExit(msg)
    return next(line for line in [*failed, *raised, lines[-1]] if line)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit")
    parser.add_argument("tests", nargs="*", metavar="TEST")
    given = parser.parse_args()
    sys.exit(main(given.commit, given.tests))
