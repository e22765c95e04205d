"""Sees that what requirements-node.lock pins is there as wheels for a Raspberry Pi, and prints a table of it.

    python tools/resolves.py [--python VERSION ...]

uv resolves the lock for Linux on aarch64 with the glibc of Raspberry Pi OS bookworm (2.36; the wheels ask for 2.28 at
most), for Python 3.11 (bookworm) and 3.13 (trixie), from wheels alone: nothing is compiled on a board. pip downloads
for the machine that it runs on, so it cannot tell. uv itself comes as a wheel into a folder that is gone afterwards. It
ends with 1 where a version does not resolve. The table goes to docs/results/boards.md.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from packages import ROOT, pip

_LOCK = ROOT / "requirements-node.lock"
_PLATFORM = "aarch64-manylinux_2_28"
_PYTHONS = ("3.11", "3.13")
_PIN = re.compile(r"^([\w.-]+)==(\S+)$", re.MULTILINE)


def main() -> int:
    """Resolve for each Python, and print a row."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--python", action="append", metavar="VERSION", help="Such as 3.13; repeatable.")
    pythons = options.parse_args().python or _PYTHONS
    with tempfile.TemporaryDirectory(prefix="foretell-uv-") as folder:
        pip("install", "-q", "--target", folder, "uv")
        uv = Path(folder) / "bin" / "uv"
        print("| Python | platform | packages | as in requirements-node.lock |\n|---|---|---|---|")  # noqa: T201
        return max(_resolved(uv, python) for python in pythons)


def _resolved(uv: Path, python: str) -> int:
    """Resolve for one Python; 1 where that cannot be, or gives what the lock does not name."""
    words = ["--python-platform", _PLATFORM, "--python-version", python, "--only-binary", ":all:", "--no-header"]
    words += ["--constraints", str(_LOCK), "--no-annotate", "--no-progress"]
    command = [str(uv), "pip", "compile", "-q", *words, str(ROOT / "pyproject.toml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stderr.write(done.stderr)
        print(f"| {python} | {_PLATFORM} | do not resolve | |")  # noqa: T201
        return 1
    found, locked = _pins(done.stdout), _pins(_LOCK.read_text(encoding="utf-8"))
    others = {name: version for name, version in found.items() if locked.get(name) != version}
    told = "all" if not others else f"all but {', '.join(f'{name} {version}' for name, version in others.items())}"
    print(f"| {python} | {_PLATFORM} | {len(found)} | {told} |")  # noqa: T201
    return int(bool(others))


def _pins(text: str) -> dict[str, str]:
    """Versions by name, however its words are joined."""
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in _PIN.findall(text)}


if __name__ == "__main__":
    sys.exit(main())
