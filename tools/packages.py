"""What the golden scenarios need of other packages where torch is not to be installed; see versions.py, emulated.py."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements-test.lock"
_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
_NAME = re.compile(r"[\w.-]+")
_NOT_SIMULATED = ("aiomqtt", "cryptography", "matplotlib", "pyzmq", "rich", "scipy")
"""Dependencies that a simulation without a picture and a screen never imports."""


def simulated_without_torch() -> list[str]:
    """Those of the requirements of the project and its extra `lab` that a simulation needs."""
    named = (*_PROJECT["dependencies"], *_PROJECT["optional-dependencies"]["lab"])
    return [each for each in named if _name(each) not in _NOT_SIMULATED]


def oldest_numpy() -> str:
    """The oldest numpy that pyproject.toml allows, such as `2.0`."""
    (numpy,) = (each for each in _PROJECT["dependencies"] if _name(each) == "numpy")
    return str(re.findall(r">=\s*([\d.]+)", numpy)[0])


def numpy_versions(python: str) -> list[str]:
    """The versions of numpy that pyproject.toml allows and a Python such as `3.13` can have, oldest first."""
    words = ["index", "versions", "numpy", "--python-version", python, "--only-binary", ":all:"]
    (listed,) = re.findall(r"Available versions: (.*)", pip(*words))
    found = sorted((each for each in listed.split(", ") if _numbers(each)), key=_numbers)
    return [version for version in found if _numbers(version) >= _numbers(oldest_numpy())]


def has_wheel(python: Path, numpy: str) -> bool:
    """Whether a version of numpy has a wheel for the interpreter `python`; versions that are listed need not."""
    words = ["--python", str(python), "install", "-q", "--dry-run", "--no-deps", "--only-binary", ":all:"]
    words += ["--target", "nowhere"]  # or Debian's own Python refuses, as if something were to be installed
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *words, f"numpy=={numpy}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def pip(*words: str) -> str:
    """What this interpreter's pip says to some words; ends with a sentence where it fails."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        end = done.stderr.strip().splitlines() or ["no word"]
        sys.exit(f"pip {' '.join(words[:3])} ... failed: {end[-1]}")
    return done.stdout


def _name(requirement: str) -> str:
    found = _NAME.match(requirement)
    return found.group().lower() if found else requirement


def _numbers(version: str) -> tuple[int, ...]:
    """A released version as numbers; of any other, nothing."""
    return tuple(map(int, version.split("."))) if re.fullmatch(r"[\d.]+", version) else ()
