"""One of a thing is never called several."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from broker.counting import counted, listed

ROOT = Path(__file__).parent.parent.parent
THINGS = (
    *("agent", "algorithm", "comparison", "edge", "episode", "fault", "message", "participant", "run", "seed"),
    *("task", "time", "value", "variant", "number", "kill", "neighbor", "row", "step", "copy"),
)
SEVERAL = (*(f" {'copies' if thing == 'copy' else f'{thing}s'}" for thing in THINGS), " lives")
NO_NUMBERS = ("address", "', '.join(map(str, sorted(lengths)))")


def test_one_is_one_and_all_else_are_several():
    assert [counted(number, "task") for number in (0, 1, 2)] == ["0 tasks", "1 task", "2 tasks"]
    assert [counted(number, "life", "lives") for number in (1, 2)] == ["1 life", "2 lives"]


def test_of_many_names_some_are_told_and_how_many_more_there_are():
    names = ["a", "b", "c"]
    assert [listed(names, most) for most in (2, 3, 4)] == ["a, b and 1 more", "a, b, c", "a, b, c"]
    assert listed([], 2) == ""


def plural_behind_any_number(tree: ast.AST) -> Iterator[ast.FormattedValue]:
    """Numbers in texts behind which stands a plural, whatever the number is."""
    for text in ast.walk(tree):
        if not isinstance(text, ast.JoinedStr):
            continue
        for number, behind in zip(text.values, text.values[1:], strict=False):
            if not isinstance(number, ast.FormattedValue) or not isinstance(behind, ast.Constant):
                continue
            said = str(behind.value).removeprefix(" directed")
            ends = [said[len(several) :][:1] for several in SEVERAL if said.startswith(several)]
            if any(not end.isalnum() for end in ends) and number.format_spec is None:
                yield number


def test_every_number_of_things_is_said_by_the_one_function_that_knows_one_from_several():
    found = []
    for package in ("broker", "agent_node", "env_service", "scenarios"):
        for path in (ROOT / package).rglob("*.py"):
            for number in plural_behind_any_number(ast.parse(path.read_text(encoding="utf-8"))):
                said = ast.unparse(number.value)
                if not said.isupper() and said not in NO_NUMBERS:  # a constant is not 1
                    found.append(f"{path.relative_to(ROOT)}:{number.lineno}: {said}")
    assert not found, "\n".join(found)
