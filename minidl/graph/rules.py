"""The rules of an op in print: receives an op, returns its formula and its gradients as lines.

Nothing here is typed beside a rule: ``backward`` is called on placeholders that carry names, and
the graph it returns is written down.
"""

from __future__ import annotations

import ast
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from minidl import registry
from minidl.graph.expression import Notation, Rewrite, literal, substitute, symbols_in
from minidl.graph.gradient import backward
from minidl.graph.latex import latex, latex_symbol
from minidl.graph.leaves import constant, placeholder, tensor
from minidl.graph.node import Tensor, toposort
from minidl.graph.op import Draw, Op, Sample
from minidl.graph.spec import Spec, is_float
from minidl.graph.text import text

_MOST_SHOWN = 8


@dataclass(frozen=True)
class Rule:
    """One line: a symbol and the expression it equals.

    Attributes
    ----------
    left : str
        ``"∂L/∂x"``.
    right : ast.expr
        See :mod:`minidl.graph.expression`.
    value : nested list of numbers, or a number, optional
        What it is for the given inputs.
    scalars : frozenset of str
        Symbols that stand for single numbers.
    """

    left: str
    right: ast.expr
    value: Any = None
    scalars: frozenset[str] = frozenset()

    @property
    def expression(self) -> str:
        """The right-hand side as text."""
        return text(self.right, self.scalars)

    def text(self) -> str:
        """Return the line as text: ``∂L/∂x = ∂L/∂z * y``."""
        return f"{self.left} = {self.expression}"

    def latex(self) -> str:
        """Return the line as LaTeX math, without delimiters."""
        return f"{latex_symbol(self.left)} = {latex(self.right, self.scalars)}"


