"""Plays the golden scenarios with other Pythons, numpys, kernels and settings of the libraries, and prints a table.

    python tools/versions.py [--python PYTHON ...] [NAME ...]

Each Python gets environments of its own, with the oldest and the newest numpy that pyproject.toml allows and wheels
exist for, without torch, and this project from one wheel. PYTHON is an interpreter; without any it takes Debian's own
Python and every Python of 3.11 and 3.13 that it finds. In the first environment each set of kernels that the processor
knows is forced once; in the environment that runs this, torch is imported first and the libraries are told to take
other instructions. Needs pip's registry and some minutes; ends with 1 where a scenario parts. The table goes to
docs/results/portability.md.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from packages import LOCK, ROOT, numpy_versions, pip, simulated_without_torch

_WANTED = ("3.11", "3.13")
_RESULT = re.compile(
    r"^(\d+) of (\d+) equal in (\d+) s: \w+, Python (\S+), numpy (\S+), kernels (\w+), (.*)$", re.MULTILINE
)
_ABOUT = "import sys; print('%d.%d' % sys.version_info[:2], sys.version_info[:3], sys.base_prefix)"
_KERNELS = """
from broker.arithmetic import chosen
possible = getattr(chosen, "possible", lambda: [chosen.kernels.name])
print(*possible())
"""
_FEATURES = "from numpy._core._multiarray_umath import __cpu_dispatch__ as features; print(*features)"
_TOLD = (
    {"ATEN_CPU_CAPABILITY": "default"},
    {"MKL_CBWR": "COMPATIBLE"},
    {"MKL_CBWR": "AVX2"},
    {"OPENBLAS_CORETYPE": "Nehalem"},
)


@dataclass(frozen=True)
class Trial:
    """One row of the table.

    Attributes:
        python: What plays.
        told: Environment variables.
        modules: Imported first.
    """

    python: Path
    told: dict[str, str] = field(default_factory=dict)
    modules: tuple[str, ...] = ()


def main() -> int:
    """Make environments, play in each, and print the rows."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("names", nargs="*", metavar="NAME", help="Golden scenarios; none: all.")
    options.add_argument("--python", action="append", type=Path, metavar="PYTHON", help="An interpreter; repeatable.")
    chosen = options.parse_args()
    parted = 0
    with tempfile.TemporaryDirectory(prefix="foretell-versions-") as folder:
        pip("wheel", "-q", "--no-deps", "-w", folder, str(ROOT))
        (wheel,) = Path(folder).glob("foretell-*.whl")
        _say("| Python | numpy | torch | set | kernels | golden scenarios equal | seconds |")
        _say("|---|---|---|---|---|---|---|")
        for trial in trials(chosen.python or list(_pythons()), Path(folder), wheel):
            parted = max(parted, play(trial, chosen.names))
    return parted


def trials(pythons: Sequence[Path], folder: Path, wheel: Path) -> Iterator[Trial]:
    """All rows, in order: every environment, then all kernels in the first, then torch and its settings."""
    first: Path | None = None
    for python in pythons:
        found = numpy_versions(_said(python, _ABOUT).split()[0])
        for numpy in dict.fromkeys((found[0], found[-1])):
            made = _environment(python, numpy, folder, wheel)
            first = first or made
            yield Trial(made)
    if first is not None:
        for kernels in _said(first, _KERNELS).split():
            yield Trial(first, {"FORETELL_KERNELS": kernels})
        yield Trial(first, {"NPY_DISABLE_CPU_FEATURES": _said(first, _FEATURES)})
    if find_spec("torch") is None:
        _note("no rows with torch: it is not installed in the environment that runs this")
        return
    here = Path(sys.executable)
    yield from (Trial(here, told, ("torch",)) for told in ({}, *_TOLD))


def play(trial: Trial, names: Sequence[str]) -> int:
    """Play in one environment and print the row; 1 where a scenario parts."""
    words = [str(trial.python), str(ROOT / "tools" / "golden.py"), "--quiet", *names]
    words += [word for module in trial.modules for word in ("--first-import", module)]
    done = subprocess.run(words, env=_environment_variables() | trial.told, capture_output=True, text=True, check=False)
    if done.returncode:
        _note(done.stdout + done.stderr)
    told = ", ".join(f"{name}={value}" for name, value in trial.told.items()) or "nothing"
    result = _RESULT.search(done.stdout)
    if result is None:
        _say(f"| {trial.python} | | | {told} | | none played | |")
        return 1
    equal, of, seconds, python, numpy, kernels, torch = result.groups()
    torch = torch.removeprefix("torch ")
    _say(f"| {python} | {numpy} | {torch} | {told} | {kernels} | {equal} of {of} | {seconds} |")
    return done.returncode


def _pythons() -> Iterator[Path]:
    """Debian's own Python, and those that are wanted, each once, wherever they lie."""
    known = set()
    homes = [Path(each) for each in os.environ.get("PATH", "").split(os.pathsep)]
    homes += [Path("/usr/bin"), *sorted(Path.home().glob(".pyenv/versions/*/bin"))]
    for python in [Path("/usr/bin/python3"), *(home / f"python{version}" for version in _WANTED for home in homes)]:
        if not python.is_file():
            continue
        about = subprocess.run([str(python), "-c", _ABOUT], capture_output=True, text=True, check=False).stdout
        if about and about.split()[0] in _WANTED and about not in known:
            known.add(about)
            yield python
    for version in _WANTED:
        if not any(about.startswith(f"{version} ") for about in known):
            _note(f"no Python {version} on PATH, in /usr/bin or in ~/.pyenv: name one with --python")


def _environment(python: Path, numpy: str, folder: Path, wheel: Path) -> Path:
    """A clean environment with one numpy, what a simulation needs, no torch, and this project; its Python."""
    home = folder / f"{_said(python, _ABOUT).split()[0]}-{numpy}-{len(list(folder.iterdir()))}"
    subprocess.run([str(python), "-m", "venv", "--without-pip", str(home)], check=True)
    made, pins = home / "bin" / "python", home / "pins.txt"
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    pins.write_text("\n".join(line for line in lines if not line.startswith(("torch=", "numpy="))), encoding="utf-8")
    words = ["--python", str(made), "install", "-q", "--no-compile", "--only-binary", ":all:"]
    pip(*words, "-c", str(pins), f"numpy=={numpy}", *simulated_without_torch())
    pip(*words, "--no-deps", str(wheel))
    return made


def _environment_variables() -> dict[str, str]:
    told = {name for variables in _TOLD for name in variables} | {"PYTHONPATH", "FORETELL_KERNELS"}
    return {name: value for name, value in os.environ.items() if name not in told}


def _said(python: Path, code: str) -> str:
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True, cwd="/")
    return done.stdout.strip()


def _note(text: str) -> None:
    sys.stderr.write(f"{text.rstrip()}\n")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
