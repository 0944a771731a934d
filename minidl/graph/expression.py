"""Expressions: receives nodes of the graph, returns them as Python expressions of symbols.

An op is written as its ``notation`` says, or as a call of its name. What is returned are
:mod:`ast` expressions whose names are symbols of any text (``∂L/∂z`` is one name), so that
parentheses are as few as Python's grammar allows and the text can be evaluated again.
"""

from __future__ import annotations

import ast
import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from minidl.errors import MinidlError
from minidl.graph.leaves import constant, placeholder_op, scalar_value
from minidl.graph.node import Tensor
from minidl.graph.op import Op
from minidl.graph.spec import is_float

_SHARED_SIZE = 4
_LONGEST = 40
_LISTED = 12


@dataclass
class Notation:
    """How the nodes of one print-out are written.

    Attributes
    ----------
    symbols : dict
        By ``id``, the text of nodes that are not expanded.
    shapes : dict
        Shapes that are written as the shape of a symbol: ``{(2, 3): "x"}``.
    hidden : set
        By ``id``, nodes that are written as their first input is.
    implied : callable
        ``implied(node, attribute, value)``: whether an attribute goes without saying.
    """

    symbols: dict[int, str]
    shapes: Mapping[tuple[int, ...], str] = field(default_factory=dict)
    hidden: set[int] = field(default_factory=set)
    implied: Callable[[Tensor, str, Any], bool] = lambda node, attribute, value: False
    _helpers: set[int] = field(default_factory=set, init=False)

    def lines(self, results: Sequence[tuple[str, Tensor]]) -> list[tuple[str, ast.expr]]:
        """Write each result as ``(label, expression)``.

        An expression that is needed more than once, or is too long, gets a line of its own
        before it is needed, with a label ``t1``, ``t2`` … that stands for it from then on.
        Nothing here recurses into the graph.
        """
        order = self._sorted([node for _, node in results])
        uses = self._uses(order, {id(node) for _, node in results})
        labels = {label for label, _ in results} | set(self.symbols.values())
        fresh = (name for name in map("t{}".format, range(1, len(order) + 2)) if name not in labels)
        wanted: dict[int, list[str]] = {}
        for label, node in results:
            wanted.setdefault(id(node), []).append(label)
        written: dict[int, ast.expr] = {}
        sizes: dict[int, int] = {}
        lines: list[tuple[str, ast.expr]] = []
        for node in order:
            expression, size = self._write(node, written, sizes)
            own = self._symbol(node)
            for label in wanted.get(id(node), ()):
                alias = own and own != label
                lines.append((label, ast.Name(own) if alias else expression))
            if own:
                expression, size = ast.Name(own), 1
            elif id(node) in wanted and uses.get(id(node), 0):
                expression, size = ast.Name(wanted[id(node)][0]), 1
            elif size > _LONGEST or (uses.get(id(node), 0) > 1 and size >= _SHARED_SIZE):
                label = next(fresh)
                lines.append((label, expression))
                expression, size = ast.Name(label), 1
                self.symbols[id(node)] = label
                self._helpers.add(id(node))
            written[id(node)], sizes[id(node)] = expression, size
        return _in_order(lines, [label for label, _ in results])

    def name(self, node: Tensor, symbol: str) -> None:
        """Let a symbol stand for a node, unless it is a leaf or a given symbol does."""
        if node.inputs and (id(node) not in self.symbols or id(node) in self._helpers):
            self.symbols[id(node)] = symbol
            self._helpers.discard(id(node))

    def expression(self, node: Tensor) -> ast.expr:
        """Write one node, however long that gets."""
        written: dict[int, ast.expr] = {}
        sizes: dict[int, int] = {}
        for inner in self._sorted([node]):
            expression, sizes[id(inner)] = self._write(inner, written, sizes)
            own = self._symbol(inner) if inner is not node else None
            written[id(inner)] = ast.Name(own) if own else expression
        return written[id(node)]

    def _symbol(self, node: Tensor) -> str:
        """Return what stands for a node: its symbol, or the name of a leaf."""
        return self.symbols.get(id(node)) or (node.name if not node.inputs else "")

    def _sorted(self, results: Sequence[Tensor]) -> list[Tensor]:
        """Sort what ``results`` are made of, looking behind no symbol but their own."""
        order: list[Tensor] = []
        seen: set[int] = set()
        roots = {id(node) for node in results}
        stack = [(node, False) for node in reversed(results)]
        while stack:
            node, expanded = stack.pop()
            if expanded:
                order.append(node)
            elif id(node) not in seen:
                seen.add(id(node))
                stack.append((node, True))
                if id(node) in roots or not self._symbol(node):
                    stack.extend((child, False) for child in reversed(node.inputs))
        return order

    def _uses(self, order: Iterable[Tensor], roots: set[int]) -> dict[int, int]:
        """Count by ``id`` how often each node stands in what is written out."""
        uses: dict[int, int] = {}
        for node in order:
            if id(node) in roots or not self._symbol(node):
                for child in node.inputs:
                    uses[id(child)] = uses.get(id(child), 0) + 1
        return uses

    def _write(
        self, node: Tensor, written: Mapping[int, ast.expr], sizes: Mapping[int, int]
    ) -> tuple[ast.expr, int]:
        if any(id(child) not in written for child in node.inputs):
            return ast.Name(self._symbol(node)), 1
        children = [written[id(child)] for child in node.inputs]
        size = sum(sizes[id(child)] for child in node.inputs)
        if id(node) in self.hidden or _is_silent_cast(node):
            return children[0], size
        return self._apply(node, children), size + 1

    def _apply(self, node: Tensor, children: list[ast.expr]) -> ast.expr:
        if node.op in (constant, placeholder_op) and self._symbol(node):
            return ast.Name(self._symbol(node))
        if node.op is constant:
            return constant_expression(node)
        attributes = {
            name: self._attribute(name, value)
            for name, value in shown_attributes(node).items()
            if not self.implied(node, name, value)
        }
        written = write_op(node.op, children, attributes)
        if isinstance(written, ast.Attribute) and written.attr == "T" and node.ndim > 2:
            return ast.Attribute(written.value, "mT")
        return written

    def _attribute(self, name: str, value: Any) -> ast.expr:
        if name == "shape" and value in self.shapes:
            return ast.Attribute(ast.Name(self.shapes[value]), "shape")
        return attribute(name, value)


