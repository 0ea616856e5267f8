"""Arithmetic expressions: their value, their text, and a key that is the same for every rearrangement.

An expression is an int or a tuple (operator, left, right) with operator one of + - * /. Divisions are exact.
"""

from __future__ import annotations

from typing import List, Tuple, Union

Expression = Union[int, Tuple[str, "Expression", "Expression"]]

_RANK = {"+": 1, "-": 1, "*": 2, "/": 2}


def value(expression: Expression) -> int:
    """The value; a division with a remainder is an error."""
    if isinstance(expression, int):
        return expression
    operator, left, right = expression
    a, b = value(left), value(right)
    if operator == "+":
        return a + b
    if operator == "-":
        return a - b
    if operator == "*":
        return a * b
    if b == 0 or a % b:
        raise ValueError(f"{a} / {b} is not exact")
    return a // b


def text(expression: Expression, signs: str = "+-*/", space: str = "", all_brackets: bool = False) -> str:
    """The expression as text with as few brackets as needed. signs replaces the four operators, in that order."""

    def write(node: Expression, least: int) -> str:
        if isinstance(node, int):
            return str(node)
        operator, left, right = node
        rank = _RANK[operator]
        out = write(left, rank) + space + signs["+-*/".index(operator)] + space + write(right, rank + 1)
        return f"({out})" if rank < least or (all_brackets and least > 1) else out

    return write(expression, 1)


def _terms(expression: Expression, sign: int, out: List[Tuple[int, str]]) -> None:
    """Appends the signed terms of a sum, brackets of sums dissolved."""
    if not isinstance(expression, int) and expression[0] in "+-":
        _terms(expression[1], sign, out)
        _terms(expression[2], sign if expression[0] == "+" else -sign, out)
    else:
        out.append((sign, _inner(expression)))


def _factors(expression: Expression, out: List[str]) -> None:
    if not isinstance(expression, int) and expression[0] == "*":
        _factors(expression[1], out)
        _factors(expression[2], out)
    else:
        out.append(_inner(expression))


def _inner(expression: Expression) -> str:
    if isinstance(expression, int):
        return str(expression)
    if expression[0] in "+-":
        terms: List[Tuple[int, str]] = []
        _terms(expression, 1, terms)
        positive = sorted(("+" if sign > 0 else "-") + body for sign, body in terms)
        negative = sorted(("-" if sign > 0 else "+") + body for sign, body in terms)
        return "(" + "".join(max(positive, negative)) + ")"
    if expression[0] == "*":
        factors: List[str] = []
        _factors(expression, factors)
        return "(" + "*".join(sorted(factors)) + ")"
    return f"({_inner(expression[1])}/{_inner(expression[2])})"


def canonical(expression: Expression) -> str:
    """A key that rearranging does not change: terms and factors are sorted, and a difference equals its reverse.

    12 + 47 * 6, 6 * 47 + 12 and (47 * 6) + 12 share one key; so do 812 - 377 and 377 - 812.
    """
    return _inner(expression)