@dataclass(frozen=True)
class Explanation:
    """Formulas and gradient rules, ready to print.

    Attributes
    ----------
    title : str
        What is explained.
    notes : tuple of str
        Paragraphs to read before the rules.
    forward, backward : tuple of Rule
        How values are computed, and their gradients.
    remarks : tuple of str
        Paragraphs to read after them.
    given : mapping
        Values of inputs and parameters, by symbol, where numbers were asked for.
    constants : mapping
        Values of the arrays that an op makes from its attributes, by symbol.
    """

    title: str
    forward: tuple[Rule, ...]
    backward: tuple[Rule, ...]
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        """Return everything as text, rules aligned and indented, values beside them."""
        blocks = [self.title, *self.notes]
        known = {**self.given, **self.constants}
        if known:
            blocks.append(_aligned([(name, "", value) for name, value in known.items()]))
        for rules in (self.forward, self.backward):
            if rules:
                blocks.append(_aligned([(r.left, r.expression, r.value) for r in rules]))
        return "\n\n".join(block for block in (*blocks, *self.remarks) if block)

    def latex(self) -> str:
        """Return the rules as LaTeX math, one a line."""
        return "\n".join(rule.latex() for rule in (*self.forward, *self.backward))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data, for JSON."""
        result: dict[str, Any] = {
            "title": self.title,
            "notes": list(self.notes),
            "forward": [_rule_dict(rule) for rule in self.forward],
            "backward": [_rule_dict(rule) for rule in self.backward],
            "remarks": list(self.remarks),
        }
        if self.given:
            result["given"] = dict(self.given)
        if self.constants:
            result["constants"] = dict(self.constants)
        return result


def explain_op(op: Op | str, sample: Sample | None = None) -> Explanation:
    """Write down the formula of an op and its gradient rule.

    Parameters
    ----------
    op : Op or str
        The op or its registered name.
    sample : Sample, optional
        The call whose rule is traced; default the op's first sample that has elements. Rules may
        depend on shapes and attributes, and what is printed is that of this call.

    Raises
    ------
    UnknownNameError
        If there is no op of that name.
    """
    found: Op = registry.get("op", op) if isinstance(op, str) else op
    call = sample or default_sample(found)
    if call is None:
        return Explanation(_signature(found), (), (), _paragraphs(found), _remarks(found))
    given, attributes = _arguments(found, call)
    inputs = _placeholders(found, given)
    forward, backward, constants = _rules(found, inputs, attributes)
    return Explanation(
        _signature(found),
        forward,
        backward,
        (*_paragraphs(found), _traced_for(inputs, attributes)),
        _remarks(found),
        constants=constants,
    )


def default_sample(op: Op) -> Sample | None:
    """Return the first sample of ``op`` whose inputs all have elements, or None."""
    for sample in op.samples:
        given, _ = _arguments(op, sample)
        specs = [spec_of(value) for value in given]
        if all(spec.size for spec in specs):
            return sample
    return None


def write_rules(
    notation: Notation,
    values: Sequence[tuple[str, Tensor]],
    gradients: Sequence[tuple[str, Tensor]],
    loss: str,
    scalars: frozenset[str] = frozenset(),
) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
    """Write values and gradients, each chain of two factors with the local derivative first.

    Parameters
    ----------
    notation : Notation
        What symbols stand in them. A gradient is a symbol for those that follow from it.
    values, gradients : sequence of (str, Tensor)
        Label and node of each; those of gradients are ``∂loss/∂x``.
    loss : str
        The symbol of what is differentiated.
    scalars : frozenset of str
        Symbols of single numbers.
    """
    forward = [Rule(label, right, scalars=scalars) for label, right in notation.lines(values)]
    for label, node in gradients:
        notation.name(node, label)
    backward: list[Rule] = []
    written = notation.lines(gradients)
    helpers = dict(written)
    for label, expression in written:
        upstream = [name for name in symbols_in(expression) if name.startswith(f"∂{loss}/∂")]
        is_chain = label.startswith(f"∂{loss}/∂") and len(upstream) == 1
        factor = chain_factor(expression, upstream[0]) if is_chain else None
        if factor is None or _is_plain(factor) or _reaches_gradient(factor, helpers):
            backward.append(Rule(label, expression, scalars=scalars))
            continue
        through, variable = (name.partition("/")[2] for name in (upstream[0], label))
        local = f"{through}/{variable}"
        backward.append(Rule(local, factor, scalars=scalars))
        product = ast.BinOp(ast.Name(upstream[0]), ast.Mult(), ast.Name(local))
        backward.append(Rule(label, product, scalars=scalars))
    return tuple(forward), tuple(backward)


def chain_factor(expression: ast.expr, symbol: str) -> ast.expr | None:
    """Return E where ``expression`` is the symbol times E, element by element; else None.

    E is None too where the symbol stands alone. ``a * s / b`` has E = ``a / b``.
    """
    left = _without(expression, symbol)
    if left is None or symbol in symbols_in(left):
        return None
    reduced = _Reduce().visit(left)
    return None if _is_one(reduced) else reduced


def _without(expression: ast.expr, symbol: str) -> ast.expr | None:
    """Put 1 in the place of ``symbol``, which must be reached through factors alone."""
    if isinstance(expression, ast.Name):
        return ast.Constant(1) if expression.id == symbol else None
    if isinstance(expression, ast.UnaryOp) and isinstance(expression.op, ast.USub):
        inner = _without(expression.operand, symbol)
        return None if inner is None else ast.UnaryOp(ast.USub(), inner)
    if isinstance(expression, ast.BinOp) and isinstance(expression.op, ast.Mult | ast.Div):
        left = _without(expression.left, symbol)
        if left is not None:
            return ast.BinOp(left, expression.op, expression.right)
        if isinstance(expression.op, ast.Mult):
            right = _without(expression.right, symbol)
            return None if right is None else ast.BinOp(expression.left, expression.op, right)
    return None


class _Reduce(Rewrite):
    """1 * x and x * 1 become x."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        left, right = self.visit(node.left), self.visit(node.right)
        if isinstance(node.op, ast.Mult):
            if _is_one(left):
                return right
            if _is_one(right):
                return left
            if isinstance(left, ast.UnaryOp) and _is_one(left.operand):
                return ast.UnaryOp(left.op, right)
        return ast.BinOp(left, node.op, right)


