"""Expressions as text: receives what :mod:`minidl.graph.expression` made, returns a line.

The text is that of a textbook and can be read back: :func:`evaluable` makes Python of it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Mapping

from minidl.graph.expression import Rewrite

_QUOTED = re.compile(r"('[^']*')")
_INDEX = re.compile(r"_i(?!\w)")
_OPPOSITE: dict[type[ast.operator], type[ast.operator]] = {ast.Add: ast.Sub, ast.Sub: ast.Add}
_PER_ELEMENT = (ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.Name, ast.Constant, ast.Load)
_POWERS = {"2": "²", "3": "³"}


def text(expression: ast.expr, scalars: Collection[str] = ()) -> str:
    """Return an expression as text: with a true minus sign, ² and ³, and Σ over elements.

    A sum over all elements of vectors is written by its terms, ``½ Σ (h_i − y_i)²``; symbols
    that stand for ``scalars`` get no index in it.
    """
    shown = tidy(expression)
    summed = scaled_sum(shown)
    if summed is not None:
        sign, factor, terms = summed
        return _sum_text("−" * (sign < 0), _factor_text(factor), indexed(terms, scalars))
    return _pretty(ast.unparse(_Compound().visit(shown)))


def tidy(expression: ast.expr) -> ast.expr:
    """Return −(a * b) as −a * b and a + −b as a − b, everywhere: the same value, less to read."""
    return _Tidy().visit(expression)


def evaluable(written: str, names: Mapping[str, str]) -> str:
    """Return text made by :func:`text` as a Python expression.

    Parameters
    ----------
    names : Mapping
        For each symbol that is not an identifier, the identifier that stands for it.
    """
    for symbol in sorted(names, key=len, reverse=True):
        written = written.replace(symbol, names[symbol])
    written = re.sub(r"^(−?)(?:(½|[\d.]+) )?Σ (.*)$", _evaluable_sum, written)
    for digit, power in _POWERS.items():
        written = written.replace(power, f"**{digit}")
    return written.replace("−", "-").replace("½", "0.5")


class _Tidy(Rewrite):
    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        operand = self.visit(node.operand)
        product = isinstance(operand, ast.BinOp) and isinstance(operand.op, ast.Mult | ast.Div)
        if product and isinstance(node.op, ast.USub):
            left = self.visit(ast.UnaryOp(node.op, operand.left))
            return ast.BinOp(left, operand.op, operand.right)
        return ast.UnaryOp(node.op, operand)

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        left, right = self.visit(node.left), self.visit(node.right)
        positive = _positive(right) if type(node.op) in _OPPOSITE else None
        if positive is not None:
            return ast.BinOp(left, _OPPOSITE[type(node.op)](), positive)
        return ast.BinOp(left, node.op, right)


def _positive(expression: ast.expr) -> ast.expr | None:
    """Return a product without the sign it begins with; None if it has none."""
    if isinstance(expression, ast.UnaryOp) and isinstance(expression.op, ast.USub):
        return expression.operand
    if isinstance(expression, ast.BinOp) and isinstance(expression.op, ast.Mult | ast.Div):
        left = _positive(expression.left)
        return None if left is None else ast.BinOp(left, expression.op, expression.right)
    return None


class _Compound(Rewrite):
    """Put parentheses round ``∂L/∂z`` where its fraction bar could be misread."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        return ast.Attribute(_bracketed(self.visit(node.value)), node.attr)

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        return ast.Subscript(_bracketed(self.visit(node.value)), self.visit(node.slice))

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        left, right = self.visit(node.left), self.visit(node.right)
        if isinstance(node.op, ast.Pow):
            left = _bracketed(left)
        if isinstance(node.op, ast.Pow | ast.Div):
            right = _bracketed(right)
        return ast.BinOp(left, node.op, right)


class _Indexed(Rewrite):
    def __init__(self, scalars: Collection[str]) -> None:
        self.scalars = scalars

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return node if node.id in self.scalars else ast.Name(f"{node.id}_i")


def _bracketed(expression: ast.expr) -> ast.expr:
    if isinstance(expression, ast.Name) and "/" in expression.id:
        return ast.Name(f"({expression.id})")
    return expression


def scaled_sum(expression: ast.expr) -> tuple[int, float, ast.expr] | None:
    """Take ``-c * Σ(terms)`` apart into sign, c and terms, each of single elements of vectors."""
    sign, factor = 1, 1.0
    if isinstance(expression, ast.UnaryOp) and isinstance(expression.op, ast.USub):
        sign, expression = -1, expression.operand
    if isinstance(expression, ast.BinOp) and isinstance(expression.op, ast.Mult):
        left, right = expression.left, expression.right
        if isinstance(left, ast.UnaryOp) and isinstance(left.op, ast.USub):
            sign, left = -sign, left.operand
        if isinstance(left, ast.Constant) and isinstance(left.value, int | float):
            factor, expression = left.value, right
    if not isinstance(expression, ast.Call) or ast.unparse(expression.func) != "Σ":
        return None
    if expression.keywords or len(expression.args) != 1 or not _is_per_element(expression.args[0]):
        return None
    return sign, factor, expression.args[0]


def indexed(terms: ast.expr, scalars: Collection[str]) -> ast.expr:
    """Return the expression of one element: each symbol but ``scalars`` with the index i."""
    return _Indexed(scalars).visit(terms)


def _is_per_element(expression: ast.expr) -> bool:
    nodes = list(ast.walk(expression))
    return all(
        isinstance(node, _PER_ELEMENT) and not isinstance(node, ast.MatMult) for node in nodes
    ) and not any("/" in node.id for node in nodes if isinstance(node, ast.Name))


def _factor_text(factor: float) -> str:
    if factor == 1:
        return ""
    return "½ " if factor == 0.5 else f"{factor} "


def _sum_text(sign: str, factor: str, terms: ast.expr) -> str:
    written = _pretty(ast.unparse(terms))
    if isinstance(terms, ast.BinOp) and isinstance(terms.op, ast.Add | ast.Sub):
        written = f"({written})"
    return f"{sign}{factor}Σ {written}"


def _evaluable_sum(match: re.Match[str]) -> str:
    sign, factor, terms = match.groups()
    return f"{sign}{factor or 1} * Σ({_INDEX.sub('', terms)})"


def _pretty(written: str) -> str:
    parts = _QUOTED.split(written)
    for index in range(0, len(parts), 2):
        part = re.sub(r" \*\* ([23])(?![\d.])", lambda m: _POWERS[m[1]], parts[index])
        parts[index] = part.replace("-", "−")
    return "".join(parts)
