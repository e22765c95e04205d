"""A Python that has what requirements-node.lock names, Foretell, and nothing else; the files are those of this one."""

from __future__ import annotations

import re
import venv
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
NODE_LOCK = ROOT / "requirements-node.lock"
OURS = ("agent_node", "broker", "env_service", "scenarios")


def locked() -> dict[str, str]:
    """The version of each distribution that a node needs."""
    lines = (line for line in NODE_LOCK.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


def install_node(folder: Path) -> Path:
    """Make it in a new folder; its interpreter."""
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for name in locked():
        for place in _places(name):
            (site / place.name).symlink_to(place)
    for package in OURS:
        (site / package).symlink_to(ROOT / package)
    return folder / "bin" / "python"


def _places(name: str) -> set[Path]:
    """The files and folders that a distribution has at the top of where packages lie."""
    found = distribution(name)
    tops = {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}
    return {Path(str(found.locate_file(top))) for top in tops}


def required() -> set[str]:
    """What pyproject.toml requires without an extra."""
    stated = map(Requirement, _requirements())
    return {canonicalize_name(each.name) for each in stated}


def _requirements() -> list[str]:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (listed,) = re.findall(r"^dependencies = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    return re.findall(r'"(.+?)"', listed)