def attribute(name: str, value: Any) -> ast.expr:
    """Write the value of an attribute; one axis without the brackets of a tuple."""
    if name == "axis" and isinstance(value, tuple) and len(value) == 1:
        value = value[0]
    return literal(value)


def write_op(op: Op, children: Sequence[ast.expr], attributes: Mapping[str, ast.expr]) -> ast.expr:
    """Write ``op`` applied to expressions, by its notation or as a call."""
    template = parse_notation(op.notation)
    if template is None or op.variadic:
        name = ast.Name(op.name)
        arguments: list[ast.expr] = list(children)
        if op.variadic:
            arguments = [ast.List(arguments)]
        return ast.Call(name, arguments, _keywords(attributes))
    given = dict(zip(op.tensors, children, strict=True)) | dict(attributes)
    if absent := set(op.attribute_names) - set(given):
        template = _Without(absent).visit(template)
    written = substitute(template, given)
    rest = {name: value for name, value in attributes.items() if name not in _names(template)}
    if rest and isinstance(written, ast.Call):
        return ast.Call(written.func, written.args, [*written.keywords, *_keywords(rest)])
    if rest:
        return ast.Call(ast.Name(op.name), list(children), _keywords(attributes))
    return written


def shown_attributes(node: Tensor) -> dict[str, Any]:
    """Return the attributes of ``node`` that are not what the op's defaults mean."""
    op = node.op
    parameters = op.signature.parameters
    defaults = {
        name: parameters[name].default
        for name in node.attributes
        if name in parameters and parameters[name].default is not parameters[name].empty
    }
    if defaults and op.normalize is not None:
        given = dict(node.attributes) | defaults
        try:
            defaults = {
                name: value
                for name, value in op.normalize(*(i.spec for i in node.inputs), **given).items()
                if name in defaults
            }
        except (MinidlError, TypeError):
            defaults = {}
    return {
        name: value
        for name, value in node.attributes.items()
        if name not in defaults or defaults[name] != value
    }


