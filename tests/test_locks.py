"""What the locks pin: a node as little as it needs, and one version of everything for all."""

from __future__ import annotations

import re
import runpy
import subprocess
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from limits import LIMIT_S

ROOT = Path(__file__).parent.parent
PIN = re.compile(r"^([\w.-]+)==(\S+)", re.MULTILINE)
MOST_OF_A_NODE = 16
"""Packages; each is downloaded, kept on every board, and to be trusted. Whoever adds one says why here."""


def pins(lock: str) -> dict[str, set[str]]:
    """Versions by name; a package may have one for each kind of machine."""
    found: dict[str, set[str]] = {}
    for name, version in PIN.findall((ROOT / lock).read_text(encoding="utf-8")):
        found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), set()).add(version)
    return found


def required(*extras: str) -> set[str]:
    """What the project requires with some extras, as far as it is there for this Python."""
    tool = runpy.run_path(str(ROOT / "tools" / "lock.py"))
    return {name for name in tool["names_of"](extras) - tool["OURS"] if is_installed(name)}


def is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def test_a_node_is_pinned_to_what_it_needs_and_that_stays_little():
    node = pins("requirements-node.lock")
    assert node.keys() == required()
    assert len(node) <= MOST_OF_A_NODE
    assert not {"torch", "scipy", "matplotlib", "nicegui", "ray"} & node.keys()


def test_the_demonstration_is_pinned_to_what_it_needs():
    assert pins("requirements.lock").keys() == required("lab")


@pytest.mark.parametrize("lock", ["requirements-node.lock", "requirements.lock"])
def test_tests_run_with_the_versions_that_are_pinned_for_all_others(lock):
    tested = pins("requirements-test.lock")
    assert {name: versions for name, versions in pins(lock).items() if tested.get(name) != versions} == {}


@pytest.mark.processes
@pytest.mark.parametrize(("target", "all_are_there"), [("demo", False), ("test", True)])
def test_only_tests_install_what_only_tests_need(target: str, all_are_there: bool) -> None:
    words = ("make", "--dry-run", "--always-make", target)
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=True)
    found = {name for name in ("chromium", "nats-server", "mosquitto", "openssh-client") if name in done.stdout}
    assert found == ({"chromium", "nats-server", "mosquitto", "openssh-client"} if all_are_there else set())
    assert "python3-venv" in done.stdout
    assert "gcc libc6-dev" in done.stdout
