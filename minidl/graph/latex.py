r"""Expressions as LaTeX: receives what :mod:`minidl.graph.expression` made, returns a formula.

What it writes is read by LaTeX, MathJax and Matplotlib alike: ``\odot`` for products of elements,
``\top`` for transposes, fractions for quotients, a product of matrices by juxtaposition.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection

from minidl.graph.text import indexed, scaled_sum, tidy

_ATOM, _POWER, _SIGN, _PRODUCT, _SUM, _COMPARISON, _LOOSE = range(7)

_BINARY: dict[type[ast.operator], tuple[str, int]] = {
    ast.Add: ("+", _SUM),
    ast.Sub: ("-", _SUM),
    ast.Mult: (r"\odot", _PRODUCT),
    ast.MatMult: (r"\,", _PRODUCT),
    ast.Mod: (r"\,\mathrm{mod}\,", _PRODUCT),
    ast.LShift: (r"\ll", _LOOSE),
    ast.RShift: (r"\gg", _LOOSE),
    ast.BitAnd: (r"\wedge", _LOOSE),
    ast.BitOr: (r"\vee", _LOOSE),
    ast.BitXor: (r"\oplus", _LOOSE),
}

_COMPARE: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: r"\leq",
    ast.Gt: ">",
    ast.GtE: r"\geq",
    ast.Eq: "=",
    ast.NotEq: r"\neq",
}

_GREEK = {
    **{"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "η": "eta"},
    **{"θ": "theta", "λ": "lambda", "μ": "mu", "π": "pi", "ρ": "rho", "σ": "sigma"},
    "inf": "infty",
    **{"τ": "tau", "φ": "phi", "ω": "omega", "Σ": "Sigma", "Δ": "Delta", "Φ": "Phi"},
}

_KNOWN = {
    **{name: "\\" + name for name in ("exp", "log", "max", "min", "tanh", "sin", "cos", "tan")},
    "Σ": r"\sum",
    "log1p": r"\mathrm{log1p}",
}


def latex(expression: ast.expr, scalars: Collection[str] = ()) -> str:
    """Return an expression as LaTeX math, without delimiters.

    ``scalars`` are symbols that get no index under a sum over elements.
    """
    shown = tidy(expression)
    summed = scaled_sum(shown)
    if summed is None:
        return _write(shown)[0]
    sign, factor, terms = summed
    element = indexed(terms, scalars)
    body = _bracketed(element, _PRODUCT)
    scale = "" if factor == 1 else r"\frac{1}{2} " if factor == 0.5 else f"{_number(factor)} "
    return f"{'-' * (sign < 0)}{scale}\\sum_{{i}} {body}"


def latex_symbol(name: str) -> str:
    r"""Return a symbol as LaTeX: ``∂L/∂W_f`` is ``\frac{\partial L}{\partial W_{f}}``."""
    if name.startswith("∂") and "/∂" in name:
        above, _, below = name[1:].partition("/∂")
        return rf"\frac{{\partial {latex_symbol(above)}}}{{\partial {latex_symbol(below)}}}"
    head, *subscripts = name.split("_")
    if not head:
        return _letters(name)
    if not subscripts:
        return _numbered(head)
    return f"{_letters(head)}_{{{','.join(_letters(part) for part in subscripts)}}}"


def _numbered(head: str) -> str:
    match = re.fullmatch(r"(\D)(\d+)", head)
    return f"{_letters(match[1])}_{{{match[2]}}}" if match else _letters(head)


def _letters(word: str) -> str:
    if word in _GREEK:
        return "\\" + _GREEK[word]
    if len(word) <= 1 or word.isdigit():
        return word
    return rf"\mathrm{{{_escape(word)}}}"


def _escape(word: str) -> str:
    return re.sub(r"([#$%&_{}])", r"\\\1", word)


def _write(node: ast.expr) -> tuple[str, int]:
    """Return LaTeX and how tightly it holds together."""
    writer = _WRITERS.get(type(node))
    return writer(node) if writer else (rf"\mathrm{{{_escape(ast.unparse(node))}}}", _ATOM)


def _bracketed(node: ast.expr, loosest: int) -> str:
    written, level = _write(node)
    return written if level <= loosest else rf"\left({written}\right)"


def _name(node: ast.Name) -> tuple[str, int]:
    fraction = node.id.startswith("∂")
    return latex_symbol(node.id), _POWER if fraction else _ATOM


def _constant(node: ast.Constant) -> tuple[str, int]:
    value = node.value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(value), _ATOM
    return (r"\ldots" if value is Ellipsis else rf"\mathrm{{{_escape(str(value))}}}"), _ATOM


def _number(value: float) -> str:
    mantissa, e, exponent = repr(value).partition("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if e else mantissa


def _unary(node: ast.UnaryOp) -> tuple[str, int]:
    sign = {ast.USub: "-", ast.UAdd: "+"}.get(type(node.op), r"\neg ")
    return sign + _bracketed(node.operand, _SIGN), _SIGN


def _binary(node: ast.BinOp) -> tuple[str, int]:
    if isinstance(node.op, ast.Div):
        return _fraction(node), _POWER
    if isinstance(node.op, ast.FloorDiv):
        return _fenced("floor", _fraction(node)), _ATOM
    if isinstance(node.op, ast.Pow):
        return f"{_bracketed(node.left, _ATOM)}^{{{_write(node.right)[0]}}}", _POWER
    sign, level = _BINARY[type(node.op)]
    if isinstance(node.op, ast.Mult) and _is_number(node.left):
        sign = r"\," if not _is_number(node.right) else r"\cdot"
    right = _bracketed(node.right, level - 1 if level > _PRODUCT else _POWER)
    return f"{_bracketed(node.left, level)} {sign} {right}", level


def _fraction(node: ast.BinOp) -> str:
    return rf"\frac{{{_write(node.left)[0]}}}{{{_write(node.right)[0]}}}"


def _is_number(node: ast.expr) -> bool:
    inner = node.operand if isinstance(node, ast.UnaryOp) else node
    return isinstance(inner, ast.Constant)


def _compare(node: ast.Compare) -> tuple[str, int]:
    parts = [_bracketed(node.left, _SUM)]
    for sign, right in zip(node.ops, node.comparators, strict=True):
        parts += [_COMPARE[type(sign)], _bracketed(right, _SUM)]
    return " ".join(parts), _COMPARISON


def _attribute(node: ast.Attribute) -> tuple[str, int]:
    inner = _bracketed(node.value, _ATOM)
    if node.attr in ("T", "mT"):
        return rf"{inner}^{{\top}}", _POWER
    return rf"{inner}.\mathrm{{{_escape(node.attr)}}}", _ATOM


def _call(node: ast.Call) -> tuple[str, int]:
    name = ast.unparse(node.func)
    if len(node.args) == 1 and not node.keywords:
        inner = _write(node.args[0])[0]
        if name == "sqrt":
            return rf"\sqrt{{{inner}}}", _ATOM
        if name in _FENCES:
            return _fenced(name, inner), _ATOM
        if name == "exp":
            return f"e^{{{inner}}}", _POWER
    written = [_write(argument)[0] for argument in node.args]
    written += [
        rf"\mathrm{{{_escape(keyword.arg or '')}}}={_write(keyword.value)[0]}"
        for keyword in node.keywords
    ]
    function = _KNOWN.get(name) or latex_symbol(name)
    if "_" in name:
        function = rf"\mathrm{{{_escape(name)}}}"
    return rf"{function}\left({', '.join(written)}\right)", _ATOM


def _fenced(name: str, inner: str) -> str:
    left, right = _FENCES[name]
    return rf"\left{left} {inner} \right{right}"


_FENCES = {
    "abs": ("|", "|"),
    "floor": (r"\lfloor", r"\rfloor"),
    "ceil": (r"\lceil", r"\rceil"),
}


def _sequence(left: str, right: str) -> Callable[[ast.Tuple | ast.List], tuple[str, int]]:
    def write(node: ast.Tuple | ast.List) -> tuple[str, int]:
        items = ", ".join(_write(item)[0] for item in node.elts)
        return rf"\left{left}{items}\right{right}", _ATOM

    return write


def _subscript(node: ast.Subscript) -> tuple[str, int]:
    inside = node.slice
    items = inside.elts if isinstance(inside, ast.Tuple) else [inside]
    written = ", ".join(_write(item)[0] for item in items)
    return rf"{_bracketed(node.value, _ATOM)}\left[{written}\right]", _ATOM


def _slice(node: ast.Slice) -> tuple[str, int]:
    parts = [node.lower, node.upper] + ([node.step] if node.step else [])
    return ":".join(_write(part)[0] if part else "" for part in parts), _ATOM


_WRITERS: dict[type[ast.AST], Callable[..., tuple[str, int]]] = {
    ast.Name: _name,
    ast.Constant: _constant,
    ast.UnaryOp: _unary,
    ast.BinOp: _binary,
    ast.Compare: _compare,
    ast.Attribute: _attribute,
    ast.Call: _call,
    ast.Tuple: _sequence("(", ")"),
    ast.List: _sequence("[", "]"),
    ast.Subscript: _subscript,
    ast.Slice: _slice,
}