def constant_expression(node: Tensor) -> ast.expr:
    """Write a constant: a number, a small array as a list, or the shape of a large one."""
    value = scalar_value(node)
    if value is not None:
        return number(value)
    if node.size <= _LISTED:
        return literal(node.numpy().tolist())
    return ast.Call(ast.Name("constant"), [], _keywords({"shape": literal(node.shape)}))


def number(value: bool | int | float) -> ast.expr:
    """Write a number; one without a fraction as an integer."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    if isinstance(value, bool):
        return ast.Constant(value)
    if value != value:
        return ast.Name("nan")
    size = ast.Name("inf") if abs(value) == math.inf else ast.Constant(abs(value))
    return ast.UnaryOp(ast.USub(), size) if value < 0 else size


def literal(value: Any) -> ast.expr:
    """Write a plain value: number, text, tuple, slice."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return ast.Constant(value)
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, tuple | list):
        kind = ast.Tuple if isinstance(value, tuple) else ast.List
        return kind([literal(item) for item in value])
    if isinstance(value, slice):
        parts = [value.start, value.stop, value.step]
        return ast.Call(ast.Name("slice"), [literal(part) for part in parts], [])
    if value is Ellipsis:
        return ast.Constant(...)
    return ast.Name(str(value))


def symbols_in(expression: ast.expr) -> set[str]:
    """Return the names that an expression is made of, functions aside."""
    functions = {id(n.func) for n in ast.walk(expression) if isinstance(n, ast.Call)}
    return {
        n.id for n in ast.walk(expression) if isinstance(n, ast.Name) and id(n) not in functions
    }


def substitute(expression: ast.expr, given: Mapping[str, ast.expr]) -> ast.expr:
    """Put expressions in the place of names."""
    return _Substitute(given).visit(expression)


class Rewrite(ast.NodeTransformer):
    """A transformer that builds anew and leaves what it is given as it was."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        return type(node)(**{name: self._part(value) for name, value in ast.iter_fields(node)})

    def _part(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._part(item) for item in value]
        return self.visit(value) if isinstance(value, ast.AST) else value


class _Substitute(Rewrite):
    def __init__(self, given: Mapping[str, ast.expr]) -> None:
        self.given = given

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.given.get(node.id, node)


class _Without(Rewrite):
    """Leaves out keyword arguments that go without saying, and keepdims where axis does."""

    def __init__(self, names: set[str]) -> None:
        self.names = names

    def visit_Call(self, node: ast.Call) -> ast.expr:
        call = self.generic_visit(node)
        assert isinstance(call, ast.Call)
        said = [k for k in call.keywords if not self._unsaid(k)]
        whole = any(k.arg == "axis" for k in call.keywords if k not in said)
        call.keywords = [k for k in said if not (whole and k.arg == "keepdims")]
        return call

    def _unsaid(self, keyword: ast.keyword) -> bool:
        return isinstance(keyword.value, ast.Name) and keyword.value.id in self.names


def _is_silent_cast(node: Tensor) -> bool:
    """Whether a node only makes floats of numbers or of truth values, which goes unwritten."""
    return node.op.name == "astype" and is_float(node.dtype)


def _in_order(
    lines: list[tuple[str, ast.expr]], labels: Sequence[str]
) -> list[tuple[str, ast.expr]]:
    """Sort results as they were asked for, each after the temporaries it needs."""
    held = dict(lines)
    placed: dict[str, ast.expr] = {}
    for label in labels:
        stack = [label]
        while stack:
            last = stack[-1]
            needed = [
                name
                for name in sorted(symbols_in(held[last]))
                if name in held and name not in labels and name not in placed and name != last
            ]
            if needed:
                stack.extend(needed)
            else:
                placed.setdefault(last, held[last])
                stack.pop()
    return list(placed.items())


def _keywords(attributes: Mapping[str, ast.expr]) -> list[ast.keyword]:
    return [ast.keyword(name, value) for name, value in attributes.items()]


def _names(template: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(template) if isinstance(node, ast.Name)}


@functools.lru_cache(maxsize=512)
def parse_notation(notation: str) -> ast.expr | None:
    """Parse a notation; None if it is empty."""
    if not notation:
        return None
    return ast.parse(notation.replace("−", "-"), mode="eval").body
