"""Worked reasoning, one step a line, as short as column arithmetic allows.

478+356: 8+6=14 7+5+1=13 4+3+1=8: 834      columns from the right, the carry added last
812-377: 12-7=5 11-7-1=3 8-3-1=4: 435      a digit too small is raised by ten, the borrow taken last
47*6: 7*6=42 4*6+4=28: 282                 digits from the right, the carry added
252/7: 25/7=3r4 42/7=6: 36                 long division from the left
8+6=14, 96/12=8                            what is in the tables is said at once
"""

from __future__ import annotations

from typing import List, Tuple

from .expression import Expression, value


def in_tables(operator: str, a: int, b: int) -> bool:
    """Whether a op b belongs to the tables, which are known by heart: single digits, and small quotients by 10 to 25."""
    if operator == "/":
        return 0 < b <= 25 and a % b == 0 and a // b < (10 if b < 10 else 13)
    if operator == "-" and 0 <= b < 10 and b <= a:
        return a - b < 10
    return 0 <= a < 10 and 0 <= b < 10


def _digits(number: int) -> List[int]:
    """Digits from the right."""
    return [int(c) for c in reversed(str(number))]


def _add(a: int, b: int) -> List[str]:
    left, right = _digits(a), _digits(b)
    carry, out = 0, []
    for i in range(max(len(left), len(right))):
        x, y = (left[i] if i < len(left) else 0), (right[i] if i < len(right) else 0)
        out.append(f"{x}+{y}{'+1' if carry else ''}={x + y + carry}")
        carry = (x + y + carry) // 10
    return out


def _subtract(a: int, b: int) -> List[str]:
    left, right = _digits(a), _digits(b)
    borrow, out = 0, []
    for i, x in enumerate(left):
        y = right[i] if i < len(right) else 0
        top = x + 10 if x - y - borrow < 0 else x
        out.append(f"{top}-{y}{'-1' if borrow else ''}={top - y - borrow}")
        borrow = 1 if top != x else 0
    return out


def _multiply(a: int, b: int) -> List[str]:
    carry, out = 0, []
    for x in _digits(a):
        out.append(f"{x}*{b}{f'+{carry}' if carry else ''}={x * b + carry}")
        carry = (x * b + carry) // 10
    return out


def _divide(a: int, b: int) -> List[str]:
    out, rest, started = [], 0, False
    for c in str(a):
        rest = rest * 10 + int(c)
        if rest < b and not started:
            continue
        started = True
        left = rest % b
        out.append(f"{rest}/{b}={rest // b}{f'r{left}' if left else ''}")
        rest = left
    return out


def step(operator: str, a: int, b: int) -> Tuple[str, int]:
    """One step, (line, result). Products need one factor of a single digit, divisions a divisor of one digit or a small
    quotient."""
    result = value((operator, a, b))
    if operator == "-" and a < b:
        line, _ = step("-", b, a)
        return f"{a}-{b}=-({b}-{a})\n{line}", result
    if in_tables(operator, a, b):
        return f"{a}{operator}{b}={result}", result
    if operator == "*" and b > 9:
        columns = _multiply(b, a)
    else:
        columns = {"+": _add, "-": _subtract, "*": _multiply, "/": _divide}[operator](a, b)
    return f"{a}{operator}{b}: {' '.join(columns)}: {result}", result


def solve(expression: Expression) -> Tuple[List[str], List[Expression], int]:
    """Innermost first, left to right: the lines, the one-operation expressions they compute, and the value."""
    if isinstance(expression, int):
        return [], [], expression
    operator, left, right = expression
    lines, parts, a = solve(left)
    more_lines, more_parts, b = solve(right)
    line, result = step(operator, a, b)
    part: Expression = (operator, a, b)
    return lines + more_lines + [line], parts + more_parts + [part], result


def feasible(expression: Expression, largest: int = 9999) -> bool:
    """Whether every step is one that the model is taught: sizes, signs, exactness."""
    if isinstance(expression, int):
        return 0 <= expression <= largest
    operator, left, right = expression
    if not (feasible(left, largest) and feasible(right, largest)):
        return False
    a, b = value(left), value(right)
    if a < 0 or b < 0:
        return False
    if operator == "*":
        return min(a, b) < 10 and max(a, b) < 1000
    if operator == "/":
        return 0 < b < 10 and a % b == 0 or in_tables("/", a, b)
    if operator == "-":
        return a >= b
    return a + b <= largest


def compare(a: int, b: int) -> str:
    """The line that finds the larger of two different numbers: by length, else by the first digit that differs."""
    left, right = str(a), str(b)
    if len(left) != len(right):
        sign = "<" if len(left) < len(right) else ">"
        return f"{a} {b}: {len(left)}{sign}{len(right)} digits"
    out = []
    for x, y in zip(left, right):
        out.append(f"{x}{'=' if x == y else '<' if x < y else '>'}{y}")
        if x != y:
            break
    return f"{a} {b}: {' '.join(out)}"
