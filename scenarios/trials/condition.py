"""Conditions on the summary of a run, such as `team_return_last < 3 and shares_missing > 0`."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Collection, Mapping
from typing import Any

from broker.errors import UserError

_Operators = dict[type, Callable[[Any, Any], Any]]
_COMPARISONS: _Operators = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ARITHMETIC: _Operators = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_LONGEST = 1000


class Condition:
    """A condition that can be asked of any run's summary.

    Args:
        text: Numbers and fields of the summary, with `< <= > >= == !=`, `+ - * /`, `and`, `or`, `not`.

    Raises:
        UserError: It is none.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        if len(text) > _LONGEST:
            raise self._refused(f"expected at most {_LONGEST} characters, found {len(text)}")
        try:
            self._tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise self._refused("it cannot be read") from None

    def holds(self, summary: Mapping[str, Any]) -> bool:
        """Whether it holds.

        Raises:
            UserError: It names a field that there is not, or compares what cannot be compared.
        """
        try:
            return bool(self._value(self._tree, summary))
        except (TypeError, ArithmeticError, RecursionError) as error:
            raise self._refused(str(error)) from None

    def check(self, names: Collection[str]) -> None:
        """Refuse a condition that names other fields.

        Raises:
            UserError: Says which there are.
        """
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Name) and node.id not in names:
                raise self._refused(f"there is no {node.id!r}. A run has {', '.join(sorted(names))}")

    def _value(self, node: ast.expr, summary: Mapping[str, Any]) -> Any:
        match node:
            case ast.Constant(value=bool() | int() | float()):
                return node.value
            case ast.Name(id=name) if name in summary:
                return summary[name]
            case ast.Name():
                self.check(summary)
            case ast.BoolOp(op=ast.And()):
                return all(self._value(each, summary) for each in node.values)
            case ast.BoolOp():
                return any(self._value(each, summary) for each in node.values)
            case ast.UnaryOp(op=ast.Not()):
                return not self._value(node.operand, summary)
            case ast.UnaryOp(op=ast.USub()):
                return -self._value(node.operand, summary)
            case ast.BinOp() if type(node.op) in _ARITHMETIC:
                return _ARITHMETIC[type(node.op)](self._value(node.left, summary), self._value(node.right, summary))
            case ast.Compare() if all(type(each) in _COMPARISONS for each in node.ops):
                values = [self._value(each, summary) for each in (node.left, *node.comparators)]
                pairs = zip(node.ops, values, values[1:], strict=False)
                return all(_COMPARISONS[type(each)](one, other) for each, one, other in pairs)
        raise self._refused(f"expected numbers, fields of a summary and comparisons, found {ast.unparse(node)!r}")

    def _refused(self, why: str) -> UserError:
        return UserError(f"the condition {self._text!r:.200} cannot be asked: {why}")