def _is_one(expression: ast.expr) -> bool:
    return isinstance(expression, ast.Constant) and expression.value == 1


def _is_plain(expression: ast.expr) -> bool:
    inner = expression.operand if isinstance(expression, ast.UnaryOp) else expression
    return isinstance(inner, ast.Name | ast.Constant)


def _reaches_gradient(expression: ast.expr, helpers: Mapping[str, ast.expr]) -> bool:
    """Whether a gradient stands in the helper lines that an expression names."""
    waiting, seen = [expression], set()
    while waiting:
        for name in symbols_in(waiting.pop()):
            if name.startswith("∂"):
                return True
            if name in helpers and name not in seen:
                seen.add(name)
                waiting.append(helpers[name])
    return False


def _rules(
    op: Op, inputs: Sequence[Tensor], attributes: Mapping[str, Any]
) -> tuple[tuple[Rule, ...], tuple[Rule, ...], dict[str, Any]]:
    """Return the lines of the forward and backward pass, and the arrays that they name."""
    results = op(*inputs, **attributes)
    outputs = results if isinstance(results, tuple | list) else (results,)
    labels = ["z"] if len(outputs) == 1 else [f"z_{i}" for i in range(len(outputs))]
    seeds = [placeholder(f"∂L/∂{label}", *z.spec) for label, z in zip(labels, outputs, strict=True)]
    found = _gradients(inputs, outputs, seeds) if op.differentiable else [None] * len(inputs)
    gradients = [
        (f"∂L/∂{node.name}", gradient)
        for node, gradient in zip(inputs, found, strict=True)
        if gradient is not None
    ]
    values = list(zip(labels, outputs, strict=True))
    given = {id(node) for node in inputs}
    symbols = {id(z): label for label, z in values if id(z) not in given}
    notation = Notation(symbols, _shapes(inputs))
    scalars = frozenset(node.name for node in (*inputs, *seeds) if not node.shape)
    forward, backward = write_rules(notation, values, gradients, "L", scalars)
    if op.scalar and not op.notation:
        named = {name: literal(value) for name, value in outputs[0].attributes.items()}
        formula = substitute(ast.parse(op.scalar, mode="eval").body, named)
        forward = (Rule("z", formula, scalars=scalars),)
    return forward, backward, constants_in([*outputs, *(gradient for _, gradient in gradients)])


def constants_in(nodes: Sequence[Tensor]) -> dict[str, Any]:
    """Return the values of the named arrays that ``nodes`` depend on, as nested lists."""
    return {
        node.name: node.numpy().tolist()
        for node in toposort(nodes)
        if node.op is constant and node.name
    }


def _shapes(inputs: Sequence[Tensor]) -> dict[tuple[int, ...], str]:
    """Return the shapes that are written as the shape of an input: the first that has it."""
    shapes: dict[tuple[int, ...], str] = {}
    for node in inputs:
        if node.shape:
            shapes.setdefault(node.shape, node.name)
    return shapes


def _gradients(
    inputs: Sequence[Tensor], outputs: Sequence[Tensor], seeds: Sequence[Tensor]
) -> list[Tensor | None]:
    variables = [node for node in inputs if is_float(node.dtype)]
    total: dict[int, Tensor] = {}
    for z, seed in zip(outputs, seeds, strict=True):
        if is_float(z.dtype):
            for key, part in backward(z, seed, variables).items():
                total[key] = total[key] + part if key in total else part
    return [total.get(id(node)) for node in inputs]


