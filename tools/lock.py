"""Prints the versions of what is installed here, as the lines of one of the three locks.

python tools/lock.py node   # requirements-node.lock: what a plain `pip install foretell` brings, on any machine
python tools/lock.py lab    # requirements.lock: what `make demo` needs, that and the extra `lab`
python tools/lock.py test   # requirements-test.lock: everything
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HEADERS = {
    "node": "# Pinned versions of what a node needs and no more. Renew with `make lock`.",
    "lab": "# Pinned versions of what `make demo` installs. Renew with `make lock`.",
    "test": "# Pinned versions of what `make test` installs. Renew with `make lock`.",
}
EXTRAS = {"node": (), "lab": ("lab",)}
OURS = {"foretell", "pip", "setuptools"}
# Wheels from 2.11 on require CUDA packages on Linux aarch64.
TORCH_AARCH64 = "torch==2.10.0 ; sys_platform == 'linux' and platform_machine == 'aarch64'"
ELSEWHERE = "sys_platform != 'linux' or platform_machine != 'aarch64'"
PROJECT = Path(__file__).parent.parent / "pyproject.toml"
PYTHONS, MACHINES = ("3.11", "3.13"), ("x86_64", "aarch64")


def lines(names: set[str] | None = None) -> list[str]:
    """One line a distribution, in alphabetical order; of those with some names alone, where names are given."""
    found = []
    for installed in distributions():
        name, version = installed.metadata["Name"], installed.version.split("+")[0]
        if names is not None and canonicalize_name(name) not in names:
            continue
        if name == "torch":
            found += [TORCH_AARCH64, f"torch=={version} ; {ELSEWHERE}"]
        elif name.lower() not in OURS:
            found.append(f"{name}=={version}")
    return sorted(set(found), key=str.lower)


def names_of(extras: tuple[str, ...]) -> set[str]:
    """The distributions that the project requires with these extras and no other, and all that these require."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    found: set[str] = set()
    required = (project["dependencies"], *(project["optional-dependencies"][extra] for extra in extras))
    waiting = [Requirement(each) for own in required for each in own]
    while waiting:
        name = canonicalize_name(waiting.pop().name)
        if name not in found:
            found.add(name)
            waiting += _required_by(name)
    return found


def _required_by(name: str) -> Iterator[Requirement]:
    try:
        required = distribution(name).requires or ()
    except PackageNotFoundError:  # another version of Python needs it
        return
    for each in map(Requirement, required):
        if each.marker is None or any(each.marker.evaluate(machine) for machine in _machines()):
            yield each


def _machines() -> Iterator[dict[str, str]]:
    for python in PYTHONS:
        for machine in MACHINES:
            yield {"python_version": python, "platform_machine": machine, "extra": ""}


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("lock", choices=tuple(HEADERS), help="Which lock.")
    lock = options.parse_args().lock
    print("\n".join([HEADERS[lock], *lines(names_of(EXTRAS[lock]) if lock in EXTRAS else None)]))  # noqa: T201
