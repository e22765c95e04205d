"""A docstring that lists arguments or attributes lists those there are. Read from the syntax trees."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from test_architecture import ROOT, modules, nodes_of

Function = ast.FunctionDef | ast.AsyncFunctionDef


def listed_in(section: str, node: ast.ClassDef | Function) -> list[str] | None:
    """The names that a section of a docstring explains, in its order; None where there is no such section."""
    text = f"{ast.get_docstring(node) or ''}\n"
    found = re.search(rf"^{section}:\n((?:    .*\n|\n)+)", text, re.MULTILINE)
    return None if found is None else re.findall(r"^    \*{0,2}(\w+):", found[1], re.MULTILINE)


def parameters(function: Function) -> list[str]:
    """Those that a caller gives, in the order of the signature."""
    of = function.args
    there = (*of.posonlyargs, *of.args, of.vararg, *of.kwonlyargs, of.kwarg)
    return [each.arg for each in there if each is not None and each.arg not in ("self", "cls")]


def init_of(node: ast.ClassDef) -> Function | None:
    return next((each for each in node.body if isinstance(each, Function) and each.name == "__init__"), None)


def fields(node: ast.ClassDef) -> list[str]:
    """What a caller gives to a class that says so without `__init__`."""
    stand = [each for each in node.body if isinstance(each, ast.AnnAssign)]
    given = [each for each in stand if not ast.unparse(each.annotation).startswith(("ClassVar", "KW_ONLY"))]
    names = [ast.unparse(each.target) for each in given] if init_of(node) is None else []
    return [name for name in names if not name.startswith("_")]


def kept(node: ast.ClassDef) -> set[str]:
    """What a class has: names in its body, and what it keeps under `self`."""
    methods = {each.name for each in node.body if isinstance(each, Function)}
    own = [each for each in node.body if isinstance(each, ast.AnnAssign | ast.Assign)]
    targets = [each for part in own for each in (part.targets if isinstance(part, ast.Assign) else [part.target])]
    stored = [each for each in ast.walk(node) if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store)]
    return (
        methods | {ast.unparse(each) for each in targets} | {ast.unparse(each).removeprefix("self.") for each in stored}
    )


def wrong(tree: tuple[ast.AST, ...]) -> Iterator[str]:
    """Names of the functions and classes whose docstrings list others than there are, with what they list and have."""
    for node in tree:
        if isinstance(node, Function):
            listed = listed_in("Args", node)
            if listed is not None and listed != parameters(node):
                yield f"{node.name} explains {listed}, takes {parameters(node)}"
        elif isinstance(node, ast.ClassDef):
            yield from wrong_of(node)


def wrong_of(node: ast.ClassDef) -> Iterator[str]:
    """The same of one class."""
    init, attributes, arguments = init_of(node), listed_in("Attributes", node), listed_in("Args", node)
    if init is not None and arguments is not None and arguments != parameters(init):
        yield f"{node.name} explains {arguments}, takes {parameters(init)}"
    if attributes is not None:
        yield from (f"{node.name} explains {name}, has none" for name in attributes if name not in kept(node))
        yield from (f"{node.name} has {name}, does not explain it" for name in fields(node) if name not in attributes)


def test_what_a_docstring_explains_is_what_there_is() -> None:
    assert [f"{path.relative_to(ROOT)}: {each}" for path in modules() for each in wrong(nodes_of(path))] == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ('def f(a, *b, c, **d):\n """F.\n\n Args:\n     a: A.\n     b: B.\n     c: C.\n     d: D.\n """', False),
        ('def f(a, b):\n """F.\n\n Args:\n     b: B.\n     a: A.\n """', True),
        ('def f(a, b):\n """F.\n\n Args:\n     a: A.\n """', True),
        ('class C:\n """C.\n\n Args:\n     a: A.\n """\n def __init__(self, b): ...', True),
        ('class C:\n """C.\n\n Attributes:\n     dashes: D.\n """\n dashes: str\n _own: int', False),
        ('class C:\n """C.\n\n Attributes:\n     style: S.\n """\n dashes: str', True),
        ('class C:\n """C.\n\n Attributes:\n     a: A.\n """\n a: int\n b: int', True),
        ('class C:\n """C.\n\n Attributes:\n     a: A.\n """\n def __init__(self): self.a = 1', False),
        ('class C:\n """C.\n\n Attributes:\n     a: A.\n """\n def __init__(self): self._a = 1', True),
    ],
)
def test_the_reading_finds_what_is_wrong_and_nothing_else(code: str, found: bool) -> None:
    assert bool(list(wrong(tuple(ast.walk(ast.parse(code)))))) is found