def _placeholders(op: Op, given: Sequence[Any]) -> list[Tensor]:
    names = tuple(string.ascii_lowercase[: len(given)]) if op.variadic else op.tensors
    specs = [spec_of(value) for value in given]
    return [placeholder(name, *spec) for name, spec in zip(names, specs, strict=True)]


def _arguments(op: Op, sample: Sample) -> tuple[Sequence[Any], dict[str, Any]]:
    """Return a sample's tensors, and its attributes by name.

    ``sample()`` takes every tuple for a shape to draw; behind the tensors it is meant as it is.
    """
    count = len(sample.inputs) if op.variadic else len(op.tensors)
    behind = [value.shape if isinstance(value, Draw) else value for value in sample.inputs[count:]]
    named = dict(zip(op.attribute_names, behind, strict=False))
    return sample.inputs[:count], named | sample.attributes


def spec_of(given: Any) -> Spec:
    """Return the spec of an input of a sample."""
    if isinstance(given, Draw):
        return Spec(given.shape, given.dtype)
    return tensor(given).spec


def _signature(op: Op) -> str:
    arguments = [("*" if op.variadic else "") + name for name in op.tensors]
    return f"{op.name}({', '.join([*arguments, *op.attribute_names])})"


def _paragraphs(op: Op) -> tuple[str, ...]:
    return tuple(paragraph for paragraph in op.doc.split("\n\n") if paragraph.strip())


def _traced_for(inputs: Sequence[Tensor], attributes: Mapping[str, Any]) -> str:
    parts = [f"{node.name} {node.spec}" for node in inputs]
    parts += [f"{name}={value!r}" for name, value in attributes.items()]
    return f"Traced for {', '.join(parts)}:"


def _remarks(op: Op) -> tuple[str, ...]:
    remarks = []
    if op.kink:
        remarks.append(f"Where there is no gradient: {op.kink}.")
    if not op.differentiable:
        remarks.append(f"No gradient: {op.no_gradient}.")
    return tuple(remarks)


def _aligned(rows: Sequence[tuple[str, str, Any]]) -> str:
    width = max(len(left) for left, _, _ in rows)
    widest = max((len(right) for _, right, value in rows if value is not None), default=0)
    lines: list[str] = []
    for left, right, value in rows:
        shown = [] if value is None else format_value(value)
        first = f"    {left:<{width}} = "
        body = f"{right:<{widest}}  = " if shown and right else right
        blank = " " * (len(first) + len(body))
        lines += [
            f"{first + body if index == 0 else blank}{row}".rstrip()
            for index, row in enumerate(shown or [""])
        ]
    return "\n".join(lines)


def format_value(value: Any) -> list[str]:
    """Return a number or a matrix, as nested lists, as aligned lines of text.

    Of more than eight rows or columns the first and last three are shown.
    """
    if not isinstance(value, list):
        return [_short(value)]
    if not value or not isinstance(value[0], list):
        return [_row([_short(item) for item in value], 0)]
    if value[0] and isinstance(value[0][0], list):
        return [line for part in _ends(value, []) for line in format_value(part)]
    cells = [[_short(item) for item in row] for row in value]
    width = max((len(cell) for row in cells for cell in _ends(row, "")), default=0)
    return _ends([_row(row, width) for row in cells], "  ⋮")


def _row(cells: list[str], width: int) -> str:
    return f"[{'  '.join(cell.rjust(width) for cell in _ends(cells, '…'))}]"


def _ends(items: list[Any], gap: Any) -> list[Any]:
    return items if len(items) <= _MOST_SHOWN else [*items[:3], gap, *items[-3:]]


def _short(value: Any) -> str:
    written = f"{value:.6g}" if isinstance(value, float) else str(value)
    return written.replace("-", "−")


def _rule_dict(rule: Rule) -> dict[str, Any]:
    result = {"symbol": rule.left, "expression": rule.expression, "latex": rule.latex()}
    return result if rule.value is None else {**result, "value": rule.value}
