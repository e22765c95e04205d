"""docs/extending.md says where a new thing goes: all of these places are there, and its lists of methods are whole."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
STEPS = re.findall(r"^(\d+)\. `([\w/]+\.(?:py|toml))`(?: `(\w+)`)?: ((?:.|\n   )+)", PAGE, re.MULTILINE)
LISTED = ("Task", "Algorithm", "Transport", "ProcessControl", "Substrate", "Life", "Nodes")
"""Those whose methods the page lists."""


def top_level(path: str) -> dict[str, ast.AST]:
    """What a file defines, by name."""
    found: dict[str, ast.AST] = {}
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                found[name] = node
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                found[name] = node
    return found


def test_every_step_names_a_place_that_there_is() -> None:
    sections = PAGE.split("\n## ")[1:]
    assert [number for number, *_ in STEPS] == [
        str(number)
        for section in sections
        for number in range(1, len(re.findall(r"^\d+\. ", section, re.MULTILINE)) + 1)
    ]
    assert len(sections) == 6
    for _, path, name, _ in STEPS:
        assert (ROOT / path).is_file(), path
        assert not name or name in top_level(path), f"{path} has no {name}"
    for path in re.findall(r"`([\w/]+/[\w.]*)`", PAGE):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("name", LISTED)
def test_the_methods_of_a_contract_are_all_listed(name: str) -> None:
    path, text = next((path, text) for _, path, named, text in STEPS if named == name)
    contract = top_level(path)[name]
    assert isinstance(contract, ast.ClassDef)
    defined = {node.name for node in contract.body if isinstance(node, ast.FunctionDef)}
    assert set(re.findall(r"`([a-z_]+)`", text)) - {"launched"} == {each for each in defined if each[0] != "_"}
