"""The tree of errors: what is drawn is what there is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from broker import errors

ROOT = Path(__file__).parent.parent.parent
BRANCH = re.compile(r"((?:\|   )*)[|`]-- (\w+)")


def drawn() -> dict[str, str]:
    """Every error of the tree in the docstring, and the one above it."""
    above, trail = {}, ["ForetellError"]
    for indent, name in BRANCH.findall(errors.__doc__):
        trail[len(indent) // 4 + 1 :] = [name]
        above[name] = trail[-2]
    return above


def defined() -> dict[str, str]:
    """Every public error of the four packages, and the one it is derived from; no module is imported for it."""
    bases = {
        node.name: [ast.unparse(base).rpartition(".")[2] for base in node.bases]
        for package in ("broker", "agent_node", "env_service", "scenarios")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    }
    found: dict[str, str] = {}
    while new := {
        name: base
        for name, own in bases.items()
        for base in own
        if name not in found and (base == "ForetellError" or base in found)
    }:
        found |= new
    return {name: base for name, base in found.items() if not name.startswith("_")}


def test_the_tree_draws_every_error_below_the_one_it_is_derived_from():
    assert drawn() == defined()
    assert len(drawn()) > 9
